"""Text in pictures: what can be shown, how wide it is, and where it breaks; sizes in inches and points."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Any, Final

_INCH_PT: Final = 72.0
_LEFT_TO_RIGHT: Final = "\N{LEFT-TO-RIGHT MARK}"


def plain(text: str) -> str:
    """One line without characters that no file can hold; unreadable ones become U+FFFD."""
    words = " ".join(text.split())
    return "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cs") or c in "\ufffe\uffff" else c for c in words)


def directed(line: str) -> str:
    """A line as it is drawn: in one that has Latin letters too, words from right to left keep their place.

    Without a mark behind them, a number that follows would be taken to be a part of them, and a line that begins with
    them would as a whole go from right to left (Unicode Standard Annex 9).
    """
    kinds = [unicodedata.bidirectional(character) for character in line]
    if "L" not in kinds or not {"R", "AL"} & set(kinds):
        return line
    marked = [_LEFT_TO_RIGHT]
    inside = False
    for character, kind in zip(line, kinds, strict=True):
        if inside and kind in ("L", "EN", "AN"):
            marked.append(_LEFT_TO_RIGHT)
        inside = kind in ("R", "AL") or (inside and kind not in ("L", "EN", "AN"))
        marked.append(character)
    return "".join(marked)


def text_width_in(text: str, size_pt: float) -> float:
    """Width of a line of text in the current font, inches."""
    from matplotlib.font_manager import FontProperties

    width, _, _ = _renderer().get_text_width_height_descent(text, FontProperties(size=size_pt), False)
    return width / _INCH_PT


@lru_cache(maxsize=1)
def _renderer() -> Any:
    from matplotlib.backends.backend_agg import RendererAgg

    return RendererAgg(16, 16, _INCH_PT)


def wrapped(text: str, room_in: float, size_pt: float, most: int) -> list[str]:
    """At most ``most`` lines that fit, broken between words where possible, the last shortened where needed.

    They are as :func:`directed` has them. Empty where not even the first letter fits.
    """
    return [directed(line) for line in _broken(text, room_in, size_pt, most)]


def _broken(text: str, room_in: float, size_pt: float, most: int) -> list[str]:
    lines: list[str] = []
    rest = text
    while rest and len(lines) < most:
        count = _fitting(rest, room_in, size_pt)
        if count < len(rest) and len(lines) == most - 1:
            count = _fitting(rest, room_in, size_pt, "\N{HORIZONTAL ELLIPSIS}")
            return [*lines, rest[:count].rstrip(" ,;") + "\N{HORIZONTAL ELLIPSIS}"] if count else lines
        if count == 0:
            return lines
        if count < len(rest) and rest[count] != " " and " " in rest[:count]:
            count = rest.rindex(" ", 0, count)
        lines.append(rest[:count].rstrip())
        rest = rest[count:].lstrip()
    return lines


def _fitting(text: str, room_in: float, size_pt: float, tail: str = "") -> int:
    """How many characters of a text fit, followed by ``tail``."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if text_width_in(text[:middle] + tail, size_pt) <= room_in:
            low = middle
        else:
            high = middle - 1
    return low
