"""Banks of rooms: what they hold, files and recipes of them, and files that are none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tas_core.datasets.mixing.room_bank import RoomBank, RoomRecipe, build_rooms
from tas_core.errors import InputError

RATE_HZ = 16000


def test_bank_of_rooms_depends_on_its_seed_and_not_on_its_size() -> None:
    few = build_rooms(1, 2, length_s=0.08, seed=5)
    more = build_rooms(2, 2, length_s=0.08, seed=5)
    assert torch.equal(few.responses[0], more.responses[0])
    assert torch.equal(few.azimuth_deg[0], more.azimuth_deg[0])
    assert not torch.equal(build_rooms(1, 2, length_s=0.08, seed=6).azimuth_deg, few.azimuth_deg)
    assert more.responses.shape == (2, 2, 2, round(0.08 * RATE_HZ))
    assert bool((more.azimuth_deg.abs() <= 90).all())
    assert bool(torch.isfinite(more.responses.float()).all())


def test_rooms_are_the_same_for_any_number_of_jobs() -> None:
    one, three = (build_rooms(5, 2, length_s=0.1, seed=4, jobs=jobs) for jobs in (1, 3))
    for name in ("responses", "azimuth_deg", "rt60_s"):
        assert torch.equal(getattr(one, name), getattr(three, name))


def test_a_recipe_is_read_as_the_rooms_it_describes(tmp_path: Path) -> None:
    path = tmp_path / "rooms.safetensors"
    RoomRecipe(2, 3, length_s=0.05, seed=9).save(path)
    assert path.stat().st_size < 300
    found, expected = RoomBank.load(path), build_rooms(2, 3, length_s=0.05, seed=9)
    assert found.sample_rate_hz == expected.sample_rate_hz
    for name in ("responses", "azimuth_deg", "rt60_s"):
        assert torch.equal(getattr(found, name), getattr(expected, name))


@pytest.mark.parametrize(
    "recipe",
    [
        "[",
        "[" * 100_000,
        '{"rooms": 2}',
        '{"rooms": 1, "sources": 1, "walls": 3}',
        '{"rooms": 1, "sources": 1, "jobs": 3}',
        '{"rooms": 1000000000, "sources": 1000000000}',
        '{"rooms": 1000000000, "sources": 1, "length_s": 1e-9}',
        '{"rooms": 200, "sources": 1000, "length_s": 0.01}',
        '{"rooms": 1, "sources": 1, "length_s": 1e-320}',
        '{"rooms": 0, "sources": 1}',
        '{"rooms": 1, "sources": 1, "seed": -1}',
        '{"rooms": 1, "sources": 1, "rate_hz": -5}',
        '{"rooms": 1, "sources": 1, "length_s": 1e300}',
        '{"rooms": 1, "sources": 1, "length_s": 1e-5}',
    ],
)
def test_an_unusable_recipe_is_an_input_error(tmp_path: Path, recipe: str) -> None:
    path = tmp_path / "rooms.safetensors"
    save_file({}, str(path), metadata={"recipe": recipe})
    with pytest.raises(InputError, match=r"rooms\.safetensors: not a readable bank of rooms"):
        RoomBank.load(path)


def test_bank_of_rooms_survives_saving(tmp_path: Path) -> None:
    bank = build_rooms(1, 2, length_s=0.05, seed=1)
    bank.save(tmp_path / "rooms.safetensors")
    back = RoomBank.load(tmp_path / "rooms.safetensors")
    assert back.sample_rate_hz == RATE_HZ
    for name in ("responses", "azimuth_deg", "rt60_s"):
        assert torch.equal(getattr(back, name), getattr(bank, name))


@pytest.mark.parametrize("content", [None, b"", b"no rooms at all"])
def test_unreadable_bank_of_rooms_is_an_input_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "rooms.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"rooms\.safetensors: not a readable bank of rooms"):
        RoomBank.load(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"responses": torch.zeros(2, 3, 8)}, "of shapes"),
        ({"responses": torch.zeros(2, 3, 1, 8)}, "of shapes"),
        ({"azimuth_deg": torch.zeros(2, 4)}, "of shapes"),
        ({"rt60_s": torch.zeros(3)}, "of shapes"),
        ({"rt60_s": torch.zeros(2, dtype=torch.long)}, "2 rooms of 3 places at 16000 Hz"),
        ({"azimuth_deg": torch.zeros(())}, "of shapes"),
    ],
)
def test_rooms_that_do_not_fit_together_are_an_input_error(
    tmp_path: Path, changes: dict[str, torch.Tensor], message: str
) -> None:
    good = {"responses": torch.zeros(2, 3, 2, 8), "azimuth_deg": torch.zeros(2, 3), "rt60_s": torch.ones(2)}
    path = tmp_path / "rooms.safetensors"
    save_file({**good, **changes}, str(path), metadata={"sample_rate_hz": "16000"})
    with pytest.raises(InputError, match=f"not a readable bank of rooms .*{message}"):
        RoomBank.load(path)
