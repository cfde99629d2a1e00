"""What ``tas studio`` says."""

from __future__ import annotations

import threading
import webbrowser

import typer


def print_address(address: str, browser: bool) -> None:
    """The address of the page, which is opened in a browser if that is wanted."""
    typer.echo(f"{address}\nCtrl-C ends it; what is not saved is kept beside the timeline.")
    if browser:  # some do not come back before they are closed
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
