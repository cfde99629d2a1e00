"""Dense annotations to timelines: what is written, and that nothing is written where a line is wrong."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from tas_core.datasets.tasbench.annotations import import_annotations
from tas_core.datasets.tasbench.layout import TasBench
from tas_core.errors import InputError, TasError
from tas_core.timeline.segments import Segment, Timeline
from tests.conftest import Finished
from tests.support.fairplay import LENGTHS, RATE_HZ, write_clip, write_fairplay

Run = Callable[..., Finished]
Row = tuple[object, object, object]

CELLO = "cello on the left"
PIANO = "piano on the right"


def write_jsonl(path: Path, rows: Iterable[Row]) -> Path:
    lines = [json.dumps({"clip": clip, "time": time, "text": text}) for clip, time, text in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_csv(path: Path, rows: Iterable[Row], columns: tuple[str, ...] = ("clip", "time", "text")) -> Path:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="x")
        writer.writeheader()
        writer.writerows({"clip": clip, "time": time, "text": text} for clip, time, text in rows)
    return path


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder but for recordings, with its content."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix != ".wav")
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in paths}


def entries(timeline: Timeline) -> list[tuple[float, float | None, str]]:
    return [(segment.start_s, segment.end_s, segment.text) for segment in timeline.segments]


@pytest.fixture
def data(tmp_path: Path) -> TasBench:
    """Two short clips of 1.0 and 0.984 s, which are quick to write."""
    root = tmp_path / "data"
    write_clip(root, "000001", RATE_HZ)
    write_clip(root, "000002", round(0.984 * RATE_HZ))
    return TasBench(root)


# ------------------------------------------------------------------ what is written


def test_fair_play_is_annotated_to_the_end_of_every_clip(tas: Run, tmp_path: Path) -> None:
    data = TasBench(write_fairplay(tmp_path / "data"))
    rows = [(clip, frame / 10, CELLO if frame < 37 else PIANO) for clip in LENGTHS for frame in range(101)]
    done = tas("data", "import", data.root, "--annotations", write_jsonl(tmp_path / "dense.jsonl", rows))
    assert done.code == 0, done
    assert done.out == f"{data.root / 'timelines'}\n"
    # a frame at 10.0 s is there in clips of 10.005 s only
    assert done.err.splitlines() == [
        "5 timelines from 502 annotations",
        "3 annotations after the end of their clips were left out",
    ]
    for clip, num_frames in LENGTHS.items():
        assert entries(data.timeline(clip)) == [(0.0, 3.7, CELLO), (3.7, num_frames / RATE_HZ, PIANO)]
    assert sorted(path.name for path in (data.root / "timelines").iterdir()) == [f"{clip}.yaml" for clip in LENGTHS]
    checked = tas("data", "check", data.root)
    assert (checked.code, checked.out) == (0, "")


def test_equal_texts_merge_and_gaps_stay(data: TasBench, tmp_path: Path) -> None:
    texts = [CELLO, CELLO, "", CELLO, PIANO, PIANO, None, PIANO, f"  {PIANO} ", "  "]
    rows = [("000001", frame / 10, text) for frame, text in enumerate(texts) if text is not None]
    report = import_annotations(data, write_jsonl(tmp_path / "a.jsonl", rows))
    assert entries(data.timeline("000001")) == [
        (0.0, 0.2, CELLO),
        (0.3, 0.4, CELLO),
        (0.4, 0.6, PIANO),
        (0.7, 0.9, PIANO),
    ]
    assert (report.frames, report.late, report.silent, report.unannotated) == (9, 0, (), ("000002",))
    assert report.timelines == (data.timeline_path("000001"),)


def test_lines_may_come_in_any_order(data: TasBench, tmp_path: Path) -> None:
    rows = [(clip, frame / 10, CELLO if frame < 5 else PIANO) for clip in data.clips() for frame in range(9)]
    np.random.default_rng(5).shuffle(rows)
    import_annotations(data, write_jsonl(tmp_path / "a.jsonl", [(c, float(t), text) for c, t, text in rows]))
    for clip in data.clips():
        assert entries(data.timeline(clip)) == [(0.0, 0.5, CELLO), (0.5, 0.9, PIANO)]


@pytest.mark.parametrize(
    ("times", "starts"),
    [
        ([0.0, 0.1, 0.7], [0.0, 0.1, 0.7]),
        ([0.05, 0.15, 0.55, 0.95], [0.0, 0.1, 0.5, 0.9]),  # middles of frames
        ([0.04, 0.0999, 0.3333, 0.66], [0.0, 0.1, 0.3, 0.7]),
    ],
)
def test_a_time_belongs_to_the_nearest_frame(
    data: TasBench, tmp_path: Path, times: list[float], starts: list[float]
) -> None:
    rows = [("000001", time, f"cello {i} degrees to the left") for i, time in enumerate(times)]
    import_annotations(data, write_jsonl(tmp_path / "a.jsonl", rows))
    assert [segment.start_s for segment in data.timeline("000001").segments] == starts
    assert [segment.end_s for segment in data.timeline("000001").segments] == pytest.approx([s + 0.1 for s in starts])


def test_the_last_frame_ends_with_the_clip(data: TasBench, tmp_path: Path) -> None:
    report = import_annotations(data, write_jsonl(tmp_path / "a.jsonl", [("2", 0.9, CELLO), ("2", 1.0, CELLO)]))
    assert entries(data.timeline("000002")) == [(0.9, 0.984, CELLO)]
    assert (report.frames, report.late) == (1, 1)


@pytest.mark.parametrize(
    "name", ["1", 1, "000001", "000001.wav", " 000001 ", "/a/b/000001.mp4", "C:\\a\\000001.wav", "frames/1.png"]
)
def test_names_of_a_clip(data: TasBench, tmp_path: Path, name: object) -> None:
    import_annotations(data, write_jsonl(tmp_path / "a.jsonl", [(name, 0.0, CELLO)]))
    assert [path.name for path in (data.root / "timelines").iterdir()] == ["000001.yaml"]


def test_the_whole_name_wins_over_its_stem_and_its_number(tmp_path: Path) -> None:
    for clip in ("1", "01", "take.2", "take"):
        write_clip(tmp_path, clip, 4800)
    data = TasBench(tmp_path)
    rows = [("01", 0, CELLO), ("take.2", 0, PIANO)]
    report = import_annotations(data, write_jsonl(tmp_path / "a.jsonl", rows))
    assert [path.stem for path in report.timelines] == ["01", "take.2"]
    with pytest.raises(InputError, match=r'clip "001" could be 01 or 1, expected the whole name'):
        import_annotations(data, write_jsonl(tmp_path / "a.jsonl", [("001", 0, CELLO)]), out=tmp_path / "out")


@pytest.mark.parametrize("columns", [("clip", "time", "text"), ("text", "annotator", "time", "clip")])
def test_csv_and_json_lines_say_the_same(data: TasBench, tmp_path: Path, columns: tuple[str, ...]) -> None:
    rows: list[Row] = [
        ("000001", 0.0, "cello on the left, piano on the right"),
        ("000001", 0.1, '"drum and bass" on the left'),
        ("000001", 0.2, ""),
        ("000001", 0.3, "ukulélé on the left;\npiano in the center"),
        ("000002", 0.0, CELLO),
    ]
    import_annotations(data, write_jsonl(tmp_path / "a.jsonl", rows), out=tmp_path / "json")
    import_annotations(data, write_csv(tmp_path / "a.csv", rows, columns), out=tmp_path / "csv")
    assert tree(tmp_path / "csv") == tree(tmp_path / "json")
    assert len(tree(tmp_path / "csv")) == 3
    assert not (data.root / "timelines").exists()


def test_files_of_other_systems(data: TasBench, tmp_path: Path) -> None:
    """A byte order mark, line ends of Windows, blank lines, capitals in the header, keys that are not ours."""
    table = tmp_path / "a.csv"
    table.write_bytes(b'\xef\xbb\xbfClip, TIME ,text\r\n\r\n000001,0,"cello on the left, piano on the right"\r\n,,\r\n')
    import_annotations(data, table, out=tmp_path / "1")
    lines = tmp_path / "a.JSONL"
    text = '{"clip": "1", "time": 0, "text": "cello on the left, piano on the right", "annotator": {"id": 7}}'
    lines.write_bytes(b"\xef\xbb\xbf\r\n" + text.encode() + b"\r\n\r\n")
    import_annotations(data, lines, out=tmp_path / "2")
    assert tree(tmp_path / "1") == tree(tmp_path / "2")
    assert b"cello on the left, piano on the right" in (tmp_path / "1" / "timelines" / "000001.yaml").read_bytes()


def test_timeline_to_frames_and_back(tmp_path: Path) -> None:
    """Random timelines on the grid of frames, with gaps, survive being taken apart into frames."""
    rng = np.random.default_rng(20)
    texts = [
        "cello on the left, piano on the right",
        "the cello moves from the left to the right; a piano in the center",
        "a man talking 30 degrees to the left",
        '"drum and bass" at 3 o\'clock',
    ]
    timelines = {}
    for clip, num_frames in LENGTHS.items():
        write_clip(tmp_path, clip, num_frames)
        edges = sorted(rng.choice(np.arange(1, 99), size=7, replace=False).tolist())
        segments = []
        previous = -1
        for i, (start, stop) in enumerate(zip([0, *edges], [*edges, 1000], strict=True)):
            if i == 3:
                continue  # a gap
            choice = int(rng.integers(len(texts)))
            choice = (choice + 1) % len(texts) if choice == previous else choice
            previous = choice
            end_s = min(stop / 10, num_frames / RATE_HZ)
            segments.append(Segment.from_prompt(start / 10, end_s, texts[choice]))
        timelines[clip] = Timeline(tuple(segments))
    rows = [
        (clip, frame / 10, segment.text)
        for clip, timeline in timelines.items()
        for segment in timeline.segments
        for frame in range(101)
        if segment.end_s is not None and segment.start_s <= frame / 10 < segment.end_s
    ]
    data = TasBench(tmp_path)
    import_annotations(data, write_csv(tmp_path / "dense.csv", rows))
    assert {clip: data.timeline(clip) for clip in data.clips()} == timelines


def test_a_clip_in_which_nothing_sounds_has_no_timeline(tas: Run, data: TasBench, tmp_path: Path) -> None:
    rows = [("000001", 0.0, ""), ("000002", 0.0, CELLO)]
    done = tas("data", "import", data.root, "--annotations", write_jsonl(tmp_path / "a.jsonl", rows))
    assert done.code == 0
    assert done.err.splitlines() == [
        "1 timelines from 2 annotations",
        "1 clips have no timeline, nothing sounds: 000001",
    ]
    assert [path.name for path in (data.root / "timelines").iterdir()] == ["000002.yaml"]


# ------------------------------------------------------------------ what is there already


def test_existing_timelines_stay_unless_told(tas: Run, data: TasBench, tmp_path: Path) -> None:
    first = write_jsonl(tmp_path / "a.jsonl", [("1", 0, CELLO), ("2", 0, CELLO)])
    assert tas("data", "import", data.root, "--annotations", first).code == 0
    before = tree(data.root)
    second = write_jsonl(tmp_path / "b.jsonl", [("1", 0, PIANO), ("2", 0, "")])
    done = tas("data", "import", data.root, "--annotations", second)
    assert done.code == 2
    expected = f"{data.timeline_path('000001')}: the timeline exists, and 1 more do; expected none, or permission"
    assert done.error_line == f"{expected} to overwrite (--force)"
    assert tree(data.root) == before
    assert tas("data", "import", data.root, "--annotations", second, "--force").code == 0
    assert entries(data.timeline("000001")) == [(0.0, 0.1, PIANO)]
    assert not data.timeline_path("000002").exists()  # nothing sounds there any more


def test_timelines_of_other_clips_are_left_alone(data: TasBench, tmp_path: Path) -> None:
    import_annotations(data, write_jsonl(tmp_path / "a.jsonl", [("1", 0, CELLO)]))
    before = data.timeline_path("000001").read_bytes()
    import_annotations(data, write_jsonl(tmp_path / "b.jsonl", [("2", 0, PIANO)]))
    assert data.timeline_path("000001").read_bytes() == before
    assert entries(data.timeline("000002")) == [(0.0, 0.1, PIANO)]


def test_a_full_disk_leaves_no_timeline(data: TasBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import_annotations(data, write_jsonl(tmp_path / "a.jsonl", [("1", 0, CELLO), ("2", 0, CELLO)]))
    before = tree(data.root)

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")

    calls: list[int] = []
    monkeypatch.setattr(os, "fsync", full)
    rows = write_jsonl(tmp_path / "b.jsonl", [("1", 0, PIANO), ("2", 0, PIANO)])
    with pytest.raises(TasError, match="No space left on device"):
        import_annotations(data, rows, overwrite=True)
    assert tree(data.root) == before


# ------------------------------------------------------------------ what is refused

GOOD = '{"clip": "1", "time": 0.0, "text": "cello on the left"}'

BAD_LINES: dict[str, tuple[str, str]] = {
    "unknown clip": ('{"clip": "7", "time": 0, "text": ""}', r'unknown clip "7", expected one of those in .*audios'),
    "no name": ('{"clip": "", "time": 0, "text": ""}', r'unknown clip ""'),
    "clip of another kind": ('{"clip": 1.0, "time": 0, "text": ""}', r"`clip` is 1\.0, expected the name of a clip"),
    "clip true": ('{"clip": true, "time": 0, "text": ""}', r"`clip` is true, expected the name of a clip"),
    "before the clip": (
        '{"clip": "1", "time": -0.01, "text": ""}',
        r"the time is -0\.01 s, expected 0 to 1 s, the length of clip 000001",
    ),
    "after the clip": ('{"clip": "2", "time": 1.1, "text": ""}', r"the time is 1\.1 s, expected 0 to 0\.984 s"),
    "beyond all numbers": ('{"clip": "2", "time": 1e308, "text": ""}', r"the time is 1e\+308 s, expected 0 to"),
    "far after the clip": ('{"clip": "2", "time": 1e300, "text": ""}', r"the time is 1e\+300 s, expected 0 to"),
    "endless time": ('{"clip": "1", "time": 1e999, "text": ""}', r"`time` is Infinity, expected seconds"),
    "huge time": ('{"clip": "1", "time": 1' + "0" * 400 + ', "text": ""}', r"`time` is 10+…, expected seconds"),
    "no number": ('{"clip": "1", "time": NaN, "text": ""}', r"not JSON \(NaN is no number\), expected an object"),
    "time in words": ('{"clip": "1", "time": "soon", "text": ""}', r'`time` is "soon", expected seconds such as 0\.1'),
    "time null": ('{"clip": "1", "time": null, "text": ""}', r"`time` is null, expected seconds"),
    "twice": ('{"clip": "000001.wav", "time": 0.01, "text": "piano left"}', r"a second annotation for the frame of"),
    "no place": ('{"clip": "1", "time": 0.1, "text": "cello"}', r'an object without a place: "cello"$'),
    "unknown direction": (
        '{"clip": "1", "time": 0.1, "text": "cello on the lefft"}',
        r'an object without a place \(did you mean "left"\?\): "cello on the lefft"$',
    ),
    "beyond the zenith": (
        '{"clip": "1", "time": 0.1, "text": "cello 95 degrees up"}',
        r"an elevation is at most 90 degrees, straight up or down",
    ),
    "no character": ('{"clip": "1", "time": 0.1, "text": "\\ud800 left"}', r"an object with a control character"),
    "text null": ('{"clip": "1", "time": 0.1, "text": null}', r"`text` is null, expected a prompt, or an empty text"),
    "no text": ('{"clip": "1", "time": 0.1}', r"`text` is missing, expected clip, time, text"),
    "no clip": ('{"Clip": "1", "time": 0.1, "text": ""}', r"`clip` is missing"),
    "key twice": ('{"clip": "1", "time": 0, "time": 1, "text": ""}', r"not JSON \(a key is given twice\)"),
    "a list": ('["1", 0.1, "cello on the left"]', r'\["1", 0\.1, .* is no JSON object, expected one with clip, time'),
    "bad JSON": ('{"clip": "1", "time": 0.1, "text": "cello', r"not JSON at column 36 \(Unterminated string"),
    "deep": ("[" * 100_000, r"not JSON \("),
}


@pytest.mark.parametrize("case", BAD_LINES)
def test_bad_lines(tas: Run, data: TasBench, tmp_path: Path, case: str) -> None:
    line, message = BAD_LINES[case]
    source = tmp_path / "a.jsonl"
    source.write_text(f"\n{GOOD}\n{line}\n", encoding="utf-8")
    before = tree(data.root)
    done = tas("data", "import", data.root, "--annotations", source)
    assert (done.code, done.out) == (2, "")
    assert done.error_line.startswith(f"{source}:3: ")
    assert re.search(message, done.error_line.removeprefix(f"{source}:3: ")), done.error_line
    assert tree(data.root) == before
    source.write_text(f"\n{GOOD}\n", encoding="utf-8")
    assert tas("data", "import", data.root, "--annotations", source).code == 0


HEADER = "clip,time,text\n"
BAD_TABLES: dict[str, tuple[str, int, str]] = {
    "no header": ("000001,0,cello on the left\n", 1, "the column `clip` is missing, expected a header clip,time,text"),
    "column missing": ("clip,text\n1,a\n", 1, "the column `time` is missing"),
    "column twice": ("clip,time,text,time\n1,0,,0\n", 1, "the column `time` is there twice"),
    "no quotes": (HEADER + "1,0,cello on the left, piano right\n", 2, "4 columns, expected 3 as in the header; quote"),
    "short": (HEADER + "1,0,\n1,0.1\n", 3, "2 columns, expected 3"),
    "quote left open": (HEADER + '1,0,"cello on the left\n', 2, "not CSV ("),
    "behind a text of two lines": (HEADER + '1,0,"cello left;\npiano right"\n1,x,\n', 4, '`time` is "x", expected'),
    "direction": (HEADER + "1,0,cello on the port side\n", 2, 'an object without a place: "cello on the port side"'),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_tables(tas: Run, data: TasBench, tmp_path: Path, case: str) -> None:
    text, line, message = BAD_TABLES[case]
    source = tmp_path / "a.csv"
    source.write_text(text)
    done = tas("data", "import", data.root, "--annotations", source)
    assert (done.code, done.out) == (2, "")
    assert done.error_line.startswith(f"{source}:{line}: {message}")
    assert not (data.root / "timelines").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"", "{}: no annotations in it, expected lines of clip, time, text"),
        ("a.csv", b"clip,time,text\n", "{}: no annotations in it"),
        ("a.jsonl", GOOD.encode() + b"\n\xff\n", "{}:2: not a UTF-8 character, expected UTF-8 text"),
        ("a.csv", b"clip,time,text\n1,0,\n1,0.1,ukul\xe9l\xe9 left\n", "{}:3: not a UTF-8 character"),
        ("a.txt", GOOD.encode(), "{}: expected a file of annotations that ends in .csv or .jsonl"),
        ("a.csv", None, "{}: cannot read the annotations (No such file or directory)"),
    ],
)
def test_files_that_are_no_annotations(
    tas: Run, data: TasBench, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    source = tmp_path / name
    if content is not None:
        source.write_bytes(content)
    done = tas("data", "import", data.root, "--annotations", source)
    assert (done.code, done.out) == (2, "")
    assert done.error_line.startswith(message.format(source))


def test_the_lines_of_other_mistakes_are_named(data: TasBench, tmp_path: Path) -> None:
    rows = [("1", 0, CELLO), ("8", 0, CELLO), ("1", 0.1, "cello"), ("1", "x", ""), ("1", 0.2, PIANO)]
    with pytest.raises(InputError) as caught:
        import_annotations(data, write_jsonl(tmp_path / "a.jsonl", rows))
    assert str(caught.value).startswith(f'{tmp_path / "a.jsonl"}:2: unknown clip "8"')
    assert str(caught.value).endswith(" (2 more wrong: lines 3, 4)")
    many = [("1", 0.1, "cello")] * 9
    with pytest.raises(InputError, match=r"\(8 more wrong: lines 2, 3, 4, 5, 6, \.\.\.\)$"):
        import_annotations(data, write_jsonl(tmp_path / "a.jsonl", many))


def test_a_second_annotation_names_the_first(data: TasBench, tmp_path: Path) -> None:
    rows = [("1", 0.3, CELLO), ("2", 0.3, CELLO), ("1", 0.31, CELLO)]
    with pytest.raises(InputError) as caught:
        import_annotations(data, write_jsonl(tmp_path / "a.jsonl", rows))
    expected = "3: a second annotation for the frame of clip 000001 at 0.3 s, the first is in line 1; expected one"
    assert expected in str(caught.value)


def test_a_recording_that_cannot_be_read(tas: Run, data: TasBench, tmp_path: Path) -> None:
    path = data.audio_path("000002")
    path.write_bytes(path.read_bytes()[:-1000])
    rows = [("1", 0, CELLO), ("2", 0, CELLO)]
    done = tas("data", "import", data.root, "--annotations", write_jsonl(tmp_path / "a.jsonl", rows))
    assert done.code == 2
    assert f"{path}: the file is cut off" in done.error_line
    assert not (data.root / "timelines").exists()


def test_out_that_is_a_file(tas: Run, data: TasBench, tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    source = write_jsonl(tmp_path / "a.jsonl", [("1", 0, CELLO)])
    done = tas("data", "import", data.root, "--annotations", source, "--out", tmp_path / "out")
    assert done.code == 2
    assert "no folder can be made" in done.error_line
    assert tas("data", "import", tmp_path, "--annotations", source).code == 2
