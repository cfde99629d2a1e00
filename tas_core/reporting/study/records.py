"""The two files of a study besides its page: the key, and a listener's answers.

Both are JSON. The key is written by this program and the answers by the page, but answers travel by mail, so
everything in them is checked before it counts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

from tas_core.conventions import Side, side_name
from tas_core.errors import InputError, PromptError
from tas_core.system.configs import config_from_dict, one_line
from tas_core.system.json_values import json_value
from tas_core.timeline.sphere import SpherePoint

FORMAT: Final = 1
AROUND_FORMAT: Final = 2
"""Of studies that ask for more than a side: whether a sound is in front or behind, and how high."""
KEY_NAME: Final = "key.json"

MAX_JSON_BYTES: Final = 50_000_000
"""Longer files are refused unread: ten thousand answers take 2 MB."""

PLACES: Final[tuple[Side, ...]] = get_args(Side)

Aspect = Literal["side", "depth", "height"]
Answer = Literal["left", "center", "right", "front", "behind", "below", "level", "above"]
ANSWERS: Final[dict[Aspect, tuple[Answer, ...]]] = {
    "side": ("left", "center", "right"),
    "depth": ("front", "behind"),
    "height": ("below", "level", "above"),
}
"""What is asked of a sound, and what can be answered, as the page has it."""
_ON_NO_SIDE: Final = 0.26
_LEVEL_DEG: Final = 15.0


@dataclass(frozen=True)
class KeyObject:
    """An object that listeners are asked about, and its requested azimuth and elevation, degrees, left and up positive.

    Raises:
        PromptError: no such place.
    """

    object: str
    azimuth_deg: float
    elevation_deg: float = 0.0

    def __post_init__(self) -> None:
        SpherePoint(self.azimuth_deg, self.elevation_deg)

    @property
    def right(self) -> dict[Aspect, Answer | None]:
        """The right answer to each question.

        None where there is none: less than 15 degrees off the plane between front and behind.
        """
        point = SpherePoint(self.azimuth_deg, self.elevation_deg)
        angles = math.radians(point.azimuth_deg), math.radians(point.elevation_deg)
        forward = math.cos(angles[0]) * math.cos(angles[1])
        level = abs(point.elevation_deg) <= _LEVEL_DEG
        return {
            "side": side_name(point.lateral_deg),
            "depth": None if abs(forward) <= _ON_NO_SIDE else "front" if forward > 0 else "behind",
            "height": "level" if level else "above" if point.elevation_deg > 0 else "below",
        }


@dataclass(frozen=True)
class KeyClip:
    """A clip by its file stem, and its objects in the order of the page's questions."""

    clip: str
    objects: tuple[KeyObject, ...]

    def questions(self, aspects: Sequence[Aspect]) -> tuple[tuple[Aspect, Answer | None], ...]:
        """What is asked of each object in turn, and the right answers."""
        return tuple((aspect, each.right[aspect]) for each in self.objects for aspect in aspects)


@dataclass(frozen=True)
class KeyItem:
    """The number under which the page shows a system's file of a clip."""

    item: int
    clip: str
    system: str


@dataclass(frozen=True)
class Key:
    """The key of a study, kept from the listeners: which number is which system.

    Args:
        format: version of this layout.
        study: 16 hexadecimal digits that name the page.
        seed: what the order, the numbers and the choice of clips were drawn with.
        systems: names, in the order in which they were given.
        clips: all clips.
        items: all numbers, in the order of the page; each clip once per system.

    Raises:
        ValueError: another format, or clips, systems and items that do not fit together.
    """

    format: int
    study: str
    seed: int
    systems: tuple[str, ...]
    clips: tuple[KeyClip, ...]
    items: tuple[KeyItem, ...]

    def __post_init__(self) -> None:
        _check_format(self.format)
        pairs = [(item.clip, item.system) for item in self.items]
        if len(pairs) != len(self.clips) * len(self.systems):
            raise ValueError("the items are not each clip once per system")
        expected = {(clip.clip, system) for clip in self.clips for system in self.systems}
        if len(pairs) != len(expected) or set(pairs) != expected:
            raise ValueError("the items are not each clip once per system")
        if len({item.item for item in self.items}) != len(self.items):
            raise ValueError("two items with one number")
        if not expected or not all(clip.objects for clip in self.clips):
            raise ValueError("no items, or a clip without objects")

    @property
    def aspects(self) -> tuple[Aspect, ...]:
        """What is asked of each object."""
        return tuple(ANSWERS) if self.format == AROUND_FORMAT else ("side",)

    def as_json(self) -> bytes:
        """The file's content."""
        content = asdict(self)
        if self.format == FORMAT:
            for each in (each for clip in content["clips"] for each in clip["objects"]):
                del each["elevation_deg"]
        return (json.dumps(content, indent=1) + "\n").encode("ascii")  # file names need not be Unicode


def _check_format(format: int) -> None:
    """Refuse another layout of files.

    Raises:
        ValueError: not one of those that are read.
    """
    if format not in (FORMAT, AROUND_FORMAT):
        known = f"{FORMAT} and {AROUND_FORMAT}"
        raise ValueError(f"format {format} cannot be read, this version reads formats {known}")


@dataclass(frozen=True)
class HeadphoneCheck:
    """The last headphone check: whether left and right tones were told apart, and the number of attempts."""

    passed: bool
    attempts: int


@dataclass(frozen=True)
class ItemAnswers:
    """What one listener answered to one item.

    Args:
        item: its number.
        answers: one per question, None where it is open.
        plays: how often it was heard to its end.
        listened_s: for how long in all, seconds.
    """

    item: int
    answers: tuple[Answer | None, ...]
    plays: int
    listened_s: float


@dataclass(frozen=True)
class Answers:
    """One listener's file.

    Args:
        format: version of this layout.
        study: name of the page, as in :class:`Key`.
        session: random digits of this listener's session.
        participant: what the listener typed as participant id; may be empty.
        started: time, ISO 8601.
        finished: time, ISO 8601; None if the file was saved before the end.
        check: result of the headphone check.
        items: answers, in any order.

    Raises:
        ValueError: another format.
    """

    format: int
    study: str
    session: str
    participant: str
    started: str
    finished: str | None
    check: HeadphoneCheck
    items: tuple[ItemAnswers, ...]

    def __post_init__(self) -> None:
        _check_format(self.format)


def read_key(path: Path) -> Key:
    """Read a key file.

    Raises:
        InputError: unreadable, or not a key; one line that names the file.
    """
    content = _read_object(path, "the key of a study")
    try:
        return config_from_dict(Key, content, str(path), InputError)
    except PromptError as error:
        raise InputError(f"{path}: {error}") from error


def read_answers(path: Path) -> Answers:
    """Read a listener's file; whether it fits a key is not looked at.

    Raises:
        InputError: unreadable, or no answers; one line that names the file.
    """
    return config_from_dict(Answers, _read_object(path, "the answers of a listener"), str(path), InputError)


def _read_object(path: Path, what: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_JSON_BYTES + 1)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > MAX_JSON_BYTES:
        raise InputError(f"{path}: more than {MAX_JSON_BYTES} bytes, expected {what}")
    try:
        found = json_value(data.decode("utf-8-sig"))
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({one_line(error)}), expected {what}") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: not a JSON object, expected {what}")
    return found
