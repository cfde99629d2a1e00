"""Clips and the words of their prompts: worded anew, held out, exchanged, and with a name of what is not there."""

from __future__ import annotations

import re
from dataclasses import replace

from tas_core.datasets.sources.catalogue import load_categories
from tas_core.datasets.tasbench.captions import benchmark_data
from tas_core.datasets.tasbench.layout import TasBench
from tas_core.evaluation.clips import held_out_phrases, read_clip
from tas_core.evaluation.runner import evaluate
from tas_core.timeline.segments import Timeline
from tests.evaluation.conftest import ONE, mean

# ------------------------------------------------------------------ prompts


def test_captions_are_worded_anew(scored: TasBench) -> None:
    clip = scored.clips()[0]
    texts = {style: read_clip(scored, clip, style).timeline.segments[0].text for style in ("own", "coarse", "degrees")}  # type: ignore[union-attr]
    assert texts["own"] == texts["degrees"] == scored.timeline(clip).segments[0].text
    assert "60 degrees" in texts["degrees"]
    assert "degrees" not in texts["coarse"]
    table = evaluate(scored, ["oracle-mask"], replace(ONE, captions="coarse"))
    assert "azimuth_error_deg" not in table.row("oracle-mask").measures
    assert mean(table, "oracle-mask", "rank_object") == 1


def test_held_out_names(scored: TasBench) -> None:
    known = {category.name: category for category in load_categories()}
    changed = 0
    for clip in scored.clips():
        read = read_clip(scored, clip, names="held-out")
        assert read.scene is not None
        assert read.timeline is not None
        said = {clause.object for segment in read.timeline.segments for clause in segment.clauses}
        assert said == set(read.phrases)
        for item, phrase in zip(read.scene.objects, held_out_phrases(read.scene), strict=True):
            words = {word.lower() for word in known[item.category].held_out}
            assert phrase in (words or {item.phrase})
            changed += phrase != item.phrase
        assert held_out_phrases(read.scene) == held_out_phrases(read.scene)
    assert changed >= 5
    table = evaluate(scored, ["oracle-mask"], replace(ONE, names="held-out"))
    assert mean(table, "oracle-mask", "rank_object") == 1


def test_exchanged_and_centred_prompts_keep_their_words(scored: TasBench) -> None:
    clip = read_clip(scored, scored.clips()[0])
    assert clip.timeline is not None
    swapped, centred = clip.swapped_timeline(), clip.centred_timeline()
    assert swapped is not None
    assert centred is not None
    places = lambda timeline: {c.object: c.azimuth.start_deg for s in timeline.segments for c in s.clauses}  # noqa: E731
    first, second = clip.phrases
    assert places(clip.timeline) == {first: 60.0, second: -45.0}
    assert places(swapped) == {first: -45.0, second: 60.0}
    assert set(places(centred).values()) == {0.0}
    both = [s.text for s in clip.timeline.segments if len(s.clauses) == 2]
    exchanged = [s.text for s in swapped.segments if len(s.clauses) == 2]
    assert both
    for before, after in zip(both, exchanged, strict=True):
        swap = {first: second, second: first}
        assert after == "".join(swap.get(part, part) for part in re.split(f"({first}|{second})", before))


# ------------------------------------------------------------------ names of what is not there


def test_a_decoy_is_one_name_more_of_what_does_not_sound(scored: TasBench) -> None:
    words = {c.name: {c.name, *c.words} for c in load_categories()}
    for name in scored.clips():
        clip = read_clip(scored, name, "degrees")
        assert clip.scene is not None
        assert clip.timeline is not None
        extended = clip.decoy_timeline()
        assert extended is not None
        timeline, decoy = extended
        assert extended == read_clip(scored, name, "degrees").decoy_timeline()
        for item in clip.scene.objects:
            assert decoy not in words[item.category]
        for segment, own in zip(timeline.segments, clip.timeline.segments, strict=True):
            assert segment.clauses[:-1] == own.clauses
            assert (segment.clauses[-1].object, segment.clauses[-1].azimuth.start_deg) == (decoy, 0)
            # The words say what the clauses say.
            assert Timeline.from_prompt(segment.text).segments[0].clauses[-1].object == decoy


def test_a_decoy_is_nothing_that_is_in_a_sound_under_no_name_of_its_own(scored: TasBench) -> None:
    clip = read_clip(scored, scored.clips()[0])
    assert clip.scene is not None
    names = list(benchmark_data()["categories"])
    used = {item.category for item in clip.scene.objects}
    for kept in [name for name in names if name not in used][:12]:
        also = tuple(name for name in names if name != kept)
        words = {word for c in load_categories() if c.name in also for word in c.words}
        if words & {word for c in load_categories() if c.name == kept for word in c.words}:
            continue
        objects = (replace(clip.scene.objects[0], also=also), *clip.scene.objects[1:])
        extended = replace(clip, scene=replace(clip.scene, objects=objects)).decoy_timeline()
        assert extended is not None
        assert extended[1] == kept
