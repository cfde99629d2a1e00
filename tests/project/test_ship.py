"""``tools/ship.py``: what it makes of checkpoints, in half precision and in 8 bits."""

from __future__ import annotations

import runpy
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import safetensors.torch
import torch

from tas_core.models.calibration import Calibration, write_calibration
from tas_core.models.checkpoints import load_checkpoint, save_checkpoint
from tas_core.models.description import SPECIALISTS_FILE, WEIGHTS_FILE
from tas_core.models.pretrained import find_checkpoint
from tas_core.models.registry import load_network
from tas_core.models.slots.model import SlotsModel
from tests.support.tiny import TINY_SLOTS, HashEncoder

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "ship.py"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Checkpoints of two training runs."""
    root = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        torch.manual_seed(seed)
        state = SlotsModel(TINY_SLOTS).state_dict()
        save_checkpoint(root / str(seed), "slots", asdict(TINY_SLOTS), state, {"steps": 10 + seed})
    return [str(root / str(seed)) for seed in (0, 1)]


@pytest.mark.parametrize(("bits", "types"), [(8, {torch.int8, torch.float16}), (16, {torch.float16})])
def test_networks_side_by_side(
    runs: list[str], bits: int, types: set[torch.dtype], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runpy.run_path(str(SCRIPT))["ship"](runs, ["sharpness=3.0"], tmp_path / "new", bits)
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'new'}: step 10, ")
    made = load_checkpoint(tmp_path / "new")
    assert (made.config["networks"], made.config["sharpness"]) == (2, 3.0)
    assert made.provenance == {"steps": 10, "made_of": [[load_checkpoint(run).digest] for run in runs]}
    stored = safetensors.torch.load_file(tmp_path / "new" / "model.safetensors")
    weights = {name: value for name, value in stored.items() if not name.endswith(".int8_scale")}
    assert {value.dtype for value in weights.values()} == types
    model = load_network(str(tmp_path / "new")).state_dict()
    for number, run in enumerate(runs):
        for name, value in load_network(run).state_dict().items():
            if name.startswith("networks.0."):
                got = model[f"networks.{number}.{name.removeprefix('networks.0.')}"]
                torch.testing.assert_close(got, value, rtol=1e-3, atol=float(value.abs().max()) / 250)


def test_a_shipped_model_is_stored_anew_and_still_made_of_the_same(runs: list[str], tmp_path: Path) -> None:
    ship = runpy.run_path(str(SCRIPT))["ship"]
    ship(runs, [], tmp_path / "half", 16)
    ship([str(tmp_path / "half")], [], tmp_path / "eight", 8)
    half, eight = (load_checkpoint(tmp_path / name) for name in ("half", "eight"))
    assert (eight.config, eight.provenance) == (half.config, half.provenance)
    for name, value in half.state.items():
        torch.testing.assert_close(eight.state[name], value, rtol=1e-3, atol=float(value.abs().max()) / 250)


@pytest.mark.parametrize(("known", "said"), [({"init_digest": "f" * 64}, "f" * 64), ({}, "checkpoint")])
def test_folders_of_this_machine_are_not_shipped(known: dict[str, str], said: str, tmp_path: Path) -> None:
    training = {"init": "/home/someone/runs/first/checkpoint", "seed": 3}
    state = SlotsModel(TINY_SLOTS).state_dict()
    save_checkpoint(tmp_path / "run", "slots", asdict(TINY_SLOTS), state, {"training": training} | known)
    runpy.run_path(str(SCRIPT))["ship"]([str(tmp_path / "run")], [], tmp_path / "new", 16)
    assert load_checkpoint(tmp_path / "new").provenance["training"] == {"init": said, "seed": 3}


def test_a_calibration_of_other_weights_does_not_stay(
    runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ship = runpy.run_path(str(SCRIPT))["ship"]
    ship(runs[:1], [], tmp_path, 16)
    stale = write_calibration(tmp_path, Calibration(load_checkpoint(tmp_path).digest, 0.0, {"sharpness": 1.0}, 0.2))
    capsys.readouterr()
    ship(runs[1:], [], tmp_path, 16)
    assert not stale.exists()
    assert capsys.readouterr().out.startswith(f"{stale}: removed, since it was fitted with other weights")


def test_a_shipped_model_by_its_name_is_stored_as_it_is(tmp_path: Path) -> None:
    """Weights in 8 bits stay the same bytes, so that a specialist can be added beside them."""
    runpy.run_path(str(SCRIPT))["ship"](["slots"], [], tmp_path / "again", 8)
    shipped = find_checkpoint("slots")
    assert (tmp_path / "again" / WEIGHTS_FILE).read_bytes() == (shipped / WEIGHTS_FILE).read_bytes()
    assert load_checkpoint(tmp_path / "again").digest == load_checkpoint(shipped).digest


def test_the_mean_of_weights(runs: list[str], tmp_path: Path) -> None:
    runpy.run_path(str(SCRIPT))["ship"]([",".join(runs)], [], tmp_path / "new", 16)
    mean, (a, b) = load_network(str(tmp_path / "new")).state_dict(), (load_network(run).state_dict() for run in runs)
    for name, value in mean.items():
        torch.testing.assert_close(value, (a[name] + b[name]) / 2, rtol=1e-3, atol=1e-4)


def test_the_command(
    runs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["ship.py", "tiny", runs[0], "--bits", "8", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", arguments)
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'tiny'}: step 10, ")
    stored = safetensors.torch.load_file(tmp_path / "tiny" / "model.safetensors")
    assert any(value.dtype == torch.int8 for value in stored.values())
    monkeypatch.setattr(sys, "argv", [*arguments, "--bits", "4"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert caught.value.code == 2
    assert "invalid choice: 4" in capsys.readouterr().err


def test_a_specialist_is_stored_by_what_it_differs_in(
    runs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second run is no training of the first here, so that it takes nearly full rank to have it again."""
    tool = runpy.run_path(str(SCRIPT))
    monkeypatch.setitem(tool["ship"].__globals__, "build_text_encoder", lambda name: HashEncoder())
    monkeypatch.setitem(tool["NAMES"], "talkers", lambda: (("man", "woman"), ("rain", "piano", "dog")))
    tool["ship"](runs[:1], [], tmp_path / "plain", 8)
    tool["ship"](runs[:1], [], tmp_path / "both", 8, {"talkers": runs[1]}, rank=2)
    plain, both = (load_checkpoint(tmp_path / name) for name in ("plain", "both"))
    assert {name: both.config[name] for name in ("networks", "specialists")} == {
        "networks": 2,
        "specialists": ["talkers"],
    }
    assert (tmp_path / "both" / WEIGHTS_FILE).read_bytes() == (tmp_path / "plain" / WEIGHTS_FILE).read_bytes()
    assert both.provenance["made_of"] == plain.provenance["made_of"]
    assert both.provenance["specialists"]["talkers"]["made_of"] == [[load_checkpoint(runs[1]).digest]]
    assert both.provenance["specialists"]["talkers"]["steps"] == 11
    stored = safetensors.torch.load_file(tmp_path / "both" / SPECIALISTS_FILE)
    assert any(name.endswith(".difference_out") for name in stored)
    model = load_network(str(tmp_path / "both"))
    assert isinstance(model, SlotsModel)
    assert model.specialties is not None
    named = model.specialties.named(HashEncoder()(["man", "woman", "rain", "piano", "dog"])[None])
    assert named.flatten().tolist() == [True, True, False, False, False]
    # A shipped model is the general network of another one; its specialist is not lost without a word.
    tool["ship"]([str(tmp_path / "both")], [], tmp_path / "third", 8, {"talkers": runs[0]}, rank=2)
    third = load_checkpoint(tmp_path / "third")
    assert third.config == both.config
    assert third.state.keys() == both.state.keys()
    assert (tmp_path / "third" / WEIGHTS_FILE).read_bytes() == (tmp_path / "plain" / WEIGHTS_FILE).read_bytes()
    with pytest.raises(SystemExit, match="has networks for talkers; expected --specialist"):
        tool["ship"]([str(tmp_path / "both")], [], tmp_path / "fourth", 8)
    tool["ship"](runs[:1], [], tmp_path / "both", 8)
    assert not (tmp_path / "both" / SPECIALISTS_FILE).exists()
    assert load_checkpoint(tmp_path / "both").digest == plain.digest
