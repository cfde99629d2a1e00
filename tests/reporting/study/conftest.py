"""What tests of studies share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.cli.test_bad_input import tree
from tests.conftest import Finished


def refused(run: Callable[..., Finished], folder: Path, *arguments: object) -> str:
    """The one line with which a command refuses; nothing in the folder has changed."""
    before = tree(folder)
    done = run(*arguments)
    assert done.code == 2, done
    assert done.out == ""
    assert tree(folder) == before
    return done.error_line
