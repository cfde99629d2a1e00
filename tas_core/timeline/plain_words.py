"""Places and ways in the words that a person would write: "35° left, 20° up", "comes closer on the left".

Whoever writes them into a prompt reads that again (:mod:`tas_core.timeline.rewording`): beside other words some of
these mean something else, and then the exact ones of :mod:`tas_core.timeline.sphere_words` are left.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from tas_core.conventions import LEFT_SIGN, MAX_AZIMUTH_DEG, REFERENCE_M
from tas_core.timeline.sphere import SpherePath, SpherePoint
from tas_core.timeline.sphere_words import digits, sphere_template, sphere_words
from tas_core.timeline.vocabulary import vocabulary

_SPREADS: Final = {0.5: "wide", 1.0: "all around"}
_TURNS: Final = {1.0: "once", 2.0: "twice"}


def path_in_words(path: SpherePath, *, verb: bool = True) -> str:
    """A place, or a way: "on the left", "35° left, 20° up", "moves from the left to 20° right", "comes closer".

    Args:
        path: where something sounds.
        verb: whether a way from one place to another begins with a verb; without, it stands behind another one.
    """
    if not path.is_moving:
        return point_in_words(path.start)
    if path.is_circle:
        return _circle(path)
    moves, passes = ("moves ", "passes ") if verb else ("", "")
    if path.via is None or path.in_plane is not None:
        return (verb and _closer(path)) or f"{moves}{_from_to(path)}"
    ends = path.start, path.end
    if path.via == SpherePoint(0.0, 90.0) and all(end == SpherePoint(end.azimuth_deg) for end in ends):
        if {end.azimuth_deg for end in ends} == {0.0, 180.0}:
            front, back = ("front", "back") if not path.start.azimuth_deg else ("back", "front")
            return f"{passes}overhead from {front} to {back}"
        return f"{passes}overhead {_from_to(path)}"
    return f"{moves}{_from_to(path, via=path.via)}"


def point_in_words(point: SpherePoint) -> str:
    """A place that stays: "on the left", "35° left, 20° up", "behind me, 2 m away, wide"."""
    more = _beside_direction(point)
    if point.spread == 1 and point == SpherePoint(0.0, spread=1.0):
        return _SPREADS[1.0]
    if not more:
        return _direction(point, bare=True)
    if not point.azimuth_deg and abs(point.elevation_deg) < MAX_AZIMUTH_DEG:
        return ", ".join(["straight ahead", *more])
    return ", ".join([_direction(point, bare=True), *more])


def _direction(point: SpherePoint, *, bare: bool) -> str:
    """Where it is around the listener; behind "from" and "to", "the left" stands for "on the left"."""
    azimuth_deg = point.azimuth_deg
    if abs(point.elevation_deg) == MAX_AZIMUTH_DEG and not azimuth_deg:
        return "above me" if point.elevation_deg > 0 else "below me"
    if not azimuth_deg:
        return "in the center" if bare else "the center"
    if azimuth_deg == 180:
        return "behind me"
    angle_deg, plain_deg, side = abs(azimuth_deg), vocabulary().plain_deg, _side(point)
    if angle_deg == plain_deg:
        return f"on the {side}" if bare else f"the {side}"
    if angle_deg == 180 - plain_deg:
        return f"behind me on the {side}"
    return f"{_strengths()[angle_deg]} {side}" if angle_deg in _strengths() else f"{digits(angle_deg)}° {side}"


def _side(point: SpherePoint) -> str:
    return "left" if point.azimuth_deg * LEFT_SIGN > 0 else "right"


def _beside_direction(point: SpherePoint, always: frozenset[str] = frozenset(), *, exact: bool = False) -> list[str]:
    """What there is to say beside a direction: height, distance, spread; ``always`` names what is said in any case."""
    said = []
    overhead = abs(point.elevation_deg) == MAX_AZIMUTH_DEG and not point.azimuth_deg
    if point.elevation_deg and (exact or not overhead):
        said.append(f"{digits(point.elevation_deg)}° {'up' if point.elevation_deg > 0 else 'down'}")
    if point.distance_m != REFERENCE_M or "distance" in always:
        said.append(f"{digits(point.distance_m)} m away")
    if point.spread or "spread" in always:
        number = f"spread {digits(point.spread)}"
        said.append(number if exact else _SPREADS.get(point.spread, number))
    return said


def _from_to(path: SpherePath, via: SpherePoint | None = None) -> str:
    """From one place to another; a number behind a place would be read as that of its angle, which is then said."""
    always = frozenset(
        name
        for name, differs in (
            ("distance", path.start.distance_m != path.end.distance_m),
            ("spread", path.start.spread != path.end.spread),
        )
        if differs
    )

    def end(point: SpherePoint, *, first: bool = False) -> str:
        more = _beside_direction(point, always, exact=via is not None)
        straight_up = abs(point.elevation_deg) == MAX_AZIMUTH_DEG and not point.azimuth_deg
        if not more and not (first and straight_up):
            return _direction(point, bare=False)
        if not point.azimuth_deg:
            return " ".join(["straight ahead", *_beside_direction(point, always, exact=True)])
        behind = point.azimuth_deg == 180
        return " ".join(["behind me" if behind else f"{digits(point.azimuth_deg)}° {_side(point)}", *more])

    passing = f" via {_direction(via, bare=False)}" if via is not None else ""
    return f"from {end(path.start, first=True)}{passing} to {end(path.end)}"


def _closer(path: SpherePath) -> str:
    """A way towards the listener or away from them, in one direction; nothing where it is another way."""
    start, end = path.start, path.end
    same = (start.azimuth_deg, start.elevation_deg, start.spread) == (end.azimuth_deg, end.elevation_deg, end.spread)
    if not same or start.elevation_deg or start.spread:
        return ""
    comes = end.distance_m < start.distance_m
    words = "comes closer" if comes else "moves away"
    if (start.distance_m, end.distance_m) != sphere_words().metres["comes" if comes else "leaves"]:
        words += f" from {digits(start.distance_m)} m to {digits(end.distance_m)} m"
    return words if not start.azimuth_deg else f"{words} {_direction(SpherePoint(start.azimuth_deg), bare=True)}"


def _circle(path: SpherePath) -> str:
    """A circle around the listener; where it ends at another height or distance, in exact words."""
    if path.start != path.end:
        template, ends = sphere_template(path)
        return template.format(object="", **ends).strip().replace(" degrees", "°")
    turn = path.turns or path.turn_s
    sense = "counterclockwise" if turn * LEFT_SIGN > 0 else "clockwise"
    speed = _TURNS.get(abs(turn), f"{digits(turn)} times") if path.turns else f"every {digits(turn)} seconds"
    more = _beside_direction(path.start, exact=True)
    start = "in front" if not path.start.azimuth_deg else _direction(path.start, bare=True)
    starting = [f"starting {start}"] if more or path.start.azimuth_deg else []
    return ", ".join([f"circles around {sense} {speed}", *more, *starting])


@lru_cache(maxsize=1)
def _strengths() -> dict[float, str]:
    """Words for angles that are plainer than a number of degrees."""
    return {vocabulary().strengths[word,]: word for word in ("slightly", "far", "hard")}
