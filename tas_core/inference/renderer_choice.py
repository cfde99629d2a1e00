"""Which renderer makes the ears: that of the frontal plane, or that of the whole sphere.

The plane keeps the mono sum; the sphere is for what the plane cannot say: behind, above, near, far, wide, in a room.
A head that was measured on a plane only, and a person who asks for the plane, get what the plane has in the place of
such places (the same angles to the side), and a warning; where it has nothing, an error.
"""

from __future__ import annotations

import warnings
from dataclasses import replace

from tas_core.acoustics.hrtf import load_kemar
from tas_core.acoustics.sphere.head import PlaneOnlyError, sphere_head
from tas_core.errors import InputError
from tas_core.inference.settings import RenderSettings
from tas_core.timeline.prompts import Clause
from tas_core.timeline.segments import Timeline, TimelineWarning
from tas_core.timeline.sphere import SpherePath


def wants_sphere(timeline: Timeline, settings: RenderSettings) -> bool:
    """Whether the sphere is asked for, by name or by a place; the head is not looked at."""
    return timeline.needs_sphere if settings.renderer == "auto" else settings.on_sphere


def choose_renderer(
    timeline: Timeline, settings: RenderSettings, sample_rate_hz: int
) -> tuple[Timeline, RenderSettings]:
    """The timeline and the settings with the renderer that fits, "plane" or "sphere"; the plane's asks for no more.

    Args:
        timeline: prompts.
        settings: of the rendering; a head for the sphere has to have been read with all its directions.
        sample_rate_hz: of the sound, 8000 to 192000.

    Warns:
        TimelineWarning: places or rooms are rendered on the plane, as far as they can be.

    Raises:
        InputError: places that the plane has nothing for, on a head or by a request that leaves only it; stereo that
            is to stay beside places all around.
    """
    reason = "" if settings.renderer != "plane" else "the plane was asked for"
    if not reason and wants_sphere(timeline, settings):
        try:
            sphere_head(settings.head or load_kemar(), sample_rate_hz)
        except PlaneOnlyError as error:
            reason = str(error)
        else:
            if settings.keeps_stereo:
                raise InputError("stereo stays on the frontal plane only, and the sphere is asked for; expected one")
            return timeline, replace(settings, renderer="sphere")
        if not timeline.needs_sphere:
            warnings.warn(f"{reason}; rendered on the frontal plane", TimelineWarning, stacklevel=2)
    if timeline.needs_sphere:
        timeline = _as_far_as_possible(timeline, reason)
    return timeline, replace(settings, renderer="plane")


def flattened(timeline: Timeline, *, without_ways: bool = False) -> Timeline:
    """The same on the frontal plane: as far to the side as each place is, at no distance, as a point, in no room.

    Args:
        timeline: with places all around.
        without_ways: whether ways that the plane does not have, around or overhead, count as no place at all.
    """
    if not timeline.needs_sphere:
        return timeline

    def flat(clause: Clause) -> Clause:
        if clause.sphere is None:
            return clause
        return replace(clause, sphere=None, is_placed=not (without_ways and _is_no_way_of_the_plane(clause.sphere)))

    segments = tuple(
        replace(segment, room=None, clauses=tuple(map(flat, segment.clauses))) for segment in timeline.segments
    )
    return replace(timeline, segments=segments)


def _is_no_way_of_the_plane(path: SpherePath) -> bool:
    """Whether it goes around, or past a direction that is not on the straight way."""
    return path.is_circle or path.via is not None


def _as_far_as_possible(timeline: Timeline, reason: str) -> Timeline:
    """What the plane has for places all around; it is said what is lost."""
    lost: list[str] = []
    for segment in timeline.segments:
        for clause in segment.clauses:
            path = clause.sphere
            if path is None:
                continue
            if _is_no_way_of_the_plane(path):
                way = "circles around" if path.is_circle else "passes overhead or behind"
                raise segment.error(
                    f"'{clause.object}' {way}, and the frontal plane has no such way ({reason}); expected a place, or"
                    " a head that was measured all around"
                )
            lost.append(f"'{clause.object}'")
        if segment.room is not None and not segment.room.is_open:
            lost.append("a room")
    what = ", ".join(dict.fromkeys(lost))
    warnings.warn(
        f"{reason}; places of {what} are only as far to the side as they should be, all in front, at one distance and"
        " in no room",
        TimelineWarning,
        stacklevel=3,
    )
    return flattened(timeline)
