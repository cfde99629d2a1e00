"""Closed forms: what gains are at places, and what a listener in the middle of them would hear."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tas_core.acoustics.hrtf import direction_vectors, load_kemar
from tas_core.delivery.layouts import LAYOUTS
from tas_core.delivery.mixes import mix_panner
from tas_core.delivery.panning import Vbap, ambisonic_gains, stereo_gains
from tas_core.delivery.scene import Scene, SceneBlock
from tests.delivery.conftest import RATE_HZ, TIMELINE, scene_of, sounds_of, still

CIRCLE_DEG = np.arange(-180.0, 180.0, 1.0)
FLAT = np.zeros(len(CIRCLE_DEG))
ALL = ["stereo", *LAYOUTS, "ambix1", "ambix2", "ambix3"]

VBAPS = {name: Vbap(layout) for name, layout in LAYOUTS.items()}

degrees = st.floats(-180, 180)
heights = st.floats(-90, 90)


# ------------------------------------------------------------------ stereo


def test_stereo_is_left_on_the_left_and_folds_to_mono() -> None:
    gains = stereo_gains(np.array([90.0, 30.0, 0.0, -90.0]), np.zeros(4))
    np.testing.assert_allclose(gains, [[2, 0], [1.5, 0.5], [1, 1], [0, 2]], atol=1e-15)
    np.testing.assert_array_equal(stereo_gains(CIRCLE_DEG, FLAT).sum(axis=1), 2)


# ------------------------------------------------------------------ ambisonics


def sphere(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Azimuths and elevations of points of equal area, a Fibonacci spiral."""
    n = np.arange(count) + 0.5
    return np.degrees(np.pi * (1 + 5**0.5) * n) % 360 - 180, np.degrees(np.arcsin(1 - 2 * n / count))


