"""Requests: what is checked before any work."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from tas_core.audio.excerpt import Excerpt
from tas_core.errors import AudioError, InputError, TimelineError
from tas_core.jobs.request import FileOptions, FileRequest, find_timeline, prepare_file
from tas_core.timeline.segments import TimelineWarning

Make = Callable[..., Path]


# ------------------------------------------------------------------ prompts and timelines


def test_without_any_timeline_or_with_several_nothing_is_guessed(make_audio: Make) -> None:
    source = make_audio("voice.wav")
    with pytest.raises(InputError, match=r"no timeline: expected a file .*voice with .*, or a prompt$") as found:
        find_timeline(source)
    assert found.value.remedy == "prompt"
    with pytest.raises(InputError, match="no timeline: expected one, or a prompt$"):
        find_timeline(Path("-"))
    for ending in (".yaml", ".srt"):
        source.with_suffix(ending).touch()
    with pytest.raises(InputError, match=r"more than one timeline beside .*voice\.wav: .*voice\.yaml, .*voice\.srt; "):
        find_timeline(source)
    for path in (Path("/"), source.with_name("no.wav")):
        with pytest.raises(AudioError, match=f"{path}: no such file"):
            find_timeline(path)


TEXTS = {
    "lyrics": "Row, row, row your boat\n\nGently down the stream\n",
    "a list of tracks": "1.\tOverture\n2.\tAria\n",
    "no text": b"\xff\xfe\x00",
    "nothing": "",
}


@pytest.mark.parametrize("content", TEXTS.values(), ids=TEXTS)
def test_a_text_file_that_is_no_label_track_is_passed_over_and_said(make_audio: Make, content: str | bytes) -> None:
    source = make_audio("voice.wav")
    beside = source.with_suffix(".txt")
    beside.write_bytes(content.encode() if isinstance(content, str) else content)
    said = re.escape(f"{beside} is no label track and was passed over")
    with pytest.raises(InputError, match=rf"no timeline: expected a file .*; {said}$"):
        find_timeline(source)
    source.with_suffix(".yaml").touch()
    with pytest.warns(UserWarning, match=rf"^{said}$"):
        assert find_timeline(source) == source.with_suffix(".yaml")


@pytest.mark.parametrize(
    ("content", "where", "what"),
    [
        ("0\t1\tcello on the left\n", "", ""),
        ("0,5\t1.0\tcello on the left\n", "", ""),
        ("\n0\t1\tchorus\n", "2:5", "an object without a place"),
        ("0:00\t0:05\tcello on the left\n", "1:1", "is not a time in seconds"),
        ("0.0 3.2 cello on the left\n", "1:1", "not a label"),
        ("My labels\n0\t1\tcello on the left\n", "1:1", "not a label"),
    ],
)
def test_a_text_file_of_labels_is_the_timeline_even_with_mistakes(
    make_audio: Make, content: str, where: str, what: str
) -> None:
    source = make_audio("voice.wav")
    beside = source.with_suffix(".txt")
    beside.write_text(content)
    assert find_timeline(source) == beside
    request = FileRequest(source, source.with_name("out.wav"))
    with contextlib.ExitStack() as stack:
        if what:
            stack.enter_context(pytest.raises(TimelineError, match=re.escape(f"{beside}:{where}: ") + f".*{what}"))
        with prepare_file(request, FileOptions()) as prepared:
            assert prepared.timeline.objects == ("cello",)


@pytest.mark.parametrize("strict", [False, True])
def test_a_misspelt_name_is_doubted_before_any_work(make_audio: Make, tmp_path: Path, *, strict: bool) -> None:
    request = FileRequest(make_audio("a.wav"), tmp_path / "out.wav", None, "trumpt on the left, drums on the right")
    with contextlib.ExitStack() as stack:
        if strict:
            stack.enter_context(pytest.raises(TimelineError, match="did you mean 'trumpet'"))
        else:
            stack.enter_context(
                pytest.warns(TimelineWarning, match=r"/a\.wav: .trumpt. is no known sound: did you mean 'trumpet'")
            )
        with prepare_file(request, FileOptions(strict=strict)):
            pass
    assert not (tmp_path / "out.wav").exists()


def test_every_warning_begins_with_the_name_of_the_input(make_audio: Make) -> None:
    source = make_audio("voice.wav", channels=2, seconds=1.0)
    source.with_suffix(".txt").write_text("la la la\n")
    cues = ("00:00:00,200 --> 00:00:00,540\ntrumpt left", "00:00:00,500 --> 00:00:03,000\npiano stage left")
    source.with_suffix(".srt").write_text("\n\n".join(cues))
    request = FileRequest(source, source.with_name("out.wav"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with prepare_file(request, FileOptions(excerpt=Excerpt(duration_s=0.1))):
            pass
    said = [str(warning.message) for warning in caught]
    for part in ("passed over", "did you mean", "overlaps", "stage", "mixed down", "it is cut", "no prompt holds"):
        assert [part in message for message in said].count(True) == 1, part
    assert [message for message in said if not message.startswith(f"{source}: ")] == []


# ------------------------------------------------------------------ many files


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (Excerpt, {"channel": 0}, "the channel is 0, expected 1 or more"),
        (Excerpt, {"start_s": -1.0}, "the start is -1.0 s, expected 0 or more"),
        (Excerpt, {"start_s": float("nan")}, "the start is nan s"),
        (Excerpt, {"duration_s": 0.0}, "the duration is 0.0 s, expected more than 0"),
        (FileOptions, {"subtype": "PCM_12"}, "unknown subtype 'PCM_12'; expected one of PCM_16, PCM_24, FLOAT"),
    ],
)
def test_impossible_options_are_refused(kind: type, values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        kind(**values)
