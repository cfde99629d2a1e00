"""``tas models``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tas_cli.output.json_lines import print_json

if TYPE_CHECKING:
    from tas_core.models.info import ModelInfo

app = typer.Typer(help="Look at models: the shipped ones and your own.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def models() -> None:
    """Look at models: the shipped ones and your own."""


def _shipped(incomplete: str) -> list[str]:
    from tas_core.models.pretrained import shipped_models

    return [name for name in shipped_models() if name.startswith(incomplete)]


@app.command("list")
def list_command(
    folders: list[Path] | None = typer.Argument(None, metavar="[DIR]...", help="Also list checkpoints in and below."),
    json_output: bool = typer.Option(False, "--json", help="Print one JSON object on stdout."),
) -> None:
    """List the shipped models, and the checkpoints below folders."""
    from tas_core.models.info import list_models

    found = list(list_models(folders or ()))
    if json_output:
        print_json({"models": [model.as_dict() for model in found]})
        return
    from tas_cli.output.tables import print_table

    numbers = ("parameters", "MB", "steps trained", "hours", "default steps")
    print_table(
        ("model", "family", *numbers, "text encoder", "SHA-256 of the weights"),
        [
            (
                model.name,
                model.family,
                f"{model.parameters:,}",
                f"{model.size_bytes / 1e6:.1f}",
                _number(model.steps_trained),
                _number(model.hours_trained),
                str(model.default_steps),
                model.text_encoder or "-",
                model.weights_sha256[:16],
            )
            for model in found
        ],
        right=numbers,
    )


@app.command("info")
def info(
    name: str = typer.Argument(..., help="A shipped model, or a checkpoint folder.", autocompletion=_shipped),
    json_output: bool = typer.Option(False, "--json", help="Print one JSON object on stdout."),
) -> None:
    """Say what is known of a model, and check its weights against their hash."""
    from tas_core.models.info import model_info

    model = model_info(name)
    if json_output:
        print_json(model.as_dict())
        return
    from tas_cli.output.tables import print_table

    print_table(("", ""), _lines(model).items())


@app.command("path")
def path(
    name: str = typer.Argument(..., help="A shipped model, or a checkpoint folder.", autocompletion=_shipped),
) -> None:
    """Print the folder of a model and nothing else."""
    from tas_core.models.info import checkpoint_folder

    typer.echo(str(checkpoint_folder(name)))


def _lines(model: ModelInfo) -> dict[str, str]:
    lines = {
        "model": model.name + (" (shipped)" if model.shipped else ""),
        "folder": model.folder,
        "family": model.family,
        "parameters": f"{model.parameters:,}, stored as {', '.join(model.stored_as)}",
        "size on disk": f"{model.size_bytes / 1e6:.1f} MB",
        "SHA-256 of the weights": model.weights_sha256,
        "digest": model.digest,
        "text encoder": model.text_encoder or "-",
        "steps trained, last run": _number(model.steps_trained),
        "hours, last run": _number(model.hours_trained),
        "default steps": str(model.default_steps),
        "licence": model.licence,
    }
    return lines | ({"model card": model.model_card} if model.model_card else {})


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,}"
