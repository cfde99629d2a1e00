"""A process that has imported everything, so that forks of it cost nothing but what they do."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import pkgutil
from multiprocessing.connection import Connection
from typing import Any

import torch

import tas_cli
import tas_core
from tas_core.system import processes

_serve = processes._serve


def _serve_alone(pipe: Connection, *task: Any) -> None:
    """A worker that lets go of the ends of pipes that only a fork has, so that it hears when its own is closed."""
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if int(name) != pipe.fileno() and os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                os.close(int(name))
    _serve(pipe, *task)


def warm_up() -> None:
    """Import all modules, without starting a thread, and have workers be forks of this process."""
    for package in (tas_core, tas_cli):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith("__main__"):
                with contextlib.suppress(ImportError):  # of what is not installed
                    importlib.import_module(found.name)
    torch.set_num_threads(1)
    processes.process_context = lambda _: multiprocessing.get_context("fork")  # type: ignore[assignment, return-value]
    processes._serve = _serve_alone
