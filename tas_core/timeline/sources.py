"""Files of sounds that objects of a timeline are given by, in place of being separated from a mixture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tas_core.errors import InputError, TimelineError, visible
from tas_core.timeline.gains import LOUDEST_DB, QUIETEST_DB
from tas_core.timeline.matching import match_name

_LATEST_H = 100
"""As for subtitles: all that is before the first sound is written as silence."""


@dataclass(frozen=True)
class SourceFile:
    """The sound of an object.

    Args:
        name: of the object, as a person writes it.
        file: any audio file.
        start_s: when it begins, seconds, at least 0.
        gain_db: how much louder it is taken than it is in the file, dB, -100 to 40.
        where: "file:line:column" for messages, empty if it comes from no file.

    Raises:
        InputError: a value out of range, an empty name.
    """

    name: str
    file: Path
    start_s: float = 0.0
    gain_db: float = 0.0
    where: str = ""

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise self.error("the name of a source is empty, expected that of an object")
        if not 0 <= self.start_s < math.inf:
            raise self.error(f"source '{visible(self.name)}' starts at {self.start_s:g} s, expected 0 or more")
        if self.start_s >= _LATEST_H * 3600:
            raise self.error(
                f"source '{visible(self.name)}' starts at {self.start_s:g} s, expected less than {_LATEST_H} hours"
            )
        if not QUIETEST_DB <= self.gain_db <= LOUDEST_DB:
            raise self.error(
                f"source '{visible(self.name)}' has a gain of {self.gain_db:g} dB, expected {QUIETEST_DB:g} to"
                f" {LOUDEST_DB:g} dB"
            )

    def error(self, what: str) -> InputError:
        """An error that names the place in the file, if there is one."""
        return TimelineError(f"{self.where}: {what}") if self.where else InputError(what)


def sources_by_object(sources: Sequence[SourceFile], objects: Sequence[str]) -> dict[str, SourceFile]:
    """The source of each object that has one.

    Args:
        sources: as they were given.
        objects: phrases of the timeline.

    Returns:
        By object, in the order of the objects; a source called "rest" stands last, under that name.

    Raises:
        InputError: a source of no object or of several, or two of one.
    """
    found: dict[str, SourceFile] = {}
    for source in sources:
        try:
            target = match_name(source.name, objects, what="source")
        except InputError as error:
            raise source.error(str(error)) from error
        if target in found:
            first = found[target]
            raise source.error(f"two sources for '{target}', {first.file} and {source.file}; expected one")
        found[target] = source
    return {name: found[name] for name in (*objects, *found) if name in found}
