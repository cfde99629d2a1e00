"""``tas models``."""

from __future__ import annotations

from pathlib import Path

import typer

from tas_cli.command import Commands
from tas_cli.options import AsJson

app = Commands(help="Look at models: the shipped ones and your own.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def models() -> None:
    """Look at models: the shipped ones and your own."""


def shipped(incomplete: str) -> list[str]:
    """Names of shipped models that begin so, for completion by the shell."""
    from tas_core.models.pretrained import shipped_models

    return [name for name in shipped_models() if name.startswith(incomplete)]


@app.command("list")
def list_command(
    folders: list[Path] | None = typer.Argument(None, metavar="[DIR]...", help="Also list checkpoints in and below."),
    json_output: AsJson = False,
) -> None:
    """List the shipped models, and the checkpoints below folders."""
    from tas_cli.output.json_lines import ResultOutput
    from tas_cli.output.models import print_models
    from tas_core.models.info import list_models

    found = list(list_models(folders or ()))
    ResultOutput(json_output).put({"models": [model.as_dict() for model in found]}, lambda: print_models(found))


@app.command("info")
def info(
    name: str = typer.Argument(..., help="A shipped model, or a checkpoint folder.", autocompletion=shipped),
    json_output: AsJson = False,
) -> None:
    """Say what is known of a model, and check its weights against their hash."""
    from tas_cli.output.json_lines import ResultOutput
    from tas_cli.output.models import print_model
    from tas_core.models.info import model_info

    model = model_info(name)
    ResultOutput(json_output).put(model.as_dict(), lambda: print_model(model))


@app.command("path")
def path(
    name: str = typer.Argument(..., help="A shipped model, or a checkpoint folder.", autocompletion=shipped),
) -> None:
    """Print the folder of a model and nothing else."""
    from tas_cli.output.terminal import print_paths
    from tas_core.models.info import checkpoint_folder

    print_paths(checkpoint_folder(name))
