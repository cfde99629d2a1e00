"""Words of the prompt language for places all around, read from ``prompts/sphere.yaml``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from tas_core.conventions import LEFT_SIGN, REFERENCE_M
from tas_core.timeline.sphere import SpherePath, SpherePoint
from tas_core.timeline.vocabulary import Phrases, languages, words_data

_BEGINNINGS = (
    *(
        "behind",
        "behind_beside",
        "elevations_beside",
        "elevation_of",
        "distances",
        "distances_beside",
        "distances_before",
    ),
    *(
        "ears",
        "metres",
        "distance_of",
        "spreads",
        "spreads_beside",
        "spreads_at_end",
        "spread_of",
        "comes",
        "leaves",
        "overhead",
    ),
    *(
        "circles",
        "around",
        "clockwise",
        "counterclockwise",
        "up",
        "down",
        "via",
        "between",
        "next_to",
        "opposite",
        "behind_it",
    ),
    *("before_it", "above_it", "below_it", "nearer_than", "farther_than", "same_as"),
)
"""Roles of which every place all around has a word."""


@dataclass(frozen=True)
class SphereWords:
    """All words by their role; the comments of ``prompts/sphere.yaml`` say what each is for.

    ``values`` holds the roles whose words have a number, in degrees, metres, seconds or a share, ``lists`` those of
    words alone. ``numbers`` are the numbers of roles that have no words.
    """

    values: dict[str, Phrases[float]]
    lists: dict[str, Phrases[bool]]
    numbers: dict[str, float]
    elevations: Phrases[tuple[float, float]]
    behind_sides: Phrases[tuple[float, str]]
    beside_strengths: dict[str, float]
    metres: dict[str, tuple[float, float]]
    """Of a movement away or closer: the distances at both ends."""
    canonical: dict[str, str]
    triggers: Phrases[bool]
    """Phrases that places all around begin with: where a prompt has none, and no such number, nothing is all around."""


@lru_cache(maxsize=8)
def sphere_words(language: str = "") -> SphereWords:
    """The words that ship with the program, read once: English, and those of another language with them."""
    data: dict[str, Any] = words_data("sphere.yaml")
    if language:
        _add(data, languages()[language].get("sphere", {}))
    weighted = ("distances", "distances_beside", "spreads", "spreads_beside", "spreads_at_end")
    values = {role: _valued(data[role]) for role in weighted}
    values |= {
        role: Phrases((w, float(v)) for w, v in data[role].items())
        for role in ("metres", "spread_units", "counts", "speeds")
    }
    values["elevations_beside"] = Phrases(
        (w, float(g["degrees"])) for g in data["elevations_beside"] for w in g["words"]
    )
    lists = {role: Phrases((w, True) for w in words) for role, words in data.items() if _is_list(words)}
    lists |= {role: Phrases((w, True) for w in data[role]["words"]) for role in ("comes", "leaves")}
    elevations = Phrases((w, (g["degrees"][0], g["degrees"][1])) for g in data["elevations"] for w in g["words"])
    sides = [(s["left"], (LEFT_SIGN * s["degrees"], s["right"])) for s in data["behind_sides"]]
    sides += [(s["right"], (-LEFT_SIGN * s["degrees"], s["left"])) for s in data["behind_sides"]]
    starts: list[Iterable[tuple[str, ...]]] = [elevations, Phrases(sides), room_phrases(language)]
    for role in _BEGINNINGS:
        starts.append(values[role] if role in values else lists[role])
    return SphereWords(
        values=values,
        lists=lists,
        numbers={role: float(value) for role, value in data.items() if isinstance(value, (int, float))},
        elevations=elevations,
        behind_sides=Phrases(sides),
        beside_strengths={name: float(value) for name, value in data["beside_strengths"].items()},
        metres={role: (float(data[role]["metres"][0]), float(data[role]["metres"][1])) for role in ("comes", "leaves")},
        canonical=data["canonical"],
        triggers=Phrases((" ".join(phrase), True) for phrases in starts for phrase in phrases),
    )


@lru_cache(maxsize=8)
def room_phrases(language: str = "") -> Phrases[str]:
    """Phrases for rooms, with the room's name in ``prompts/rooms.yaml``."""
    data: dict[str, list[str]] = words_data("sphere.yaml")["rooms"]
    added = languages()[language].get("sphere", {}).get("rooms", {}) if language else {}
    return Phrases((w, name) for rooms in (data, added) for name, words in rooms.items() for w in words)


def _add(data: dict[str, Any], added: dict[str, Any]) -> None:
    """Add the words of a language to those of the same role."""
    for role, words in added.items():
        if isinstance(words, list):
            data[role] = [*data[role], *words]
        elif role == "rooms":
            continue
        elif role in ("comes", "leaves"):
            data[role]["words"] += words["words"]
        elif words and all(isinstance(each, list) for each in words.values()):
            data[role] = {key: [*data[role].get(key, []), *words.get(key, [])] for key in {**data[role], **words}}
        else:
            data[role] = data[role] | words


def _valued(groups: Mapping[float, Iterable[str]]) -> Phrases[float]:
    return Phrases((word, float(value)) for value, words in groups.items() for word in words)


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def sphere_template(path: SpherePath) -> tuple[str, dict[str, str]]:
    """A clause with the place of its object in words: the template, and what to put in beside the object."""
    canonical = sphere_words().canonical
    # What only one end says would hold for the other too.
    changes = {
        "distance": path.start.distance_m != path.end.distance_m,
        "spread": path.start.spread != path.end.spread,
    }
    ends = {name: format_point(point, changes) for name, point in (("start", path.start), ("end", path.end))}
    if path.is_circle:
        turn = path.turns or path.turn_s
        sense = "counterclockwise" if turn * LEFT_SIGN > 0 else "clockwise"
        number = (
            canonical["turns"].format(turns=digits(turn))
            if path.turns
            else canonical["period"].format(seconds=digits(turn))
        )
        name = "circle_moving" if path.start != path.end else "circle"
        return canonical[name], ends | {"sense": sense, "speed": number}
    if path.via:
        return canonical["passing"], ends | {"via": format_point(path.via)}
    return canonical["moving" if path.is_moving else "fixed"], ends


def format_point(point: SpherePoint, changes: Mapping[str, bool] | None = None) -> str:
    """A place in words that are read as the same place: "120 degrees left 30 degrees up 3 m away".

    ``changes`` names what is said even if it is as usual, distance or spread.
    """
    always = {name for name, there in (changes or {}).items() if there}
    canonical, words = sphere_words().canonical, []
    side = "ahead" if not point.azimuth_deg else "left" if point.azimuth_deg * LEFT_SIGN > 0 else "right"
    words.append(canonical[side].format(degrees=digits(point.azimuth_deg)))
    if point.elevation_deg:
        words.append(canonical["up" if point.elevation_deg > 0 else "down"].format(degrees=digits(point.elevation_deg)))
    if point.distance_m != REFERENCE_M or "distance" in always:
        words.append(canonical["distance"].format(metres=digits(point.distance_m)))
    if point.spread or "spread" in always:
        words.append(canonical["spread"].format(share=digits(point.spread)))
    return " ".join(words)


def digits(value: float) -> str:
    """A number without its sign, exactly."""
    return format(Decimal(repr(abs(value))).normalize(), "f")
