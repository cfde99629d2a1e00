"""What options take: the values to choose from, pairs of a name and a file, and the options that commands share.

Typer lists, completes and checks choices; each is what the core takes, which a test compares. Nothing heavy is loaded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from tas_core.errors import InputError

Progress = Literal["auto", "bar", "json", "off"]
Device = Literal["auto", "cpu", "cuda"]
ClipMode = Literal["rescale", "rescale-all", "clamp", "error"]
Stereo = Literal["mix", "keep"]
Renderer = Literal["auto", "plane", "sphere"]
Subtype = Literal["PCM_16", "PCM_24", "FLOAT"]
Precision = Literal["auto", "bf16", "fp32"]
TextEncoder = Literal["minilm", "clip", "bert", "t5"]
Split = Literal["train", "val", "test"]
SplitOrAll = Literal["all", "train", "val", "test"]
Captions = Literal["own", "coarse", "words", "degrees"]
Scenes = Literal["all", "talkers"]
Names = Literal["trained", "held-out"]
Stft = Literal["short", "long"]
PlotKind = Literal["spl", "envelope", "spectrogram", "azimuth", "places"]

choice: Final = partial(typer.Option, case_sensitive=False)
"""An option of one of the choices above, in capitals or not."""

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Save = Annotated[Path | None, typer.Option("--save", metavar="FILE", help="Also write that object here.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite existing files.")]
Jobs = Annotated[int | None, typer.Option("--jobs", "-j", min=1, help="Processes.  [default: one per core]")]
NoNormalise = Annotated[bool, typer.Option("--no-normalise", help="Paper's six measures at the level as it is.")]
AnyStft = Annotated[
    Stft,
    choice("--stft", help="Transform of amp and pha: 512/160/400, or long, 2048/160/640."),
]

Also = Annotated[
    list[str],
    typer.Option(
        "--also",
        metavar="cited|speech",
        parser=str.lower,
        help="More measures: cited (BINAQUAL, ITD by GCC-PHAT, MR-STFT) or speech (PESQ, STOI); repeat.",
    ),
]
AlsoOfData = Annotated[
    list[str],
    typer.Option(
        "--also",
        metavar="cited|speech|confidence",
        parser=str.lower,
        help="More measures: cited (BINAQUAL, ITD by GCC-PHAT, MR-STFT), speech (PESQ, STOI) or confidence (whether "
        "models know when they are wrong, three more passes); repeat.",
    ),
]


def seconds(text: str) -> float:
    """A time as a number of seconds, for ``parser=`` of an option.

    Raises:
        typer.BadParameter: it is none.
    """
    from tas_core.timeline.clock import EXPECTED, clock_seconds

    if (found := clock_seconds(str(text))) is not None:
        return found
    try:  # as other programs write numbers: 5e-05
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found < math.inf:
        raise typer.BadParameter(f"{text!r} is not a time, expected {EXPECTED}")
    return found


moment: Final = partial(typer.Option, parser=seconds, metavar="TIME")
"""An option that is a time."""


def named_paths(texts: Sequence[str], option: str, form: str, what: str) -> dict[str, Path]:
    """Paths by their names.

    Args:
        texts: each ``NAME=PATH``.
        option: what they were given by, for messages.
        form: how one is written, for messages.
        what: what the name is of, for messages.

    Raises:
        InputError: a text of another form, an address, or two of one name.
    """
    from tas_core.system.files import check_path

    found: dict[str, Path] = {}
    for text in texts:
        name, _, path = text.partition("=")
        if not name.strip() or not path:
            raise InputError(f"{option} {text!r}: expected {form}")
        if name in found:
            raise InputError(f"{option} {text!r}: the {what} {name!r} is given twice")
        check_path(path)
        found[name] = Path(path)
    return found
