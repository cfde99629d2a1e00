"""``tas train``: small presets learn, and what they learned is used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tas_core.datasets.tasbench.layout import TasBench
from tas_core.models import checkpoints
from tests.conftest import Finished
from tests.support.fairplay import write_annotated
from tests.support.tiny import WideHashEncoder, phrase_table, write_material

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["mono2binaural-small", "apnet-small"])
def test_the_command_line_trains_and_uses_them(
    tmp_path: Path,
    tas: Callable[..., object],
    make_audio: Callable[..., Path],
    make_timeline: Callable[..., Path],
    preset: str,
) -> None:
    data = write_material(tmp_path / "material")
    phrase_table(WideHashEncoder()).save(data / "phrases-minilm.safetensors")
    run = tmp_path / "run"
    chosen = ("--steps", 2, "--batch-size", 2, "--device", "cpu", "--log-every", 1, "--validate-every", 100)
    done = tas("train", "--data", data, "--out", run, "--preset", preset, *chosen)
    assert done.code == 0, done.err
    stated = checkpoints.load_checkpoint(run / "checkpoint").provenance["training"]
    assert (stated["window_s"], stated["learning_rate"], stated["batch_size"]) == (0.63, 1e-3, 2)
    out = tmp_path / "out.wav"
    timeline = make_timeline("start: 0, text: cello on the left")
    done = tas("spatialize", make_audio(), "-t", timeline, "--model", run / "checkpoint", "--out", out)
    assert done.code == 0, done.err
    assert out.exists()


@pytest.fixture
def fairplay(tmp_path: Path) -> TasBench:
    return TasBench(write_annotated(tmp_path / "fairplay"))


def test_training_on_recordings(fairplay: TasBench, tmp_path: Path, tas: Callable[..., Finished]) -> None:
    """A network for whole prompts learns from FAIR-Play as it lies on disk; one for stems says why it cannot."""
    settings = ("--data", fairplay.root, "--steps", 2, "--batch-size", 2, "--precision", "fp32", "--device", "cpu")
    done = tas("train", *settings, "--preset", "mono2binaural-small", "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert (tmp_path / "run" / "checkpoint" / "config.json").is_file()
    done = tas(
        "train", *settings, "--preset", "mono2binaural-small", "--scenes", "talkers", "--out", tmp_path / "other"
    )
    assert done.code == 2
    assert "scenes of talkers are composed of separate stems" in done.error_line
    assert not (tmp_path / "other").exists()
    done = tas("train", *settings, "--preset", "slots", "--out", tmp_path / "other")
    assert done.code == 2
    assert "learns from separate stems" in done.error_line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "when training ends is not said: expected a number of steps or of minutes"),
        (("--steps", 3, "--minutes", 1), "training would end after 3 steps and after 1 minutes"),
        (("--minutes", 0), "training would end after 0 minutes; expected more than 0"),
        (("--minutes", "nan"), "training would end after nan minutes; expected more than 0"),
    ],
)
def test_one_option_says_when_training_ends(
    tmp_path: Path, tas: Callable[..., Finished], options: tuple[object, ...], message: str
) -> None:
    done = tas("train", "--data", tmp_path, "--preset", "slots", "--device", "cpu", "--out", tmp_path / "run", *options)
    assert done.code == 2
    assert done.error_line.startswith(message)
    assert done.error_line.endswith("(--steps N or --minutes M)")
    assert not (tmp_path / "run").exists()
