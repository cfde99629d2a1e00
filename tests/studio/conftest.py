"""A studio on a short sound with a small model, asked in this process as its page would ask."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message

from tas_core.jobs.spatialize import JobSettings
from tas_core.studio.app import Studio, build_app
from tas_core.studio.server import StudioRequest, opened
from tests.support.browser import Browser

TOKEN, PORT = "the-token", 4711
HOST = f"127.0.0.1:{PORT}"
PAGE = {"host": HOST, "origin": f"http://{HOST}", "cookie": f"tas-studio-{PORT}={TOKEN}"}
"""What a browser sends with a request of the page."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Asks an application."""

    def __init__(self, studio: Studio) -> None:
        self.studio, self._app = studio, build_app(studio, TOKEN, PORT)

    def ask(self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] = PAGE) -> Answer:
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "server": ("127.0.0.1", PORT),
            "client": ("127.0.0.1", 1),
        }
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        asyncio.run(self._app(scope, receive, send))
        start = sent[0]
        found = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        return Answer(start["status"], found, b"".join(message.get("body", b"") for message in sent[1:]))

    def get(self, name: str) -> Any:
        answer = self.ask("GET", f"/api/{name}")
        assert answer.status == 200, answer.body
        return answer.json

    def post(self, name: str, /, **fields: Any) -> Answer:
        return self.ask("POST", f"/api/{name}", json.dumps(fields).encode())

    def change(self, **change: Any) -> Answer:
        return self.post("change", revision=self.studio.session.revision, change=change)


@pytest.fixture
def open_client(tiny_model: Path) -> Iterator[Callable[..., Client]]:
    """Opens a studio with the small model."""
    closing = []

    def make(audio: Path | None, scene: Path | None = None, **more: Any) -> Client:
        command = lambda path: lambda out, formats: f"make {out} of {path.name} as {','.join(formats)}"  # noqa: E731
        studio = opened(StudioRequest(audio, scene, **more), JobSettings(model_name=str(tiny_model)), command)
        closing.append(studio)
        return Client(studio.__enter__())

    yield make
    for studio in closing:
        studio.__exit__(None, None, None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser that may play what nobody asked it to."""
    found = Browser("", "autoplay-policy=no-user-gesture-required")
    yield found
    found.driver.quit()
