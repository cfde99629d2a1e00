"""JSON that somebody else wrote: what is wrong with it is one kind of error, and its numbers can be counted with."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, NoReturn

from tas_core.system.configs import one_line

_LONGEST: Final = 308
"""Digits of a whole number; more are beyond what double precision holds."""
_SHOWN: Final = 20


def json_value(
    data: bytes | str,
    *,
    not_numbers: bool = False,
    pairs: Callable[[list[tuple[str, Any]]], dict[str, Any]] | None = None,
) -> Any:
    """The value that a text is.

    Python's own reader takes numbers that are none, makes infinity of 1e999 and whole numbers that no float holds, and
    gives up on lists within lists by an error of its own.

    Args:
        data: the text, or its bytes in UTF-8, UTF-16 or UTF-32.
        not_numbers: whether ``NaN`` and ``Infinity`` are taken, which are no JSON, though Python writes them.
        pairs: makes an object of its keys and values.

    Raises:
        ValueError: why it is no JSON, in one line; a `json.JSONDecodeError` where its position is known.
    """
    try:
        return json.loads(
            data,
            parse_float=_finite,
            parse_int=_whole,
            parse_constant=None if not_numbers else _refuse,
            object_pairs_hook=pairs,
        )
    except json.JSONDecodeError:
        raise
    except UnicodeError as error:
        raise ValueError(f"no Unicode: {one_line(error)}") from error
    except RecursionError as error:
        raise ValueError("lists within lists, too deep to be read") from error


def _finite(text: str) -> float:
    value = float(text)
    if abs(value) == float("inf"):
        raise ValueError(f"{text[:_SHOWN]} is larger than any number")
    return value


def _whole(text: str) -> int:
    if len(text) > _LONGEST:
        raise ValueError(f"{text[:_SHOWN]}... is a number of {len(text)} digits")
    return int(text)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
