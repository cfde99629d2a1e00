"""Rooms: geometry of the first reflections, level and decay of the tail, coherence between the ears, presets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy import signal as scipy_signal

from tas_core.acoustics.hrtf import direction_vectors, load_kemar
from tas_core.acoustics.rooms import Room
from tas_core.acoustics.sphere.distance import REFERENCE_M
from tas_core.acoustics.sphere.head import SphereHead, sphere_head
from tas_core.acoustics.sphere.places import PlaceCurve
from tas_core.acoustics.sphere.reflections import Reflections, check_room
from tas_core.acoustics.sphere.renderer import SphereRenderer

RATE_HZ = 16_000
PRESETS = Path(__file__).resolve().parents[3] / "prompts" / "rooms.yaml"


@pytest.fixture(scope="module")
def head() -> SphereHead:
    return sphere_head(load_kemar(), RATE_HZ)


def _energy(response: np.ndarray) -> float:
    """Of an ear, the mean of the two."""
    return float(np.square(response).sum() / 2)


def _direction(azimuth_deg: float, elevation_deg: float) -> np.ndarray:
    return direction_vectors(np.array(azimuth_deg), np.array(elevation_deg))


def test_the_floor_is_heard_when_and_as_loud_as_geometry_says(head: SphereHead) -> None:
    """One reflection, from a floor near the ears: the way down and up against the way straight."""
    room = Room((30.0, 30.0, 20.0), 2.0, (15.0, 15.0, 1.5))
    found = Reflections(room, head, 1).early(_direction(0, 0), 4.0)
    way_m = np.hypot(4.0, 3.0)
    first = head.lead + (way_m - 4.0) / 343 * RATE_HZ
    start = int(first)
    assert np.square(found[:, : start - 12]).sum() < 1e-3 * np.square(found[:, : start + 40]).sum()
    # The next one comes from the ceiling or a wall, 30 m of way later or more.
    alone = found[:, : start + 300]
    expected = room.reflection * REFERENCE_M / way_m * _rms_gain(head, 0, -np.degrees(np.arctan2(3, 4)))
    assert np.sqrt(_energy(alone)) == pytest.approx(expected, rel=0.1)


def _rms_gain(head: SphereHead, azimuth_deg: float, elevation_deg: float) -> float:
    return float(np.sqrt(_energy(head.response(np.array([azimuth_deg]), np.array([elevation_deg]))[0])))


def test_reflections_come_from_their_sides(head: SphereHead) -> None:
    """A source in front, a wall close on the left: the first reflection is louder in the left ear."""
    room = Room((30.0, 20.0, 20.0), 2.0, (15.0, 18.8, 10.0))
    found = Reflections(room, head, 1).early(_direction(0, 0), 2.0)
    end = head.lead + int((np.hypot(2, 2.4) - 2.0) / 343 * RATE_HZ) + 60
    left, right = np.square(found[:, :end]).sum(axis=1)
    assert left > 2 * right


def test_mirrored_places_have_mirrored_reflections_to_the_bit_after_folding(head: SphereHead) -> None:
    reflections = Reflections(Room.around((6, 5, 3), 0.4), head)
    assert reflections.symmetric
    folded, mirrored = head.folded(np.stack([_direction(50, 20), _direction(-50, 20)]))
    np.testing.assert_array_equal(folded[0], folded[1])
    np.testing.assert_array_equal(mirrored, [False, True])
    assert not Reflections(Room((6, 5, 3), 0.4, (2.0, 2.0, 1.5)), head).symmetric


@pytest.mark.parametrize(("size_m", "rt60_s"), [((6, 5, 3), 0.4), ((12, 9, 5), 0.8), ((38, 18, 16), 3.5)])
def test_the_tail_is_as_loud_as_the_critical_distance_says(
    head: SphereHead, size_m: tuple[float, float, float], rt60_s: float
) -> None:
    """What reverberates is as strong as the direct sound at 0.057 sqrt(V / RT60) (Kuttruff, Room Acoustics).

    Without what the air and the walls take of the treble, and with the part before the tail begins.
    """
    reflections = Reflections(Room.around(size_m, rt60_s), head)
    tail = reflections.tail()
    spectrum = np.fft.rfft(tail, axis=-1)
    freqs_hz = np.fft.rfftfreq(tail.shape[-1], 1 / RATE_HZ)
    spectrum *= np.sqrt(1 + (freqs_hz / 6000) ** 2)  # as documented for the noise
    middle_s = np.mean(reflections.mixing_s)
    found = np.square(np.abs(spectrum)).sum() / tail.shape[-1]  # both ears, half of the spectrum
    whole = found / 10 ** (-6 * middle_s / rt60_s)
    critical_m = 0.057 * np.sqrt(np.prod(size_m) / rt60_s)
    assert 10 * np.log10(whole / (REFERENCE_M / critical_m) ** 2) == pytest.approx(0, abs=1.0)


@pytest.mark.parametrize(("size_m", "rt60_s"), [((6, 5, 3), 0.4), ((9, 7, 3), 0.6), ((12, 9, 5), 0.8)])
def test_reflections_go_over_into_the_tail_without_a_step(
    head: SphereHead, size_m: tuple[float, float, float], rt60_s: float
) -> None:
    """Images of a high order against the formula of the tail's level, which is Sabine's: not exact in a box."""
    room = Room.around(size_m, rt60_s)
    reflections = Reflections(room, head, 12)
    reflections.mixing_s = (0.06, 0.061)
    reflections.taps = round(0.08 * RATE_HZ)
    found = np.mean([reflections.early(_direction(a, 0), 1.0) ** 2 for a in (10, 70, 130, -40)], axis=(0, 1))
    time_s = (np.arange(len(found)) - head.lead) / RATE_HZ + 1.0 / 343
    part = (time_s > 0.02) & (time_s < 0.055)
    level = 4 * np.pi * 343 * REFERENCE_M**2 / np.prod(size_m) / RATE_HZ
    expected = level * 10 ** (-6 * time_s[part] / rt60_s)
    assert 10 * np.log10(found[part].sum() / expected.sum()) == pytest.approx(0, abs=2.5)


def test_sound_decays_as_asked_and_mirrors_nothing_else() -> None:
    renderer = SphereRenderer(None, RATE_HZ, Room.around((12, 9, 5), 0.8))
    click = np.zeros((1, 64))
    click[0, 0] = 1.0
    energy = np.square(renderer.render(click, [PlaceCurve(30, 10, 3)])).sum(axis=0)
    left = np.cumsum(energy[::-1])[::-1]
    level_db = 10 * np.log10(left / left[0] + 1e-12)
    part = (level_db <= -8) & (level_db >= -28)
    slope, _ = np.polyfit(np.flatnonzero(part) / RATE_HZ, level_db[part], 1)
    assert -60 / slope == pytest.approx(0.8, rel=0.1)


def test_direct_to_reverberant_ratio_falls_by_6_db_for_each_doubling() -> None:
    """And what reverberates stays as it is."""
    room = Room.around((20, 15, 8), 1.5)
    wet, dry = SphereRenderer(None, RATE_HZ, room), SphereRenderer(None, RATE_HZ)
    click = np.zeros((1, 64))
    click[0, 0] = 1.0
    ratio_db, late = [], []
    for distance_m in (1.4, 2.8, 5.6):
        place = [PlaceCurve(0, 0, distance_m)]
        direct = dry.render(click, place)
        response = wet.render(click, place)
        rest = response.copy()
        rest[:, : direct.shape[1]] -= direct
        late.append(np.square(rest[:, 2400:]).sum())
        ratio_db.append(10 * np.log10(np.square(direct).sum() / np.square(rest).sum()))
    np.testing.assert_allclose(np.diff(ratio_db), -6, atol=1.0)
    np.testing.assert_allclose(late, late[0], rtol=0.01)


def test_late_sound_is_diffuse(head: SphereHead) -> None:
    """Coherence between the ears falls like sin(x) / x, x = 2 pi f 0.17 m / c (Cook et al. 1955)."""
    tail = Reflections(Room.around((20, 15, 8), 3.0), head).tail()
    tail = (tail * 10 ** (3 * np.arange(tail.shape[-1]) / RATE_HZ / 3.0))[:, 2000:40000]
    freqs_hz, left = scipy_signal.welch(tail[0], RATE_HZ, nperseg=256)
    _, right = scipy_signal.welch(tail[1], RATE_HZ, nperseg=256)
    _, cross = scipy_signal.csd(tail[0], tail[1], RATE_HZ, nperseg=256)
    coherence = (cross / np.sqrt(left * right)).real
    expected = np.sinc(2 * freqs_hz * 0.17 / 343)
    at = (freqs_hz > 200) & (freqs_hz < 7500)
    # Some 300 half-overlapping segments: standard error 0.06.
    assert np.sqrt(np.square(coherence[at] - expected[at]).mean()) < 0.08
    assert abs(10 * np.log10(np.square(tail[0]).sum() / np.square(tail[1]).sum())) < 0.5


def test_presets_are_rooms_or_none() -> None:
    presets = yaml.safe_load(PRESETS.read_text("utf-8"))
    assert {"church", "small room", "hall", "car", "outdoors"} <= set(presets)
    for name, values in presets.items():
        if values is None:
            assert name == "outdoors"
            continue
        assert set(values) == {"rt60_s", "size_m"}, name
        room = Room.around(tuple(values["size_m"]), values["rt60_s"])
        check_room(room)
        # Sabine's absorption, at which walls would take more than they get, is not reached.
        volume = np.prod(room.size_m)
        assert room.reflection**2 == pytest.approx(1 - 0.161 * volume / (_surface(room) * room.rt60_s)), name


def _surface(room: Room) -> float:
    x, y, z = room.size_m
    return 2 * (x * y + y * z + x * z)
