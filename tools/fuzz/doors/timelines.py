"""Timelines as ``tas timeline check`` and ``tas timeline convert`` read them, and prompts as ``tas spatialize -p``."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tas_core.errors import TasError
from tas_core.jobs.request import read_prompts
from tas_core.timeline.check import check_timeline
from tas_core.timeline.doubts import timeline_doubts
from tas_core.timeline.files import EXTENSIONS, format_timeline, is_timeline, load_timeline, parse_timeline
from tools.fuzz.door import Door

_PROMPTS = (
    "cello on the left, piano on the right",
    "a man talking 30 degrees to the left; rain all around at -6 dB",
    "the cello moves from the left to the right, everything else 3 dB softer",
    "a bell behind you, 2 m away, high above, in a church",
    '"rock and roll" far left and a "dog" hard right',
    "2 violins left of the piano, the drums opposite",
    "ein Hund links, eine Glocke rechts",
    "un chien à gauche",
    "bird circles around you twice",
)
_WORDS = (
    *("left", "right", "degrees", "dB", "moves from", " to ", "behind", "above", "everything else", " and ", "; "),
    *(
        "in a church",
        "all around",
        "\u202e",
        "\u200b",
        "\ufeff",
        "\u2028",
        "\0",
        '"',
        "-->",
        "start:",
        "text:",
        "1e309",
    ),
    *(
        "99999999999999999999",
        "9" * 308,
        "sources:",
        "room:",
        "rt60",
        "&",
        "*",
        "!!python/object:os.system",
        "<<:",
        "\t",
        "\\",
    ),
)
_YAML = (
    "prompts:\n  - {start: 0, end: 3.2, text: 'cello on the left, piano on the right'}\n"
    "  - {start: 3.2, text: dog left}\n",
    'room: church\nprompts:\n- start: "0:08"\n  end: 1:02:03.5\n  text: |\n    rain left\n    dog right\n',
    "sources:\n  cello: a.wav\n  dog: {file: b.wav, start: 3.2, gain_db: -3}\nprompts:\n"
    "- {start: 0, text: cello left, dog right}\n",
    "prompts:\n- {start: 0, text: rain left, room: {rt60: 1.2, size: [9, 6, 3]}}\n- {start: 1:00, text: dog # right\n"
    "  }\n",
)
_SRT = (
    "1\n00:00:01,000 --> 00:00:03,500\n<i>cello on the left</i>\n\n2\n00:00:03,400 --> 00:00:05,000\n"
    "{\\an8}dog right\n",
    "00:00:01.000 --> 00:00:09.500\npiano right\n\n00:00:02.000 --> 00:00:03.000\nthe bell moves from left to right\n",
)
_VTT = (
    "WEBVTT - x\n\nNOTE hm\n\nSTYLE\n::cue {}\n\nid\n00:01.000 --> 00:03.500 align:left\n<v Bob>dog &amp; cat left\n",
    "WEBVTT\n\n00:00.000 --> 99:59:59.999\n\u266a piano on the right \u266a\n",
)
_LABELS = (
    "0.0\t3.2\tcello on the left\n\\\t100\t2000\n3,2\t3,2\tdog right\n5\t5\t\n",
    "0\t1\train left\n0.5\t2\tdog right\n",
)


def _read(data: bytes, folder: Path, *, ending: str) -> None:
    path = folder / f"in{ending}"
    path.write_bytes(data)
    is_timeline(path)
    check_timeline(path)
    timeline = load_timeline(path)
    for other in EXTENSIONS:
        try:
            text = format_timeline(timeline, f"out{other}")
        except TasError:
            continue
        parse_timeline(text, f"out{other}")  # what is written can be read


def _prompt(data: bytes, folder: Path) -> None:
    del folder
    timeline = read_prompts(None, data.decode("utf-8", "surrogateescape"))
    timeline_doubts(timeline)
    timeline.resolved(10.0)
    parse_timeline(format_timeline(timeline, "out.yaml"), "out.yaml")


def _encoded(texts: tuple[str, ...]) -> list[bytes]:
    return [text.encode() for text in texts]


_TOKENS = tuple(word.encode() for word in _WORDS)
DOORS = (
    Door("yaml", partial(_read, ending=".yaml"), lambda: _encoded(_YAML), _TOKENS),
    Door("srt", partial(_read, ending=".srt"), lambda: _encoded(_SRT), _TOKENS),
    Door("vtt", partial(_read, ending=".vtt"), lambda: _encoded(_VTT), _TOKENS),
    Door("labels", partial(_read, ending=".txt"), lambda: _encoded(_LABELS), _TOKENS),
    Door("prompt", _prompt, lambda: _encoded(_PROMPTS), _TOKENS),
)
