"""What ``tas report`` prints."""

from __future__ import annotations

from pathlib import Path


def print_page(page: Path) -> None:
    """Say which page was made, and how big it is."""
    print(f"{page}: {page.stat().st_size / 1e6:.1f} MB")
