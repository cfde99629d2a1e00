"""Dense annotations of recordings, ten texts a second, become one timeline per clip.

An annotation is a clip, a time and a text that lists what sounds from left to right. As JSON lines::

    {"clip": "000001", "time": 0.1, "text": "cello on the left, piano on the right"}

or as CSV, whose header names the columns in any order::

    clip,time,text
    000001,0.1,"cello on the left, piano on the right"

* A clip is named by its number or its file, with or without folder and ending: ``1``, ``000001``, ``a/000001.mp4``.
* A time, seconds, belongs to the nearest multiple of 0.1 s, halves to the earlier one, so that a frame may be dated
  by its beginning or by its middle. Its text holds for 0.1 s from there, and at most to the end of the clip.
* An empty text says that nothing sounds. Frames without an annotation are gaps. In both cases no segment covers the
  time. Equal texts of consecutive frames become one segment.
* Pictures may go on for a moment after the sound: annotations of the first 0.1 s after a clip are left out and counted.
* Other columns or keys are ignored, for annotation programs add their own; the three above must be there.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NoReturn

from tas_core.audio.reader import AudioReader
from tas_core.datasets.tasbench.layout import AUDIO_FOLDER, FRAME_S, TIMELINE_FOLDER, TasBench
from tas_core.errors import InputError, PromptError
from tas_core.system.files import make_folder, write_files
from tas_core.timeline.files import format_timeline
from tas_core.timeline.prompts import parse_prompt
from tas_core.timeline.segments import Segment, Timeline

FRAMES_PER_S = round(1 / FRAME_S)
KEYS = ("clip", "time", "text")

_SHOWN_LINES = 5


@dataclass(frozen=True)
class ImportSummary:
    """What became of a file of annotations.

    Attributes:
        folder: where the timelines are.
        timelines: the files that were written, in the order of the clips.
        frames: annotations that were used, those with an empty text included.
        late: annotations left out because they come less than 0.1 s after the end of the sound.
        silent: annotated clips in which nothing ever sounds; they have no timeline.
        unannotated: clips without any annotation.
    """

    folder: Path
    timelines: tuple[Path, ...]
    frames: int
    late: int
    silent: tuple[str, ...]
    unannotated: tuple[str, ...]


def import_annotations(
    data: TasBench,
    annotations: Path,
    *,
    out: Path | None = None,
    overwrite: bool = False,
) -> ImportSummary:
    """Write a timeline for every annotated clip.

    All annotations are read and checked before anything is written.

    Args:
        data: the recordings.
        annotations: a ``.csv`` or ``.jsonl`` file as described above, UTF-8.
        out: where the folder ``timelines`` is made; None for the data set itself.
        overwrite: whether existing timelines of the annotated clips may be replaced. Then one whose clip turns out
            to be silent is removed.

    Raises:
        InputError: "file:line: what, expected what" for the first wrong line, and the numbers of others: unreadable
            JSON or CSV, no UTF-8, a missing key, an unknown clip, a time before or after the clip, a prompt that
            cannot be read, or two annotations for one frame. Also for a timeline that exists, or a folder that
            cannot be written.
        AudioError: a recording cannot be read.
        TasError: writing failed.
    """
    clips = data.clips()
    frames = _Frames(data, clips, annotations)
    for line, fields in _records(annotations, frames.problem):
        frames.add(line, fields)
    frames.check()

    folder = (data.root if out is None else out) / TIMELINE_FOLDER
    targets = {clip: folder / f"{clip}.yaml" for clip in sorted(frames.texts)}
    existing = [path for path in targets.values() if path.exists()]
    if existing and not overwrite:
        more = f", and {len(existing) - 1} more do" if len(existing) > 1 else ""
        raise InputError(
            f"{existing[0]}: the timeline exists{more}; expected none, or permission to overwrite", remedy="overwrite"
        )

    contents: dict[Path, bytes] = {}
    silent = []
    for clip, path in targets.items():
        segments = tuple(_segments(frames.texts[clip], frames.duration_s(clip)))
        if segments:
            contents[path] = format_timeline(Timeline(segments), path).encode()
        else:
            silent.append(clip)
    make_folder(folder)
    write_files(contents, overwrite=overwrite)
    for clip in silent:
        targets[clip].unlink(missing_ok=True)
    return ImportSummary(
        folder=folder,
        timelines=tuple(contents),
        frames=sum(map(len, frames.texts.values())),
        late=frames.late,
        silent=tuple(silent),
        unannotated=tuple(clip for clip in clips if clip not in frames.texts),
    )


def _segments(texts: Mapping[int, str], duration_s: float) -> Iterator[Segment]:
    """Segments of a clip from its texts by frame number; empty texts and missing frames are gaps."""
    start = stop = 0
    current = ""
    for frame in (*sorted(texts), -1):
        text = texts.get(frame, "")
        if frame == stop and text == current:
            stop += 1
            continue
        if current:
            yield Segment.from_prompt(start / FRAMES_PER_S, min(stop / FRAMES_PER_S, duration_s), current)
        start, stop, current = frame, frame + 1, text


# ---------------------------------------------------------------------------- checks


class _Frames:
    """Annotations by clip and frame, with all that is wrong with them.

    Attributes:
        texts: text by clip and frame number.
        late: annotations that come after the sound, though less than a frame.
    """

    def __init__(self, data: TasBench, clips: Iterable[str], source: Path) -> None:
        self.data = data
        self.source = source
        self.texts: dict[str, dict[int, str]] = {}
        self.late = 0
        self._lines: dict[tuple[str, int], int] = {}
        self._problems: dict[int, str] = {}
        self._durations_s: dict[str, float] = {}
        self._unreadable: dict[str, str] = {}
        self._clips = frozenset(clips)
        self._numbers: dict[int, list[str]] = {}
        for clip in sorted(self._clips):
            if clip.isdecimal():
                self._numbers.setdefault(int(clip), []).append(clip)

    def problem(self, line: int, what: str) -> None:
        """Note the first thing that is wrong with a line."""
        self._problems.setdefault(line, what)

    def check(self) -> None:
        """Raise for what was noted, or if there was no annotation at all.

        Raises:
            InputError: the first problem in full, and the lines of the next ones.
        """
        if not self._problems:
            if not self.texts and not self.late:
                raise InputError(f"{self.source}: no annotations in it, expected lines of {', '.join(KEYS)}")
            return
        first, *others = sorted(self._problems)
        more = ""
        if others:
            shown = ", ".join(map(str, others[:_SHOWN_LINES])) + (", ..." if len(others) > _SHOWN_LINES else "")
            more = f" ({len(others)} more wrong: line{'s' if len(others) > 1 else ''} {shown})"
        raise InputError(f"{self.source}:{first}: {self._problems[first]}{more}")

    def add(self, line: int, fields: Mapping[str, Any]) -> None:
        """Take in an annotation, or note what is wrong with it."""
        try:
            clip = self._clip(fields["clip"])
            time_s = _seconds(fields["time"])
            text = self._text(fields["text"])
        except InputError as error:
            self.problem(line, str(error))
            return
        duration_s = self.duration_s(clip)
        frame = max(0, math.ceil(min(time_s, duration_s + 1) * FRAMES_PER_S - 0.5 - 1e-6))
        if time_s < 0 or frame / FRAMES_PER_S >= duration_s + FRAME_S:
            self.problem(line, f"the time is {time_s:g} s, expected 0 to {duration_s:g} s, the length of clip {clip}")
        elif frame / FRAMES_PER_S >= duration_s:
            self.late += 1
        elif (before := self._lines.setdefault((clip, frame), line)) != line:
            self.problem(
                line,
                f"a second annotation for the frame of clip {clip} at {frame / FRAMES_PER_S:g} s,"
                f" the first is in line {before}; expected one per {FRAME_S:g} s",
            )
        else:
            self.texts.setdefault(clip, {})[frame] = text

    def duration_s(self, clip: str) -> float:
        """Length of a recording, read once.

        Raises:
            AudioError: it cannot be read.
        """
        if clip not in self._durations_s:
            with AudioReader(self.data.audio_path(clip)) as reader:
                self._durations_s[clip] = reader.num_frames / reader.sample_rate_hz
        return self._durations_s[clip]

    def _clip(self, value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise InputError(f"`clip` is {_shown(value)}, expected the name of a clip such as 000001")
        name = str(value).strip()
        stem = (PureWindowsPath if "\\" in name else PurePosixPath)(name).stem
        for candidate in (name, stem):
            if candidate in self._clips:
                return candidate
        found = self._numbers.get(int(stem), []) if stem.isdecimal() and len(stem) < 20 else []
        if len(found) > 1:
            raise InputError(f"clip {_shown(name)} could be {' or '.join(found)}, expected the whole name")
        if not found:
            raise InputError(f"unknown clip {_shown(name)}, expected one of those in {self.data.root / AUDIO_FOLDER}")
        return found[0]

    def _text(self, value: Any) -> str:
        if not isinstance(value, str):
            raise InputError(f"`text` is {_shown(value)}, expected a prompt, or an empty text where nothing sounds")
        text = value.strip()
        if text and text not in self._unreadable:
            try:
                parse_prompt(text)
                self._unreadable[text] = ""
            except PromptError as error:
                self._unreadable[text] = str(error).split("\n", 1)[0]
        if reason := self._unreadable.get(text):
            raise InputError(reason)
        return text


def _seconds(value: Any) -> float:
    """A time in seconds, of a JSON number or of digits."""
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError
        time_s = float(value)
        if not math.isfinite(time_s):
            raise ValueError
    except (ValueError, OverflowError) as error:
        raise InputError(f"`time` is {_shown(value)}, expected seconds such as 0.1") from error
    return time_s


def _shown(value: Any) -> str:
    """A value as a message shows it, on one line and not too long."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = type(value).__name__
    return text if len(text) <= 60 else text[:59] + "…"


