"""``tas study``."""

from __future__ import annotations

from pathlib import Path

import typer

from tas_cli.command import Commands
from tas_cli.options import AsJson, Force, Save

app = Commands(help="Ask listeners where they hear what.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def study() -> None:
    """Ask listeners where they hear what."""


@app.command("make")
def make(
    context: typer.Context,
    out: Path = typer.Option(
        ..., "--out", "-o", metavar="FILE|DIR", help="HTML file or folder to write; key.json goes beside the page."
    ),
    system: list[str] = typer.Option(..., "--system", metavar="NAME=FOLDER", help="Files of one system; repeat."),
    timelines: Path = typer.Option(
        ..., metavar="DIR", help="Folder of timelines (yaml, srt, vtt, txt), named as the files."
    ),
    clips: int | None = typer.Option(None, min=1, help="Clips to draw.  [default: all that can be used]"),
    seed: int = typer.Option(0, min=0, help="Seed of choice, order and numbers."),
    force: bool = typer.Option(False, "--force", help="Overwrite an existing page and key."),
) -> None:
    """Make one HTML page that plays the systems' files under random numbers, and the key to the numbers."""
    from tas_cli.options import named_paths
    from tas_cli.output.progress import progress_bar
    from tas_cli.output.study import print_study
    from tas_core.reporting.study.page import make_study

    systems = named_paths(system, "--system", "NAME=FOLDER", "name")
    with progress_bar(out.name, context.obj) as progress:
        made = make_study(out, systems, timelines, clips=clips, seed=seed, overwrite=force, progress=progress)
    print_study(made)


@app.command("score")
def score(
    key: Path = typer.Argument(..., metavar="KEY.json", help="The key that 'tas study make' wrote."),
    answers: list[Path] = typer.Argument(..., metavar="ANSWERS.json...", help="One file per listener."),
    include_failed: bool = typer.Option(False, "--include-failed", help="Count failed headphone checks as well."),
    seed: int = typer.Option(0, min=0, help="Seed of the bootstrap."),
    json_output: AsJson = False,
    save: Save = None,
    force: Force = False,
) -> None:
    """Print how often listeners heard objects where the timelines put them, by system, with 95 % intervals."""
    from tas_cli.output.json_lines import ResultOutput
    from tas_cli.output.study import print_scores
    from tas_core.reporting.study.scoring import score_study

    output = ResultOutput(json_output, save, force)
    output.check([key, *answers])
    scores = score_study(key, answers, include_failed=include_failed, seed=seed)
    output.put(scores.as_dict(), lambda: print_scores(scores))