def decoded(gains: np.ndarray, order: int, max_re: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Gains (time, loudspeaker) of a sampling decoder on a sphere of loudspeakers, and where these are."""
    where = sphere(500)
    # max-rE weights (Daniel 2001): Legendre polynomials at the largest root of the next one.
    root = np.polynomial.legendre.legroots([0] * (order + 1) + [1]).max()
    degree = np.repeat(np.arange(order + 1), 2 * np.arange(order + 1) + 1)
    weights = np.array([np.polynomial.legendre.legval(root if max_re else 1, [0] * n + [1]) for n in degree])
    return gains * weights * (2 * degree + 1) @ ambisonic_gains(*where, order).T / 500, direction_vectors(*where)


@pytest.mark.parametrize(("order", "off_deg", "length"), [(1, 2, 0.577), (2, 2, 0.775), (3, 2, 0.861)])
def test_a_source_comes_back_from_where_it_was_put(order: int, off_deg: float, length: float) -> None:
    """The energy vector (Gerzon 1992) points there, and is as long as theory says (the largest root)."""
    azimuth, elevation = CIRCLE_DEG[::5], np.tile([0.0, 35.0, -60.0], 24)
    loud, where = decoded(ambisonic_gains(azimuth, elevation, order), order)
    vector = loud**2 @ where / (loud**2).sum(axis=1, keepdims=True)
    towards = direction_vectors(azimuth, elevation)
    apart = np.degrees(np.arccos((vector * towards).sum(axis=1) / np.linalg.norm(vector, axis=1)))
    assert apart.max() < off_deg
    np.testing.assert_allclose(np.linalg.norm(vector, axis=1), length, atol=0.01)


def test_ears_hear_the_decoded_field_as_the_source_itself() -> None:
    """To 1 kHz, as far as order 3 describes the field around a head: levels to 1 dB, phases to 15 degrees."""
    head = load_kemar()
    freqs_hz = np.array([300.0, 600.0, 1000.0])
    decoder = np.linalg.pinv(ambisonic_gains(head.azimuth_deg, head.elevation_deg).T, rcond=1e-3)
    time_s = np.arange(head.hrir.shape[-1]) / head.sample_rate_hz
    responses = head.hrir @ np.exp(-2j * np.pi * time_s[:, None] * freqs_hz)
    azimuth_deg = np.arange(-90.0, 91.0, 15.0)
    ears = np.einsum("tn,dn,def->tef", ambisonic_gains(azimuth_deg, 0 * azimuth_deg), decoder, responses)
    direct = head.horizontal(azimuth_deg, freqs_hz)
    decoded, itself = (sound[:, 0] / sound[:, 1] for sound in (ears, direct))
    np.testing.assert_allclose(20 * np.log10(np.abs(decoded / itself)), 0, atol=1)
    np.testing.assert_allclose(np.degrees(np.angle(decoded / itself)), 0, atol=15)
    assert (np.abs(decoded[azimuth_deg > 20]) > 1).all()


def test_the_first_order_is_the_vector_of_the_place() -> None:
    """ACN and SN3D: W, then Y (left), Z (up), X (front), none above 1."""
    places = np.array([[90, 0], [0, 90], [0, 0], [-45, 0]])
    s = 0.5**0.5
    expected = [[1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1], [1, -s, 0, s]]
    np.testing.assert_allclose(ambisonic_gains(places[:, 0], places[:, 1], 1), expected, atol=1e-15)


@given(degrees, heights, degrees, heights)
@settings(max_examples=50, deadline=None)
def test_each_order_depends_on_the_angle_between_places_alone(a: float, b: float, c: float, d: float) -> None:
    """The addition theorem in SN3D: products of two places sum to the Legendre polynomial of their cosine."""
    first, second = (ambisonic_gains(np.array([x]), np.array([y]))[0] for x, y in ((a, b), (c, d)))
    cosine = float(direction_vectors(np.array(a), np.array(b)) @ direction_vectors(np.array(c), np.array(d)))
    for order in range(4):
        part = slice(order**2, (order + 1) ** 2)
        expected = np.polynomial.legendre.legval(cosine, [0] * order + [1])
        assert first[part] @ second[part] == pytest.approx(expected, abs=1e-9)


def test_turning_the_scene_turns_the_sound_field() -> None:
    """About the vertical: channels +m and -m of one order turn into each other by m times the angle, and no others."""
    turn = np.radians(25.0)
    before, after = (ambisonic_gains(CIRCLE_DEG + by, 20 + FLAT) for by in (0.0, 25.0))
    for order in range(4):
        for m in range(order + 1):
            left, right = order**2 + order - m, order**2 + order + m
            turned = np.cos(m * turn) * before[:, right] - np.sin(m * turn) * before[:, left] * (m > 0)
            np.testing.assert_allclose(after[:, right], turned, atol=1e-12)


# ------------------------------------------------------------------ loudspeakers


@pytest.mark.parametrize("name", LAYOUTS)
def test_loudspeakers_are_those_of_the_standard_in_the_order_of_their_bits(name: str) -> None:
    layout = LAYOUTS[name]
    assert layout.labels[:4] == ("M+030", "M-030", "M+000", "LFE1")
    mask = layout.channels.mask
    assert mask.bit_count() == len(layout.labels) == sum(map(int, name.split(".")))
    assert mask & 0xF == 0xF
    # WAVE_FORMAT_EXTENSIBLE: back left and right, side left and right, top front and top back left and right.
    assert mask == {"5.1": 0x3F, "5.1.4": 0x2D03F, "7.1.4": 0x2D63F}[name]
    sides = {label: weight for label, weight in zip(layout.labels, layout.channels.weights, strict=True) if weight != 1}
    expected = {"M+090", "M-090"} if name == "7.1.4" else {"M+110", "M-110"}
    assert sides == {"LFE1": 0.0} | dict.fromkeys(expected, 1.41)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_place_of_a_loudspeaker_is_that_loudspeaker(name: str) -> None:
    places = LAYOUTS[name].places_deg
    for number, place in enumerate(places):
        if place is not None:
            gains = VBAPS[name](np.array([place[0]]), np.array([place[1]]))[0]
            np.testing.assert_allclose(gains, np.eye(len(places))[number], atol=1e-9)


@pytest.mark.parametrize("name", LAYOUTS)
def test_at_ear_height_two_loudspeakers_pan_by_the_tangent_law(name: str) -> None:
    """(g1 - g2) / (g1 + g2) = tan(a) / tan(a0), with the angles from the middle between the two."""
    gains = VBAPS[name](CIRCLE_DEG, FLAT)
    np.testing.assert_allclose((gains**2).sum(axis=1), 1)
    ring = sorted((place[0], n) for n, place in enumerate(LAYOUTS[name].places_deg) if place and place[1] == 0)
    for (a, first), (b, second) in zip(ring, [*ring[1:], (ring[0][0] + 360, ring[0][1])], strict=True):
        between = np.isin(CIRCLE_DEG, np.arange(a, b + 1)) | np.isin(CIRCLE_DEG + 360, np.arange(a, b + 1))
        own = gains[between]
        assert np.count_nonzero(own > 1e-9, axis=1).max() <= 2
        angle = np.radians((CIRCLE_DEG[between] - a) % 360 - (b - a) / 2)
        ratio = (own[:, second] - own[:, first]) / (own[:, second] + own[:, first])
        np.testing.assert_allclose(ratio, np.tan(angle) / np.tan(np.radians((b - a) / 2)), atol=1e-9)


@given(degrees, heights)
@settings(max_examples=30, deadline=None)
def test_energy_is_one_and_left_is_right_mirrored_all_over_the_sphere(azimuth: float, elevation: float) -> None:
    for layout in LAYOUTS.values():
        gains = VBAPS[layout.name](np.array([azimuth, -azimuth]), np.array([elevation, elevation]))
        assert (gains >= 0).all()
        np.testing.assert_allclose((gains**2).sum(axis=1), 1)
        other = (label.translate(str.maketrans("+-", "-+")).replace("M-000", "M+000") for label in layout.labels)
        swapped = [layout.labels.index(label) for label in other]
        np.testing.assert_allclose(gains[0], gains[1][swapped], atol=1e-9)
        assert gains[0][layout.labels.index("LFE1")] == 0


@pytest.mark.parametrize("name", LAYOUTS)
def test_gains_go_over_the_sphere_without_steps(name: str) -> None:
    azimuth = np.linspace(-180, 180, 3601)
    for elevation in (-90, -40, 0, 12, 30, 55, 89, 90):
        gains = VBAPS[name](azimuth, np.full(len(azimuth), float(elevation)))
        assert np.abs(np.diff(gains, axis=0)).max() < 0.02


# ------------------------------------------------------------------ sums of scenes


def mixed(name: str, scene: Scene, sounds: SceneBlock) -> np.ndarray:
    return mix_panner(name, scene).channels(sounds)


@pytest.mark.parametrize("name", ALL)
def test_channels_do_not_depend_on_blocks(name: str) -> None:
    scene = scene_of()
    sounds = sounds_of(scene)
    panner = mix_panner(name, scene)
    edges = [0, 1, 479, 480, 481, 20_000, scene.num_frames]
    parts = [
        panner.channels(SceneBlock(a, sounds.stems[:, a:b], sounds.rest[:, a:b]))
        for a, b in zip(edges[:-1], edges[1:], strict=True)
    ]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), panner.channels(sounds), atol=1e-14)


def test_stereo_and_the_first_of_ambisonics_are_the_mono_sound() -> None:
    scene = scene_of()
    sounds = sounds_of(scene)
    mono = sounds.stems.sum(axis=0) + sounds.rest[0]
    np.testing.assert_allclose(mixed("stereo", scene, sounds).mean(axis=0), mono, atol=1e-15)
    np.testing.assert_allclose(mixed("ambix3", scene, sounds)[0], mono, atol=1e-15)


MIRRORED = {
    "stereo": [1, 0],
    "5.1": [1, 0, 2, 3, 5, 4],
    "5.1.4": [1, 0, 2, 3, 5, 4, 7, 6, 9, 8],
    "7.1.4": [1, 0, 2, 3, 5, 4, 7, 6, 9, 8, 11, 10],
}


@pytest.mark.parametrize("name", ALL)
def test_mirrored_prompts_mirror_everything(name: str) -> None:
    scene, other = scene_of(), scene_of(TIMELINE.mirrored())
    sounds = sounds_of(scene)
    here, there = mixed(name, scene, sounds), mixed(name, other, sounds)
    if name in MIRRORED:
        there = there[MIRRORED[name]]
    else:  # harmonics of negative degree are odd from left to right
        signs = [-1 if m < 0 else 1 for order in range(4) for m in range(-order, order + 1)]
        there = there * np.array(signs)[: len(there), None]
    np.testing.assert_allclose(here, there, atol=1e-14)


@pytest.mark.parametrize("name", [*LAYOUTS])
def test_a_bed_keeps_the_energy_of_what_moves_around(name: str) -> None:
    """Once around in three seconds, in windows of 50 ms."""
    seconds = 3.0
    around = replace(still(seconds=seconds, name="dog"), azimuth_deg=np.array([-180.0, 180.0]))
    scene = Scene("s", (around,), still(seconds=seconds), RATE_HZ, round(seconds * RATE_HZ))
    stem = np.random.default_rng(1).standard_normal((1, scene.num_frames))
    made = mixed(name, scene, SceneBlock(0, stem, np.zeros((1, scene.num_frames))))
    power = lambda sound: (sound**2).sum(axis=0).reshape(60, -1).sum(axis=1)  # noqa: E731
    assert np.abs(10 * np.log10(power(made) / power(stem))).max() < 0.05


def test_a_rest_of_two_channels_keeps_them_apart() -> None:
    scene = replace(scene_of(), rest_channels=2)
    sounds = replace(sounds_of(scene), stems=np.zeros((2, scene.num_frames)))
    np.testing.assert_allclose(mixed("stereo", scene, sounds), sounds.rest, atol=1e-15)
    bed = mixed("5.1", scene, sounds)
    np.testing.assert_allclose(bed[:2], sounds.rest, atol=1e-12)
    assert np.abs(bed[2:]).max() < 1e-12
    field = mixed("ambix1", scene, sounds)
    np.testing.assert_allclose(field[0], sounds.rest.sum(axis=0), atol=1e-15)
    np.testing.assert_allclose(field[1], 0.5 * (sounds.rest[0] - sounds.rest[1]), atol=1e-15)


def test_gains_of_objects_and_of_the_rest_are_heard() -> None:
    quiet, silent = still(0.0, name="dog", gain_db=-6.0), still(gain_db=-np.inf)
    scene = Scene("s", (quiet,), silent, RATE_HZ, RATE_HZ)
    sounds = sounds_of(scene)
    np.testing.assert_allclose(mixed("ambix1", scene, sounds)[0], 10**-0.3 * sounds.stems[0], atol=1e-15)


def test_a_jump_fades_over_ten_milliseconds() -> None:
    """Of a constant, no two samples are further apart than a hundredth of the jump's height."""
    scene = scene_of()
    sounds = SceneBlock(0, np.ones((2, scene.num_frames)), np.zeros((1, scene.num_frames)))
    made = mixed("stereo", scene, sounds)
    assert 0.001 < np.abs(np.diff(made)).max() < 2 * 2 / 480
