"""What all commands have in common: names of files that are none are refused, and long help pages have headings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand


class Command(TyperCommand):
    """A command that takes paths where it asks for paths: an address (``s3://``) would become a folder of that name."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As Typer does it, and then each value that became a path is looked for among the words.

        Raises:
            tas_core.errors.InputError: one is an address.
        """
        words = tuple(args)  # Typer takes away what it has read
        rest = super().parse_args(ctx, args)
        if any("://" in word for word in words):
            from tas_core.system.files import check_path, is_url

            values = [each for value in ctx.params.values() for each in (value if isinstance(value, list) else [value])]
            paths = {str(value) for value in values if isinstance(value, Path)}
            for word in words:
                for text in {word, word.partition("=")[2], word[2:]}:  # --out=s3://bucket/key, -os3://bucket/key
                    if is_url(text) and str(Path(text)) in paths:
                        check_path(text)
        return rest


class Commands(typer.Typer):
    """A group of such commands."""

    def command(
        self, name: str | None = None, *, cls: type[TyperCommand] | None = None, **how: Any
    ) -> Callable[..., Any]:
        """As Typer's."""
        return super().command(name, cls=cls or Command, **how)


class GroupedCommand(Command):
    """A command whose options stand under the heading that each names as its ``rich_help_panel``.

    Typer does so by itself only in its boxes of Rich, which take longer to load than all of ``tas --help``.
    """

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, then options, as lists."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                other = "Arguments" if parameter.param_type_name == "argument" else "Options"
                groups.setdefault(getattr(parameter, "rich_help_panel", None) or other, []).append(record)
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl(records)
