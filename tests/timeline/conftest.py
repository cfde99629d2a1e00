"""What tests of timelines share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import strategies as st

from tas_core.timeline.files import load_timeline
from tas_core.timeline.segments import Segment, Timeline

Load = Callable[[str, str | bytes], Timeline]
Spans = list[tuple[float, float | None, str]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Reads content under a file name."""

    def read(name: str, content: str | bytes) -> Timeline:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return load_timeline(path)

    return read


def spans(timeline: Timeline) -> Spans:
    """Start, end and text of every segment."""
    return [(segment.start_s, segment.end_s, segment.text) for segment in timeline.segments]


PROMPTS = (
    "cello on the left",
    "cello moves from left to right; “piano: no” 12.5° right",
    "dog at 10:30\npiano in the center",
    "\N{VIOLIN} # far left, 'é' & \\n hard right",
)


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    """Segments that meet or leave gaps, some without end."""
    edges = sorted(draw(st.lists(st.floats(0, 1e5), min_size=2, max_size=8, unique=True)))
    segments = []
    for start, end in zip(edges, edges[1:], strict=False):
        if draw(st.booleans()):
            open_end = draw(st.booleans())
            segments.append(Segment.from_prompt(start, None if open_end else end, draw(st.sampled_from(PROMPTS))))
    return Timeline(tuple(segments or [Segment.from_prompt(edges[0], None, PROMPTS[0])]))


SCENE = """\
# scene.yaml
prompts:
  - {start: 0.0,   end: 3.2, text: "cello on the left, piano on the right"}
  - {start: 3.2,   end: 8.0, text: "the cello moves from the left to the right; a piano in the center"}
  - {start: "0:08", text: "a man talking 30 degrees to the left"}
"""


def times(timeline: Timeline) -> list[tuple[float, float | None]]:
    return [(segment.start_s, segment.end_s) for segment in timeline.segments]


def one(fields: str) -> str:
    return f"prompts:\n  - {{{fields}}}\n"


LEFT, RIGHT = "cello on the left", "piano on the right"
LEFT, RIGHT = "cello on the left", "piano on the right"
SRT = f"""\
1
00:00:01,000 --> 00:00:03,200
{LEFT}

2
00:00:03,200 --> 01:02:03,004
{RIGHT}
"""
SRT_SPANS: Spans = [(1.0, 3.2, LEFT), (3.2, 3723.004, RIGHT)]
