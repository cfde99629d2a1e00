"""The HTTP side of a server: requests read within limits, answers with a status and one line of what is wrong.

``POST /spatialize`` takes ``multipart/form-data`` (parts ``sound``, ``timeline``, ``options``) and answers with the
sound, or with JSON where the client accepts nothing else; or ``application/json`` that names files in granted folders,
answered by JSON. ``GET /health`` and ``GET /metrics`` say how the server is.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ipaddress
import logging
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tas_core.errors import TasError, visible
from tas_core.jobs.batch.worker import FileOutcome
from tas_core.jobs.request import FileOptions
from tas_core.serving.answers import (
    WARNINGS_HEADER,
    Json,
    LastResponse,
    Refusal,
    error_line,
    parsed_json,
    shown,
    warning_lines,
    warnings_header,
    with_remedy,
    without,
)
from tas_core.serving.counts import Counts
from tas_core.serving.maker import TOO_MUCH_MEMORY, Loaded, Order
from tas_core.serving.orders import (
    IN_FOLDER,
    OUT_FOLDER,
    AskedError,
    FolderError,
    Upload,
    file_order,
    sound_order,
)
from tas_core.serving.queue import FullError, JobQueue, StoppingError
from tas_core.serving.settings import Folders, Limits
from tas_core.system.configs import one_line
from tas_core.system.partial_files import PartialFolder
from tas_core.system.processes import ProcessEndedError
from tas_core.system.write_errors import write_error

_TEXT_BYTES: Final = 2**20
_DRAIN_S: Final = 2.0

# Or whoever sends what is no form writes lines to the server's standard error.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Service:
    """What the application is made of.

    Args:
        queue: what does the work.
        limits: of requests.
        folders: that requests may name files in.
        options: that hold for all requests, with the head.
        model: that was loaded.
        temporary: folder for what comes with requests.
        only_local_names: whether requests have to call this machine by a name of its own, as for a port; a page of the
            web that was told another name for it, or that sends a form here, is refused.
        tell: told a line about what went wrong on the server's side.
    """

    queue: JobQueue
    limits: Limits
    folders: Folders
    options: FileOptions
    model: Loaded
    temporary: Path
    only_local_names: bool = True
    tell: Callable[[str], None] = lambda line: None


def build_app(service: Service) -> ASGIApp:
    """The application, as ASGI has it."""
    counts = Counts(service.queue)

    async def health(request: Request) -> Response:
        del request
        queue = service.queue
        status = "stopping" if queue.stopping else "ok"
        found = {"status": status, "model": service.model.model, "digest": service.model.digest}
        numbers = {"working": queue.working, "waiting": queue.waiting, "places": queue.capacity}
        return Json({**found, **numbers}, 503 if queue.stopping else 200)

    async def metrics(request: Request) -> Response:
        del request
        return Response(counts.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def spatialize(request: Request) -> Response:
        try:
            response = await _Work(service, counts, request).answer()
        except Refusal as refusal:
            response = Json({"error": refusal.line}, refusal.status, refusal.headers)
        except ClientDisconnect:
            response = Json({"error": "the client has left"}, 499)  # nobody reads it; for the counts
        except OSError as problem:
            line = str(write_error("a temporary file", problem, "what came with the request"))
            service.tell(line)
            response = Json({"error": line}, 500)
        except Exception as problem:  # one request must not end the server
            line = f"unexpected {type(problem).__name__}"
            service.tell(f"{line}: {one_line(problem)}")
            response = Json({"error": line}, 500)
        counts.answered(response.status_code)
        return response

    async def other(request: Request, problem: Exception) -> Response:
        assert isinstance(problem, HTTPException)
        line = f"{request.method} {visible(request.url.path)[:100]}: {problem.detail.lower()}"
        expected = "POST /spatialize, GET /health or GET /metrics"
        return Json({"error": f"{line}, expected {expected}"}, problem.status_code, problem.headers)

    routes = [
        Route("/spatialize", spatialize, methods=["POST"]),
        Route("/health", health),
        Route("/metrics", metrics),
    ]
    app: ASGIApp = Starlette(routes=routes, exception_handlers={HTTPException: other})
    return _LocalOnly(app) if service.only_local_names else app


class _LocalOnly:
    """Answers only who calls this machine by a name of its own, and no page of a browser."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            host, origin = headers.get(b"host", b"").decode("latin-1"), headers.get(b"origin")
            if origin is not None or not _is_local(host):
                who = "a page of a browser" if origin is not None else f"the name {host[:100]!r}"
                line = f"{who}: expected a program of this machine, and localhost or its address in Host"
                await Json({"error": line}, 403)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _is_local(host: str) -> bool:
    name = host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.rpartition(":")[0] or host
    with contextlib.suppress(ValueError):
        return name.lower() == "localhost" or ipaddress.ip_address(name.strip("[]")).is_loopback
    return False


