from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tas_core.acoustics.fidelity import head_fidelity
from tas_core.acoustics.hrtf import HrirSet, load_kemar
from tas_core.errors import InputError, TimelineError
from tas_core.inference import stream
from tas_core.inference.blocks import overlapping
from tas_core.inference.engine import LoadedModel
from tas_core.inference.result import Spatialized
from tas_core.inference.settings import RenderSettings
from tas_core.inference.stream import Spatializer
from tas_core.models.paper.model import PaperModel
from tas_core.models.slots.model import SlotsModel
from tas_core.models.text_encoders.base import CachedEncoder
from tas_core.timeline.segments import Segment, Timeline
from tests.support.sofa_files import FULL_CIRCLE, spherical_head, spherical_hrir
from tests.support.tiny import TINY_PAPER, HashEncoder, in_memory, rendered, tiny_slots

pytestmark = pytest.mark.usefixtures("one_thread")

SCENE = Timeline(
    (
        Segment.from_prompt(0.0, 0.8, "cello on the left, piano 30 degrees to the right"),
        Segment.from_prompt(0.8, None, "the cello moves from the left to the right; rain in the center"),
    )
)


@pytest.fixture(scope="module")
def slots() -> SlotsModel:
    return tiny_slots()


def _noise(samples: int, seed: int = 0) -> np.ndarray:
    return 0.2 * np.random.default_rng(seed).standard_normal(samples)


def _side(result: Spatialized) -> np.ndarray:
    return result.ears[0] - result.ears[1]


def _db(error: np.ndarray, reference: np.ndarray) -> float:
    return float(10 * np.log10((error**2).sum() / (reference**2).sum() + 1e-30))


# ------------------------------------------------------------------ what holds for every model


@pytest.mark.parametrize("family", ["slots", "paper"])
@pytest.mark.parametrize(
    ("rate_hz", "samples"), [(8000, 11999), (16000, 20001), (22050, 27563), (44100, 52921), (48000, 60011)]
)
def test_length_and_mono_sum_are_those_of_the_input(
    slots: SlotsModel, paper: PaperModel, family: str, rate_hz: int, samples: int
) -> None:
    model = slots if family == "slots" else paper
    x = _noise(samples)
    result = rendered(x, rate_hz, SCENE, model, steps=2)
    assert result.ears.shape == (2, samples)
    assert result.ears.dtype == np.float64
    # One addition and one subtraction in float64.
    np.testing.assert_allclose(result.ears.mean(axis=0), x, rtol=0, atol=1e-12)
    assert np.all(np.isfinite(result.ears))
    assert _db(_side(result), x) > -40  # and it is not simply mono


@pytest.mark.parametrize("rate_hz", [16000, 44100])
@pytest.mark.parametrize("samples", [1, 2, 100, 1023])
def test_very_short_files(slots: SlotsModel, paper: PaperModel, rate_hz: int, samples: int) -> None:
    timeline = Timeline.from_prompt("cello on the left")
    x = _noise(samples)
    for model in (slots, paper):
        result = rendered(x, rate_hz, timeline, model, steps=1)
        assert result.ears.shape == (2, samples)
        np.testing.assert_allclose(result.ears.mean(axis=0), x, rtol=0, atol=1e-12)


def test_reverberant_sound_is_placed_as_direct_where_nothing_diffuse_is_drawn(slots: SlotsModel) -> None:
    other = SlotsModel(replace(slots.config, directness_power=0.0)).eval()
    other.load_state_dict(slots.state_dict())
    x = _noise(20000)
    for steps in (1, 3):
        one, two = (rendered(x, 16000, SCENE, model, steps=steps).ears for model in (slots, other))
        assert np.array_equal(one, two) == (steps > 1)
        np.testing.assert_allclose(one.sum(axis=0), two.sum(axis=0), atol=1e-12)  # the mono sum, to rounding


@pytest.mark.parametrize("steps", [1, 3])
def test_silence_stays_silent(slots: SlotsModel, paper: PaperModel, steps: int) -> None:
    for model in (slots, paper):
        result = rendered(np.zeros(24000), 16000, SCENE, model, steps=steps)
        assert not result.ears.any()
        assert all(np.isnan(s.spl_difference_db) for s in result.segments)


