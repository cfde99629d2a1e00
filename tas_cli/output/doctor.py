"""What ``tas doctor`` prints."""

from __future__ import annotations

import sys

from tas_cli.configuration import Configuration
from tas_cli.output.config import configuration_dict, print_configuration
from tas_cli.output.json_lines import ResultOutput
from tas_cli.output.tables import print_table
from tas_core.jobs.doctor import Diagnosis


def put_diagnosis(found: Diagnosis, configuration: Configuration | None, *, as_json: bool) -> None:
    """Print what is installed and configured, and what was tried; on stderr a line for each check that failed."""
    about = None if configuration is None else configuration_dict(configuration, configuration.changed())
    ResultOutput(as_json).put(
        {**found.as_dict(), "configuration": about}, lambda: print_diagnosis(found, configuration)
    )
    for check in found.failed():
        print(f"tas: failed: {check.name}: {check.detail}", file=sys.stderr)


def print_diagnosis(found: Diagnosis, configuration: Configuration | None) -> None:
    """Print it as tables."""
    machine = dict(found.machine)
    cards = machine.pop("cuda")
    machine["cuda"] = ", ".join(f"{c['name']} ({c['memory_bytes'] / 2**30:.0f} GiB)" for c in cards) or None
    machine["temporary_free_bytes"] = f"{machine['temporary_free_bytes'] or 0:,}"
    for group in (found.versions, machine, found.places):
        print_table(("", ""), [(name.replace("_", " "), str(value or "-")) for name, value in group.items()])
        print()
    if configuration is not None:
        print_configuration(configuration, configuration.changed())
        print()
    print_table(("check", "", ""), [(c.name, "ok" if c.ok else "FAILED", c.detail) for c in found.checks])
