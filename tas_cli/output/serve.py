"""What ``tas serve`` says, on stderr."""

from __future__ import annotations

import sys

from tas_core.serving.maker import Loaded
from tas_core.serving.settings import Address


def print_ready(address: Address, loaded: Loaded) -> None:
    """Say where the server listens, and what it has loaded."""
    print(f"tas: listening at {address}, model {loaded.model} on {loaded.device}", file=sys.stderr, flush=True)


def print_trouble(line: str) -> None:
    """Say what went wrong with a request on the server's side."""
    print(f"tas: error: {line}", file=sys.stderr, flush=True)
