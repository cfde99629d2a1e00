"""``tas doctor``."""

from __future__ import annotations

from dataclasses import replace

import typer

from tas_cli.options import AsJson, Device, choice


def doctor(
    context: typer.Context,
    device: Device = choice("auto", help="Where the self-test computes."),
    json_output: AsJson = False,
) -> None:
    """Say what is installed and configured, and try it on a second of sound; exit code 1 if something is wrong."""
    from tas_cli.configuration import load_configuration
    from tas_cli.output.doctor import put_diagnosis
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
    put_diagnosis(found, configuration, as_json=json_output)
    if found.failed():
        raise typer.Exit(1)
