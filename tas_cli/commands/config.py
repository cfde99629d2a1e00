"""``tas config``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

from tas_cli.output.json_lines import print_json

if TYPE_CHECKING:
    from tas_cli.configuration import Configuration, Value


def config(
    context: typer.Context,
    show_all: bool = typer.Option(False, "--all", help="Every option that can be configured, with its variable."),
    json_output: bool = typer.Option(False, "--json", help="Print one JSON object on stdout."),
) -> None:
    """Show the configuration file, the values in effect and where each comes from."""
    from tas_cli.configuration import load_configuration

    found = load_configuration(context.find_root().command)
    values = list(found.values) if show_all else found.changed()
    if json_output:
        print_json(configuration_dict(found, values))
    else:
        print_configuration(found, values)


def configuration_dict(found: Configuration, values: list[Value]) -> dict[str, Any]:
    """What ``--json`` prints; the file is null if there is none."""
    return {
        "file": None if found.file is None else str(found.file),
        "values": [
            {
                "command": " ".join(value.setting.command),
                "option": value.setting.option,
                "variable": value.setting.variable,
                "value": value.value,
                "origin": value.origin,
            }
            for value in values
        ],
        "unknown_variables": list(found.unknown_variables),
    }


def print_configuration(found: Configuration, values: list[Value]) -> None:
    """Print the file and a line per value."""
    from tas_cli.configuration import default_config_file
    from tas_cli.output.tables import print_table

    typer.echo(f"file: {found.file or f'none; {default_config_file()} would be read'}")
    rows = [
        (
            "tas " + " ".join(value.setting.command),
            "--" + value.setting.option,
            "" if value.value is None else json.dumps(value.value, ensure_ascii=False),
            value.origin,
            value.setting.variable,
        )
        for value in values
    ]
    if rows:
        print_table(("command", "option", "value", "from", "variable"), rows)
    else:
        typer.echo("nothing is configured; tas config --all shows what can be")
    for name in found.unknown_variables:
        typer.echo(f"tas: warning: {name}: no option has this variable", err=True)
