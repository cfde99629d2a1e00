"""What ``tas train`` prints."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from tas_cli.output.json_lines import print_json


def training_progress(mode: str) -> Callable[[int, Mapping[str, float]], None]:
    """What to call with the number of a step and what was measured there; see ``tas --progress``."""

    def tell(step: int, measured: Mapping[str, float]) -> None:
        if mode == "json":
            print_json({"step": step, **measured}, err=True)
        elif mode != "off":
            print(
                f"{step:6d}  " + "  ".join(f"{name} {value:.4g}" for name, value in measured.items()), file=sys.stderr
            )

    return tell
