"""Options that several commands have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tas_cli.choices import Stft

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Save = Annotated[Path | None, typer.Option("--save", metavar="FILE", help="Also write that object here.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite existing files.")]
Jobs = Annotated[int | None, typer.Option("--jobs", "-j", min=1, help="Processes.  [default: one per core]")]
NoNormalise = Annotated[bool, typer.Option("--no-normalise", help="Paper's six measures at the level as it is.")]
AnyStft = Annotated[Stft, typer.Option("--stft", help="Transform of amp and pha: 512/160/400, or long, 2048/160/640.")]
