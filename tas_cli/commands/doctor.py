"""``tas doctor``."""

from __future__ import annotations

from dataclasses import replace

import typer

from tas_cli.output.json_lines import print_json


def doctor(
    context: typer.Context,
    device: str = typer.Option("auto", help="auto, cpu or cuda, for the self-test."),
    json_output: bool = typer.Option(False, "--json", help="Print one JSON object on stdout."),
) -> None:
    """Say what is installed and configured, and try it on a second of sound; exit code 1 if something is wrong."""
    from tas_cli.commands.config import configuration_dict, print_configuration
    from tas_cli.configuration import load_configuration
    from tas_core.errors import InputError
    from tas_core.jobs.doctor import Check, diagnose

    configuration = None
    try:
        configuration = load_configuration(context.find_root().command)
        readable = Check("configuration", True, str(configuration.file or "no file"))
    except InputError as error:
        readable = Check("configuration", False, str(error))
    found = diagnose(device)
    found = replace(found, checks=(readable, *found.checks))
    changed = [] if configuration is None else configuration.changed()
    if json_output:
        about = None if configuration is None else configuration_dict(configuration, changed)
        print_json({**found.as_dict(), "configuration": about})
    else:
        from tas_cli.output.tables import print_table

        machine = dict(found.machine)
        cards = machine.pop("cuda")
        machine["cuda"] = ", ".join(f"{c['name']} ({c['memory_bytes'] / 2**30:.0f} GiB)" for c in cards) or None
        machine["temporary_free_bytes"] = f"{machine['temporary_free_bytes'] or 0:,}"
        for group in (found.versions, machine, found.places):
            print_table(("", ""), [(name.replace("_", " "), str(value or "-")) for name, value in group.items()])
            typer.echo()
        if configuration is not None:
            print_configuration(configuration, changed)
            typer.echo()
        print_table(("check", "", ""), [(c.name, "ok" if c.ok else "FAILED", c.detail) for c in found.checks])
    for check in found.failed():
        typer.echo(f"tas: failed: {check.name}: {check.detail}", err=True)
    if found.failed():
        raise typer.Exit(1)
