"""Given sounds: placed as the torch renderer places them, exactly summed, and alone without any network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from tas_core.acoustics.hrtf import load_kemar
from tas_core.acoustics.placing import FRAMES_PER_WINDOW, DirectionTable, frame_hop, placed_side
from tas_core.errors import InputError
from tas_core.inference.baselines import through_head
from tas_core.inference.blocks import gathered
from tas_core.inference.given import GivenSpatializer, others
from tas_core.inference.result import Spatialized
from tas_core.inference.settings import RenderSettings
from tas_core.inference.stream import Spatializer, render
from tas_core.timeline.segments import Segment, Timeline
from tests.support.tiny import in_memory, tiny_slots

pytestmark = pytest.mark.usefixtures("one_thread")

RATE_HZ = 16000


def noise(samples: int, rows: int = 1) -> np.ndarray:
    return 0.2 * np.random.default_rng(rows).standard_normal((rows, samples))


def given(
    sounds: Mapping[str, np.ndarray],
    timeline: Timeline,
    rate_hz: int = RATE_HZ,
    rest: np.ndarray | None = None,
    piece: int = 0,
    **keywords: object,
) -> Spatialized:
    rows = np.concatenate([*sounds.values(), np.zeros_like(next(iter(sounds.values()))[:1]) if rest is None else rest])
    settings = RenderSettings(**keywords)  # type: ignore[arg-type]
    counts = {name: len(sound) for name, sound in sounds.items()}
    job = GivenSpatializer(rows.shape[1], rate_hz, timeline, counts, settings)
    pieces = [rows] if not piece else [rows[:, at : at + piece] for at in range(0, rows.shape[1], piece)]
    return gathered(job, job.blocks(pieces))


@pytest.mark.parametrize("rate_hz", [RATE_HZ, 44100])
@pytest.mark.parametrize("prompt", ["cello moves from the left to hard right", "cello 33 degrees to the right"])
def test_one_sound_is_placed_as_the_renderer_with_torch_places_it(rate_hz: int, prompt: str) -> None:
    x, scene = noise(rate_hz), Timeline.from_prompt(prompt)
    ears = given({"cello": x}, scene, rate_hz).ears
    # Both have the table in single precision.
    np.testing.assert_allclose(ears, through_head(x[0], rate_hz, scene), rtol=0, atol=1e-6)
    assert np.abs(ears[0] - ears[1]).max() > 0.05


def test_mono_sum_gains_stems_and_shares_are_those_of_the_sounds() -> None:
    a, b, c = noise(20000), 2 * noise(20000, 2), noise(20000, 3)[:1]
    scene = Timeline.from_prompt("cello on the left 6 dB quieter; piano on the right; the rest 20 dB quieter")
    found = given({"cello": a, "piano": b}, scene, rest=c, stems=True, width=0.5)
    want = 10 ** (-6 / 20) * a[0] + b.mean(axis=0) + 0.1 * c[0]
    np.testing.assert_allclose(found.ears.mean(axis=0), want, atol=1e-12)
    stems = dict(found.stems)
    for name, sound in {"cello": a[0], "piano": b.mean(axis=0), "rest": c[0]}.items():
        np.testing.assert_allclose(stems[name], sound, atol=1e-12)
    whole = np.square(a[0] + b.mean(axis=0) + c[0]).sum()
    shares = [np.square(a).sum() / whole, np.square(b.mean(axis=0)).sum() / whole]
    assert found.segments[0].energy_shares == pytest.approx(shares, rel=0.01)
    assert [item.found for item in found.detections] == [True, True]


def test_a_sound_of_two_channels_is_two_sounds_beside_its_place() -> None:
    x = noise(20000, 2)
    both = given({"cello": x}, Timeline.from_prompt("cello 40 degrees left")).ears
    left = given({"cello": x[:1]}, Timeline.from_prompt("cello 70 degrees left")).ears
    right = given({"cello": x[1:]}, Timeline.from_prompt("cello 10 degrees left")).ears
    np.testing.assert_allclose(both, (left + right) / 2, atol=1e-12)
    edge = given({"cello": x}, Timeline.from_prompt("cello hard left")).ears  # no room beside it
    mono = given({"cello": x.mean(axis=0)[None]}, Timeline.from_prompt("cello hard left")).ears
    np.testing.assert_allclose(edge, mono, atol=1e-7)


def test_mirrored_prompts_give_mirrored_ears_and_a_head_of_ones_own_is_used() -> None:
    x, scene = noise(20000), Timeline.from_prompt("cello moves from the left to the center, 3 dB louder")
    ears = given({"cello": x}, scene).ears
    np.testing.assert_array_equal(given({"cello": x}, scene.mirrored()).ears, ears[::-1])
    other = given({"cello": x}, scene, head=load_kemar()).ears  # with a table for both sides
    np.testing.assert_allclose(other, ears, atol=1e-5)


def test_blocks_and_pieces_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    x = noise(40000, 2)
    scene = Timeline(
        (
            Segment.from_prompt(0.0, 1.0, "cello moves from the left to the right and fades in"),
            Segment.from_prompt(1.2, None, "remove the cello"),
        )
    )
    whole = given({"cello": x}, scene, transition_s=0.2).ears
    monkeypatch.setattr("tas_core.inference.given._BLOCK_HOPS", 8)
    np.testing.assert_allclose(given({"cello": x}, scene, piece=777, transition_s=0.2).ears, whole, atol=1e-12)


def test_an_object_that_is_not_given_needs_a_network() -> None:
    with pytest.raises(InputError, match="'piano' is not among the sounds that are given"):
        given({"cello": noise(1000)}, Timeline.from_prompt("cello left, piano right"))


def test_a_given_sound_that_is_silent_where_it_is_named_is_not_found() -> None:
    x = noise(32000)
    x[:, 16000:] = 0
    scene = Timeline((Segment.from_prompt(0.0, 0.9, "cello left"), Segment.from_prompt(1.1, None, "cello right")))
    found = given({"cello": x}, scene)
    assert [item.found for item in found.detections] == [True, False]
    x[:, 800:] = 0  # 50 ms
    assert given({"cello": x}, Timeline.from_prompt("cello left")).detections[0].presence == 1


# ------------------------------------------------------------------ beside a network


def beside(
    x: np.ndarray, sounds: Mapping[str, np.ndarray], scene: Timeline, **keywords: object
) -> tuple[Spatialized, Spatialized]:
    """What is given placed beside a network that has the rest, and that network's own result."""
    settings = RenderSettings(steps=1, stems=True, **keywords)  # type: ignore[arg-type]
    model, left = in_memory(tiny_slots()), others(scene.resolved(len(x) / RATE_HZ), sounds)
    assert left is not None
    rest = x - sum(sound.mean(axis=0) for sound in sounds.values())
    network = Spatializer(len(x), RATE_HZ, left, model, settings)
    counts = {name: len(sound) for name, sound in sounds.items()}
    job = GivenSpatializer(len(x), RATE_HZ, scene, counts, settings, network=network)

    def pieces() -> Iterator[np.ndarray]:
        rows = np.concatenate([*sounds.values(), rest[None]])
        yield from (rows[:, at : at + 5000] for at in range(0, len(x), 5000))

    found = gathered(job, job.blocks(pieces(), rest=[rest]))
    return found, render(rest, RATE_HZ, left, model, settings)


