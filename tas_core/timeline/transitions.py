"""How places change where a prompt begins or ends.

The time of a signal is a row of *spans*, each under one prompt or under none. With a transition of S seconds, and h
half of S or of the shorter of the two spans beside a border at b, whichever is less, an object goes

    linearly in azimuth from where it is at b - h to where it is at b + h.

What a span does not name is in the center, at the gain of all that is not named there. So an object comes from there
and goes back there, and it is named until it has arrived. Gains go from one span's to the next's in the same time,
linearly in amplitude. Beyond the frontal plane an object goes along the great circle, overhead where the places are
opposite each other; its distance goes linearly in decibels of level, its spread linearly.

An object that is at the border where it goes on from stays untouched. A short span is at its own places in its middle,
and the beginning and the end of the signal are no borders.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np

from tas_core.errors import InputError
from tas_core.timeline.gains import AS_IT_IS, GainPath
from tas_core.timeline.places import AzimuthPath
from tas_core.timeline.sphere import SpherePath, SpherePoint

REACH: Final = 1.5
"""What is further from a moment than so many transitions does not matter there: half of one from a border, and a span
beyond that is shorter than one makes the transition shorter."""


@dataclass(frozen=True)
class Span:
    """A span of time and where the objects named in it are.

    Args:
        start_s: first moment, seconds.
        end_s: end, seconds, not included.
        places: azimuths by object; empty where no prompt holds.
        gains: gains by object.
        rest: gain of all that is not named.
        paths: places beyond the frontal plane by object; they go before those in it.
    """

    start_s: float
    end_s: float
    places: Mapping[str, AzimuthPath]
    gains: Mapping[str, GainPath] = field(default_factory=dict)
    rest: GainPath = AS_IT_IS
    paths: Mapping[str, SpherePath] = field(default_factory=dict)

    def gain_db(self, name: str | None, time_s: float) -> float:
        """Gain of an object at a moment, dB; that of the rest if it is not named, or for None."""
        path = self.rest if name is None else self.gains.get(name, self.rest)
        return float(path.at_db(np.array((time_s - self.start_s) / (self.end_s - self.start_s))))

    def at(self, name: str, time_s: float) -> float:
        """Azimuth of an object at a moment, degrees; the center if it is not named."""
        path = self.places.get(name)
        return 0.0 if path is None else path.at((time_s - self.start_s) / (self.end_s - self.start_s))

    def point(self, name: str, time_s: float) -> SpherePoint:
        """Place of an object at a moment, anywhere around the listener; the center if it is not named."""
        if name not in self.paths:
            return SpherePoint(self.at(name, time_s))
        length_s = self.end_s - self.start_s
        return self.paths[name].point((time_s - self.start_s) / length_s, length_s)


@dataclass(frozen=True)
class Glide:
    """What moves around a border.

    Attributes:
        start_s: first moment, seconds.
        end_s: end, seconds, not included.
        azimuths_deg: by object, at the first moment and at the end.
        gains_db: gains by object, the same.
        rest_db: gain of all that is not named, the same; None where that stays.
        paths: ways by object, of those that are beyond the frontal plane before or after.
    """

    start_s: float
    end_s: float
    azimuths_deg: Mapping[str, tuple[float, float]]
    gains_db: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    rest_db: tuple[float, float] | None = None
    paths: Mapping[str, SpherePath] = field(default_factory=dict)


def check_transition(transition_s: float) -> None:
    """See that a transition has a length.

    Raises:
        InputError: it is negative or not finite.
    """
    if not 0 <= transition_s < math.inf:
        raise InputError(f"transition is {transition_s:g} s; expected 0 or more")


def glides(spans: Iterable[Span], transition_s: float) -> Iterator[Glide]:
    """The glides at the borders of spans that follow each other without a gap, in the order of time."""
    for before, after in pairwise(spans):
        half_s = min(transition_s, before.end_s - before.start_s, after.end_s - after.start_s) / 2
        start_s, end_s = before.end_s - half_s, after.start_s + half_s
        names = tuple(dict.fromkeys((*before.places, *after.places)))
        moving = {
            name: (before.at(name, start_s), after.at(name, end_s))
            for name in names
            if not (name in before.paths or name in after.paths)
            if before.at(name, before.end_s) != after.at(name, after.start_s)
        }
        paths = {
            name: SpherePath.gliding(before.point(name, start_s), after.point(name, end_s))
            for name in names
            if name in before.paths or name in after.paths
            if before.point(name, before.end_s) != after.point(name, after.start_s)
        }
        changing: dict[str | None, tuple[float, float]] = {
            name: (before.gain_db(name, start_s), after.gain_db(name, end_s))
            for name in (*names, None)
            if before.gain_db(name, before.end_s) != after.gain_db(name, after.start_s)
        }
        rest_db = changing.pop(None, None)
        if moving or paths or changing or rest_db:
            gains_db = {name: ends for name, ends in changing.items() if name is not None}
            yield Glide(start_s, end_s, moving, gains_db, rest_db, paths)
