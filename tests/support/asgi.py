"""A client of an ASGI application in this process: one request, and what is answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BOUNDARY = "tas-boundary"
FORM = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
JSON = {"content-type": "application/json"}


@dataclass
class Answer:
    """What came back."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The one line of a refusal; fails where there is more, or a traceback."""
        assert self.headers["content-type"] == "application/json"
        (line,) = self.json().values()
        assert "\n" not in line
        assert "Traceback" not in line
        return line


def form(*parts: tuple[str, str | None, str | bytes | Path], name: str = BOUNDARY) -> bytes:
    """A body of ``multipart/form-data``: names of the parts, names of their files if they are files, and contents."""
    lines = []
    for part, file, content in parts:
        data = content.read_bytes() if isinstance(content, Path) else content
        said = f'form-data; name="{part}"' + ("" if file is None else f'; filename="{file}"')
        head = f"--{name}\r\nContent-Disposition: {said}\r\n\r\n".encode()
        lines.append(head + (data.encode() if isinstance(data, str) else data) + b"\r\n")
    return b"".join(lines) + f"--{name}--\r\n".encode()


async def ask(
    app: Any,
    path: str = "/spatialize",
    body: bytes | Iterable[bytes] = b"",
    headers: dict[str, str] | None = None,
    *,
    method: str = "POST",
    leave: asyncio.Event | None = None,
    pause_s: float = 0.0,
) -> Answer:
    """Ask an application.

    Args:
        app: the application.
        path: of the URL.
        body: all at once, with its length said, or in pieces, without.
        headers: beside Host.
        method: of HTTP.
        leave: the client leaves when this is set.
        pause_s: seconds before each piece of the body.
    """
    pieces = [body] if isinstance(body, bytes) else list(body)
    said = {"host": "localhost"} | ({"content-length": str(len(body))} if isinstance(body, bytes) else {})
    raw = [(key.lower().encode(), value.encode("latin-1")) for key, value in {**said, **(headers or {})}.items()]
    scope = {
        **{"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http"},
        **{"path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": raw},
        **{"client": None, "server": None},
    }
    answer, waiting = Answer(), iter(enumerate(pieces, 1))
    never = asyncio.Event()

    async def receive() -> dict[str, Any]:
        for number, piece in waiting:
            await asyncio.sleep(pause_s)
            return {"type": "http.request", "body": piece, "more_body": number < len(pieces)}
        await (leave or never).wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {key.decode().lower(): value.decode("latin-1") for key, value in message["headers"]}
        else:
            answer.body += message.get("body", b"")

    await app(scope, receive, send)
    return answer