def test_same_seed_same_ears(slots: SlotsModel, paper: PaperModel) -> None:
    x = _noise(20000)
    for model in (slots, paper):
        ears = [rendered(x, 16000, SCENE, model, steps=3, seed=s).ears for s in (5, 5, 6)]
        np.testing.assert_array_equal(ears[0], ears[1])
        assert np.abs(ears[0] - ears[2]).max() > 1e-4


def test_one_step_of_slots_uses_no_noise(slots: SlotsModel) -> None:
    x = _noise(20000)
    ears = [rendered(x, 16000, SCENE, slots, steps=1, seed=s).ears for s in (1, 2)]
    np.testing.assert_array_equal(ears[0], ears[1])


@pytest.mark.parametrize("gain", [0.01, 4.0])
def test_louder_in_louder_out(slots: SlotsModel, paper: PaperModel, gain: float) -> None:
    x = _noise(20000)
    for model, tolerance_db in ((slots, -80), (paper, -80)):
        plain = rendered(x, 16000, SCENE, model, steps=1).ears
        scaled = rendered(gain * x, 16000, SCENE, model, steps=1).ears
        # Features are relative to the local level; single precision, and floors of 1e-8, do the rest.
        assert _db(scaled / gain - plain, plain) < tolerance_db


def test_progress_rises_to_one(slots: SlotsModel, paper: PaperModel) -> None:
    for model in (slots, paper):
        seen: list[float] = []
        rendered(_noise(20000), 16000, SCENE, model, steps=1, progress=seen.append)
        assert seen == sorted(seen)
        assert seen[-1] == pytest.approx(1.0)


def test_every_segment_is_reported(slots: SlotsModel) -> None:
    result = rendered(_noise(32000), 16000, SCENE, slots)
    assert [s.segment.end_s for s in result.segments] == [0.8, 2.0]
    first = result.ears[:, : round(0.8 * 16000)]
    expected = 10 * np.log10((first[0] ** 2).mean() / (first[1] ** 2).mean())
    assert result.segments[0].spl_difference_db == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("samples", "steps", "error"),
    [(np.zeros((2, 100)), 1, InputError), (np.zeros(0), 1, InputError), (np.zeros(100), 0, InputError)],
)
def test_requests_that_make_no_sense(slots: SlotsModel, samples: np.ndarray, steps: int, error: type) -> None:
    with pytest.raises(error):
        rendered(samples, 16000, Timeline.from_prompt("cello on the left"), slots, steps=steps)


def test_a_timeline_after_the_end_is_an_error(slots: SlotsModel) -> None:
    late = Timeline((Segment.from_prompt(0.2, None, "cello on the left"),))
    with pytest.raises(TimelineError, match="starts at 0.2 s"):
        rendered(_noise(1600), 16000, late, slots)


# ------------------------------------------------------------------ left and right


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100])
def test_mirrored_timeline_exchanges_the_ears(slots: SlotsModel, rate_hz: int, steps: int) -> None:
    x = _noise(round(1.6 * rate_hz))
    plain = rendered(x, rate_hz, SCENE, slots, steps=steps).ears
    mirrored = rendered(x, rate_hz, SCENE.mirrored(), slots, steps=steps).ears
    # The one-step side signal changes its sign and nothing else; the resampler may round differently.
    np.testing.assert_allclose(mirrored, plain[::-1], rtol=0, atol=1e-9)
    assert _db(plain[0] - plain[1], x) > -30


def test_all_in_the_centre_is_mono(slots: SlotsModel) -> None:
    for rate_hz in (16000, 48000):
        x = _noise(rate_hz)
        timeline = Timeline.from_prompt("cello in the center, piano in the center")
        ears = rendered(x, rate_hz, timeline, slots, steps=1).ears
        np.testing.assert_allclose(ears, np.stack([x, x]), rtol=0, atol=1e-12)


class _Fair(SlotsModel):
    """Gives every bin to the first clause and takes all of it to be direct, so that directions alone are seen."""

    def separate(self, spectrum, clause_features, active, within):  # type: ignore[no-untyped-def]
        found = super().separate(spectrum, clause_features, active, within)
        found.masks.zero_()
        found.masks[:, 0] = active[:, :1, within].float().transpose(1, 2)
        found.masks[:, -1] = 1 - found.masks[:, 0]
        found.directness.fill_(1)
        return found