class _Counted:
    """What comes of a request, counted; more than is taken is refused, and what does not come in time."""

    def __init__(self, receive: Receive, limits: Limits) -> None:
        self._receive, self._limits = receive, limits
        self._bytes = 0
        self._until = time.monotonic() + limits.upload_s

    async def __call__(self) -> Message:
        try:
            async with asyncio.timeout(max(0.0, self._until - time.monotonic())):
                message = await self._receive()
        except TimeoutError:
            raise Refusal(408, f"the request did not come within {self._limits.upload_s:g} s") from None
        if message["type"] == "http.request":
            self._bytes += len(message.get("body", b""))
            if self._bytes > self._limits.request_bytes:
                raise _too_large(self._limits)
        return message


def _too_large(limits: Limits) -> Refusal:
    return Refusal(413, f"more than {limits.request_bytes:,} bytes, which is all that a request may have")


class _Work:
    """One request on its way."""

    def __init__(self, service: Service, counts: Counts, request: Request) -> None:
        self._service, self._counts, self._raw = service, counts, request
        self._request = Request(request.scope, _Counted(request.receive, service.limits))

    async def answer(self) -> Response:
        """Take a place, read, have the work done, answer."""
        queue, limits = self._service.queue, self._service.limits
        try:
            place = queue.reserve()
        except FullError as problem:
            await self._drain()
            raise Refusal(503, str(problem), {"Retry-After": str(problem.retry_s)}) from None
        except StoppingError as problem:
            await self._drain()
            raise Refusal(503, str(problem), {"Retry-After": "10", "Connection": "close"}) from None
        with place:
            length = self._request.headers.get("content-length", "0")
            if length.isdecimal() and int(length) > limits.request_bytes:
                await self._drain()
                raise _too_large(limits)
            kind = self._request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind == "application/json":
                return await self._by_paths()
            if kind == "multipart/form-data":
                return await self._by_upload()
            raise Refusal(415, f"a body of type {kind!r}, expected multipart/form-data or application/json")

    async def _drain(self) -> None:
        """Read what the client is sending, for a moment: who is cut off while sending does not read the answer."""
        with contextlib.suppress(TimeoutError, ClientDisconnect):
            async with asyncio.timeout(_DRAIN_S):
                async for _ in self._raw.stream():
                    pass

    async def _by_paths(self) -> Response:
        body = b""
        async for part in self._request.stream():
            body += part
            if len(body) > _TEXT_BYTES:
                raise Refusal(413, f"more than {_TEXT_BYTES:,} bytes of JSON")
        said = _parsed(body, "request")
        service = self._service
        order = await self._read(functools.partial(file_order, said, service.options, service.folders))
        outcome = await self._outcome(order)
        self._raise_error(outcome, ())
        assert outcome.result is not None
        return Json(outcome.result.as_dict() | {"warnings": warning_lines(outcome, ())})

    async def _by_upload(self) -> Response:
        folder = await run_in_threadpool(_request_folder, self._service.temporary)
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(run_in_threadpool, folder.remove)
            hidden = tuple(f"{folder.path / name}/" for name in (IN_FOLDER, OUT_FOLDER))
            order, out = await self._uploaded(folder.path, hidden)
            outcome = await self._outcome(order)
            self._raise_error(outcome, hidden)
            assert outcome.result is not None
            said = warning_lines(outcome, hidden)
            accepted = self._request.headers.get("accept", "*/*").lower()
            if accepted.partition(";")[0].strip() == "application/json":
                return Json(without(outcome.result.as_dict(), hidden) | {"warnings": said})
            stack.pop_all()
            headers = {WARNINGS_HEADER: warnings_header(said)} if said else {}
            return LastResponse(out, folder, headers)

    async def _uploaded(self, folder: Path, hidden: tuple[str, ...]) -> tuple[Order, Path]:
        """What a form brought, in files of the request's folder."""
        service = self._service
        try:
            async with self._form() as form:
                names = [name for name, _ in form.multi_items()]
                for name in names:
                    if name not in ("sound", "timeline", "options") or names.count(name) > 1:
                        much = "is there twice" if names.count(name) > 1 else "is unknown"
                        raise Refusal(400, f"the part {name[:100]!r} {much}, expected sound, timeline, options")
                sound, timeline, options = (form.get(name) for name in ("sound", "timeline", "options"))
                if not isinstance(sound, UploadFile) or not sound.filename:
                    raise Refusal(400, "no part 'sound' with a file name, expected one with the sound")
                given = Upload(folder, sound.filename)
                words = None
                if isinstance(timeline, UploadFile):
                    words = Upload(folder, timeline.filename or "timeline.yaml")
                elif timeline is not None:
                    words = Upload(folder, "timeline.yaml")
                text = (await options.read(_TEXT_BYTES)) if isinstance(options, UploadFile) else options
                said = _parsed(text.encode() if isinstance(text, str) else text or b"{}", "options")
                if words is not None and words.name == given.name:
                    raise Refusal(400, f"{given.name!r}: the sound and the timeline have one name, expected two")
                await self._read(functools.partial(_store, given, sound.file))
                if words is not None:
                    content = timeline.file if isinstance(timeline, UploadFile) else timeline
                    await self._read(functools.partial(_store, words, content))
        except MultiPartException as problem:
            raise Refusal(400, f"not a form: {problem.message}") from None
        read = functools.partial(sound_order, said, given, words, service.options, service.folders)
        return await self._read(read, hidden)

    @contextlib.asynccontextmanager
    async def _form(self) -> AsyncIterator[Any]:
        try:
            async with self._request.form(max_files=3, max_fields=3, max_part_size=_TEXT_BYTES) as form:
                yield form
        except HTTPException as problem:  # Starlette's own, for what is no form
            raise Refusal(400, f"not a form: {problem.detail}") from None

    async def _read(self, read: Callable[[], Any], hidden: tuple[str, ...] = ()) -> Any:
        """Do what looks into files, beside the others' requests."""
        try:
            return await run_in_threadpool(read)
        except FolderError as problem:
            raise Refusal(403, error_line(problem, hidden)) from None
        except AskedError as problem:
            raise Refusal(400, error_line(problem, hidden)) from None
        except TasError as problem:
            raise Refusal(422 if problem.exit_code == 2 else 500, error_line(problem, hidden)) from None

    async def _outcome(self, order: Order) -> FileOutcome:
        """What became of an order; one that waits for a client who has left is dropped."""
        limits = self._service.limits
        try:
            future = self._service.queue.submit(order)
            outcome = await _unless_gone(future, self._raw.receive)
        except (StoppingError, asyncio.CancelledError):
            if not self._service.queue.stopping:
                raise
            line = "the server is stopping, expected another one, or this one when it is back"
            raise Refusal(503, line, {"Retry-After": "10", "Connection": "close"}) from None
        except TimeoutError:
            self._counts.lost()
            line = f"it took longer than {limits.work_s:g} s, which is all that a request may"
            raise Refusal(504, f"{line}; expected a shorter sound") from None
        except ProcessEndedError:
            self._counts.lost()
            line = "the process that worked on it was killed (out of memory?); the next request gets another"
            self._service.tell(line)
            raise Refusal(500, line) from None
        if outcome.result is not None:
            self._counts.made(sum(outcome.result.seconds.values()), outcome.result.duration_s)
        return outcome

    def _raise_error(self, outcome: FileOutcome, hidden: tuple[str, ...]) -> None:
        if not outcome.error:
            return
        line = shown(outcome.error, hidden)
        if outcome.error == TOO_MUCH_MEMORY:
            mebibytes = self._service.limits.memory_bytes // 2**20
            raise Refusal(413, f"{line}, {mebibytes:,} MiB; expected a sound with less channels or a lower rate")
        line = with_remedy(line, outcome.remedy)
        if outcome.code != 2:
            self._service.tell(line)
        raise Refusal(422 if outcome.code == 2 else 500, line)


async def _unless_gone(future: Future[FileOutcome], receive: Callable[[], Awaitable[Message]]) -> FileOutcome:
    """The result of work, unless the client leaves while it still waits for its turn.

    Raises:
        ClientDisconnect: it left.
        asyncio.CancelledError: the work was cancelled by the server.
    """
    work = asyncio.wrap_future(future)

    async def left() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    gone = asyncio.ensure_future(left())
    try:
        await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
        if gone.done() and not work.done() and future.cancel():
            raise ClientDisconnect
        return await work
    finally:
        gone.cancel()


def _request_folder(temporary: Path) -> PartialFolder:
    folder = PartialFolder(temporary)
    for name in (IN_FOLDER, OUT_FOLDER):
        (folder.path / name).mkdir()
    return folder


def _store(upload: Upload, content: Any) -> None:
    """Write what came with a request to its file."""
    with open(upload.path, "xb") as file:
        if isinstance(content, str):
            file.write(content.encode())
        else:
            shutil.copyfileobj(content, file)


def _parsed(body: bytes, what: str) -> Any:
    try:
        return parsed_json(body)
    except ValueError as problem:
        raise Refusal(400, f"{what}: {problem}") from None
