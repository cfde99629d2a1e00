"""``tas config``."""

from __future__ import annotations

import typer

from tas_cli.options import AsJson


def config(
    context: typer.Context,
    show_all: bool = typer.Option(False, "--all", help="Every option that can be configured, with its variable."),
    json_output: AsJson = False,
) -> None:
    """Show the configuration file, the values in effect and where each comes from."""
    from tas_cli.configuration import load_configuration
    from tas_cli.output.config import configuration_dict, print_configuration
    from tas_cli.output.json_lines import ResultOutput

    found = load_configuration(context.find_root().command)
    values = list(found.values) if show_all else found.changed()
    ResultOutput(json_output).put(configuration_dict(found, values), lambda: print_configuration(found, values))
