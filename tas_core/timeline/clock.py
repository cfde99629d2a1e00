"""Times as people write them, on the command line and in YAML: seconds, or minutes and hours with colons."""

from __future__ import annotations

import math
import re
from typing import Final

EXPECTED: Final = "seconds of at least 0, or [HH:]MM:SS[.fff]"
"""What a time is, for messages."""

_TIME: Final = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)", re.ASCII)


def clock_seconds(text: str) -> float | None:
    """Seconds of "8", "8.25", "1:30", "90:00" or "1:02:03.5"; None for what is no time.

    Behind a colon there are fewer than 60 seconds, and between two fewer than 60 minutes. To YAML 1.1 some such texts
    are numbers of base 60, or octal, so they are read here, as texts.
    """
    if not (match := _TIME.fullmatch(text.strip())):
        return None
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    total = 3600 * hours + 60 * minutes + seconds
    if (match[2] and seconds >= 60) or (match[1] and minutes >= 60) or not total < math.inf:
        return None
    return total


def clock_time(seconds: float) -> str:
    """Minutes and seconds for people: "0:03", "1:02.5", "1:02:03" from an hour on."""
    minutes, tenths = divmod(round(10 * seconds), 600)
    clock = f"{minutes // 60}:{minutes % 60:02d}" if minutes >= 60 else str(minutes)
    return f"{clock}:{tenths // 10:02d}" + (f".{tenths % 10}" if tenths % 10 else "")
