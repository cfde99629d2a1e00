"""The machine and what is installed on it, found out without importing any of it."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections.abc import Iterable
from importlib import metadata

from tas_core.errors import TasError
from tas_core.system.programs import captured

_FFMPEG_TIMEOUT_S = 10.0


def processor_name() -> str:
    """Model of the CPU; empty where the system does not say."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()


def package_versions(packages: Iterable[str]) -> dict[str, str | None]:
    """Installed versions by the names that ``pip`` uses; None for what is not installed."""
    found: dict[str, str | None] = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found


def required_packages(package: str) -> list[str]:
    """Names of the packages that an installed one cannot do without; nothing where it is not installed."""
    try:
        lines = metadata.requires(package) or []
    except metadata.PackageNotFoundError:
        return []
    names = (re.match(r"[A-Za-z0-9._-]+", line) for line in lines if "extra ==" not in line)
    return [name[0] for name in names if name]


def ffmpeg_version() -> str | None:
    """Version of the ``ffmpeg`` on the path; None if there is none.

    Raises:
        TasError: there is one, but it does not run, or does not say that it is ffmpeg.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        return None
    try:
        done = captured([program, "-version"], timeout_s=_FFMPEG_TIMEOUT_S)
    except OSError as error:
        raise TasError(f"{program}: is installed but does not run ({error.strerror})") from error
    except subprocess.SubprocessError as error:
        raise TasError(f"{program}: is installed but does not answer within {_FFMPEG_TIMEOUT_S:g} s") from error
    match = re.match(r"ffmpeg version (\S+)", done.stdout.decode(errors="replace"))
    if match is None or done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        reason = (lines or [f"exit code {done.returncode}"])[-1]
        raise TasError(f"{program}: is installed but does not run ({reason})")
    return match[1]
