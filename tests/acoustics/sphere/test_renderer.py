"""Stems at places: against plain convolution, cut anyhow, mirrored, moving, near and far."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import fftconvolve

from tas_core.acoustics.hrtf import HrirSet, direction_vectors, load_kemar
from tas_core.acoustics.rooms import Room
from tas_core.acoustics.sphere.distance import REFERENCE_M, air_absorption_db_per_m
from tas_core.acoustics.sphere.places import PlaceCurve, Placement
from tas_core.acoustics.sphere.renderer import SphereRenderer
from tas_core.audio.loudness import LoudnessMeter
from tas_core.errors import InputError

RATE_HZ = 16_000
ROOM = Room.around((6.0, 5.0, 3.0), 0.3)


@pytest.fixture(scope="module")
def outdoors() -> SphereRenderer:
    return SphereRenderer(None, RATE_HZ)


@pytest.fixture(scope="module")
def indoors() -> SphereRenderer:
    return SphereRenderer(None, RATE_HZ, ROOM)


def noise(objects: int = 1, frames: int = 8000, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal((objects, frames))


def moving(seed: int, frames: int = 80, sign: float = 1.0, spread: float = 0.0) -> PlaceCurve:
    """A curve that goes about everywhere, near and far; on the other side with the other sign."""
    rng = np.random.default_rng(seed)
    azimuth_deg = rng.uniform(-180, 180) + np.cumsum(rng.uniform(-9, 9, frames))
    elevation_deg = 60 * np.sin(np.arange(frames) / 15 + rng.uniform(0, 6))
    distance_m = 1.5 + 1.3 * np.sin(np.arange(frames) / 11)
    return PlaceCurve(sign * azimuth_deg, elevation_deg, distance_m, spread)


def level_db(ears: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.square(ears).sum(axis=-1))


# ------------------------------------------------------------------ at rest


def test_at_rest_it_is_a_convolution_with_the_response_of_the_place(outdoors: SphereRenderer) -> None:
    stem = noise()
    found = outdoors.render(stem, [PlaceCurve(75, 25)])
    response = outdoors.head.response(np.array([75.0]), np.array([25.0]))[0]
    expected = np.stack([fftconvolve(stem[0], ear) for ear in response])[:, outdoors.head.lead :]
    size = min(found.shape[1], expected.shape[1])
    error = np.square(found[:, :size] - expected[:, :size]).sum() / np.square(expected).sum()
    # Filters are sampled in frequency, and what of them is longer than a transform wraps around.
    assert 10 * np.log10(error) < -55


def test_levels_and_delays_are_those_of_a_plain_convolution_with_the_measurement() -> None:
    """The measured response itself, at its own rate, without the common colour: the same ears but for the cut."""
    kemar = load_kemar()
    row = int(np.flatnonzero((kemar.azimuth_deg == 60) & (kemar.elevation_deg == 0))[0])
    found = SphereRenderer(None, 44_100).render(noise(frames=22_050), [PlaceCurve(60)])
    plain = np.stack([fftconvolve(noise(frames=22_050)[0], ear) for ear in kemar.hrir[row]])
    difference_db = level_db(found)[0] - level_db(found)[1]
    # White noise: the common colour weighs what the ears differ by, so a little of it changes.
    assert difference_db == pytest.approx(level_db(plain)[0] - level_db(plain)[1], abs=1.5)

    def lead(ears: np.ndarray) -> int:
        low = np.fft.rfft(ears, 1 << 16) * (np.fft.rfftfreq(1 << 16, 1 / 44_100) < 1500)
        likeness = np.fft.irfft(low[1] * low[0].conj())
        return int(likeness.argmax() if likeness.argmax() < 1 << 15 else likeness.argmax() - (1 << 16))

    assert abs(lead(found) - lead(plain)) <= 1


def test_ears_are_not_late(outdoors: SphereRenderer) -> None:
    stem = np.zeros((1, 4000))
    stem[0, 1000] = 1.0
    left, right = outdoors.render(stem, [PlaceCurve(90)])
    assert 1000 <= np.argmax(np.abs(left)) <= 1000 + 0.0004 * RATE_HZ
    assert 0.0005 * RATE_HZ < np.argmax(np.abs(right)) - np.argmax(np.abs(left)) < 0.0011 * RATE_HZ
    # The band's end rings a little, before and after.
    assert np.square(left[:980]).sum() < 1e-4 * np.square(left).sum()


def test_objects_add_up(indoors: SphereRenderer) -> None:
    stems, curves = noise(3), [moving(1), PlaceCurve(-100, -20, 3), moving(2, spread=0.4)]
    each = sum(indoors.render(stems[k : k + 1], curves[k : k + 1]) for k in range(3))
    np.testing.assert_allclose(indoors.render(stems, curves), each, rtol=0, atol=1e-5)


def test_silence_stays_silent_and_an_impulse_ends_with_its_tail(indoors: SphereRenderer) -> None:
    assert not indoors.render(np.zeros((2, 5000)), [PlaceCurve(0), moving(0)]).any()
    found = indoors.render(noise(frames=3000), [PlaceCurve(40)])
    assert found.shape == (2, 3000 + indoors.tail)
    assert np.abs(found[:, -100:]).max() < 1e-4 * np.abs(found).max()


# ------------------------------------------------------------------ in blocks


@pytest.mark.parametrize("cuts", [[1, 2, 3, 700], [4096], list(range(500, 9500, 500)), [0, 9499, 9499]])
def test_it_is_the_same_to_the_bit_however_it_is_cut(indoors: SphereRenderer, cuts: list[int]) -> None:
    stems, curves = noise(2, 9500), [moving(5, spread=0.3), moving(6)]
    whole = indoors.render(stems, curves)
    pieces = np.split(stems, cuts, axis=1)
    found = np.concatenate(list(indoors.blocks(pieces, curves)), axis=1)
    np.testing.assert_array_equal(found, whole)


def test_no_more_is_held_back_than_is_said(indoors: SphereRenderer) -> None:
    stream = indoors.stream([moving(3)])
    taken = given = 0
    for size in (100, 3000, 1, 2500, 900, 4096, 50):
        taken += size
        given += stream.feed(noise(frames=size)).shape[1]
        assert 0 <= taken - given <= indoors.latency
    assert given > 0
    given += stream.finish().shape[1]
    assert given == taken + indoors.tail
    assert stream.finish().shape == (2, 0)


def test_nothing_or_next_to_nothing_can_come_in(outdoors: SphereRenderer) -> None:
    assert not outdoors.render(np.zeros((1, 0)), [PlaceCurve(0)]).any()
    assert outdoors.render(np.ones((1, 1)), [PlaceCurve(0)]).shape == (2, 1 + outdoors.tail)


def test_what_is_kept_does_not_grow(indoors: SphereRenderer) -> None:
    """The arrays of a stream after a second and after eight."""
    stream = indoors.stream([moving(3), PlaceCurve(0)])

    def kept() -> int:
        own = [v.nbytes for v in vars(stream).values() if isinstance(v, np.ndarray)]
        objects = [v.nbytes for item in stream._objects for v in vars(item).values() if isinstance(v, np.ndarray)]
        return sum(own) + sum(objects)

    stream.feed(noise(2, RATE_HZ))
    first = kept()
    for _ in range(7):
        stream.feed(noise(2, RATE_HZ))
    assert kept() <= first + 16 * indoors.step


# ------------------------------------------------------------------ mirrored


def test_mirrored_places_have_mirrored_ears_to_the_bit(outdoors: SphereRenderer) -> None:
    stems = noise(3)
    left = outdoors.render(stems, [moving(1), moving(2), PlaceCurve(0, 30)])
    right = outdoors.render(stems, [moving(1, sign=-1), moving(2, sign=-1), PlaceCurve(0, 30)])
    np.testing.assert_array_equal(left, right[::-1])
    middle = outdoors.render(noise(), [PlaceCurve(np.repeat([0.0, 180.0], 40)[::2], 80 * np.sin(np.arange(40)))])
    np.testing.assert_array_equal(middle[0], middle[1])


def test_mirrored_places_have_mirrored_reflections(indoors: SphereRenderer) -> None:
    """Until the tail begins, which is the same for all places."""
    until = 500 + int(indoors.reflections.mixing_s[0] * RATE_HZ)
    stem = np.zeros((1, 4000))
    stem[0, 500] = 1.0
    left = indoors.render(stem, [PlaceCurve(50, 20, 2)])
    right = indoors.render(stem, [PlaceCurve(-50, 20, 2)])
    # The tail is not there yet, but rounding in its transform is.
    np.testing.assert_allclose(left[:, :until], right[::-1, :until], rtol=0, atol=1e-7)
    direction = direction_vectors(np.array([50.0, -50.0]), np.array([20.0, 20.0]))
    mirrored, swapped = indoors.head.folded(direction)
    np.testing.assert_array_equal(mirrored[0], mirrored[1])
    np.testing.assert_array_equal(swapped, [False, True])
    # The rest differs by the tail's two ears alone.
    assert abs(level_db(left)[0] - level_db(right)[1]) < 1


# ------------------------------------------------------------------ moving


@pytest.mark.parametrize("elevation_deg", [0, 40])
@pytest.mark.parametrize(("seconds", "tone_hz"), [(4, 300.0), (4, 1000.0), (1, 1000.0), (2, 3000.0)])
def test_a_full_turn_has_no_jump_above_60_db_below_the_tone(
    outdoors: SphereRenderer, elevation_deg: float, seconds: int, tone_hz: float
) -> None:
    """Clicks and zipper noise are wide: what of a tone on a circle lies more than 150 Hz beside it."""
    frames = round(seconds * RATE_HZ)
    tone = np.sin(2 * np.pi * tone_hz * np.arange(frames) / RATE_HZ)[None]
    curve = PlaceCurve(np.linspace(0, 360, 100 * seconds + 1), elevation_deg)
    inner = slice(frames // 10, -frames // 10)
    for ear in outdoors.render(tone, [curve])[:, :frames]:
        power = np.abs(np.fft.rfft(ear[inner] * np.blackman(len(ear[inner])))) ** 2
        far = np.abs(np.fft.rfftfreq(len(ear[inner]), 1 / RATE_HZ) - tone_hz) > 150
        assert 10 * np.log10(power[far].sum() / power.sum()) < -60


@pytest.mark.parametrize(("seconds", "tone_hz"), [(1, 6500.0), (0.5, 3000.0)])
def test_a_fast_turn_of_a_high_tone_glides(outdoors: SphereRenderer, seconds: float, tone_hz: float) -> None:
    """Delays that change from piece to piece, at 4 ms, would leave -52 and -54 dB; they glide."""
    frames = round(seconds * RATE_HZ)
    tone = np.sin(2 * np.pi * tone_hz * np.arange(frames) / RATE_HZ)[None]
    ears = outdoors.render(tone, [PlaceCurve(np.linspace(0, 360, round(100 * seconds) + 1))])[:, :frames]
    inner = ears[:, frames // 10 : -frames // 10]
    power = np.abs(np.fft.rfft(inner * np.blackman(inner.shape[1]))) ** 2
    far = np.abs(np.fft.rfftfreq(inner.shape[1], 1 / RATE_HZ) - tone_hz) > 150
    assert (10 * np.log10(power[:, far].sum(axis=1) / power.sum(axis=1)) < -60).all()


def test_where_a_place_jumps_one_fades_into_the_other_within_a_piece(outdoors: SphereRenderer) -> None:
    """No slope leads from one place to the other: it is both places, each with its part of the sound."""
    hop, stem = outdoors.head.hop, noise(frames=8000)
    border = 60 * hop
    curve = PlaceCurve(np.where(np.arange(150) < 60, 130.0, -70.0), 10.0, 2.0, rate_hz=RATE_HZ / hop)
    share = np.clip((border - np.arange(8000)) / hop, 0, 1)
    before, after = (
        outdoors.render(stem * part, [PlaceCurve(a, 10.0, 2.0)]) for a, part in ((130, share), (-70, 1 - share))
    )
    np.testing.assert_allclose(outdoors.render(stem, [curve]), before + after, rtol=0, atol=5e-5)


def test_a_turn_in_a_room_with_spread_has_no_jump_either(indoors: SphereRenderer) -> None:
    frames = 2 * RATE_HZ
    tone = np.sin(2 * np.pi * 700 * np.arange(frames) / RATE_HZ)[None]
    found = indoors.render(tone, [PlaceCurve(np.linspace(0, 360, 201), 20, 2, np.linspace(0, 1, 201))])
    inner = slice(RATE_HZ // 2, frames)
    power = np.abs(np.fft.rfft(found[:, inner] * np.blackman(frames - RATE_HZ // 2))) ** 2
    far = np.abs(np.fft.rfftfreq(frames - RATE_HZ // 2, 1 / RATE_HZ) - 700) > 150
    assert (10 * np.log10(power[:, far].sum(axis=1) / power.sum(axis=1)) < -60).all()


def test_a_slow_turn_passes_through_what_it_is_at_rest(outdoors: SphereRenderer) -> None:
    stem = noise(frames=4 * RATE_HZ)
    turning = outdoors.render(stem, [PlaceCurve(np.linspace(0, 360, 401), 15)])
    for at_s in (0.5, 1.3, 2.0, 3.1):
        part = slice(round((at_s - 0.01) * RATE_HZ), round((at_s + 0.01) * RATE_HZ))
        still = outdoors.render(stem, [PlaceCurve(90 * at_s, 15)])[:, part]
        error = np.square(turning[:, part] - still).sum() / np.square(still).sum()
        assert 10 * np.log10(error) < -15  # up to 0.9 degrees away


@pytest.mark.parametrize("spread", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("place", ["outdoors", "indoors"])
def test_a_circle_is_as_loud_all_around(request: pytest.FixtureRequest, place: str, spread: float) -> None:
    """Within 1 LU (ITU-R BS.1770), of pink noise, in a room and wide, too."""
    renderer: SphereRenderer = request.getfixturevalue(place)
    spectrum = np.fft.rfft(noise(frames=RATE_HZ)) / np.sqrt(np.maximum(np.arange(RATE_HZ // 2 + 1), 20))
    sound = np.fft.irfft(spectrum) * 3
    loudness = []
    for azimuth_deg in range(0, 181, 30):
        meter = LoudnessMeter(RATE_HZ)
        meter.add(renderer.render(sound, [PlaceCurve(azimuth_deg, spread=spread)]))
        loudness.append(meter.integrated_lufs())
    assert min(loudness) > -60
    assert max(loudness) - min(loudness) < 1


# ------------------------------------------------------------------ distance


def test_level_falls_by_6_db_for_each_doubling_and_the_reference_is_as_it_is(outdoors: SphereRenderer) -> None:
    stem = np.sin(2 * np.pi * 500 * np.arange(8000) / RATE_HZ)[None]
    levels = np.array([level_db(outdoors.render(stem, [PlaceCurve(20, 0, REFERENCE_M * k)])) for k in (1, 2, 4, 8)])
    np.testing.assert_allclose(np.diff(levels, axis=0), -6.02, atol=0.05)


def test_far_away_the_air_takes_the_treble(outdoors: SphereRenderer) -> None:
    stem = noise(frames=16000)
    near, far = (outdoors.render(stem, [PlaceCurve(0, 0, m)])[0, :16000] for m in (REFERENCE_M, 101.4))
    spectrum = np.abs(np.fft.rfft(np.stack([near, far]))) ** 2
    freqs_hz = np.fft.rfftfreq(16000, 1 / RATE_HZ)
    for centre_hz in (500, 2000, 6000):
        band = np.abs(freqs_hz - centre_hz) < 100
        loss_db = 10 * np.log10(spectrum[0, band].sum() / spectrum[1, band].sum())
        expected = 20 * np.log10(101.4 / REFERENCE_M) + 100 * air_absorption_db_per_m(np.array([centre_hz]))[0]
        assert loss_db == pytest.approx(expected, abs=0.3)


def test_near_the_ear_levels_differ_at_low_frequencies(outdoors: SphereRenderer) -> None:
    stem = np.sin(2 * np.pi * 250 * np.arange(8000) / RATE_HZ)[None]
    difference_db = []
    for distance_m in (REFERENCE_M, 0.5, 0.2):
        left, right = level_db(outdoors.render(stem, [PlaceCurve(90, 0, distance_m)]))
        difference_db.append(left - right)
    assert difference_db[0] < 5
    assert difference_db[1] - difference_db[0] == pytest.approx(2.9, abs=0.5)  # the sphere of Duda and Martens
    assert difference_db[2] - difference_db[0] > 9


# ------------------------------------------------------------------ bad input


def test_what_cannot_be_rendered_is_refused(outdoors: SphereRenderer) -> None:
    with pytest.raises(InputError, match="sample rate of 500 Hz, expected a whole one of 8000 to 192000"):
        SphereRenderer(None, 500)
    with pytest.raises(InputError, match="sample rate of 44100.5 Hz"):
        SphereRenderer(None, 44100.5)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="images of order -1, expected 0 to 12"):
        SphereRenderer(None, RATE_HZ, ROOM, image_order=-1)
    with pytest.raises(InputError, match="no places"):
        outdoors.stream([])
    stream = outdoors.stream([PlaceCurve(0)])
    for stems in (np.zeros(5), np.zeros((2, 5)), np.zeros((1, 5, 1))):
        with pytest.raises(InputError, match="expected a row for each of 1 objects"):
            stream.feed(stems)
    with pytest.raises(InputError, match="no finite numbers"):
        stream.feed(np.array([[0.0, np.nan]]))
    stream.finish()
    with pytest.raises(InputError, match="after the end"):
        stream.feed(np.zeros((1, 5)))


def test_curves_of_anybody_are_checked(outdoors: SphereRenderer) -> None:
    class Lost:
        def __init__(self, **values: float) -> None:
            self.values = {"direction": 1.0, "distance_m": 1.0, "spread": 0.0, **values}

        def at(self, time_s: np.ndarray) -> Placement:
            direction = np.zeros((len(time_s), 3))
            direction[:, 0] = self.values["direction"]
            rest = (np.full(len(time_s), self.values[name]) for name in ("distance_m", "spread"))
            return Placement(direction, *rest)

    assert outdoors.render(noise(), [Lost()]).any()
    for name, value in (("direction", np.nan), ("direction", 0.5), ("distance_m", 0.0), ("spread", np.inf)):
        with pytest.raises(InputError, match="a curve gives"):
            outdoors.render(noise(), [Lost(**{name: value})])


@pytest.mark.parametrize(
    ("room", "message"),
    [
        (Room.around((6, 5, 0.5), 0.3), "sides of 6 x 5 x 0.5 m, expected 1 to 1000"),
        (Room.around((6, np.nan, 3), 0.3), "sides of 6 x nan x 3 m"),
        (Room.around((6, 5, 3), 0.0), "reverberation time of 0 s, expected 0.02 to 20"),
        (Room.around((6, 5, 3), -1.0), "reverberation time of -1 s"),
        (Room((6, 5, 3), 0.3, (7, 2, 1)), "listener is at .7, 2, 1. m, expected more than 0.15 m inside"),
        (Room((6, 5, 3), 0.3, (0.05, 2, 1)), "listener is at"),
    ],
)
def test_rooms_that_cannot_be_are_refused(room: Room, message: str) -> None:
    with pytest.raises(InputError, match=message):
        SphereRenderer(None, RATE_HZ, room)


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 96_000])
def test_any_rate_will_do(rate_hz: int) -> None:
    kemar = load_kemar()
    rows = np.arange(0, 710, 3)
    coarse = HrirSet(kemar.hrir[rows], kemar.azimuth_deg[rows], kemar.elevation_deg[rows], 44100)
    tone = np.sin(2 * np.pi * 1000 * np.arange(rate_hz // 4) / rate_hz)[None]
    left, right = SphereRenderer(coarse, rate_hz).render(tone, [PlaceCurve(80, 10)])
    assert level_db(left) - level_db(right) > 5
    spectrum = np.abs(np.fft.rfft(left[: rate_hz // 4] * np.hanning(rate_hz // 4)))
    assert np.argmax(spectrum) == 250
