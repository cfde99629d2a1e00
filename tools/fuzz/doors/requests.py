"""Requests to ``tas serve``: fields in JSON, with paths in granted folders or with files that came along, and whole."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import Future
from functools import cache
from pathlib import Path

from starlette.types import ASGIApp

from tas_core.errors import InputError
from tas_core.jobs.batch.worker import FileOutcome
from tas_core.jobs.request import FileOptions
from tas_core.serving.app import Service, build_app
from tas_core.serving.maker import Loaded, Order
from tas_core.serving.orders import OUT_FOLDER, Upload, file_order, sound_order
from tas_core.serving.queue import JobQueue, Place
from tas_core.serving.settings import Folders, Limits
from tas_core.system.json_values import json_value
from tools.fuzz.asking import asked, parted
from tools.fuzz.door import Door

_HERE = b"@HERE@"


def _said(data: bytes, folder: Path) -> object:
    """What JSON says, as :func:`tas_core.serving.answers.parsed_json` reads it; @HERE@ is the granted folder."""
    try:
        return json_value(data.replace(_HERE, str(folder).encode()))
    except ValueError as error:
        raise InputError(f"not JSON: {error}") from None


def _check(order: Order, *folders: Path) -> None:
    for made in order.request.deliveries:
        if not any(made.path.resolve().is_relative_to(folder) for folder in folders):
            raise AssertionError("an output outside of the folder of outputs")


def _paths(data: bytes, folder: Path) -> None:
    (folder / "a.srt").write_text("00:00:00,000 --> 00:00:01,000\ndog left\n", "utf-8")
    _check(file_order(_said(data, folder), FileOptions(), Folders.of([folder], [folder])), folder)


def _upload(data: bytes, folder: Path) -> None:
    said = _said(data, folder)
    name = said.pop("name", "a.wav") if isinstance(said, dict) else "a.wav"
    order, _ = sound_order(said, Upload(folder, str(name)), None, FileOptions(), Folders())
    _check(order, folder / OUT_FOLDER)


class _NoWork(JobQueue):
    """A row in which every request fails at once, after a look at where its output would lie.

    Args:
        folders: below one of which it has to.
    """

    def __init__(self, *folders: Path) -> None:
        super().__init__(lambda: None, 1, 1)  # type: ignore[arg-type, return-value]
        self._folders = folders

    def submit(self, order: Order) -> Future[FileOutcome]:
        _check(order, *self._folders)
        future: Future[FileOutcome] = Future()
        future.set_result(FileOutcome(order.request, error=f"{order.request.main_out}: not made", code=2))
        return future

    def reserve(self) -> Place:
        assert not self._taken
        return super().reserve()


@cache
def _service(folder: Path) -> tuple[ASGIApp, list[str]]:
    """What answers, and what it says on its own side; made once."""
    granted, temporary = folder / "granted", folder / "temporary"
    said: list[str] = []
    queue = _NoWork(granted, temporary)
    folders = Folders.of([granted], [granted])
    loaded = Loaded("x", "", "cpu")
    service = Service(queue, Limits(), folders, FileOptions(), loaded, temporary, True, said.append)
    return build_app(service), said


def _whole(data: bytes, folder: Path) -> None:
    """A whole request, in which lines of a form end as they have to."""
    for name in ("granted", "temporary"):
        (folder / name).mkdir(exist_ok=True)
    app, said = _service(folder)
    said.clear()
    method, target, headers, body = parted(data.replace(_HERE, str(folder / "granted").encode()))
    if "multipart" in headers.get("content-type", ""):
        body = body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    answer = asked(app, method, target, headers, body)
    if said or answer.status == 500:
        raise AssertionError(f"status {answer.status}: {answer.body[:200]!r} {said}")
    if answer.status >= 400 and method != "HEAD":
        line = json.loads(answer.body)["error"]
        if not line or "\n" in line or str(folder / "temporary") in line:
            raise AssertionError(f"not a line for clients: {line!r}")
    if left := list((folder / "temporary").iterdir()):
        shutil.rmtree(left[0])
        raise AssertionError("something is left of a request")


def _form(*parts: tuple[str, str, str]) -> bytes:
    """A request with a form: names, names of files, contents."""
    texts = []
    for name, file, content in parts:
        named = f'; filename="{file}"' if file else ""
        texts.append(f'--line\ncontent-disposition: form-data; name="{name}"{named}\n\n{content}\n')
    head = "POST /spatialize\nhost: localhost\ncontent-type: multipart/form-data; boundary=line\n\n"
    return (head + "".join(texts) + "--line--\n").encode()


def _whole_seeds() -> list[bytes]:
    words = "prompts:\n- {start: 0, text: dog left}\n"
    by_path = b'{"sound": "@HERE@/a.wav", "output": "@HERE@/o.wav", "prompt": "dog left"}'
    head = b"POST /spatialize\nhost: 127.0.0.1:80\ncontent-type: application/json\ncontent-length: 70\n\n"
    return [
        head + by_path,
        _form(("sound", "a.wav", "RIFF"), ("options", "", '{"prompt": "dog left", "output": "o.flac"}')),
        _form(("sound", "b.wav", "RIFF"), ("timeline", "a.yaml", words), ("options", "o.json", "{}")),
        b"GET /health\nhost: localhost\n\n",
        b"GET /metrics\nhost: [::1]:80\n\n",
    ]


_HEADERS = tuple(
    word.encode()
    for word in (
        *("POST ", "GET ", "/spatialize", "host: ", "localhost", "[::1]", "[", "origin: null", "content-length: "),
        *("content-type: ", "multipart/form-data; boundary=", "--line", "application/json", "accept: ", "\n\n"),
        *('name="sound"', 'filename="', "filename*=utf-8''a", "../", "\\", "content-transfer-encoding: base64"),
    )
)
_TOKENS = tuple(
    word.encode()
    for word in (
        *("@HERE@/", "/../", "..", "/etc/x.wav", "\\ud800", "\\u0000", '"sound"', '"output"', '"timeline"', '"stems"'),
        *(
            '"format"',
            "objects",
            "adm",
            "rpp",
            '"report"',
            "NaN",
            "1e999",
            "1e308",
            "-1",
            "null",
            "9" * 30,
            "9" * 400,
            "[[[[",
        ),
    )
)
DOORS = (
    Door(
        "request",
        _paths,
        lambda: [
            b'{"sound": "@HERE@/a.wav", "output": "@HERE@/o.wav", "prompt": "dog left", "start": 1.5, "steps": 3}',
            b'{"sound": "@HERE@/a.wav", "output": "@HERE@/o.adm.wav", "timeline": "@HERE@/a.srt", "stems": "@HERE@/s"}',
        ],
        _TOKENS,
    ),
    Door(
        "upload", _upload, lambda: [b'{"name": "a.wav", "output": "o.flac", "prompt": "dog left", "gain": -3}'], _TOKENS
    ),
    Door("server", _whole, _whole_seeds, (*_HEADERS, *_TOKENS)),
)
