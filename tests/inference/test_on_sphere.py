"""Stems all around the head: places are where they should be, and blocks, passages and rooms leave no seams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from tas_core.acoustics.hrtf import HrirSet, load_kemar
from tas_core.acoustics.rooms import Room
from tas_core.acoustics.sphere.places import PlaceCurve
from tas_core.acoustics.sphere.renderer import SphereRenderer
from tas_core.errors import InputError
from tas_core.inference.given import GivenSpatializer, render_given
from tas_core.inference.on_sphere import SpherePlan, SphereSpatializer
from tas_core.inference.renderer_choice import choose_renderer, flattened
from tas_core.inference.result import Spatialized
from tas_core.inference.settings import RenderSettings
from tas_core.inference.stream import render
from tas_core.models.paper.model import PaperModel
from tas_core.timeline.segments import Segment, Timeline, TimelineWarning
from tests.support.tiny import in_memory, tiny_slots

pytestmark = pytest.mark.usefixtures("one_thread")

RATE_HZ = 8000
SPHERE = RenderSettings(renderer="sphere")


def noise(samples: int = 2 * RATE_HZ, rows: int = 1, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal((rows, samples))


def placed(scene: Timeline | str, settings: RenderSettings = SPHERE, **sounds: np.ndarray) -> Spatialized:
    timeline = Timeline.from_prompt(scene) if isinstance(scene, str) else scene
    return render_given(None, RATE_HZ, timeline, sounds, None, settings)


def passage_of(
    timeline: Timeline, sounds: Mapping[str, np.ndarray], passage: tuple[int, int], size: int
) -> tuple[np.ndarray, SphereSpatializer]:
    plan = SpherePlan(size, RATE_HZ, timeline, SPHERE, passage)
    counts = {name: len(sound) for name, sound in sounds.items()}
    maker = GivenSpatializer(size, RATE_HZ, plan.flat, counts, plan.stem_settings, passage=plan.stem_passage)
    around = SphereSpatializer(plan, maker, counts)
    rows = np.concatenate([*sounds.values(), np.zeros((1, size))])[:, maker.first_sample :]
    pieces = [rows[:, at : at + 777] for at in range(0, rows.shape[1], 777)]
    return np.concatenate([block.ears for block in around.blocks(maker.blocks(pieces))], axis=1), around


@pytest.mark.parametrize(
    ("prompt", "curve", "room"),
    [
        ("dog behind left", PlaceCurve(135.0), None),
        ("dog overhead", PlaceCurve(0.0, 90.0), None),
        ("dog left 3 m away", PlaceCurve(90.0, 0.0, 3.0), None),
        ("dog all around", PlaceCurve(0.0, spread=1.0), None),
        ("dog on the left in a small room", PlaceCurve(90.0), Room.around((4, 3.2, 2.5), 0.35)),
    ],
)
def test_a_sound_is_what_the_renderer_makes_of_its_place(prompt: str, curve: PlaceCurve, room: Room | None) -> None:
    x = noise(RATE_HZ)
    scene = Timeline.from_prompt(prompt)
    azimuth = scene.segments[0].clauses[0].path.start
    curve = PlaceCurve(azimuth.azimuth_deg, curve.elevation_deg, curve.distance_m, curve.spread)
    want = SphereRenderer(rate_hz=RATE_HZ, room=room).render(x, [curve])[:, : x.shape[1]]
    found = placed(scene, dog=x)
    np.testing.assert_allclose(found.ears, want, atol=2e-6)
    assert found.renderer == "sphere"
    assert found.segments[0].segment.clauses[0].sphere is not None or room is not None


def test_gains_the_rest_and_stems() -> None:
    dog, rest = noise(), noise(seed=1)
    scene = Timeline.from_prompt("dog behind 6 dB quieter; the rest 20 dB quieter")
    both = placed(scene, replace(SPHERE, stems=True), dog=dog, rest=rest)
    behind = SphereRenderer(rate_hz=RATE_HZ).render(np.concatenate([dog, rest]), [PlaceCurve(180.0), PlaceCurve(0.0)])
    first = SphereRenderer(rate_hz=RATE_HZ).render(
        np.concatenate([10 ** (-6 / 20) * dog, 0.1 * rest]), [PlaceCurve(180.0), PlaceCurve(0.0)]
    )
    assert np.abs(behind[:, : dog.shape[1]] - both.ears).max() > 0.01
    np.testing.assert_allclose(both.ears, first[:, : dog.shape[1]], atol=2e-6)
    stems = dict(both.stems)
    np.testing.assert_allclose(stems["dog"], dog[0], atol=1e-12)
    np.testing.assert_allclose(stems["rest"], rest[0], atol=1e-12)


def test_mirrored_prompts_mirror_the_ears() -> None:
    scene = Timeline.from_prompt(
        "dog behind left 40 degrees up; bell circles around clockwise every 2 seconds; cat everywhere; in a hall"
    )
    sounds = {"dog": noise(), "bell": noise(seed=1), "cat": noise(seed=2)}
    there, back = placed(scene, **sounds).ears, placed(scene.mirrored(), **sounds).ears
    np.testing.assert_allclose(there, back[::-1], atol=1e-9)
    assert np.abs(there[0] - there[1]).max() > 0.01


def test_two_channels_stand_beside_their_place_on_their_own_sides() -> None:
    x = noise(rows=2)
    for prompt, left_deg in (("dog 40 degrees left", 70.0), ("dog behind", 150.0)):
        right_deg = 10.0 if left_deg == 70 else -150.0
        want = SphereRenderer(rate_hz=RATE_HZ).render(x / 2, [PlaceCurve(left_deg), PlaceCurve(right_deg)])
        np.testing.assert_allclose(placed(prompt, dog=x).ears, want[:, : x.shape[1]], atol=2e-6)


def test_a_width_of_nothing_is_mono_and_one_is_as_it_is() -> None:
    ears = placed("dog behind left", dog=noise()).ears
    mono = placed("dog behind left", replace(SPHERE, width=0.0), dog=noise()).ears
    np.testing.assert_allclose(mono, np.stack([ears.mean(axis=0)] * 2), atol=1e-12)


def test_a_passage_is_a_part_of_the_whole_with_what_still_rings() -> None:
    size = 5 * RATE_HZ
    scene = Timeline(
        (
            Segment.from_prompt(0, 2, "dog behind left, in a small room"),
            Segment.from_prompt(2.5, 4, "dog above; bell circles around every 3 seconds"),
        )
    )
    sounds = {"dog": noise(size), "bell": noise(size, seed=1)}
    whole = placed(scene, **sounds).ears
    assert whole.shape == (2, size)
    for passage in ((0, 1000), (17_001, 26_003), (30_000, size)):
        part, around = passage_of(scene, sounds, passage, size)
        np.testing.assert_allclose(part, whole[:, slice(*passage)], atol=1e-6)
        assert all(item.start_s >= passage[0] / RATE_HZ for item in around.detections())


def test_where_a_room_ends_it_rings_on_and_nothing_jumps() -> None:
    size = 3 * RATE_HZ
    time_s = np.arange(size) / RATE_HZ
    tone = 0.1 * np.sin(2 * np.pi * 500 * time_s)[None]
    scene = Timeline(
        (Segment.from_prompt(0, 1.5, "dog on the left, in a church"), Segment.from_prompt(1.5, 3, "dog on the left"))
    )
    ears = placed(scene, dog=tone).ears
    dry = placed("dog on the left", dog=tone).ears
    beside = np.diff(ears, n=2, axis=1)[:, round(1.4 * RATE_HZ) : round(1.6 * RATE_HZ)]
    tones = np.diff(ears, n=2, axis=1)[:, round(0.9 * RATE_HZ) : round(1.4 * RATE_HZ)]
    assert np.abs(beside).max() < 1.5 * np.abs(tones).max()
    after = slice(round(1.7 * RATE_HZ), round(1.9 * RATE_HZ))
    assert np.abs(ears - dry)[:, after].max() > 1e-3  # the church rings on
    silent = np.where(time_s < 1.5, tone, 0.0)
    assert np.abs(placed(scene, dog=silent).ears[:, after]).max() > 1e-3


def test_a_full_turn_has_no_click() -> None:
    size, tone_hz = 4 * RATE_HZ, 500.0
    tone = 0.2 * np.sin(2 * np.pi * tone_hz * np.arange(size) / RATE_HZ)[None]
    ears = placed("dog circles around clockwise every 4 seconds, starting in front", dog=tone).ears[:, 1024:-1024]
    # Two samples of a tone say the third.
    jump = ears[:, 2:] - 2 * np.cos(2 * np.pi * tone_hz / RATE_HZ) * ears[:, 1:-1] + ears[:, :-2]
    assert 20 * np.log10(np.abs(jump).max() / np.abs(ears).max()) < -60
    power = np.abs(np.fft.rfft(ears * np.blackman(ears.shape[1]) ** 2)) ** 2
    beside = np.abs(np.fft.rfftfreq(ears.shape[1], 1 / RATE_HZ) - tone_hz) > 50
    assert 10 * np.log10(power[:, beside].sum() / power.sum()) < -60


def test_transitions_glide_on_the_great_circle() -> None:
    scene = Timeline((Segment.from_prompt(0, 1, "dog behind left"), Segment.from_prompt(1, 2, "dog above 3 m away")))
    settings = replace(SPHERE, transition_s=0.5)
    x = noise()
    rate_hz = 400.0
    (track,) = scene.tracks(np.arange(2 * rate_hz) / rate_hz, 2.0, transition_s=0.5)
    assert (track.elevation_deg > 0).sum() > (track.elevation_deg == 90).sum() + 50
    curve = PlaceCurve(track.azimuth_deg, track.elevation_deg, track.distance_m, track.spread, rate_hz)
    want = SphereRenderer(rate_hz=RATE_HZ).render(x, [curve])[:, : x.shape[1]]
    found = placed(scene, settings, dog=x).ears
    assert np.square(found - want).sum() < 1e-4 * np.square(want).sum()
    assert np.abs(placed(scene, dog=x).ears - found).max() > 0.01


def test_a_gap_between_two_of_one_room_is_in_it() -> None:
    segments = (Segment.from_prompt(0, 0.5, "dog left, in a hall"), Segment.from_prompt(1, 2, "dog left, in a hall"))
    plan = SpherePlan(2 * RATE_HZ, RATE_HZ, Timeline(segments), SPHERE)
    assert len(plan.renderers) == 1
    other = SpherePlan(2 * RATE_HZ, RATE_HZ, Timeline((segments[0], Segment.from_prompt(1, 2, "dog left"))), SPHERE)
    hall = next(room for room in other.renderers if room is not None)
    share = other.room_share(hall, 0, 2 * RATE_HZ)
    outdoors = other.room_share(None, 0, 2 * RATE_HZ)
    assert share is not None
    assert outdoors is not None
    np.testing.assert_allclose(share + outdoors, 1.0)
    assert share[0] == 1
    assert share[round(0.75 * RATE_HZ)] == 0


def test_estimated_stems_go_around_the_head_and_keep_what_is_said_of_them() -> None:
    network = in_memory(tiny_slots())
    x = noise(RATE_HZ)[0]
    scene = Timeline.from_prompt("dog behind left, bell above")
    found = render(x, RATE_HZ, scene, network, replace(SPHERE, stems=True))
    plane = render(x, RATE_HZ, flattened(scene), network, RenderSettings(stems=True))
    for (name, stem), (other, same) in zip(found.stems, plane.stems, strict=True):
        assert name == other
        np.testing.assert_array_equal(stem, same)
    assert found.detections == plane.detections
    assert [item.energy_shares for item in found.segments] == [item.energy_shares for item in plane.segments]
    rows = np.stack([stem for _, stem in found.stems])
    clauses = scene.segments[0].clauses
    curves = [PlaceCurve(c.path.start.azimuth_deg, c.path.start.elevation_deg) for c in clauses]
    want = SphereRenderer(rate_hz=RATE_HZ).render(rows, [*curves, PlaceCurve(0.0)])
    np.testing.assert_allclose(found.ears, want[:, : len(x)], atol=2e-6)


def test_a_model_that_tells_no_objects_apart_is_refused(paper: PaperModel) -> None:
    with pytest.raises(InputError, match="does not tell objects apart; only slots models place them all around"):
        render(noise(RATE_HZ)[0], RATE_HZ, Timeline.from_prompt("dog behind"), in_memory(paper), SPHERE)


# ------------------------------------------------------------------ which renderer

PLANE_HEAD = HrirSet(
    *(lambda k, flat: (k.hrir[flat], k.azimuth_deg[flat], k.elevation_deg[flat], k.sample_rate_hz))(
        load_kemar(), np.abs(load_kemar().elevation_deg) < 0.5
    )
)


def test_the_timeline_chooses() -> None:
    front, behind = Timeline.from_prompt("dog left"), Timeline.from_prompt("dog behind")
    chosen = lambda scene, **said: choose_renderer(scene, RenderSettings(**said), RATE_HZ)[1].renderer  # noqa: E731
    assert chosen(front) == "plane"
    assert chosen(front, renderer="sphere") == "sphere"
    assert chosen(behind) == "sphere"


def test_the_plane_has_places_as_far_to_the_side_and_says_so() -> None:
    scene = Timeline.from_prompt("dog behind left, 5 m away; bell above; in a church")
    with pytest.warns(
        TimelineWarning, match="the plane was asked for; places of 'dog', 'bell', a room are only as far"
    ):
        flat, settings = choose_renderer(scene, RenderSettings(renderer="plane"), RATE_HZ)
    assert settings.renderer == "plane"
    assert not flat.needs_sphere
    assert [clause.azimuth.start_deg for clause in flat.segments[0].clauses] == pytest.approx([45.0, 0.0])


def test_a_head_of_one_plane_falls_back_where_it_can() -> None:
    with pytest.warns(TimelineWarning, match="measured at elevations of 0 to 0 degrees only"):
        flat, settings = choose_renderer(
            Timeline.from_prompt("dog behind left"), RenderSettings(head=PLANE_HEAD), RATE_HZ
        )
    assert (flat.needs_sphere, settings.renderer) == (False, "plane")
    forced = RenderSettings(head=PLANE_HEAD, renderer="sphere")
    with pytest.warns(TimelineWarning, match="rendered on the frontal plane"):
        _, settings = choose_renderer(Timeline.from_prompt("dog left"), forced, RATE_HZ)
    assert settings.renderer == "plane"


@pytest.mark.parametrize(
    ("prompt", "way"),
    [
        ("bell circles around clockwise every 8 seconds", "circles around"),
        ("bell passes overhead from front to back", "passes overhead or behind"),
    ],
)
def test_ways_that_the_plane_has_not_are_refused(prompt: str, way: str) -> None:
    with pytest.raises(InputError, match=f"'bell' {way}, and the frontal plane has no such way"):
        choose_renderer(Timeline.from_prompt(prompt), RenderSettings(renderer="plane"), RATE_HZ)


def test_stereo_does_not_stay_on_the_sphere() -> None:
    with pytest.raises(InputError, match="stereo stays on the frontal plane only"):
        choose_renderer(Timeline.from_prompt("dog behind"), RenderSettings(stereo="keep"), RATE_HZ)
