from __future__ import annotations

import errno
import io
import json
import math
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tas_core.datasets.mixing.draws import CompositionConfig
from tas_core.datasets.mixing.material import open_material
from tas_core.errors import InputError, TasError
from tas_core.inference.engine import LoadedModel
from tas_core.inference.settings import RenderSettings
from tas_core.inference.stream import render
from tas_core.models.base import spread
from tas_core.models.checkpoints import load_checkpoint
from tas_core.models.registry import PRESETS, load_network
from tas_core.models.slots.model import SlotsModel
from tas_core.timeline.segments import Timeline
from tas_core.training import trainer
from tas_core.training.settings import TrainingConfig, learning_rate_at
from tas_core.training.state import TRAINING_FILE, load_training_state, save_training_state
from tas_core.training.text_start import fit_text_layers
from tas_core.training.trainer import train
from tests.support.tiny import TINY_PAPER, TINY_SLOTS, HashEncoder, WideHashEncoder, phrase_table, write_material

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
SETTINGS: dict[str, Any] = {
    "preset": "tiny-slots",
    "steps": 6,
    "batch_size": 2,
    "window_s": 0.5,
    "warmup_steps": 2,
    "precision": "fp32",
    "log_every": 1,
    "validate_every": 3,
    "validation_batches": 1,
    "save_every": 100,
    "seed": 3,
}
SETTINGS_RATE = TrainingConfig().learning_rate


@pytest.fixture(autouse=True)
def _tiny_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "tiny-slots", TINY_SLOTS)
    monkeypatch.setitem(PRESETS, "tiny-paper", replace(TINY_PAPER, window_s=0.5))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_material(tmp_path_factory.mktemp("material"))


def _train(data: Path, out: Path, **changes: Any) -> Path:
    progress = changes.pop("progress", lambda step, figures: None)
    composition = changes.pop("composition", None)
    config = TrainingConfig(**{**SETTINGS, **changes})
    encode = HashEncoder() if config.preset == "tiny-paper" else None
    return train(data, out, config, device=CPU, encode=encode, composition=composition, progress=progress)


