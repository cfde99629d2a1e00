"""``tas data``."""

from __future__ import annotations

from pathlib import Path

import typer

app = typer.Typer(help="Make training material.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def data() -> None:
    """Make training material."""


@app.command("bank")
def bank(
    out: Path = typer.Option(..., "--out", "-o", help="Folder to write; what is in it already is kept."),
    clips: int = typer.Option(4, min=1, help="Clips per category and source."),
    length: float = typer.Option(8.0, min=3.0, max=60.0, help="Length of a clip in seconds."),
    rooms: int = typer.Option(500, min=4, help="Simulated rooms."),
    seed: int = typer.Option(0, min=0, help="Seed of melodies and rooms."),
    jobs: int = typer.Option(2, min=1, help="Processes."),
    text_encoder: str = typer.Option("minilm", help="Encoder of the phrases: minilm, clip, bert or t5."),
) -> None:
    """Render dry stems of every category, simulate rooms and encode phrases, for 'tas train'."""
    from tas_core.datasets.material import build_material
    from tas_core.encoders.registry import build_text_encoder

    build_material(
        out,
        clips_per_source=clips,
        length_s=length,
        rooms=rooms,
        seed=seed,
        jobs=jobs,
        encode=build_text_encoder(text_encoder),
        encoder_name=text_encoder,
        progress=lambda done, total, name: typer.echo(f"{done}/{total} {name}", err=True),
    )
    typer.echo(str(out))
