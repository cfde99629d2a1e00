"""Rooms that a scene or a part of it is in: by name, from ``prompts/rooms.yaml``, or by reverberation time and size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from tas_core.errors import PromptError
from tas_core.timeline.vocabulary import words_data

SHORTEST_RT60_S: Final = 0.0
LONGEST_RT60_S: Final = 20.0
SMALLEST_M: Final = 1.0
LARGEST_M: Final = 500.0
"""Lengths, widths and heights of rooms lie from one to the other, metres."""


@dataclass(frozen=True)
class RoomChoice:
    """A room.

    Args:
        name: of ``prompts/rooms.yaml``, empty for one that is given by numbers.
        rt60_s: reverberation time, seconds, above 0 to 20; None outdoors.
        size_m: length, width and height, 1 to 500 metres each; None outdoors.

    Raises:
        PromptError: a number is out of its range.
    """

    name: str
    rt60_s: float | None
    size_m: tuple[float, float, float] | None

    def __post_init__(self) -> None:
        if self.rt60_s is not None and not SHORTEST_RT60_S < self.rt60_s <= LONGEST_RT60_S:
            raise PromptError(
                f"a reverberation time of {self.rt60_s:g} s, expected more than 0 and at most {LONGEST_RT60_S:g} s"
            )
        for length_m in self.size_m or ():
            if not SMALLEST_M <= length_m <= LARGEST_M:
                raise PromptError(
                    f"a room of {' x '.join(f'{m:g}' for m in self.size_m or ())} m, expected length, width and height"
                    f" of {SMALLEST_M:g} to {LARGEST_M:g} m"
                )

    @classmethod
    def by_name(cls, name: str) -> RoomChoice:
        """A room that has a name.

        Raises:
            PromptError: no room has it.
        """
        known = named_rooms()
        if name not in known:
            raise PromptError(f'no room is called "{name}", expected {", ".join(known)}, or rt60 and size')
        return known[name]

    @property
    def is_open(self) -> bool:
        """Whether nothing reflects: outdoors."""
        return self.size_m is None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the name or None, RT60 in seconds and size in metres; both are None outdoors."""
        return {"name": self.name or None, "rt60_s": self.rt60_s, "size_m": self.size_m}

    def words(self) -> str:
        """The room for people: "church, RT60 3.5 s, 38 x 18 x 16 m"."""
        if self.size_m is None:
            return self.name
        size = " x ".join(f"{length_m:g}" for length_m in self.size_m)
        return f"{self.name + ', ' if self.name else ''}RT60 {self.rt60_s:g} s, {size} m"


@lru_cache(maxsize=1)
def named_rooms() -> dict[str, RoomChoice]:
    """All rooms of ``prompts/rooms.yaml`` by name, read once."""
    data: dict[str, dict[str, Any] | None] = words_data("rooms.yaml")
    return {
        name: RoomChoice(name, None, None) if room is None else RoomChoice(name, room["rt60_s"], _size(room["size_m"]))
        for name, room in data.items()
    }


def _size(lengths_m: Sequence[float]) -> tuple[float, float, float]:
    length_m, width_m, height_m = map(float, lengths_m)
    return length_m, width_m, height_m


def finite_number(text: str) -> float | None:
    """A finite number that a person wrote, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
