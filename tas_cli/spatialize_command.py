"""``tas spatialize``."""

from __future__ import annotations

import sys
from pathlib import Path

import typer


def spatialize(
    source: Path = typer.Argument(..., metavar="IN", help="Audio or video file; - is standard input."),
    out: Path = typer.Option(..., "--out", "-o", help="Binaural file to write; - is WAV on standard output."),
    timeline: Path | None = typer.Option(
        None, "--timeline", "-t", help="Prompts with times: yaml, srt, vtt, txt.  [default: the one beside IN]"
    ),
    prompt: str | None = typer.Option(None, "--prompt", "-p", help="One prompt for all of it, in place of a timeline."),
    channel: int | None = typer.Option(None, min=1, help="Take one channel, counted from 1.  [default: mix down]"),
    start: float = typer.Option(0.0, min=0.0, help="Begin here, in seconds; times of the timeline stay."),
    duration: float | None = typer.Option(None, min=0.0, help="Make so many seconds.  [default: to the end]"),
    gain: float = typer.Option(0.0, min=-100.0, max=100.0, help="Gain in dB."),
    loudness: float | None = typer.Option(None, min=-70.0, max=0.0, help="Integrated loudness wanted, in LUFS."),
    clip: str = typer.Option("rescale", help="Beyond full scale: rescale all of it, clamp samples, or error."),
    subtype: str | None = typer.Option(None, help="PCM_16, PCM_24 or FLOAT.  [default: as IN]"),
    model: str = typer.Option("slots", help="Name of a shipped model, or a checkpoint folder."),
    steps: int | None = typer.Option(None, min=1, max=1000, help="Diffusion steps; default: the model's own."),
    seed: int = typer.Option(0, min=0, help="Seed of noise and dither."),
    device: str = typer.Option("auto", help="auto, cpu or cuda."),
    sidecar: bool = typer.Option(False, "--sidecar", help="Also write OUT.tas.json: how OUT was made."),
    force: bool = typer.Option(False, "--force", help="Overwrite existing outputs."),
    json_output: bool = typer.Option(False, "--json", help="Print one JSON object on stdout; with -o -, on stderr."),
    progress: str = typer.Option("auto", help="On stderr: auto (a bar on a terminal), bar, json or off."),
) -> None:
    """Put every sound where the timeline says."""
    from tas_cli.progress import progress_bar
    from tas_core.file_job import spatialize_file
    from tas_core.file_request import FileOptions
    from tas_core.levelled_output import Levels
    from tas_core.output_files import STANDARD_STREAM

    options = FileOptions(
        steps=steps,
        seed=seed,
        channel=channel,
        start_s=start,
        duration_s=duration,
        levels=Levels(gain, loudness, clip),
        subtype=subtype,
        sidecar=sidecar,
        overwrite=force,
    )
    with progress_bar(source.name, progress) as report_progress:
        report = spatialize_file(
            source,
            out,
            timeline_path=timeline,
            prompt=prompt,
            options=options,
            model_name=model,
            device=device,
            progress=report_progress,
            command=["tas", *sys.argv[1:]],
        )
    to_stderr = str(out) == STANDARD_STREAM
    if json_output:
        import json

        typer.echo(json.dumps(report.as_dict(), ensure_ascii=False), err=to_stderr)
        return
    name = "standard output" if to_stderr else report.output
    lines = [f"{name}: {report.duration_s:.2f} s, {report.sample_rate_hz} Hz, model {report.model}"]
    for segment in report.segments:
        level = "silent" if segment.spl_difference_db is None else f"{segment.spl_difference_db:+.1f} dB"
        lines.append(f"  {segment.start_s:8.2f} - {segment.end_s:8.2f} s  {level:>9}  {segment.text}")
    total = sum(report.seconds.values())
    lines.append(f"  {total:.1f} s in all, {report.real_time_factor:.3f} of real time after loading; + dB is left")
    typer.echo("\n".join(lines), err=to_stderr)
