from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from tas_core.errors import InputError
from tas_core.models.registry import PRESETS
from tas_core.training import run
from tas_core.training.run import run_training
from tas_core.training.settings import TrainingConfig
from tests.support.tiny import TINY_SLOTS, HashEncoder, write_material

SETTINGS: dict[str, Any] = {
    "steps": 3,
    "batch_size": 2,
    "window_s": 0.5,
    "device": "cpu",
    "precision": "fp32",
    "log_every": 1,
    "validate_every": 3,
    "seed": 1,
}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(PRESETS, "tiny-slots", TINY_SLOTS)
    return write_material(tmp_path / "material")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_gets_every_figure_that_is_logged(data: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    seen: list[tuple[int, dict[str, float]]] = []
    out = tmp_path / "run"
    run_training(
        data,
        out,
        "tiny-slots",
        progress=lambda step, metrics: seen.append((step, metrics)),
        tensorboard=True,
        **SETTINGS,
    )
    events = EventAccumulator(str(out / "tensorboard"))
    events.Reload()
    written = [(e.step, e.value) for e in events.Scalars("separation_db")]
    logged = [(step, metrics["separation_db"]) for step, metrics in seen if "separation_db" in metrics]
    assert [step for step, _ in written] == [1, 2, 3]
    # The event file holds single precision.
    torch.testing.assert_close(
        torch.tensor([v for _, v in written]), torch.tensor([v for _, v in logged]), rtol=1e-6, atol=0
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("tensorboard", [False, True])
def test_without_data_nothing_is_made(tmp_path: Path, tensorboard: bool) -> None:
    (tmp_path / "empty").mkdir()
    run = lambda: run_training(  # noqa: E731
        tmp_path / "empty",
        tmp_path / "run",
        "slots",
        progress=lambda step, metrics: None,
        tensorboard=tensorboard,
        **SETTINGS,
    )
    with pytest.raises(InputError, match=r"empty/bank\.safetensors: not a readable stem bank"):
        run()
    assert not (tmp_path / "run").exists()
    if tensorboard:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "tensorboard").touch()
        with pytest.raises(InputError, match="run/tensorboard: not a folder"):
            run()


def test_an_unknown_precision_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="fp8"):
        run_training(
            data,
            tmp_path / "run",
            "tiny-slots",
            progress=lambda step, metrics: None,
            **{**SETTINGS, "precision": "fp8"},
        )
    assert not (tmp_path / "run").exists()


def _settings_that_arrive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, preset: str = "slots", **chosen: Any):
    """The settings that reach the training; there is no CUDA device to train on here."""
    reached: list[TrainingConfig] = []

    def caught(data: Path, out: Path, config: TrainingConfig, **rest: object) -> Path:
        reached.append(config)
        return data / out.name / str(len(rest))

    monkeypatch.setattr(run, "train", caught)
    monkeypatch.setattr(run, "choose_device", lambda name: torch.device(name))
    monkeypatch.setattr(run, "build_text_encoder", lambda name: HashEncoder())
    run_training(tmp_path, tmp_path / "run", preset, progress=lambda step, metrics: None, **chosen)
    return reached[0]


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """A graphics processor as torch would describe it."""
    has = {"bf16": True}
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has["bf16"])
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla T4")
    return has


@pytest.mark.parametrize(
    ("asked", "device", "expected"),
    [("auto", "cpu", "fp32"), ("auto", "cuda", "bf16"), ("bf16", "cpu", "bf16"), ("fp32", "cuda", "fp32")],
)
@pytest.mark.usefixtures("card")
def test_auto_precision_is_the_faster_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, device: str, expected: str
) -> None:
    settings = {**SETTINGS, "device": device, "precision": asked}
    assert _settings_that_arrive(monkeypatch, tmp_path, **settings).precision == expected


def test_a_card_without_bf16_trains_in_fp32_and_says_so(
    card: dict[str, bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card["bf16"] = False
    settings = {**SETTINGS, "device": "cuda"}
    with pytest.warns(UserWarning, match="Tesla T4 has no bf16; training is in fp32"):
        assert _settings_that_arrive(monkeypatch, tmp_path, **{**settings, "precision": "auto"}).precision == "fp32"
    assert _settings_that_arrive(monkeypatch, tmp_path, **{**settings, "precision": "fp32"}).precision == "fp32"
    with pytest.raises(InputError, match="bf16 was requested, and Tesla T4 has no such numbers; expected fp32"):
        _settings_that_arrive(monkeypatch, tmp_path, **{**settings, "precision": "bf16"})


@pytest.mark.usefixtures("card")
def test_what_decides_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps or minutes; else the steps that a model's authors state, if they do."""
    end = lambda preset, **chosen: (  # noqa: E731
        (c := _settings_that_arrive(monkeypatch, tmp_path, preset, device="cpu", **chosen)).steps,
        c.minutes,
    )
    assert end("slots", steps=7) == (7, None)
    assert end("slots", minutes=2.5) == (None, 2.5)
    assert end("paper") == (3000, None)
    assert end("paper", minutes=2.5) == (None, 2.5)
    with pytest.raises(InputError, match=r"when training ends is not said: expected .* steps or of minutes"):
        end("slots")
    with pytest.raises(InputError, match="after 7 steps and after 2.5 minutes; expected one of them"):
        end("paper", steps=7, minutes=2.5)


def test_captions_are_encoded_on_the_device_of_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is not the one that was asked for, where several train together."""
    encoder, mine = HashEncoder(), torch.device("meta")
    monkeypatch.setattr(run, "build_text_encoder", lambda name: encoder)
    monkeypatch.setattr(run, "joined", lambda where: nullcontext(mine))
    monkeypatch.setattr(run, "train", lambda data, out, config, *, device, **rest: out / device.type)
    made = run_training(tmp_path, tmp_path / "run", "paper", device="cpu", steps=1, progress=lambda step, metrics: None)
    assert made.name == encoder.device.type == "meta"


@pytest.mark.usefixtures("card")
def test_processes_draw_where_a_graphics_processor_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "usable_cores", lambda: 16)
    assert _settings_that_arrive(monkeypatch, tmp_path, steps=1, device="cuda").workers == 4
    assert _settings_that_arrive(monkeypatch, tmp_path, steps=1, device="cpu").workers == 1
    assert _settings_that_arrive(monkeypatch, tmp_path, steps=1, device="cpu", workers=3).workers == 3


def test_unknown_scenes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown scenes 'cats'; expected one of all, talkers"):
        run_training(tmp_path, tmp_path / "run", "slots", steps=1, scenes="cats", progress=lambda step, figures: None)
