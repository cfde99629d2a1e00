"""Requests to an application in this process, without a socket and without threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from typing import Any
from unittest import mock

from starlette.types import ASGIApp, Message

from tas_core.serving import answers
from tas_core.serving import app as serving
from tas_core.studio import app as studio

_THREADED = (studio, serving, answers)


@dataclass(frozen=True)
class Answer:
    """What an application answers: its status, headers in small letters, all of its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def header(self, name: str) -> str:
        """A header's value without its parameters; nothing if it is not there."""
        return self.headers.get(name, "").partition(";")[0]


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


async def _at_once(work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    return work(*arguments, **named)


def asked(app: ASGIApp, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
    """The answer to a request; what would be done in threads is done here.

    Raises:
        AssertionError: there is none.
    """
    path, _, query = target.partition("?")
    scope = {
        **{"type": "http", "http_version": "1.1", "method": method, "scheme": "http", "path": path},
        **{"raw_path": path.encode(), "query_string": query.encode(), "root_path": ""},
        "headers": [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()],
        **{"server": ("127.0.0.1", 4711), "client": ("127.0.0.1", 1)},
    }
    sent: list[Message] = []
    parts = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Message:
        return next(parts, {"type": "http.disconnect"})

    async def send(message: Message) -> None:
        sent.append(message)

    with ExitStack() as stack:
        for module in _THREADED:
            stack.enter_context(mock.patch.object(module, "run_in_threadpool", _at_once))
        _loop().run_until_complete(app(scope, receive, send))
    if not sent or sent[0]["type"] != "http.response.start":
        raise AssertionError("no answer")
    found = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], found, b"".join(message.get("body", b"") for message in sent[1:]))


def parted(data: bytes) -> tuple[str, str, dict[str, str], bytes]:
    """Method, target, headers and body of a request, as far as a text has them: lines, an empty one, and the rest."""
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.decode("latin-1").split("\n")
    method, _, target = first.partition(" ")
    pairs = (line.partition(":")[::2] for line in lines)
    return method, target, {name.strip().lower(): value.strip() for name, value in pairs}, body