def _log(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def _without_time(lines: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


class _Stop(Exception):
    """Stands for a process that is killed."""


def _stop_at(wanted: int, error: type[BaseException] = _Stop):
    def progress(step: int, figures: dict[str, float]) -> None:
        if step == wanted and "loss" in figures:
            raise error

    return progress


# ------------------------------------------------------------------ the run


def test_text_layers_are_fitted_once_before_the_first_step_of_weights_that_begin(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRESETS, "tiny-paper", replace(TINY_PAPER, feature_channels=6))  # needs a layer for its text
    fitted: list[list[str]] = []

    def fit(model: Any, captions: list[str], encode: Any) -> None:
        fitted.append(captions)
        fit_text_layers(model, captions, encode)

    monkeypatch.setattr(trainer, "fit_text_layers", fit)
    run, settings = tmp_path / "run", {"preset": "tiny-paper", "learning_rate": 0.0}
    _train(data, run, steps=2, **settings)
    (captions,) = fitted
    assert len(captions) == 2 * SETTINGS["batch_size"]  # no more than the run is going to see
    assert all("left" in c or "right" in c or "cent" in c for c in captions)
    # The average of the weights, which is what is kept, began with the fitted ones as well.
    kept = load_network(str(run / "checkpoint"))
    layer = kept.text_layers()[0]  # type: ignore[operator, union-attr]
    given = layer(spread(HashEncoder()(captions))).detach()
    torch.testing.assert_close(given.mean(dim=0), torch.zeros(layer.out_features), rtol=0, atol=1e-5)
    _train(data, run, steps=3, **settings)
    _train(data, tmp_path / "from", steps=2, init=str(run / "checkpoint"), **settings)
    _train(data, tmp_path / "slots", steps=2, preset="tiny-slots")
    _train(data, tmp_path / "none", steps=2, fitted_captions=0, **settings)
    assert len(fitted) == 1


@pytest.mark.parametrize("preset", ["tiny-slots", "tiny-paper"])
def test_a_run_leaves_a_log_and_a_checkpoint_that_works(data: Path, tmp_path: Path, preset: str) -> None:
    seen: list[int] = []
    folder = _train(data, tmp_path / "run", preset=preset, progress=lambda step, figures: seen.append(step))
    assert folder == tmp_path / "run" / "checkpoint"
    lines = _log(tmp_path / "run")
    assert [line["step"] for line in lines] == [1, 2, 3, 3, 4, 5, 6, 6] == seen
    trained = [line for line in lines if "loss" in line]
    judged = [line for line in lines if "val_loss" in line]
    assert len(trained) == 6
    assert len(judged) == 2
    assert all(np.isfinite(list(line.values())).all() for line in lines)
    assert all({"gradient_norm", "learning_rate", "seconds"} <= set(line) for line in trained)
    # Whether a run learns to place is seen while it goes on, of models that start from noise.
    assert all(("val_side_correlation_from_noise" in line) == (preset == "tiny-paper") for line in judged)
    assert not any("side_correlation_from_noise" in line for line in trained)
    model = load_network(str(folder))
    assert model.config == PRESETS[preset]
    x = 0.1 * np.random.default_rng(0).standard_normal(12000)
    loaded = LoadedModel.of(model, HashEncoder())
    result = render(x, 16000, Timeline.from_prompt("cello on the left"), loaded, RenderSettings(steps=2))
    assert np.all(np.isfinite(result.ears))
    np.testing.assert_allclose(result.ears.mean(axis=0), x, rtol=0, atol=1e-12)
    provenance = load_checkpoint(folder).provenance
    assert provenance["steps"] == 6
    assert provenance["training"]["seed"] == 3
    assert all(name.startswith("train font/") for name in provenance["sources"])


@pytest.mark.parametrize("preset", ["tiny-slots", "tiny-paper"])
def test_a_run_that_was_killed_follows_the_same_curve(data: Path, tmp_path: Path, preset: str) -> None:
    _train(data, tmp_path / "straight", preset=preset)
    with pytest.raises(_Stop):
        _train(data, tmp_path / "broken", preset=preset, save_every=3, progress=_stop_at(5))
    assert load_training_state(tmp_path / "broken").step == 3
    assert [line["step"] for line in _log(tmp_path / "broken")][-1] == 5
    _train(data, tmp_path / "broken", preset=preset, save_every=3)
    # Everything random is keyed by step and one thread adds in one order, so the curves are equal to the bit.
    assert _without_time(_log(tmp_path / "broken")) == _without_time(_log(tmp_path / "straight"))
    one, other = (load_checkpoint(tmp_path / name / "checkpoint").state for name in ("straight", "broken"))
    assert set(one) == set(other)
    for name in one:
        assert torch.equal(one[name], other[name]), name


def test_two_runs_with_the_same_seed_are_the_same_run(data: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        _train(data, tmp_path / name, steps=3, seed=seed)
    a, b, c = (_without_time(_log(tmp_path / name)) for name in "abc")
    assert a == b
    assert a[0]["loss"] != c[0]["loss"]


def test_the_number_of_workers_changes_nothing_and_a_stop_neither(data: Path, tmp_path: Path) -> None:
    """One draws in a thread, several are processes; a run may go on with another number of them."""
    _train(data, tmp_path / "straight", steps=5)
    with pytest.raises(_Stop):
        _train(data, tmp_path / "broken", steps=5, workers=3, save_every=3, progress=_stop_at(4))
    _train(data, tmp_path / "broken", steps=5, workers=2)
    assert _without_time(_log(tmp_path / "broken")) == _without_time(_log(tmp_path / "straight"))


# ------------------------------------------------------------------ a run of minutes


def _minutes(data: Path, out: Path, minutes: float, **changes: Any) -> Path:
    by_clock = {"steps": None, "log_every": None, "validate_every": None, "save_every": None, "minutes": minutes}
    return _train(data, out, **{**by_clock, **changes})


def test_a_run_of_minutes_ends_by_the_clock_with_a_save(data: Path, tmp_path: Path) -> None:
    began = time.monotonic()
    folder = _minutes(data, tmp_path, 0.02, warmup_steps=1, decay_share=1.0)
    assert 1.0 < time.monotonic() - began < 30.0
    state = load_training_state(tmp_path)
    assert load_checkpoint(folder).provenance["steps"] == state.step
    lines = _log(tmp_path)
    trained = [line for line in lines if "loss" in line]
    # The first step is logged, whatever the time, and the last one with a validation.
    assert trained[0]["step"] == 1
    assert trained[-1]["step"] == state.step == lines[-1]["step"]
    assert "val_loss" in lines[-1]
    rates = [line["learning_rate"] for line in trained]
    assert rates[-1] < 0.2 * SETTINGS_RATE
    assert rates == sorted(rates, reverse=True)
    assert 1.2 <= state.extra["clock_s"] < 30.0


def test_a_run_of_minutes_goes_on_with_what_is_left(data: Path, tmp_path: Path) -> None:
    def interrupted(step: int, metrics: dict[str, float]) -> None:
        if step == 3 and "loss" in metrics:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _minutes(data, tmp_path, 60.0, log_every=1, progress=interrupted)
    state = load_training_state(tmp_path)
    assert state.step == 3
    # As if an hour less two seconds were over.
    save_training_state(tmp_path, replace(state, extra={**state.extra, "clock_s": 3598.0}))
    began = time.monotonic()
    _minutes(data, tmp_path, 60.0, log_every=1)
    assert time.monotonic() - began < 30.0
    lines = [line for line in _log(tmp_path) if "loss" in line]
    assert [line["step"] for line in lines] == list(range(1, len(lines) + 1))
    assert load_training_state(tmp_path).extra["clock_s"] >= 3599.0
    # Nothing is left: it is there as it was.
    _minutes(data, tmp_path, 60.0, log_every=1)
    assert load_training_state(tmp_path).step == len(lines)


def test_a_run_of_an_earlier_version_goes_on_by_steps_or_by_the_clock(data: Path, tmp_path: Path) -> None:
    """It knew no clock, and had numbers where now nothing said is None."""
    _train(data, tmp_path, steps=2)
    state = load_training_state(tmp_path)
    new = ("minutes", "save_every_s")
    config = {k: v for k, v in state.extra["config"].items() if k not in new}
    save_training_state(tmp_path, replace(state, extra={"config": config, "seconds": 7200.0}))
    _train(data, tmp_path, steps=3)
    assert load_training_state(tmp_path).step == 3
    _minutes(data, tmp_path, 60.0)  # two hours are over
    assert load_training_state(tmp_path).step == 3


def test_a_run_of_minutes_makes_a_step_at_least(data: Path, tmp_path: Path) -> None:
    _minutes(data, tmp_path, 1e-6)
    assert load_training_state(tmp_path).step == 1


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_signals_save_after_the_step_that_is_under_way(
    data: Path, tmp_path: Path, number: int, error: type[BaseException]
) -> None:
    def asked(step: int, metrics: dict[str, float]) -> None:
        if step == 2 and "loss" in metrics:
            os.kill(os.getpid(), number)

    with pytest.raises(error):
        _train(data, tmp_path / "broken", progress=asked)
    assert load_training_state(tmp_path / "broken").step == 2
    _train(data, tmp_path / "broken")
    _train(data, tmp_path / "straight")
    assert _without_time(_log(tmp_path / "broken")) == _without_time(_log(tmp_path / "straight"))


def test_saves_are_due_by_seconds_too(data: Path, tmp_path: Path) -> None:
    with pytest.raises(_Stop):
        _train(data, tmp_path, save_every_s=1e-6, progress=_stop_at(5))
    assert load_training_state(tmp_path).step == 4


def test_a_run_can_be_made_longer(data: Path, tmp_path: Path) -> None:
    _train(data, tmp_path, steps=3)
    _train(data, tmp_path, steps=5, validate_every=2)
    assert [line["step"] for line in _log(tmp_path) if "loss" in line] == [1, 2, 3, 4, 5]
    assert load_training_state(tmp_path).step == 5


def test_a_run_asked_for_fewer_steps_keeps_its_count(data: Path, tmp_path: Path) -> None:
    _train(data, tmp_path, steps=4)
    _train(data, tmp_path, steps=2)
    assert load_training_state(tmp_path).step == 4


def test_ctrl_c_saves_and_the_run_goes_on(data: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        _train(data, tmp_path, progress=_stop_at(4, KeyboardInterrupt))
    assert (tmp_path / TRAINING_FILE).exists()
    assert load_network(str(tmp_path / "checkpoint")).config == TINY_SLOTS
    state = load_training_state(tmp_path)
    assert state.step in (3, 4)
    _train(data, tmp_path)
    assert [line["step"] for line in _log(tmp_path) if "loss" in line] == [1, 2, 3, 4, 5, 6]


def test_ctrl_c_between_steps_loses_and_repeats_nothing(data: Path, tmp_path: Path) -> None:
    _train(data, tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        _train(data, tmp_path / "broken", progress=_stop_at(4, KeyboardInterrupt))
    _train(data, tmp_path / "broken")
    assert _without_time(_log(tmp_path / "broken")) == _without_time(_log(tmp_path / "straight"))


def test_what_was_logged_after_the_last_save_is_logged_again(data: Path, tmp_path: Path) -> None:
    with pytest.raises(_Stop):
        _train(data, tmp_path, save_every=2, progress=_stop_at(5))
    before = (tmp_path / "log.jsonl").read_text().splitlines()
    _train(data, tmp_path, save_every=2)
    kept = [line for line in before if json.loads(line)["step"] <= 4]
    after = (tmp_path / "log.jsonl").read_text().splitlines()
    assert after[: len(kept)] == kept
    assert [json.loads(line)["step"] for line in after[len(kept) :]] == [5, 6, 6]


def test_a_log_line_that_was_cut_off_does_not_stop_the_run(data: Path, tmp_path: Path) -> None:
    _train(data, tmp_path, steps=2)
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"step": 3, "loss": 0.1')
    _train(data, tmp_path, steps=4)
    assert [line["step"] for line in _log(tmp_path) if "loss" in line] == [1, 2, 3, 4]


def test_lines_of_the_log_that_are_none_of_ours_do_not_stop_the_run(data: Path, tmp_path: Path) -> None:
    _train(data, tmp_path, steps=2)
    with (tmp_path / "log.jsonl").open("ab") as log:
        log.write(b'1\n[2]\n{}\n{"step": "3"}\n\xff\n')
    _train(data, tmp_path, steps=3)
    assert [line["step"] for line in _log(tmp_path) if "loss" in line] == [1, 2, 3]


def test_what_a_killed_save_left_is_removed(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[Path] = []
    replace_file = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (moved.append(Path(a)), replace_file(a, b)))
    _train(data, tmp_path, steps=1)
    assert {path.parent for path in moved} == {tmp_path, tmp_path / "checkpoint"}
    for path in moved:
        path.write_bytes(b"half")
    _train(data, tmp_path, steps=2)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [
        "config.json",
        "log.jsonl",
        "model.safetensors",
        "training.safetensors",
    ]


# ------------------------------------------------------------------ requests that cannot be carried out


def test_a_run_in_a_file_is_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="file: not a folder"):
        _train(data, tmp_path / "file")
    with pytest.raises(InputError, match="file/run: no folder can be made"):
        _train(data, tmp_path / "file" / "run")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"batch_size": 3}, "batch_size"), ({"seed": 9}, "seed"), ({"learning_rate": 0.5}, "learning_rate")],
)
def test_other_settings_in_the_same_folder_are_refused(
    data: Path, tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    _train(data, tmp_path, steps=2)
    log = (tmp_path / "log.jsonl").read_text()
    with pytest.raises(InputError, match=named):
        _train(data, tmp_path, steps=4, **changes)
    assert (tmp_path / "log.jsonl").read_text() == log


def test_captions_are_encoded_as_they_are_later_whatever_the_precision(data: Path, tmp_path: Path) -> None:
    seen = []

    def encode(texts: list[str]) -> torch.Tensor:
        seen.append(torch.is_autocast_enabled("cpu"))
        return HashEncoder()(texts)

    config = TrainingConfig(**{**SETTINGS, "preset": "tiny-paper", "precision": "bf16", "steps": 2})
    train(data, tmp_path, config, device=CPU, encode=encode)
    assert len(seen) > 2
    assert not any(seen)


def test_two_trainings_at_once_in_one_folder_are_refused(data: Path, tmp_path: Path) -> None:
    """Else the second empties the log of the first, and the last to end decides whose weights stay."""
    refused = []

    def meanwhile(step: int, figures: dict[str, float]) -> None:
        if step == 2 and "loss" in figures:
            with pytest.raises(
                InputError, match=f"another program trains there .process {os.getpid()}.; expected"
            ) as error:
                _train(data, tmp_path)
            refused.append(error.value)

    _train(data, tmp_path, progress=meanwhile)
    assert len(refused) == 1
    assert [line["step"] for line in _log(tmp_path) if "loss" in line] == [1, 2, 3, 4, 5, 6]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint", "log.jsonl", TRAINING_FILE]


def test_another_model_in_the_same_folder_is_refused(data: Path, tmp_path: Path) -> None:
    _train(data, tmp_path, steps=1)
    with pytest.raises(InputError, match="preset"):
        _train(data, tmp_path, steps=1, preset="tiny-paper")


def test_an_unknown_preset_is_refused_with_those_that_exist(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown preset 'slotz'.*slots.*paper"):
        _train(data, tmp_path / "run", preset="slotz")
    assert not (tmp_path / "run").exists()


def test_missing_material_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        _train(tmp_path / "nowhere", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_paper_model_needs_a_text_encoder(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="text encoder"):
        train(data, tmp_path, TrainingConfig(**{**SETTINGS, "preset": "tiny-paper"}), device=CPU)


# ------------------------------------------------------------------ settings


def test_the_schedule_is_what_the_optimizer_gets(data: Path, tmp_path: Path) -> None:
    _train(data, tmp_path)
    config = TrainingConfig(**SETTINGS)
    rates = [line["learning_rate"] for line in _log(tmp_path) if "loss" in line]
    assert rates == [learning_rate_at(step, config) for step in range(6)]


def test_only_the_named_parts_are_trained(data: Path, tmp_path: Path) -> None:
    first = _train(data, tmp_path / "first", steps=1)
    second = _train(data, tmp_path / "second", steps=3, init=str(first), train_only=("merge", "diffuse"))
    assert load_checkpoint(second).provenance["init_digest"] == load_checkpoint(first).digest
    before, after = load_checkpoint(first).state, load_checkpoint(second).state
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    chosen = {name for name in changed if name.startswith(("networks.0.merge.", "diffuse."))}
    assert changed == chosen
    assert {name.split(".")[0] for name in chosen} == {"networks", "diffuse"}


def test_validation_uses_other_sources_and_no_augmentation(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: dict[str, CompositionConfig] = {}

    def spy(folder: Path, split: Any, encoder: str, config: CompositionConfig, *rest: Any):
        opened[split] = config
        return open_material(folder, split, encoder, config, *rest)

    monkeypatch.setattr(trainer, "open_material", spy)
    _train(data, tmp_path, steps=1, composition=CompositionConfig(unnamed_share=0.7, window_s=99.0))
    assert set(opened) == {"train", "val"}
    for config in opened.values():
        assert config.window_s == 0.5
        assert config.unnamed_share == 0.7
    assert opened["train"].augment
    assert not opened["val"].augment


@pytest.mark.parametrize("compiled", [False, True])
def test_validation_asks_a_compiled_network_for_nothing_new(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiled: bool
) -> None:
    """With gradients wanted or not it is compiled for each; so they are wanted where it is compiled, and never kept."""
    wanted: list[bool] = []
    losses = SlotsModel.losses

    def spy(model: SlotsModel, *given: Any) -> dict[str, torch.Tensor]:
        wanted.append(torch.is_grad_enabled())
        return losses(model, *given)

    monkeypatch.setattr(SlotsModel, "losses", spy)
    monkeypatch.setattr(SlotsModel, "compile_parts", lambda model: None)
    _train(data, tmp_path, steps=1, compile=compiled, validation_batches=2)
    assert wanted == [True, compiled, compiled]
    _train(data, tmp_path / "plain", steps=1, validation_batches=2)
    assert _without_time(_log(tmp_path)) == _without_time(_log(tmp_path / "plain"))


def test_training_learns(data: Path, tmp_path: Path) -> None:
    """Forty steps on a handful of chords, judged on those of another split."""
    settings = {"steps": 40, "batch_size": 4, "warmup_steps": 5, "learning_rate": 1e-2, "validate_every": 40}
    easy = CompositionConfig(object_shares=(0.0, 1.0, 0.0, 0.0), absent_share=0.0, unnamed_share=0.0)
    _train(data, tmp_path, **settings, ema_decay=0.5, validation_batches=4, composition=easy)
    lines = _log(tmp_path)
    start = np.mean([line["loss"] for line in lines[:5]])
    end = np.mean([line["loss"] for line in lines if "loss" in line][-5:])
    assert end < start - 0.2


def test_half_precision_runs_and_stays_finite(data: Path, tmp_path: Path) -> None:
    _train(data, tmp_path, steps=3, precision="bf16")
    assert all(np.isfinite(list(line.values())).all() for line in _log(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["slots", "paper-small"])
def test_shipped_presets_build_train_a_step_save_and_sample(tmp_path: Path, preset: str) -> None:
    """With the text encoder replaced by one of the same width that needs no weights."""
    data = write_material(tmp_path / "material")
    phrase_table(WideHashEncoder()).save(data / "phrases-minilm.safetensors")
    config = TrainingConfig(**{**SETTINGS, "preset": preset, "steps": 1, "window_s": 1.0})
    folder = train(data, tmp_path / "run", config, device=CPU, encode=WideHashEncoder())
    model = load_network(str(folder))
    x = 0.1 * np.random.default_rng(0).standard_normal(16000)
    loaded = LoadedModel.of(model, WideHashEncoder())
    result = render(x, 16000, Timeline.from_prompt("cello on the left"), loaded, RenderSettings(steps=2))
    assert np.all(np.isfinite(result.ears))
    np.testing.assert_allclose(result.ears.mean(axis=0), x, rtol=0, atol=1e-12)


# ------------------------------------------------------------------ validation


def test_what_some_batches_cannot_show_is_the_mean_over_the_others() -> None:
    class Numbers:
        def compose(self, step: int, batch_size: int) -> Any:  # noqa: ARG002
            return SimpleNamespace(stem_mid=torch.zeros(1), number=step)

    def compute(batch: Any, _: torch.Generator) -> dict[str, torch.Tensor]:
        shown = {"loss": torch.tensor(1.0 + batch.number)}
        return shown | ({"correlation": torch.tensor(0.25, dtype=torch.float64)} if batch.number == 1 else {})

    config = TrainingConfig(**{**SETTINGS, "validation_batches": 3})
    found = trainer.validate(torch.nn.Identity(), Numbers(), config, compute)  # type: ignore[arg-type]
    assert found == {"val_loss": 2.0, "val_correlation": 0.25}


# ------------------------------------------------------------------ no numbers


def _spoil(monkeypatch: pytest.MonkeyPatch, steps: set[int], how: float) -> None:
    """Losses of these training steps, counted from 0, become ``how``, and so do their gradients."""
    plain, calls = trainer._losses, [0]

    def spoilt(*arguments: Any) -> dict[str, torch.Tensor]:
        losses = plain(*arguments)
        if torch.is_grad_enabled():
            calls[0] += 1
            if calls[0] - 1 in steps:
                losses["loss"] = losses["loss"] * how
        return losses

    monkeypatch.setattr(trainer, "_losses", spoilt)


@pytest.mark.parametrize("how", [math.nan, math.inf])
def test_a_step_whose_loss_is_no_number_is_skipped_and_said(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: float
) -> None:
    skipped = r"the loss of step [23] is (nan|-?inf) .*\(seed 3\) is skipped"
    with monkeypatch.context() as patch:
        _spoil(patch, {2, 3}, how)
        with pytest.warns(UserWarning, match=skipped) as said:
            _train(data, tmp_path / "run", steps=4, seed=3, decay_share=1e-6)
    assert len(said) == 2
    lines = _log(tmp_path / "run")
    assert all(np.isfinite(list(line.values())).all() for line in lines)
    assert [line.get("skipped", 0) for line in lines if "learning_rate" in line] == [0, 0, 1, 2]
    # The two skipped steps changed nothing: the same weights as after the two before them.
    _train(data, tmp_path / "two", steps=2, seed=3, decay_share=1e-6)
    one, other = (load_training_state(tmp_path / name).tensors["model"] for name in ("run", "two"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_an_overflow_in_half_precision_is_a_step_that_is_skipped(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Products beyond 3.4e38, the largest number that bf16 has, in the third step: none of it reaches the weights."""
    plain, calls, overflown = trainer.loss_function, [0], set[torch.dtype]()

    def loss_function(model: Any, encode: Any) -> Any:
        def overflow(_: object, __: object, output: torch.Tensor) -> torch.Tensor:
            if calls[0] != 3 or not torch.is_grad_enabled():
                return output
            overflown.add(output.dtype)
            return output * 1e30 * 1e30

        for module in model.modules():
            if isinstance(module, torch.nn.Linear):
                module.register_forward_hook(overflow)
        compute = plain(model, encode)

        def counted(*arguments: Any) -> Any:
            calls[0] += torch.is_grad_enabled()
            return compute(*arguments)

        return counted

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "loss_function", loss_function)
        with pytest.warns(UserWarning, match=r"the loss of step 2 is (nan|-?inf) .* its batch \(seed 3\) is skipped"):
            _train(data, tmp_path / "run", steps=3, precision="bf16", decay_share=1e-6)
    assert overflown == {torch.bfloat16}
    _train(data, tmp_path / "two", steps=2, precision="bf16", decay_share=1e-6)
    one, other = (load_training_state(tmp_path / name).tensors["model"] for name in ("run", "two"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_log_that_cannot_be_written_ends_the_run_with_its_name_and_its_last_save(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.StringIO):
        def write(self, text: str, /) -> int:
            if '"step": 4' in text:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return len(text)

    opened = Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, *how, **more: Full() if how == ("a",) else opened(path, *how, **more)
    )
    with pytest.raises(TasError, match=r"log\.jsonl: cannot write the file \(No space .*\); is the disk full\?"):
        _train(data, tmp_path, save_every=2)
    assert load_training_state(tmp_path).step == 2
    load_checkpoint(tmp_path / "checkpoint")


def test_a_run_that_diverges_ends_with_a_line_and_keeps_its_last_save(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _spoil(monkeypatch, set(range(4, 100)), math.nan)
    with (
        pytest.warns(UserWarning, match="is skipped"),
        pytest.raises(
            TasError, match=r"has diverged: the loss of step 13 is nan .* since step 4; .* lower learning rate"
        ),
    ):
        _train(data, tmp_path, steps=40, save_every=3)
    saved = load_checkpoint(tmp_path / "checkpoint")
    assert all(value.isfinite().all() for value in saved.state.values())
    assert load_training_state(tmp_path).step == 12
