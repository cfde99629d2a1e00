"""``tas study``."""

from __future__ import annotations

from pathlib import Path

import typer

app = typer.Typer(help="Ask listeners where they hear what.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def study() -> None:
    """Ask listeners where they hear what."""


@app.command("make")
def make(
    out: Path = typer.Option(..., "--out", "-o", help="HTML file or folder to write; key.json goes beside the page."),
    system: list[str] = typer.Option(..., "--system", metavar="NAME=FOLDER", help="Files of one system; repeat."),
    timelines: Path = typer.Option(..., help="Folder of timelines (yaml, srt, vtt, txt), named as the files."),
    clips: int | None = typer.Option(None, min=1, help="Clips to draw; default: all that can be used."),
    seed: int = typer.Option(0, min=0, help="Seed of choice, order and numbers."),
    force: bool = typer.Option(False, "--force", help="Overwrite an existing page and key."),
) -> None:
    """Make one HTML page that plays the systems' files under random numbers, and the key to the numbers."""
    from tas_cli.output.progress import progress_bar
    from tas_core.errors import InputError
    from tas_core.reporting.study.page import make_study

    systems: dict[str, Path] = {}
    for text in system:
        name, equals, folder = text.partition("=")
        if not equals or not name or not folder:
            raise InputError(f"--system {text!r}: expected NAME=FOLDER")
        if name in systems:
            raise InputError(f"--system {text!r}: the name {name!r} is given twice")
        systems[name] = Path(folder)
    with progress_bar(out.name) as progress:
        report = make_study(out, systems, timelines, clips=clips, seed=seed, overwrite=force, progress=progress)
    typer.echo(f"{report.page}: {report.items} recordings, {report.clips} clips, {report.page_bytes / 1e6:.1f} MB")
    typer.echo(f"{report.key}: which number is which system; keep it from the listeners")
    if report.moving:
        typer.echo(f"  {len(report.moving)} clips left out because an object moves or has several places")
    if report.unmatched:
        typer.echo(f"  {len(report.unmatched)} clips left out because not every folder has them")


@app.command("score")
def score(
    key: Path = typer.Argument(..., metavar="KEY.json", help="The key that 'tas study make' wrote."),
    answers: list[Path] = typer.Argument(..., metavar="ANSWERS.json...", help="One file per listener."),
    json_file: Path | None = typer.Option(None, "--json", help="Also write the scores to this file."),
    include_failed: bool = typer.Option(False, "--include-failed", help="Count failed headphone checks as well."),
    seed: int = typer.Option(0, min=0, help="Seed of the bootstrap."),
    force: bool = typer.Option(False, "--force", help="Overwrite an existing --json file."),
) -> None:
    """Print how often listeners heard objects where the timelines put them, by system, with 95 % intervals."""
    import json

    from tas_core.reporting.study.scoring import Accuracy, score_study
    from tas_core.system.files import check_new_file, write_files

    if json_file is not None:
        check_new_file(json_file, [key, *answers], overwrite=force)
    scores = score_study(key, answers, include_failed=include_failed, seed=seed)
    if json_file is not None:
        write_files({json_file: (json.dumps(scores.as_dict(), indent=1) + "\n").encode("ascii")}, overwrite=force)

    def cell(accuracy: Accuracy | None) -> str:
        if accuracy is None:
            return "not answered"
        share = f"{accuracy.value:.3f} [{accuracy.low:.3f}, {accuracy.high:.3f}]"
        return f"{share}  {accuracy.right} of {accuracy.asked}"

    width = max(len("system"), *(len(each.system) for each in scores.systems))
    typer.echo(f"{'system':{width}}  {'rank-object':36}  rank-audio")
    for each in scores.systems:
        typer.echo(f"{each.system:{width}}  {cell(each.rank_object):36}  {cell(each.rank_audio)}")
    typer.echo(f"{scores.listeners} listeners; brackets: {100 * scores.level:g} % intervals over listeners and clips")
    if scores.failed_check:
        fate = "included" if scores.failed_included else "not counted"
        typer.echo(f"{len(scores.failed_check)} failed the headphone check, {fate}: {', '.join(scores.failed_check)}")
    for name, count in scores.unanswered.items():
        typer.echo(f"{name}: {count} items left open, not counted")
