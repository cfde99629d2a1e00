"""A studio on a thread of this process, for a browser: no process is started, and the test can reach into it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from tas_core.jobs.spatialize import JobSettings
from tas_core.serving.run import listening, plain_config
from tas_core.serving.settings import Address
from tas_core.studio.app import Studio, build_app
from tas_core.studio.server import StudioRequest, opened

TOKEN = "token-of-a-test"


@dataclass(frozen=True)
class Served:
    """A studio that answers.

    Attributes:
        studio: what its page works on.
        address: of its page, with the token.
    """

    studio: Studio
    address: str


@contextlib.contextmanager
def served(audio: Path | None, model: Path, scene: Path | None = None, **more: Any) -> Iterator[Served]:
    """A studio from its start to its end."""

    def command(path: Path) -> Any:
        return lambda out, formats: f"tas spatialize {path.name} -o {out} {' '.join(formats)}".strip()

    request = StudioRequest(audio, scene, **more)
    with (
        opened(request, JobSettings(model_name=str(model)), command) as studio,
        listening(Address(None, "127.0.0.1", 0)) as (sock, where),
    ):
        server = uvicorn.Server(plain_config(build_app(studio, TOKEN, where.port), timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
        thread.start()
        try:
            yield Served(studio, f"http://{where}/?token={TOKEN}")
        finally:
            server.should_exit = True
            thread.join()
