"""Checkpoints of every version that there was, and what the network of that version made of them.

``tests/data/checkpoints`` holds descriptions as the versions wrote them, with names and shapes of their weights, and
some magnitudes of the side signal that their own code found; the weights themselves are drawn here as they were there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from tas_core.errors import CheckpointError
from tas_core.models.registry import load_network
from tas_core.models.slots.earlier import todays
from tas_core.models.slots.model import SlotsModel

EARLIER = sorted((Path(__file__).parents[2] / "data" / "checkpoints").glob("*.json"))


def weights(shapes: dict[str, list[Any]]) -> dict[str, torch.Tensor]:
    """Random numbers for every name, as they were when the side signals were found."""
    found = {}
    for number, (name, (dtype, *shape)) in enumerate(sorted(shapes.items())):
        rng = np.random.default_rng([5, number])
        if dtype == "int8":
            found[name] = torch.from_numpy(rng.integers(-127, 128, shape).astype(np.int8))
        elif name.endswith(".int8_scale"):
            found[name] = torch.full(shape, 0.004, dtype=getattr(torch, dtype))
        else:
            found[name] = torch.from_numpy(np.asarray(rng.standard_normal(shape) * 0.5)).to(getattr(torch, dtype))
    return found


def write(folder: Path, earlier: dict[str, Any]) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(earlier["description"]))
    safetensors.torch.save_file(weights(earlier["shapes"]), folder / "model.safetensors")
    return folder


def side_signal(model: SlotsModel) -> np.ndarray:
    """Of two clauses at 60 degrees and at -35, of which the second is over half-way."""
    rng = np.random.default_rng(1)
    mid = rng.standard_normal((1, 513, 12)) + 1j * rng.standard_normal((1, 513, 12))
    spectrum = torch.from_numpy(mid).to(torch.complex64)
    features = torch.from_numpy(rng.standard_normal((1, 2, 4))).float()
    active = torch.ones(1, 2, 12, dtype=torch.bool)
    active[0, 1, 6:] = False
    with torch.no_grad():
        found = model.separate(spectrum, features, active)
        side = model.directional(spectrum, found, torch.tensor([[[60.0], [-35.0]]]))
    return side[0].abs().numpy()


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("path", EARLIER, ids=lambda path: path.stem)
def test_a_checkpoint_of_every_version_gives_what_it_gave(path: Path, tmp_path: Path) -> None:
    earlier = json.loads(path.read_text())
    model = load_network(str(write(tmp_path / "model", earlier)))
    assert isinstance(model, SlotsModel)
    found = side_signal(model)[::37].reshape(-1)[::5]
    np.testing.assert_allclose(found, earlier["side"], rtol=1e-4, atol=2e-6)


def test_there_is_one_of_each() -> None:
    found = [json.loads(path.read_text()) for path in EARLIER]
    configs = [earlier["description"]["config"] for earlier in found]
    assert {earlier["description"]["format"] for earlier in found} == {1, 2}
    assert any("dilations" in config for config in configs)
    assert any("sharpness" not in config for config in configs)
    assert any(not any(name.startswith("networks.") for name in earlier["shapes"]) for earlier in found)


def test_what_is_todays_stays_as_it_is() -> None:
    config, state = {"networks": 1, "patch": 2}, {"networks.0.a": torch.ones(1), "direction.b": torch.ones(1)}
    assert todays(config, state) == (config, state)


def test_steps_between_taps_that_no_network_has_any_more_are_refused(tmp_path: Path) -> None:
    earlier = json.loads(next(path for path in EARLIER if path.stem == "dilations").read_text())
    earlier["description"]["config"]["dilations"] = [1, 3]
    with pytest.raises(CheckpointError, match="unknown key 'dilations'"):
        load_network(str(write(tmp_path / "model", earlier)))
