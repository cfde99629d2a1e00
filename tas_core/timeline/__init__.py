"""What sounds where and when: the prompt language, segments, tracks, and the formats that people keep them in."""

from tas_core.timeline.check import check_timeline
from tas_core.timeline.files import convert_timeline, format_timeline, load_timeline, parse_timeline
from tas_core.timeline.places import AzimuthPath
from tas_core.timeline.prompts import Clause, format_prompt, parse_prompt
from tas_core.timeline.segments import Segment, Timeline, Track

__all__ = [
    "AzimuthPath",
    "Clause",
    "Segment",
    "Timeline",
    "Track",
    "check_timeline",
    "convert_timeline",
    "format_prompt",
    "format_timeline",
    "load_timeline",
    "parse_prompt",
    "parse_timeline",
]