@pytest.mark.parametrize("rate_hz", [16000, 48000])
def test_words_come_out_on_their_side(rate_hz: int) -> None:
    model = _Fair(tiny_slots().config).eval()
    x = _noise(rate_hz)
    for text, low_db, high_db in (
        ("cello on the left", 6, 30),
        ("cello 30 degrees to the left", 4, 20),
        ("cello in the center", -0.01, 0.01),
        ("cello on the right", -30, -6),
    ):
        result = rendered(x, rate_hz, Timeline.from_prompt(text), model)
        ears = result.ears
        assert low_db < 10 * np.log10((ears[0] ** 2).sum() / (ears[1] ** 2).sum()) < high_db, text
        assert low_db < result.segments[0].spl_difference_db < high_db


def test_a_moving_sound_crosses_the_middle() -> None:
    model = _Fair(tiny_slots().config).eval()
    timeline = Timeline.from_prompt("cello moves from the left to the right")
    ears = rendered(_noise(48000), 16000, timeline, model).ears
    parts = np.split(ears, 6, axis=1)
    difference_db = [10 * np.log10((p[0] ** 2).sum() / (p[1] ** 2).sum()) for p in parts]
    assert difference_db[0] > 5
    assert difference_db[-1] < -5
    # The level difference of a head is greatest some way before 90 degrees, so only its sign is ordered.
    assert np.all(np.diff(np.sign(difference_db)) <= 0)
    np.testing.assert_allclose(difference_db, -np.array(difference_db[::-1]), atol=1.0)


# ------------------------------------------------------------------ time


def test_a_gap_changes_nothing_around_it(slots: SlotsModel) -> None:
    """What goes on through time without a prompt is the same object before it and after it."""
    x = _noise(5 * 16000)
    prompt = "cello on the left"
    gap_s = 2.0, 3.1
    pauses = Timeline((Segment.from_prompt(0.0, gap_s[0], prompt), Segment.from_prompt(gap_s[1], None, prompt)))
    timelines = Timeline.from_prompt(prompt), pauses
    throughout, paused = (_side(rendered(x, 16000, t, slots)) for t in timelines)
    window = slots.config.n_fft
    around = np.ones(len(x), bool)
    around[round(gap_s[0] * 16000) - window : round(gap_s[1] * 16000) + window] = False
    np.testing.assert_allclose(paused[around], throughout[around], rtol=0, atol=1e-6)  # single precision
    inside = slice(round(gap_s[0] * 16000) + window, round(gap_s[1] * 16000) - window)
    assert _db(throughout[inside], x[inside]) > -30
    assert not paused[inside].any()


