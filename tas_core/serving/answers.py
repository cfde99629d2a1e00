"""Answers: JSON, a file that goes when it was sent, refusals with their status and their line, and what a line may say.

What clients read never names the folders that only the server knows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, JSONResponse
from starlette.types import Receive, Scope, Send

from tas_core.errors import TasError, visible
from tas_core.jobs.batch.worker import FileOutcome
from tas_core.system.configs import one_line
from tas_core.system.json_values import json_value
from tas_core.system.partial_files import PartialFolder

WARNINGS_HEADER: Final = "Tas-Warnings"
_MOST_WARNINGS_BYTES: Final = 6000
_REMEDIES: Final = {"overwrite": '"force": true', "prompt": "timeline or prompt", "channel": "channel"}
"""Fields of a request that help, by the keys of :attr:`tas_core.errors.TasError.remedy`."""
_TYPES: Final = {
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
    ".aiff": "audio/aiff",
    ".aif": "audio/aiff",
    ".mp4": "video/mp4",
    ".mkv": "video/x-matroska",
    ".webm": "video/webm",
}


class Json(JSONResponse):
    """JSON in plain ASCII: names of files may hold what is no Unicode."""

    def render(self, content: Any) -> bytes:
        """The bytes of an object."""
        return json.dumps(content, allow_nan=False).encode("ascii")


class Refusal(Exception):
    """An answer other than what was asked for: its status, its line, and headers."""

    def __init__(self, status: int, line: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(line)
        self.status, self.line, self.headers = status, visible(line), headers or {}


class LastResponse(FileResponse):
    """A file, whose folder goes when it was sent, or cannot be."""

    def __init__(self, path: Path, folder: PartialFolder, headers: dict[str, str]) -> None:
        kind = _TYPES.get(path.suffix.lower(), "application/octet-stream")
        super().__init__(path, filename=path.name, media_type=kind, headers=headers)
        self._folder = folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, as ASGI has it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await run_in_threadpool(self._folder.remove)


def parsed_json(body: bytes) -> Any:
    """What JSON says; nan and infinity are no numbers there.

    Raises:
        ValueError: "not JSON: ...", in one line.
    """
    try:
        return json_value(body)
    except ValueError as problem:
        raise ValueError(f"not JSON: {one_line(problem)}") from None


def error_line(problem: TasError, hidden: tuple[str, ...]) -> str:
    """What an error says to a client."""
    return with_remedy(shown(str(problem), hidden), problem.remedy)


def with_remedy(line: str, remedy: str | None) -> str:
    """A line, and behind it in brackets the field of a request that helps, if one does."""
    return f"{line} ({_REMEDIES[remedy]})" if remedy in _REMEDIES else line


def shown(text: str, hidden: tuple[str, ...]) -> str:
    """A text on one line, without the folders that nobody but the server knows."""
    for folder in hidden:
        text = text.replace(folder, "")
    return " ".join(text.split("\n"))


def without(value: Any, hidden: tuple[str, ...]) -> Any:
    """Plain values, without those folders in their texts."""
    if isinstance(value, str):
        return shown(value, hidden)
    if isinstance(value, dict):
        return {name: without(each, hidden) for name, each in value.items()}
    return [without(each, hidden) for each in value] if isinstance(value, list | tuple) else value


def warning_lines(outcome: FileOutcome, hidden: tuple[str, ...]) -> list[str]:
    """What there is to say of a file that was made."""
    return [shown(visible(str(warning)), hidden) for warning in outcome.warnings]


def warnings_header(said: list[str]) -> str:
    """Warnings as a header, short and plain ASCII: a list of JSON, without those for which there is no room."""
    kept = list(said)
    while len(text := json.dumps(kept)) > _MOST_WARNINGS_BYTES:
        kept = [*kept[:-2], f"and {len(said) - len(kept) + 2} more"] if len(kept) > 1 else [kept[0][:1000]]
    return text
