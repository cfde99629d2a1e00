"""Timelines in the formats that people already have: YAML, SubRip, WebVTT and Audacity label tracks.

The extension of a file chooses its format. Reading needs no torch::

    timeline = load_timeline("scene.srt")
    text = format_timeline(timeline, "scene.vtt")

Every format holds times to 1 ms and texts with their meaning; docs/TIMELINES.md says what each of them means here.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from tas_core.errors import InputError, TimelineError
from tas_core.system.files import check_new_file, write_files
from tas_core.timeline.doubts import warn_of_doubts
from tas_core.timeline.formats.labels import format_labels, has_labels, read_labels
from tas_core.timeline.formats.lines import MAX_TIMELINE_BYTES, read_timeline_text
from tas_core.timeline.formats.overlaps import without_overlaps
from tas_core.timeline.formats.subtitles import format_subrip, format_webvtt, read_subrip, read_webvtt
from tas_core.timeline.formats.yaml_lists import format_yaml, read_yaml, read_yaml_sources
from tas_core.timeline.segments import Segment, Timeline
from tas_core.timeline.sources import SourceFile
from tas_core.timeline.vocabulary import plain_text


class _Format(NamedTuple):
    read: Callable[[str, str], list[Segment]]
    write: Callable[[Timeline], str]
    entries: str = ""
    """What a file without segments lacks; empty where the reader says so itself."""
    sources: Callable[[str, str], tuple[SourceFile, ...]] | None = None
    """Reads the files of sounds that objects are given by; None if it holds none."""
    may_overlap: bool = True
    """Whether what overlaps is joined or merged; an error in what people write with numbers."""


_FORMATS: Final = {
    ".yaml": _Format(read_yaml, format_yaml, sources=read_yaml_sources, may_overlap=False),
    ".yml": _Format(read_yaml, format_yaml, sources=read_yaml_sources, may_overlap=False),
    ".srt": _Format(read_subrip, format_subrip, "cue, such as 00:00:01,000 --> 00:00:03,500 over `cello on the left`"),
    ".vtt": _Format(read_webvtt, format_webvtt, "cue, such as 00:01.000 --> 00:03.500 over `cello on the left`"),
    ".txt": _Format(read_labels, format_labels, "label, such as start<TAB>end<TAB>`cello on the left`"),
}

EXTENSIONS: Final = tuple(_FORMATS)
"""Extensions of timelines, in lower case; capitals are read as well."""


def load_timeline(path: str | Path) -> Timeline:
    """Read a timeline from a file of any format.

    Args:
        path: the file, UTF-8 text of at most 1 MB; its extension is one of :data:`EXTENSIONS`.

    Raises:
        InputError: another extension.
        TimelineError: "path:line:column: what, expected what"; also for a prompt that cannot be read.
    """
    _format(path)  # before the file is read
    return parse_timeline(read_timeline_text(path), path)


def check_extension(path: str | Path) -> None:
    """See that a name is that of a timeline.

    Raises:
        InputError: its extension is none of :data:`EXTENSIONS`.
    """
    _format(path)


def is_timeline(path: str | Path) -> bool:
    """Whether a file is meant as a timeline, be it one with mistakes: by its extension, and a text file by its lines.

    A text file is meant as a label track if it has a line with times as labels have; lyrics and notes have none.
    """
    extension = Path(path).suffix.lower()
    if extension != ".txt":
        return extension in _FORMATS
    try:
        return has_labels(plain_text(read_timeline_text(path)))
    except TimelineError:
        return False


def parse_timeline(text: str, name: str | Path = "<timeline>.yaml") -> Timeline:
    """A timeline from text, which need not come from a file.

    Args:
        text: at most 1 MB.
        name: for messages; its extension, one of :data:`EXTENSIONS`, says the format.

    Raises:
        InputError: another extension.
        TimelineError: "name:line:column: what, expected what"; also for a prompt that cannot be read.
    """
    known = _format(name)
    if len(text) > MAX_TIMELINE_BYTES:
        raise TimelineError(f"{name}: more than {MAX_TIMELINE_BYTES} bytes, expected a short text file")
    segments = known.read(plain_text(text), str(name))
    if not segments:
        raise InputError(f"{name}: the timeline has no segments, expected at least one {known.entries}")
    sources = known.sources(plain_text(text), str(name)) if known.sources else ()
    return Timeline(tuple(without_overlaps(segments) if known.may_overlap else segments), sources)


def format_timeline(timeline: Timeline, path: str | Path) -> str:
    """A timeline as text in the format that the extension of a path names; nothing is written.

    Raises:
        InputError: the extension is none of :data:`EXTENSIONS`.
        TimelineError: a segment whose times the format cannot hold, or sources or a room in one that holds none.
    """
    known = _format(path)
    if timeline.sources and known.sources is None:
        raise TimelineError(f"{path}: sources of objects, which only a YAML timeline holds; expected .yaml")
    unsaid = [segment for segment in timeline.segments if not segment.room_in_text]
    if unsaid and known.may_overlap:
        room = unsaid[0].room
        raise unsaid[0].error(
            f"{path}: this format has no field for a room ({room.words() if room else 'none'}), expected .yaml,"
            ' or a text that says it, such as "in a church"'
        )
    return known.write(timeline)


def convert_timeline(source: str | Path, out: str | Path, overwrite: bool = False) -> Timeline:
    """Write a timeline in another format.

    Args:
        source: the timeline, as for :func:`load_timeline`.
        out: the file to write; its extension chooses the format.
        overwrite: whether an existing file may be replaced.

    Returns:
        What was read.

    Warns:
        TimelineWarning: doubts of :func:`tas_core.timeline.doubts.timeline_doubts`.

    Raises:
        InputError: as :func:`load_timeline`, :func:`format_timeline` and
            :func:`tas_core.system.files.check_new_file`; nothing is written then.
        TasError: writing failed.
    """
    for path in (source, out):
        _format(path)
    check_new_file(out, [source], overwrite=overwrite)
    timeline = load_timeline(source)
    warn_of_doubts(timeline)
    # Files stay those that are meant, also from another folder.
    folder = os.path.relpath if Path(source).parent.resolve() != Path(out).parent.resolve() else _below
    moved = tuple(replace(item, file=Path(folder(item.file, Path(out).parent))) for item in timeline.sources)
    text = format_timeline(replace(timeline, sources=moved), out)
    write_files({Path(out): text.encode()}, overwrite=overwrite)
    return timeline


def _below(path: Path, folder: Path) -> str:
    """A path as it was written below a folder."""
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def _format(path: str | Path) -> _Format:
    extension = Path(path).suffix.lower()
    if extension not in _FORMATS:
        shown = f"the extension {extension}" if extension else "no extension"
        raise InputError(f"{path}: {shown}, expected a timeline: {', '.join(EXTENSIONS)}")
    return _FORMATS[extension]