LONG = Timeline(
    (
        Segment.from_prompt(0.0, 5.3, "cello on the left, piano 30 degrees to the right"),
        Segment.from_prompt(5.3, 11.0, "the cello moves from the left to the right; rain in the center"),
        Segment.from_prompt(13.0, None, "rain on the right"),
    )
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "steps", "transition_s", "rate_hz"),
    [
        *(("slots", *how, rate_hz) for rate_hz in (16000, 44100) for how in ((1, 0.0), (1, 1.5), (3, 0.0))),
        ("paper", 2, 0.0, 44100),  # which has what 16 kHz has, and takes as long
    ],
)
def test_blocks_do_not_show(
    slots: SlotsModel,
    paper: PaperModel,
    family: str,
    steps: int,
    transition_s: float,
    rate_hz: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = slots if family == "slots" else paper
    x = _noise(15 * rate_hz + 77)
    whole = rendered(x, rate_hz, LONG, model, steps=steps, seed=4, transition_s=transition_s)
    monkeypatch.setattr(stream, "_BLOCK_S", 4)
    settings = RenderSettings(steps=steps, seed=4, transition_s=transition_s)
    job = Spatializer(len(x), rate_hz, LONG, in_memory(model), settings)
    pieces = np.split(x, [1000, 1001, 6 * rate_hz])
    blocks = list(job.ears(pieces))
    # Blocks of 4 s; the last, of 3 s and 77 samples, stays by itself.
    assert [b.shape[1] for b in blocks] == [4 * rate_hz] * 3 + [3 * rate_hz + 77]
    difference = np.concatenate(blocks, axis=1) - whole.ears
    # Sums of other lengths are rounded differently, in single precision; the resampler's filter is cut at the margins.
    assert _db(difference, whole.ears[0] - whole.ears[1]) < -80
    for ours, theirs in zip(job.segments(), whole.segments, strict=True):
        assert ours.segment == theirs.segment
        assert ours.spl_difference_db == pytest.approx(theirs.spl_difference_db, abs=1e-3)
        assert ours.energy_shares == pytest.approx(theirs.energy_shares, abs=1e-5)
    assert len(job.detections()) == (4 if family == "slots" else 0)
    for found, expected in zip(job.detections(), whole.detections, strict=True):
        assert (found.object, found.start_s, found.end_s) == (expected.object, expected.start_s, expected.end_s)
        assert found.energy_share == pytest.approx(expected.energy_share, abs=1e-5)
        assert found.presence == pytest.approx(expected.presence, abs=1e-4)


@pytest.mark.parametrize("steps", [1, 3])
def test_a_block_looks_as_far_as_the_model_does(slots: SlotsModel, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what resampling and the band above would need beside: not a frame of the margin is to spare."""
    x = _noise(5 * 16000 + 77)
    timeline = Timeline.from_prompt("cello on the left, piano 30 degrees to the right")
    whole = rendered(x, 16000, timeline, slots, steps=steps)
    monkeypatch.setattr(stream, "_BLOCK_S", 0.5)
    monkeypatch.setattr(stream, "_EDGE_S", 1e-9)
    blocks = rendered(x, 16000, timeline, slots, steps=steps)
    # Sums of other lengths are rounded differently, in single precision.
    assert _db(blocks.ears - whole.ears, whole.ears[0] - whole.ears[1]) < -100


def test_overlapping_blocks_are_the_signal() -> None:
    x = np.arange(23.0)
    for pieces in ([x], np.split(x, [1, 2, 9, 20]), [x[i : i + 1] for i in range(23)]):
        found = list(overlapping(pieces, 23, 5, 2))
        assert [(start, stop) for _, start, stop, _ in found] == [(0, 5), (5, 10), (10, 15), (15, 20), (20, 23)]
        for first, start, stop, samples in found:
            assert first == max(0, start - 2)
            np.testing.assert_array_equal(samples, x[first : min(23, stop + 2)])
    # A rest of less than half a block does not get a block of its own.
    assert [(a, b) for _, a, b, _ in overlapping([x[:22]], 22, 5, 2)][-1] == (15, 22)
    assert [(a, b) for _, a, b, _ in overlapping([x[:3]], 3, 5, 2)] == [(0, 3)]


def test_a_signal_that_ends_early_is_an_error(slots: SlotsModel) -> None:
    job = Spatializer(16000, 16000, SCENE.overlapping(0, 0.5) or SCENE, in_memory(slots))
    with pytest.raises(InputError, match="ends after 9000 samples, expected 16000"):
        list(job.ears([_noise(4000), _noise(5000)]))


@pytest.mark.parametrize("steps", [1, 3])
def test_uncovered_time_is_centred(slots: SlotsModel, steps: int) -> None:
    timeline = Timeline((Segment.from_prompt(1.0, 2.0, "cello on the left, piano on the right"),))
    ears = rendered(_noise(48000), 16000, timeline, slots, steps=steps).ears
    side = ears[0] - ears[1]
    # A frame is 64 ms long and reaches half of that beyond its centre.
    assert not side[: round(0.96 * 16000)].any()
    assert not side[round(2.04 * 16000) :].any()
    assert (side[16000:32000] ** 2).mean() > 1e-5


def test_a_later_prompt_does_not_change_the_start(slots: SlotsModel) -> None:
    """Beyond the frames that the network looks at, segments are independent."""
    x = _noise(64000)
    one = Timeline((Segment.from_prompt(0, 2, "cello on the left"), Segment.from_prompt(2, 4, "dog on the right")))
    two = Timeline((Segment.from_prompt(0, 2, "cello on the left"), Segment.from_prompt(2, 4, "rain on the left")))
    first = rendered(x, 16000, one, slots, steps=1).ears
    second = rendered(x, 16000, two, slots, steps=1).ears
    reach = (slots.placing_frames + 4) * 256
    np.testing.assert_allclose(first[:, : 32000 - reach], second[:, : 32000 - reach], rtol=0, atol=1e-6)
    assert np.abs(first - second)[:, 32000:].max() > 1e-3


def test_what_a_model_reads_is_encoded_once() -> None:
    asked: list[str] = []

    class Counting(HashEncoder):
        def __call__(self, texts: Sequence[str]) -> Tensor:
            asked.extend(texts)
            return super().__call__(texts)

    cached = LoadedModel.of(tiny_slots(), Counting()).encoding(SCENE).encoder
    assert isinstance(cached, CachedEncoder)
    assert sorted(asked) == ["cello", "piano", "rain"]
    cached(["rain", "cello"])
    assert len(asked) == 3
    asked.clear()
    LoadedModel.of(PaperModel(TINY_PAPER), Counting()).encoding(SCENE)
    assert sorted(asked) == sorted({s.text for s in SCENE.segments})


# ------------------------------------------------------------------ width


@pytest.mark.parametrize("rate_hz", [8000, 16000, 48000])
def test_width_scales_the_side_signal_and_nothing_else(slots: SlotsModel, paper: PaperModel, rate_hz: int) -> None:
    x = _noise(2 * rate_hz)
    for model in (slots, paper):
        plain = rendered(x, rate_hz, SCENE, model, steps=2)
        assert _db(_side(plain), x) > -40
        for width in (0.0, 0.4, 1.0, 2.0):
            wide = rendered(x, rate_hz, SCENE, model, steps=2, width=width)
            # One addition and one subtraction in float64.
            np.testing.assert_allclose(wide.ears.mean(axis=0), x, rtol=0, atol=1e-12)
            np.testing.assert_allclose(_side(wide), width * _side(plain), rtol=0, atol=1e-12)


@pytest.mark.parametrize("width", [-0.1, 2.1, float("nan"), float("inf")])
def test_widths_out_of_range_are_errors(slots: SlotsModel, width: float) -> None:
    with pytest.raises(InputError, match=r"width is .*; expected 0 \(mono\) to 2"):
        rendered(_noise(1600), 16000, Timeline.from_prompt("cello on the left"), slots, width=width)


# ------------------------------------------------------------------ transitions


@pytest.mark.parametrize("transition_s", [0.02, 0.4, 3.0])
def test_transitions_of_mirrored_timelines_exchange_the_ears(slots: SlotsModel, transition_s: float) -> None:
    x = _noise(round(1.6 * 44100))
    plain = rendered(x, 44100, SCENE, slots, transition_s=transition_s).ears
    mirrored = rendered(x, 44100, SCENE.mirrored(), slots, transition_s=transition_s).ears
    np.testing.assert_allclose(mirrored, plain[::-1], rtol=0, atol=1e-9)  # as without a transition
    np.testing.assert_allclose(plain.mean(axis=0), x, rtol=0, atol=1e-12)


def test_a_transition_matters_around_borders_only() -> None:
    """One object that has every bin: beside a transition of 0.4 s and half a frame, all is as without one."""
    model = _Fair(tiny_slots().config).eval()
    x = _noise(64000)
    parts = ("cello 60 degrees to the left", "cello 60 degrees to the right", "cello 60 degrees to the right")
    starts_s = (0.0, 1.0, 2.0)
    timeline = Timeline(tuple(Segment.from_prompt(a, a + 1, text) for a, text in zip(starts_s, parts, strict=True)))
    sides = [_side(rendered(x, 16000, timeline, model, transition_s=s)) for s in (0.0, 0.4)]
    changed = np.abs(sides[1] - sides[0]) > 1e-6  # single precision
    at_s = np.flatnonzero(changed) / 16000
    # Borders at 1 s and, to uncovered time, at 3 s; at 2 s the place does not change.
    assert all(min(abs(t - 1), abs(t - 3)) < 0.2 + 0.04 for t in (at_s.min(), at_s.max()))
    assert not changed[round(1.24 * 16000) : round(2.76 * 16000)].any()
    for border_s in (1.0, 3.0):
        # A frame in which nothing has moved yet, or all has, may reach 32 ms into the transition.
        inside = slice(round((border_s - 0.16) * 16000), round((border_s + 0.16) * 16000))
        assert changed[inside].mean() > 0.9
    # In the middle of its way to the other side it is in front, after the window that 0 has too.
    middle = slice(round(0.995 * 16000), round(1.005 * 16000))
    assert _db(sides[1][middle], x[middle]) < _db(sides[1][8000:9600], x[8000:9600]) - 10


def test_a_block_hears_of_borders_beyond_its_margins(slots: SlotsModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The glide begins at 6.5 s, in the block from 4 to 8 s, whose margin of 4 s ends before the border."""
    x = _noise(25 * 16000)
    halves = ("cello on the left, rain on the right", "cello on the right, dog on the left")
    timeline = Timeline(tuple(Segment.from_prompt(12.5 * i, 12.5 * i + 12.5, text) for i, text in enumerate(halves)))
    whole = rendered(x, 16000, timeline, slots, transition_s=12.0)
    monkeypatch.setattr(stream, "_BLOCK_S", 4)
    blocks = rendered(x, 16000, timeline, slots, transition_s=12.0)
    assert _db(blocks.ears - whole.ears, _side(whole)) < -80  # as without a transition


def test_names_beyond_a_transition_cost_nothing(slots: SlotsModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is asked for no name that nothing in its stretch holds, however long transitions may be."""
    separate, active_somewhere = SlotsModel.separate, []

    def watched(self: SlotsModel, *arguments: Any) -> object:
        active_somewhere.extend(arguments[2][0].any(dim=1).tolist())
        return separate(self, *arguments)

    monkeypatch.setattr(SlotsModel, "separate", watched)
    monkeypatch.setattr(stream, "_BLOCK_S", 2)
    segments = tuple(Segment.from_prompt(i, i + 1, f"sound{i} on the left") for i in range(24))
    rendered(_noise(24 * 16000), 16000, Timeline(segments), slots, transition_s=30.0)
    assert active_somewhere
    assert all(active_somewhere)


@pytest.mark.parametrize("transition_s", [-0.1, float("nan"), float("inf")])
def test_transitions_out_of_range_are_errors(slots: SlotsModel, transition_s: float) -> None:
    timeline = Timeline.from_prompt("cello on the left")
    with pytest.raises(InputError, match="transition is .* s; expected 0 or more"):
        rendered(_noise(1600), 16000, timeline, slots, transition_s=transition_s)


def test_models_of_whole_prompts_have_no_transitions(paper: PaperModel) -> None:
    timeline = Timeline.from_prompt("cello on the left")
    Spatializer(16000, 16000, timeline, in_memory(paper), RenderSettings(transition_s=0.0))
    with pytest.raises(InputError, match="a paper model averages windows of 1 s; only slots models take a transition"):
        Spatializer(16000, 16000, timeline, in_memory(paper), RenderSettings(transition_s=0.1))


# ------------------------------------------------------------------ stems


@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100, 48000])
def test_stems_and_the_rest_are_the_input(slots: SlotsModel, rate_hz: int) -> None:
    x = _noise(round(2.3 * rate_hz))
    result = rendered(x, rate_hz, SCENE, slots, stems=True)
    assert [name for name, _ in result.stems] == ["cello", "piano", "rain", "rest"]
    stems = np.array([stem for _, stem in result.stems])
    assert stems.shape == (4, len(x))
    # Sums of float64; what single precision left over is in the rest.
    np.testing.assert_allclose(stems.sum(axis=0), x, rtol=0, atol=1e-12)
    assert all(_db(stem, x) > -30 for stem in stems)
    np.testing.assert_array_equal(result.ears, rendered(x, rate_hz, SCENE, slots).ears)


def test_stems_are_masks_times_the_input(slots: SlotsModel) -> None:
    x = _noise(32000)
    timeline = Timeline.from_prompt("cello on the left, piano on the right")
    result = rendered(x, 16000, timeline, slots, stems=True)
    spectrum = torch.stft(
        torch.from_numpy(2 * x).float()[None], 1024, 256, window=torch.hann_window(1024), pad_mode="constant",
        return_complex=True,
    )  # fmt: skip
    with torch.inference_mode():
        masks = slots.separate(
            spectrum, HashEncoder()(["cello", "piano"])[None], torch.ones(1, 2, spectrum.shape[-1], dtype=torch.bool)
        ).masks[0]
    for (_, stem), mask in zip(result.stems, masks, strict=True):
        expected = torch.istft(mask.T * spectrum[0] / 2, 1024, 256, window=torch.hann_window(1024), length=len(x))
        # The rest is what the others leave; single precision.
        np.testing.assert_allclose(stem, expected.numpy(), rtol=0, atol=1e-5)


def test_an_object_has_a_stem_only_while_a_prompt_names_it(slots: SlotsModel) -> None:
    timeline = Timeline((Segment.from_prompt(1.0, 2.0, "cello on the left"),))
    for rate_hz in (16000, 48000):
        x = _noise(3 * rate_hz)
        (_, cello), (_, rest) = rendered(x, rate_hz, timeline, slots, stems=True).stems
        # A frame is 64 ms long; above 8 kHz shares are averaged over some 40 ms more. The resampler rings a little.
        for before_or_after in (slice(0, round(0.92 * rate_hz)), slice(round(2.08 * rate_hz), None)):
            assert _db(cello[before_or_after], x) < -90
            np.testing.assert_allclose(rest[before_or_after], x[before_or_after], rtol=0, atol=1e-5)
        assert _db(cello, x) > -20


def test_mirrored_prompts_have_the_same_stems(slots: SlotsModel) -> None:
    x = _noise(2 * 48000)
    plain = rendered(x, 48000, SCENE, slots, stems=True)
    mirrored = rendered(x, 48000, SCENE.mirrored(), slots, stems=True)
    for (name, stem), (other, theirs) in zip(plain.stems, mirrored.stems, strict=True):
        assert name == other
        np.testing.assert_array_equal(stem, theirs)


@pytest.mark.parametrize("rate_hz", [16000, 44100])
def test_blocks_do_not_show_in_stems(slots: SlotsModel, rate_hz: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x = _noise(15 * rate_hz + 77)
    whole = rendered(x, rate_hz, LONG, slots, stems=True)
    monkeypatch.setattr(stream, "_BLOCK_S", 4)
    job = Spatializer(len(x), rate_hz, LONG, in_memory(slots), RenderSettings(stems=True))
    assert job.stem_names == tuple(name for name, _ in whole.stems)
    found, at = np.zeros((len(job.stem_names), len(x))), 0
    for block in job.blocks([x]):
        assert block.stems is not None
        for number, stem in block.stems.items():
            found[number, at : at + block.ears.shape[1]] = stem
        at += block.ears.shape[1]
    for stem, (_, expected) in zip(found, whole.stems, strict=True):
        assert _db(stem - expected, expected) < -80  # as for the ears
    np.testing.assert_allclose(found.sum(axis=0), x, rtol=0, atol=1e-12)


def test_a_block_holds_the_stems_of_its_own_objects_only(slots: SlotsModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that memory does not grow with the names in a timeline."""
    monkeypatch.setattr(stream, "_BLOCK_S", 4)
    names = ["cello", "piano", "drum", "flute", "violin", "trumpet"]
    timeline = Timeline(tuple(Segment.from_prompt(10 * i, 10 * i + 1, f"{name} left") for i, name in enumerate(names)))
    job = Spatializer(60 * 8000, 8000, timeline, in_memory(slots), RenderSettings(stems=True))
    assert job.stem_names == (*names, "rest")
    seen: set[int] = set()
    for block in job.blocks([_noise(60 * 8000)]):
        assert block.stems is not None
        assert len(block.stems) <= 3  # with what is heard around it, and the rest
        assert len(names) in block.stems
        seen |= block.stems.keys()
    assert seen == set(range(len(names) + 1))


def test_without_stems_there_are_none(slots: SlotsModel) -> None:
    assert rendered(_noise(1600), 16000, Timeline.from_prompt("cello on the left"), slots).stems == ()


# ------------------------------------------------------------------ other heads


@pytest.fixture(scope="module")
def uneven() -> HrirSet:
    """A sphere whose right ear is in less of a shadow."""
    return HrirSet(spherical_hrir(FULL_CIRCLE, 48000, (1.0, 0.7)), wrapped(FULL_CIRCLE), 0 * FULL_CIRCLE, 48000)


def wrapped(azimuth_deg: np.ndarray) -> np.ndarray:
    return (azimuth_deg + 180) % 360 - 180


@pytest.mark.parametrize("rate_hz", [16000, 48000])
def test_the_built_in_head_given_as_another_changes_nothing(slots: SlotsModel, rate_hz: int) -> None:
    x = _noise(2 * rate_hz)
    plain = rendered(x, rate_hz, SCENE, slots)
    own = rendered(x, rate_hz, SCENE, slots, head=load_kemar())
    # Tables in single precision, read from other ends.
    assert _db(own.ears - plain.ears, _side(plain)) < -90


@pytest.mark.parametrize("rate_hz", [16000, 48000])
def test_ears_of_another_head(uneven: HrirSet, rate_hz: int) -> None:
    model = _Fair(tiny_slots().config).eval()
    x = _noise(2 * rate_hz)
    for azimuth_deg, text in ((60, "cello 60 degrees to the left"), (-60, "cello 60 degrees to the right")):
        ears = rendered(x, rate_hz, Timeline.from_prompt(text), model, head=uneven).ears
        np.testing.assert_allclose(ears.mean(axis=0), x, rtol=0, atol=1e-12)
        for low_hz, high_hz in ((500, 2000), (3000, 7000), (9000, 15000))[: 2 + (rate_hz > 16000)]:
            freqs_hz = np.linspace(low_hz, high_hz, 200)
            head = np.square(np.abs(spherical_head(np.array([azimuth_deg]), freqs_hz, (1.0, 0.7))[0]))
            expected_db = np.mean(10 * np.log10(head[0] / head[1]))
            spectrum = np.square(np.abs(np.fft.rfft(ears)))
            at = np.fft.rfftfreq(len(x), 1 / rate_hz)
            there = (at > low_hz) & (at < high_hz)
            # Energies are dominated by other bins than the mean of decibels, and poles are limited.
            found_db = 10 * np.log10(spectrum[0, there].sum() / spectrum[1, there].sum())
            assert found_db == pytest.approx(expected_db, abs=2.0), (azimuth_deg, low_hz)


def test_mirrored_prompts_mirror_as_far_as_the_head_is_symmetric(uneven: HrirSet) -> None:
    model = _Fair(tiny_slots().config).eval()
    x = _noise(32000)
    timeline = Timeline.from_prompt("cello 60 degrees to the left")
    plain = rendered(x, 16000, timeline, model, head=uneven)
    mirrored = rendered(x, 16000, timeline.mirrored(), model, head=uneven)
    apart_db = _db(_side(plain) + _side(mirrored), _side(plain))
    # The figure is over all azimuths, this is one.
    assert apart_db == pytest.approx(head_fidelity(uneven).asymmetry_db, abs=4)
    assert apart_db < -5


def test_another_head_does_not_stay_in_the_model(slots: SlotsModel, uneven: HrirSet) -> None:
    x = _noise(16000)
    timeline = Timeline.from_prompt("cello on the left")
    before = rendered(x, 16000, timeline, slots).ears
    assert np.abs(rendered(x, 16000, timeline, slots, head=uneven).ears - before).max() > 1e-3
    np.testing.assert_array_equal(rendered(x, 16000, timeline, slots).ears, before)


def test_models_of_whole_prompts_have_no_stems_and_one_head(paper: PaperModel, uneven: HrirSet) -> None:
    timeline = Timeline.from_prompt("cello on the left")
    with pytest.raises(InputError, match="a paper model does not tell objects apart"):
        Spatializer(16000, 16000, timeline, in_memory(paper), RenderSettings(stems=True))
    with pytest.raises(InputError, match="a paper model has learned one head"):
        Spatializer(16000, 16000, timeline, in_memory(paper), RenderSettings(head=uneven))


@pytest.mark.parametrize("width", [0.0, 1.0, 2.0])
def test_no_ear_has_more_than_its_bound_of_energy(slots: SlotsModel, width: float) -> None:
    """(1 + 3 width)^2 times that of the input, whatever masks are: |G| < 3, masks and directness are 1 at most."""
    time_s = np.arange(16_000) / 16_000
    tone = 0.5 * np.sin(2 * np.pi * 4671.875 * time_s)
    scene = Timeline.from_prompt("cello 10 degrees to the left, piano 10 degrees to the left")
    for x in (tone, _noise(16_000), np.sign(tone) * 0.9):
        ears = rendered(x, 16_000, scene, slots, width=width).ears
        assert np.square(ears).sum(axis=1).max() <= (1 + 3 * width) ** 2 * np.square(x).sum() * (1 + 1e-6)