def test_what_is_not_given_is_separated_from_the_rest() -> None:
    x, cello = noise(24000)[0], noise(24000, 2)[:1]
    scene = Timeline(
        (
            Segment.from_prompt(0.0, 0.8, "cello on the left, piano on the right 3 dB quieter"),
            Segment.from_prompt(0.8, None, "only the cello"),
        )
    )
    found, network = beside(x, {"cello": cello}, scene)
    only = tuple(Segment(s.start_s, s.end_s, s.text, s.clauses[:1]) for s in scene.segments)
    alone = given({"cello": cello}, Timeline(only))
    np.testing.assert_allclose(found.ears, alone.ears + network.ears, atol=1e-12)
    stems = dict(found.stems)
    np.testing.assert_allclose(sum(stems.values()), x, atol=1e-12)
    np.testing.assert_allclose(stems["piano"], dict(network.stems)["piano"], atol=1e-12)
    late = slice(round(0.9 * RATE_HZ), None)
    np.testing.assert_allclose(found.ears.mean(axis=0)[late], cello[0, late], atol=1e-12)
    (first, second) = found.segments
    assert None not in first.energy_shares
    assert second.energy_shares[0] == pytest.approx(1, abs=0.6)


def test_the_table_without_torch_is_that_of_the_filter() -> None:
    import torch

    from tas_core.acoustics.direction_filter import DirectionFilter, PersonalDirectionFilter

    azimuth_deg = np.linspace(-90, 90, 41)
    table, other = DirectionTable(1024, RATE_HZ), DirectionFilter(1024, RATE_HZ)
    np.testing.assert_allclose(table(azimuth_deg), other(torch.from_numpy(azimuth_deg).float()).numpy(), atol=2e-7)
    table, other = DirectionTable(512, RATE_HZ, load_kemar()), PersonalDirectionFilter(512, RATE_HZ, load_kemar())
    np.testing.assert_allclose(table(azimuth_deg), other(torch.from_numpy(azimuth_deg).float()).numpy(), atol=2e-7)
    assert frame_hop(RATE_HZ) * FRAMES_PER_WINDOW == 1024
    assert not placed_side(np.ones(600), np.zeros(3), DirectionTable(1024, RATE_HZ), 256).any()
