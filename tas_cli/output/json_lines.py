"""JSON for programs: on stdout or stderr, and in files."""

from __future__ import annotations

import codecs
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer


def print_json(value: dict[str, Any], err: bool = False) -> None:
    """Print one object on one line; plain ASCII where the stream is not UTF-8, so that it is JSON in any locale."""
    stream = sys.stderr if err else sys.stdout
    is_utf8 = codecs.lookup(getattr(stream, "encoding", None) or "ascii").name == "utf-8"
    typer.echo(json.dumps(value, ensure_ascii=not is_utf8, allow_nan=False), err=err)


@dataclass(frozen=True)
class ResultOutput:
    """Where the result of a command goes: text for people or JSON on stdout, and JSON into a file as well.

    Args:
        as_json: whether a program reads stdout.
        file: JSON file to write, if one was named.
        overwrite: whether that file may be replaced.
    """

    as_json: bool = False
    file: Path | None = None
    overwrite: bool = False

    def check(self, inputs: Sequence[Path] = ()) -> None:
        """Find out before any work whether the file can be written.

        Raises:
            InputError: as :func:`tas_core.system.files.check_new_file`; or a file that is there is not one of results,
                since it may lie in a folder of inputs.
        """
        from tas_core.errors import InputError
        from tas_core.system.files import check_new_file

        if self.file is not None:
            check_new_file(self.file, inputs, overwrite=self.overwrite)
            if self.file.exists() and self.file.suffix.lower() != ".json":
                raise InputError(f"{self.file}: the file exists and is no .json, expected a file for results")

    def put(self, value: dict[str, Any], show: Callable[[], None]) -> None:
        """Print ``value``, or ``show`` it to people, and then write the file: a full disk does not take what was found.

        Raises:
            InputError: the file has appeared meanwhile and may not be replaced.
            TasError: it cannot be written.
        """
        if self.as_json:
            print_json(value)
        else:
            show()
        if self.file is not None:
            from tas_core.system.files import write_files

            text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
            write_files({self.file: text.encode("utf-8", "backslashreplace")}, overwrite=self.overwrite)
