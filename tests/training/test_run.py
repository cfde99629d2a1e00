from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tas_core.errors import InputError
from tas_core.models.registry import PRESETS
from tas_core.training import run
from tas_core.training.run import run_training
from tas_core.training.settings import TrainingConfig
from tests.support.tiny import TINY_SLOTS, write_material

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


@pytest.mark.parametrize(
    ("asked", "device", "expected"),
    [("auto", "cpu", "fp32"), ("auto", "cuda", "bf16"), ("bf16", "cpu", "bf16"), ("fp32", "cuda", "fp32")],
)
def test_auto_precision_is_the_faster_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, device: str, expected: str
) -> None:
    """The settings that reach the training; there is no CUDA device to train on here."""
    reached: list[TrainingConfig] = []

    def caught(data: Path, out: Path, config: TrainingConfig, **rest: object) -> Path:
        reached.append(config)
        return data / out.name / str(len(rest))

    monkeypatch.setattr(run, "train", caught)
    monkeypatch.setattr(run, "choose_device", lambda name: torch.device(name))
    settings = {**SETTINGS, "device": device, "precision": asked}
    run_training(tmp_path, tmp_path / "run", "slots", progress=lambda step, metrics: None, **settings)
    assert reached[0].precision == expected