# ---------------------------------------------------------------------------- formats

Problem = Callable[[int, str], None]
"""Takes a line number and what is wrong there."""


def _records(path: Path, problem: Problem) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Line number and fields of every annotation that has them all; what is wrong with others goes to `problem`."""
    readers = {".csv": _csv_records, ".jsonl": _jsonl_records}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: expected a file of annotations that ends in {' or '.join(readers)}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot read the annotations ({error.strerror})") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}:{line}: not a UTF-8 character, expected UTF-8 text") from error
    return reader(text, problem)


def _jsonl_records(text: str, problem: Problem) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line, object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
        except json.JSONDecodeError as error:
            problem(number, f"not JSON at column {error.colno} ({error.msg}), expected an object on each line")
        except (ValueError, RecursionError) as error:
            problem(number, f"not JSON ({error}), expected an object on each line")
        else:
            if not isinstance(fields, dict):
                problem(number, f"{_shown(fields)} is no JSON object, expected one with {', '.join(KEYS)}")
            elif missing := [key for key in KEYS if key not in fields]:
                problem(number, f"`{missing[0]}` is missing, expected {', '.join(KEYS)}")
            else:
                yield number, fields


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a key is given twice")
    return fields


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _csv_records(text: str, problem: Problem) -> Iterator[tuple[int, Mapping[str, Any]]]:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    number = 1
    try:
        for row in rows:
            line, number = number, rows.line_num + 1
            if not any(cell.strip() for cell in row):
                continue
            if header is None:
                header = [cell.strip().lower() for cell in row]
                if wrong := [key for key in KEYS if header.count(key) != 1]:
                    what = "is there twice" if wrong[0] in header else "is missing"
                    problem(line, f"the column `{wrong[0]}` {what}, expected a header {','.join(KEYS)}")
                    return
            elif len(row) != len(header):
                problem(line, f"{len(row)} columns, expected {len(header)} as in the header; quote texts with commas")
            else:
                yield line, dict(zip(header, row, strict=True))
    except csv.Error as error:
        problem(number, f"not CSV ({error}), expected texts with commas or quotes in double quotes")
