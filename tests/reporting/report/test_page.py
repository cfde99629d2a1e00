"""The report page: its numbers against independent ones, its text as text, and nothing written where it cannot be."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tas_core.audio.loudness import LoudnessMeter
from tas_core.audio.reader import AudioReader
from tas_core.errors import InputError, TasError
from tas_core.inference.baselines import through_head
from tas_core.reporting import report
from tas_core.reporting.report import sounds
from tas_core.reporting.report.page import ReportedOutput, report_file, write_report
from tas_core.timeline.files import EXTENSIONS, convert_timeline, format_timeline
from tas_core.timeline.segments import Timeline
from tests.conftest import Finished
from tests.support.bursts import noise, scene

RATE = 16_000
EVIL = "</script><img src=x onerror=alert(1)>\n\"'&\u202e\u2028{{ 7 * 7 }}{% raw %}{#"


# ------------------------------------------------------------------ levels


def loudness(samples: np.ndarray, rate_hz: int = 48_000, block: int = 100_003) -> float:
    meter = LoudnessMeter(rate_hz, len(samples))
    for start in range(0, samples.shape[-1], block):
        meter.add(samples[:, start : start + block])
    return meter.integrated_lufs()


# ------------------------------------------------------------------ the page


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.blocks: dict[str, str] = {}
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self._open = ""
        self.source = path.read_text("utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self._open = (dict(attrs).get("id") or tag) if tag in ("script", "style") else ""

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open:
            self.blocks[self._open] = self.blocks.get(self._open, "") + data
        else:
            self.text += data + "|"  # cells of a table do not run into each other

    @property
    def report(self) -> dict[str, Any]:
        return json.loads(self.blocks["report"])

    def sound(self, name: str) -> tuple[np.ndarray, int]:
        """(time, channel) and rate."""
        coded = base64.b64decode(self.blocks[f"sound-{name}"], validate=True)
        return soundfile.read(io.BytesIO(coded), always_2d=True)


TIMELINE = scene((0, 1, "cello on the left"), (1, 2, "cello on the right, dog on the left"))


@pytest.fixture
def material(tmp_path: Path) -> Path:
    """A folder with ``in.wav`` and the ``out.wav`` that the plain head filter makes of it."""
    folder = tmp_path / "material"
    folder.mkdir()
    x = noise(2.0)
    soundfile.write(folder / "in.wav", x, RATE, subtype="FLOAT")
    soundfile.write(folder / "out.wav", through_head(x, RATE, TIMELINE).T, RATE, subtype="FLOAT")
    (folder / "scene.yaml").write_text(format_timeline(TIMELINE, "scene.yaml"))
    return folder


def write(page: Path, *, timeline: Timeline, provenance: dict[str, Any], overwrite: bool = False, **about: Any) -> Path:
    return write_report(page, ReportedOutput(**about), timeline, provenance, overwrite=overwrite)


def make(folder: Path, name: str = "page.html", **more: Any) -> Page:
    settings = {"source": folder / "in.wav", "output": folder / "out.wav", "timeline": TIMELINE, "provenance": {}}
    assert write(folder / name, **(settings | more)) == folder / name
    return Page(folder / name)


def test_the_page_plays_the_files_and_knows_how_loud_they_are(material: Path) -> None:
    page = make(material, provenance={"model": "slots", "seed": 7})
    x = soundfile.read(material / "in.wav")[0]
    ears = soundfile.read(material / "out.wav")[0]
    for name, expected in (("input", x[:, None]), ("output", ears), ("hrtf", ears)):
        played, rate_hz = page.sound(name)
        assert rate_hz == RATE
        # Half a step of 16 bits, and the single precision in which the filter's output was stored.
        np.testing.assert_allclose(played, expected, atol=2.0**-16 + 1e-6)
    tracks = {track["id"]: track for track in page.report["tracks"]}
    levels = {"input": loudness(np.stack([x, x]), RATE), "output": loudness(ears.T, RATE)}
    quietest = min(levels.values())
    for name, level in levels.items():
        assert tracks[name]["loudness_lufs"] == pytest.approx(level, abs=1e-3)
        assert tracks[name]["match_db"] == pytest.approx(quietest - level, abs=1e-3)
        assert f"{level:.1f}".replace("-", "\u2212") + "\u00a0LUFS" in page.text
    assert all(len(ear) > 1000 for track in tracks.values() for ear in track["peaks"])
    assert max(tracks["output"]["peaks"][0]) == pytest.approx(np.abs(ears[:, 0]).max(), abs=1e-4)
    assert "is the input; what differs is" in page.text
    assert "Places of the whole sound, against the requested ones: 1 of 1 is on the requested side." in page.text
    assert "Whether a name got the right sound is not tested" in page.text
    assert "2 of 3 cannot be measured without stems." in page.text
    assert hashlib.sha256((material / "in.wav").read_bytes()).hexdigest() in page.text
    assert "spatialiser off" in page.text
    assert {"model", "slots", "seed", "7"} <= set(re.split(r"\W+", page.text))


def test_the_curves_are_those_of_the_output(material: Path) -> None:
    report = make(material).report
    ears = soundfile.read(material / "out.wav")[0].T
    for time_s, value in zip(report["spl"]["time_s"], report["spl"]["output"], strict=True):
        first = round((time_s - 0.05) * RATE)
        left, right = np.square(ears[:, first : first + RATE // 10]).sum(axis=1)
        assert value == pytest.approx(10 * np.log10(left / right), abs=0.006)
    asked = {track["object"]: track["lines"] for track in report["azimuth"]["asked"]}
    assert asked == {"cello": [[0, 1, 55, 55], [1, 2, -55, -55]], "dog": [[1, 2, 55, 55]]}
    heard = np.array(report["azimuth"]["heard"][1:9], float)
    assert np.abs(heard - 55).max() < 10  # windows of 100 ms
    assert [segment["text"] for segment in report["segments"]] == [s.text for s in TIMELINE.segments]


def test_stems_are_measured_by_their_own_bins(material: Path) -> None:
    soundfile.write(material / "cello.wav", soundfile.read(material / "in.wav")[0], RATE, subtype="FLOAT")
    page = make(material, stems={"Cello": material / "cello.wav"})
    # All of the sound is the cello's, and at the mean of -55 and 55 in the second segment: not on the right.
    assert "Places of estimated stems or the whole sound" not in page.text
    assert "Places of estimated stems, against the requested ones: 1 of 2 is on the requested side." in page.text
    assert "1 of 3 cannot be measured without stems." in page.text
    assert page.text.count("by its stem") == 2
    assert "stem of Cello" in page.text


def test_the_page_says_how_much_of_the_sound_each_object_took(material: Path) -> None:
    """From the provenance of the same prompts; from any other, or none, nothing is said."""
    texts = [segment.text for segment in TIMELINE.segments]
    shares = [{"cello": 0.876}, {"dog": 0.25, "cello": 0.5}]
    said = [
        {"text": text, "clauses": [{"object": name, "energy_share": part} for name, part in each.items()]}
        for text, each in zip(texts, shares, strict=True)
    ]
    cells = lambda page: re.findall(r'<th scope="row"><bdi>(\w+)</bdi></th><td>([^<]*)</td>', page.source)  # noqa: E731
    page = make(material, provenance={"segments": said})
    assert cells(page) == [("cello", "88\u00a0%"), ("cello", "50\u00a0%"), ("dog", "25\u00a0%")]
    for odd in ({}, {"segments": "none"}, {"segments": [{"text": "other"}, 7]}, {"segments": [{"text": texts[0]}]}):
        assert {share for _, share in cells(make(material, provenance=odd, overwrite=True))} == {"\u2013"}


def test_the_page_says_how_sure_the_model_is_of_each_object(material: Path) -> None:
    """From the provenance, of the span that a segment lies in; a low one is marked by more than a colour."""
    ends = [(segment.start_s, segment.end_s or 4.0) for segment in TIMELINE.segments]
    spans = [("cello", ends[0][0], ends[-1][1], 0.876, False), ("dog", *ends[1], 0.123, True)]
    keys = ("object", "start_s", "end_s", "confidence", "doubtful")
    objects = [dict(zip(keys, span, strict=True)) for span in spans]
    cells = lambda page: re.findall(  # noqa: E731
        r'<th scope="row"><bdi>(\w+)</bdi></th><td>[^<]*</td>\s*<td[^>]*>(?:<span class="fail">)?([^<]*)<', page.source
    )
    assert cells(make(material, provenance={"objects": objects})) == [
        ("cello", "0.88"),
        ("cello", "0.88"),
        ("dog", "\u2717 0.12"),
    ]
    too_sure = {"object": "cello", "confidence": 2.0, "start_s": 0, "end_s": 9}
    unknown = [{**each, "confidence": None} for each in objects]
    for odd in ({}, {"objects": 3}, {"objects": ["cello", too_sure]}, {"objects": unknown}):
        assert {said for _, said in cells(make(material, provenance=odd, overwrite=True))} == {"\u2013"}


def test_names_prompts_and_provenance_are_text_whatever_stands_in_them(material: Path) -> None:
    evil = EVIL.replace("/", "\u2215")
    os.rename(material / "in.wav", material / f"{evil}.wav")
    prompt = "<img src=x onerror=alert(1)> & 'cello' on the left"
    timeline = Timeline.from_prompt(prompt)
    plain = make(
        material, "plain.html", source=material / f"{evil}.wav", timeline=Timeline.from_prompt("flute on the left")
    )
    page = make(
        material, source=material / f"{evil}.wav", timeline=timeline, provenance={EVIL: EVIL, "n": [{"x": EVIL}]}
    )
    assert "img" not in page.tags
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert page.report["segments"][0]["text"] == prompt
    assert EVIL.replace("\n", "\u240a") in page.text
    added = set(page.tags) - set(plain.tags)
    assert added == {"pre"}, added
    assert [page.tags.count(tag) for tag in ("script", "style", "table", "section")] == [5, 1, 3, 5]


def test_the_page_may_ask_no_network_for_anything(material: Path) -> None:
    page = make(material)
    (policy,) = [value for name, value in page.attributes if name == "content" and "default-src" in str(value)]
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    for kind, text in (("script", page.blocks["script"]), ("style", page.blocks["style"])):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}';" in policy
    assert not re.search(r"https?:|//[a-z]", page.source.split("<script id=")[0])
    assert not {"src", "href", "action", "style"} & {name for name, _ in page.attributes}


def test_the_same_input_gives_the_same_bytes(material: Path) -> None:
    assert make(material, "a.html").source == make(material, "b.html").source


def test_of_a_long_file_the_beginning_is_played_and_the_page_says_so(
    material: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (sounds, report.page):
        monkeypatch.setattr(module, "MAX_PLAYED_S", 0.75)
    page = make(material)
    assert "The files last 0:02.00. This page plays, draws and measures their first 0:00.75" in page.text
    assert page.report["duration_s"] == 0.75
    assert page.sound("output")[0].shape == (12_000, 2)
    assert [segment["end_s"] for segment in page.report["segments"]] == [0.75]
    assert "Loudness of what is played here" in page.text
    ears = soundfile.read(material / "out.wav")[0].T
    for part in (ears, ears[:, :12_000]):
        assert f"{loudness(part, RATE):.1f}".replace("-", "\u2212") + "\u00a0LUFS" in page.text
    late = make(material, "late.html", timeline=scene((1, 2, "cello on the left")))
    assert "No prompt holds in the part that this page plays." in late.text


def test_of_a_long_stem_no_more_is_read_than_is_played(material: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (sounds, report.page):
        monkeypatch.setattr(module, "MAX_PLAYED_S", 0.75)
    soundfile.write(material / "cello.wav", noise(60.0), RATE, subtype="FLOAT")
    read: list[int] = []

    class Counting(AudioReader):
        def read(self, num_frames: int) -> np.ndarray:
            block = super().read(num_frames)
            read.append(block.shape[1])
            return block

    monkeypatch.setattr(report.page, "AudioReader", Counting)
    make(material, stems={"cello": material / "cello.wav"})
    assert read == [12_000]


def test_what_would_be_too_large_is_ogg(material: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sounds, "MAX_FLAC_BYTES", 1000)
    page = make(material)
    assert "Ogg Vorbis, 16000 Hz" in page.text
    played, _ = page.sound("output")
    ears = soundfile.read(material / "out.wav")[0]
    assert played.shape == ears.shape
    assert np.corrcoef(played[:, 0], ears[:, 0])[0, 1] > 0.9  # lossy, not late


def test_loud_and_fast_and_stereo_sounds_are_fitted(material: Path) -> None:
    x = 3 * np.sin(2 * np.pi * 440 * np.arange(2 * 96_000) / 96_000)
    soundfile.write(material / "in.wav", np.stack([x, x], axis=1), 96_000, subtype="FLOAT")
    soundfile.write(material / "out.wav", np.stack([x, x], axis=1), 96_000, subtype="FLOAT")
    page = make(material)
    played, rate_hz = page.sound("output")
    assert rate_hz == 48_000
    assert np.abs(page.sound("input")[0]).max() <= 1
    assert max(np.abs(page.sound(name)[0]).max() for name in ("input", "output", "hrtf")) == pytest.approx(1, abs=1e-3)
    steady = played[4800:-4800] / page.report["file_gain"]  # resampling overshoots where the sine begins
    assert np.abs(steady).max() == pytest.approx(3, rel=1e-3)


def test_silence_makes_a_page_without_numbers(material: Path) -> None:
    for name, shape in (("in.wav", (RATE,)), ("out.wav", (RATE, 2))):
        soundfile.write(material / name, np.zeros(shape), RATE)
    page = make(material, timeline=Timeline.from_prompt("cello on the left"))
    assert [track["match_db"] for track in page.report["tracks"]] == [None] * 3
    assert set(page.report["spl"]["output"]) == {None}
    assert "1 of 1 have too little sound" in page.text
    assert "nothing in common" in page.text


def test_an_output_of_something_else_is_noticed(material: Path) -> None:
    soundfile.write(material / "in.wav", noise(2.0, 9), RATE)
    assert "is not the input" in make(material).text
    soundfile.write(material / "in.wav", 0.5 * noise(2.0), RATE, subtype="FLOAT")
    assert "is the input after a gain of +6.0\u00a0dB" in make(material, "b.html").text


# ------------------------------------------------------------------ bad input


def test_what_cannot_be_done_is_one_line_and_leaves_nothing(
    material: Path, tas: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write(material / "mono.wav", noise(2.0), RATE)
    soundfile.write(material / "short.wav", noise(1.0), RATE)
    (material / "old.html").write_text("old")
    (material / "bad.json").write_text("[1")
    (material / "list.json").write_text("[1]")
    (material / "deep.json").write_text("[" * 100_000)
    (material / "nan.json").write_text('{"a": NaN}')
    (material / "late.yaml").write_text("prompts: [{start: 5, text: cello on the left}]")
    os.mkfifo(material / "pipe")
    before = {path.name for path in material.iterdir()}
    monkeypatch.chdir(material)
    good = {"output": "out.wav", "--source": "in.wav", "--timeline": "scene.yaml", "--out": "page.html"}
    for change, message in (
        ({"output": "mono.wav"}, "mono.wav: 1 channel, expected two, left and right"),
        ({"output": "gone.wav"}, "gone.wav: No such file"),
        ({"--source": "gone.wav"}, "gone.wav: No such file"),
        ({"--source": "short.wav"}, "expected the file that the output was made of"),
        ({"--source": "pipe"}, "pipe: a pipe, expected a file that can be read again"),
        ({"--source": "scene.yaml"}, "scene.yaml: not an audio file"),
        ({"--timeline": "gone.yaml"}, "gone.yaml: cannot read the timeline"),
        ({"--timeline": "late.yaml"}, "expected a start before the end of the audio"),
        ({"--out": "page.png"}, "page.png: the extension .png, expected .html or .htm"),
        ({"--out": "page"}, "page: no extension, expected .html or .htm"),
        ({"--out": "old.html"}, "old.html: the file exists"),
        ({"--out": "no/page.html"}, "the folder"),
        ({"--provenance": "bad.json"}, "bad.json: not JSON"),
        (
            {"--provenance": "deep.json"},
            "deep.json: not JSON (lists within lists, too deep to be read), expected an object",
        ),
        ({"--provenance": "nan.json"}, "nan.json: not JSON (NaN is no number), expected an object that says how"),
        ({"--provenance": "list.json"}, "list.json: not a JSON object"),
        ({"--provenance": "gone.json"}, "gone.json: cannot read the provenance"),
        ({"--stem": "cello"}, "--stem 'cello': expected OBJECT=FILE"),
        ({"--stem": "flute=in.wav"}, "a stem of 'flute', expected one of cello, dog"),
        ({"--stem": "dog=short.wav"}, "short.wav: lasts 1.00 s, expected 2.00 s"),
        ({"--stem": "dog=gone.wav"}, "gone.wav: No such file"),
    ):
        arguments = good | change
        done = tas("report", arguments.pop("output"), *(word for pair in arguments.items() for word in pair))
        assert (done.code, done.out) == (2, ""), (change, done)
        assert message in done.error_line, change
        assert {path.name for path in material.iterdir()} == before, change
    assert (material / "old.html").read_text() == "old"


def test_a_page_never_replaces_what_it_is_about(material: Path) -> None:
    os.rename(material / "in.wav", material / "in.html")
    with pytest.raises(InputError, match="the output is the input"):
        make(material, "in.html", source=material / "in.html", overwrite=True)


def test_a_page_that_cannot_be_written_leaves_the_old_one(material: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(material)
    old = (material / "page.html").read_bytes()
    before = sorted(material.iterdir())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TasError, match="is the disk full"):
        make(material, overwrite=True, provenance={"new": 1})
    assert (material / "page.html").read_bytes() == old
    assert sorted(material.iterdir()) == before


def test_the_page_of_a_passage_is_that_of_the_piece_cut_out(tmp_path: Path) -> None:
    """One channel of the source from 0.5 to 1.5 s, where the cello is on its way and the dog is cut short."""
    x, other = noise(2.0), 0.3 * noise(2.0)[::-1]
    whole = scene((0, 1, "cello moves from 60 degrees left to 20 degrees left"), (1, 2, "dog on the right"))
    piece = scene((0, 0.5, "cello moves from 40 degrees left to 20 degrees left"), (0.5, 1, "dog on the right"))
    cut = slice(RATE // 2, 3 * RATE // 2)
    soundfile.write(tmp_path / "whole.wav", np.stack([other, x], axis=1), RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "piece.wav", x[cut], RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "out.wav", through_head(x[cut], RATE, piece).T, RATE, subtype="FLOAT")
    common = {"output": tmp_path / "out.wav", "provenance": {}}
    write(tmp_path / "a.html", source=tmp_path / "whole.wav", timeline=whole, start_s=0.5, channel=2, **common)
    write(tmp_path / "b.html", source=tmp_path / "piece.wav", timeline=piece, **common)
    made, expected = Page(tmp_path / "a.html"), Page(tmp_path / "b.html")
    texts = [segment.pop("text") for segment in made.report["segments"]]
    assert texts == [segment.text for segment in whole.segments]
    assert made.report["azimuth"] == expected.report["azimuth"]
    assert made.report["tracks"] == expected.report["tracks"]
    for name in ("input", "output", "hrtf"):
        np.testing.assert_array_equal(made.sound(name)[0], expected.sound(name)[0])
    # The player counts from 0, and shows the times of the source.
    assert (made.report["start_s"], expected.report["start_s"]) == (0.5, 0.0)
    assert made.report["duration_s"] == expected.report["duration_s"] == 1.0
    for page, spans in ((made, ("0:00.50 – 0:01.00", "0:01.00 – 0:01.50")), (expected, ("0:00.00 – 0:00.50",))):
        assert all(span in page.text for span in spans), page.text
    assert "0:01.00 from 0:00.50 to 0:01.50 of it at" in made.text
    assert "of it at" not in expected.text
    assert "input from, to" in made.text
    assert "input from, to" not in expected.text


def test_a_passage_may_have_no_prompt(tmp_path: Path) -> None:
    x = noise(2.0)
    soundfile.write(tmp_path / "whole.wav", x, RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "out.wav", np.stack([x, x], axis=1)[RATE:], RATE, subtype="FLOAT")
    files = {"source": tmp_path / "whole.wav", "output": tmp_path / "out.wav"}
    write(tmp_path / "a.html", timeline=scene((0, 1, "dog left")), provenance={}, start_s=1.0, **files)
    page = Page(tmp_path / "a.html")
    assert page.report["segments"] == []
    assert "No prompt holds in the part that this page plays." in page.text
    for more, message in (
        ({"start_s": 2.0}, r"whole\.wav: the start is 2 s, expected less than 2 s"),
        ({"channel": 2}, r"whole\.wav: there is no channel 2, expected 1 to 1"),
        ({}, r"out\.wav: lasts 1\.00 s, but the source .* 2\.00 s, .* made of, or the start of a passage"),
        ({"start_s": 1.5}, r"out\.wav: lasts 1\.00 s, but the source .* lasts 0\.50 s"),
    ):
        with pytest.raises(InputError, match=message):
            write(tmp_path / "b.html", timeline=scene((1.5, 2, "dog left")), provenance={}, **more, **files)
    assert not (tmp_path / "b.html").exists()


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_a_timeline_of_any_format(material: Path, extension: str) -> None:
    scene = material / f"other{extension}"
    convert_timeline(material / "scene.yaml", scene)
    about = ReportedOutput(material / "out.wav", material / "in.wav")
    report_file(material / "page.html", about, scene)
    report_file(material / "same.html", about, material / "scene.yaml")
    page, same = (Page(material / name).report for name in ("page.html", "same.html"))
    assert page["segments"] == same["segments"]


def test_the_command(material: Path, tas: Callable[..., Finished]) -> None:
    (material / "how.json").write_text('{"model": "slots@3", "seconds": {"sample": 0.25}}')
    words = ["report", material / "out.wav", "-s", material / "in.wav", "-t", material / "scene.yaml"]
    words += ["-o", material / "page.html", "--provenance", material / "how.json", "--stem", f"dog={material}/in.wav"]
    done = tas(*words)
    assert done.code == 0, done
    assert re.fullmatch(rf"{re.escape(str(material))}/page\.html: \d\.\d MB\n", done.out)
    page = Page(material / "page.html")
    assert "slots@3" in page.text
    assert "seconds › sample" in page.text
    assert tas(*words).code == 2
    assert tas(*words, "--force").code == 0
