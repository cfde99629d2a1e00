"""``tas spatialize``."""

from __future__ import annotations

from pathlib import Path

import typer


def spatialize(
    source: Path = typer.Argument(..., metavar="IN", help="Audio file; more than one channel is mixed down."),
    timeline: Path = typer.Option(..., "--timeline", "-t", help="YAML file of prompts, see the README."),
    out: Path = typer.Option(..., "--out", "-o", help="Binaural file to write; the ending sets the format."),
    model: str = typer.Option("slots", help="Name of a shipped model, or a checkpoint folder."),
    steps: int | None = typer.Option(None, min=1, max=1000, help="Diffusion steps; default: the model's own."),
    seed: int = typer.Option(0, min=0, help="Seed of the noise."),
    device: str = typer.Option("auto", help="auto, cpu or cuda."),
    force: bool = typer.Option(False, "--force", help="Overwrite an existing output."),
    json_output: bool = typer.Option(False, "--json", help="Print one JSON object on stdout."),
) -> None:
    """Put every sound where the timeline says."""
    from tas_cli.progress import progress_bar
    from tas_core.file_job import spatialize_file

    with progress_bar(source.name) as progress:
        report = spatialize_file(
            source,
            timeline,
            out,
            model_name=model,
            steps=steps,
            seed=seed,
            device=device,
            force=force,
            progress=progress,
        )
    if json_output:
        import json

        typer.echo(json.dumps(report.as_dict(), ensure_ascii=False))
        return
    typer.echo(f"{report.output}: {report.duration_s:.2f} s, {report.sample_rate_hz} Hz, model {report.model}")
    for segment in report.segments:
        level = "silent" if segment.spl_difference_db is None else f"{segment.spl_difference_db:+.1f} dB"
        typer.echo(f"  {segment.start_s:8.2f} - {segment.end_s:8.2f} s  {level:>9}  {segment.text}")
    total = sum(report.seconds.values())
    typer.echo(f"  {total:.1f} s in all, {report.real_time_factor:.3f} of real time after loading; + dB is left")
