"""The text of a timeline file and what it says, changed together: what was not touched stays as it was written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tas_core.errors import InputError
from tas_core.timeline.files import format_timeline, parse_timeline
from tas_core.timeline.formats.yaml_edits import edited_yaml
from tas_core.timeline.segments import Timeline
from tas_core.timeline.vocabulary import plain_text

_YAML: Final = (".yaml", ".yml")


@dataclass(frozen=True)
class Document:
    """A timeline file in memory; made by :meth:`read`.

    Attributes:
        name: of the file, whose ending is that of its format.
        text: all of it.
        timeline: what it says; None while it says nothing yet.
        note: what a person should know of its latest change, empty if there is nothing.
    """

    name: Path
    text: str
    timeline: Timeline | None
    note: str = ""

    @classmethod
    def read(cls, name: Path, text: str) -> Document:
        """The document that a text is; one of nothing but white space says nothing yet.

        Raises:
            InputError: as :func:`tas_core.timeline.files.parse_timeline`.
        """
        text = plain_text(text)
        return cls(name, text, parse_timeline(text, name) if text.strip() else None)

    def saying(self, timeline: Timeline) -> Document:
        """The same file with another timeline.

        In YAML only what changes is written anew, with comments and all else as it was; the other formats are written
        anew as a whole.

        Raises:
            InputError: the format cannot hold it.
        """
        if self.timeline is None:
            return self.read(self.name, format_timeline(timeline, self.name))
        if self.name.suffix.lower() in _YAML:
            edited = edited_yaml(self.text, str(self.name), self.timeline.segments, timeline.segments)
            if edited is not None and (found := self._read_as(edited, timeline)) is not None:
                return found
        return self.written_anew(timeline)

    def written_anew(self, timeline: Timeline) -> Document:
        """The same file with another timeline and nothing of what was there.

        Raises:
            InputError: the format cannot hold it.
        """
        whole = self.read(self.name, self._whole(timeline, self.name))
        lost = "#" in self.text and self.name.suffix.lower() in _YAML
        return replace(whole, note="the file was written anew, without its comments") if lost else whole

    def written_as(self, path: Path) -> str:
        """What it says as the text of another file in the same folder, in the format that its name has.

        Raises:
            InputError: it says nothing yet, or the format cannot hold it.
        """
        if self.timeline is None:
            raise InputError(f"{self.name.name}: the scene says nothing yet, expected at least one segment")
        return self._whole(self.timeline, path)

    def _whole(self, timeline: Timeline, path: Path) -> str:
        """A timeline written anew, with sources as they are written in a file of this folder."""
        folder = self.name.parent
        relative = tuple(replace(item, file=_below(item.file, folder)) for item in timeline.sources)
        return format_timeline(replace(timeline, sources=relative), path)

    def _read_as(self, text: str, timeline: Timeline) -> Document | None:
        """The document that a text is, if it says the timeline."""
        try:
            found = self.read(self.name, text)
        except InputError:
            return None
        return found if found.timeline is not None and found.timeline.segments == timeline.segments else None


def _below(path: Path, folder: Path) -> Path:
    return path.relative_to(folder) if path.is_relative_to(folder) else path
