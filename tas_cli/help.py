"""Help pages with options under headings."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand


class GroupedCommand(TyperCommand):
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
