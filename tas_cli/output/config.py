"""What ``tas config`` prints."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from tas_cli.configuration import Configuration, Value, default_config_file
from tas_cli.output.tables import print_table


def configuration_dict(found: Configuration, values: Sequence[Value]) -> dict[str, Any]:
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


def print_configuration(found: Configuration, values: Sequence[Value]) -> None:
    """Print the file and a line per value."""
    print(f"file: {found.file or f'none; {default_config_file()} would be read'}")
    rows = [
        (
            " ".join(("tas", *value.setting.command)),
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
        print("nothing is configured; tas config --all shows what can be")
    for name in found.unknown_variables:
        print(f"tas: warning: {name}: no option has this variable", file=sys.stderr)
