"""JSON for programs, on stdout or stderr."""

from __future__ import annotations

import codecs
import json
import sys
from typing import Any

import typer


def print_json(value: dict[str, Any], err: bool = False) -> None:
    """Print one object on one line; plain ASCII where the stream is not UTF-8, so that it is JSON in any locale."""
    stream = sys.stderr if err else sys.stdout
    is_utf8 = codecs.lookup(getattr(stream, "encoding", None) or "ascii").name == "utf-8"
    typer.echo(json.dumps(value, ensure_ascii=not is_utf8), err=err)
