"""The page of a studio and what it asks for, as ASGI has it: one scene, read and changed by JSON."""

from __future__ import annotations

import base64
import functools
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from tas_core.delivery.formats import NAMES, read_formats, renamed
from tas_core.errors import InputError, TasError
from tas_core.jobs.request import FileRequest
from tas_core.serving.answers import Json, parsed_json
from tas_core.studio.exports import Exporter, export_path
from tas_core.studio.guard import Guard
from tas_core.studio.operations import read_operation
from tas_core.studio.session import ChangedFileError, Session, StaleError, UndecidedError
from tas_core.studio.sounds import Listening, Passage
from tas_core.studio.words import error_facts, known_words, prompt_facts, scene_facts
from tas_core.system.configs import config_from_dict, one_line
from tas_core.timeline.formats.lines import MAX_TIMELINE_BYTES
from tas_core.timeline.segments import Timeline
from tas_core.timeline.sources import SourceFile

_PAGE: Final = Path(__file__).with_name("page")
_TYPES: Final = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_MOST_BYTES: Final = 2 * MAX_TIMELINE_BYTES
_BINS: Final = 4000
_WAVEFORM_S: Final = 0.5
"""How long an answer waits for the whole waveform."""
_CONFLICTS: Final = (StaleError, ChangedFileError, UndecidedError)

_Endpoint = Callable[[Request], Awaitable[Response]]

Command = Callable[[str, Sequence[str]], str]
"""The words of a command that makes a file of a name, in formats, from the saved scene."""


@dataclass(frozen=True)
class Studio:
    """What a page works on.

    Args:
        session: the scene.
        listening: the sound.
        exporter: makes files.
        audio: the input; None if all sounds are given.
        objects: sounds of objects.
        command: says what makes a file, for people.
    """

    session: Session
    listening: Listening
    exporter: Exporter
    audio: Path | None
    objects: tuple[SourceFile, ...]
    command: Command
    _said: list[Any] = field(default_factory=list)
    _drawn: list[Any] = field(default_factory=list)
    _drawing: threading.Lock = field(default_factory=threading.Lock)

    def state(self) -> dict[str, Any]:
        """What a page asks for again and again: which scene it is, and how the file is coming on."""
        return {**self.session.state(), "export": self.exporter.state.as_dict()}

    def scene(self) -> dict[str, Any]:
        """All that a page shows."""
        return {
            **self.state(),
            **self._facts(),
            "sound": self.audio.name if self.audio else ", ".join(item.name for item in self.objects),
            "formats": list(NAMES),
            "names": self._names(),
        }

    def _names(self) -> dict[str, str]:
        """Names of files to make, by format."""
        sound = self.audio.stem if self.audio else self.objects[0].name
        return {name: renamed(Path(f"{sound}.binaural.wav"), name).name for name in NAMES}

    def _facts(self) -> dict[str, Any]:
        """What the scene says, worked out once for each."""
        document = self.session.document
        said = self._said[-1] if self._said else (None, {})
        if said[0] is not document:
            said = (document, scene_facts(document, self.session.duration_s))
            self._said[:] = [said]
        return dict(said[1])

    def waveform(self) -> dict[str, Any]:
        """The sound as it is drawn, as far as it is measured."""
        with self._drawing:
            if not self._drawn:
                self._drawn.append(self.listening.waveform(_BINS))
        found: dict[str, Any] = self._drawn[0].so_far(_WAVEFORM_S)
        return found

    def timeline_of(self, revision: int) -> Timeline | None:
        """What the scene of a revision says; None if it is another by now.

        Raises:
            InputError: nothing yet.
        """
        document = self.session.document_of(revision)
        if document is None:
            return None
        if document.timeline is None:
            raise InputError("the scene says nothing yet, expected a segment")
        return document.timeline


@dataclass(frozen=True)
class _Changed:
    revision: int
    change: dict[str, Any]


@dataclass(frozen=True)
class _Written:
    revision: int
    text: str


@dataclass(frozen=True)
class _Step:
    revision: int


@dataclass(frozen=True)
class _Save:
    overwrite: bool = False


@dataclass(frozen=True)
class _Copy:
    name: str
    overwrite: bool = False


@dataclass(frozen=True)
class _Decide:
    take_up: bool


@dataclass(frozen=True)
class _Read:
    text: str


@dataclass(frozen=True)
class _Nothing:
    pass


@dataclass(frozen=True)
class _Heard:
    revision: int
    start_s: float
    duration_s: float
    what: str = "output"
    muted: tuple[str, ...] = ()
    solo: tuple[str, ...] = ()
    turned_deg: float = 0.0


@dataclass(frozen=True)
class _Measured:
    revision: int
    start_s: float
    duration_s: float


@dataclass(frozen=True)
class _Import:
    name: str
    data: str
    revision: int


@dataclass(frozen=True)
class _Export:
    out: str
    formats: tuple[str, ...] = ()
    overwrite: bool = False


def build_app(studio: Studio, token: str, port: int) -> ASGIApp:
    """The application.

    Args:
        studio: what the page works on.
        token: that requests have to have, see :mod:`tas_core.studio.guard`.
        port: that it listens at.
    """
    files = {path.name: path.read_bytes() for path in _PAGE.iterdir() if path.suffix in _TYPES}

    async def page(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in files:
            raise HTTPException(404)
        return Response(files[name], media_type=_TYPES[Path(name).suffix])

    def asks(answer: Callable[[Any], Any], kind: type) -> _Endpoint:
        """A way to answer JSON of a kind, with the scene where nothing else is to be said."""

        async def endpoint(request: Request) -> Response:
            asked: Any = config_from_dict(kind, _parsed(await _body(request)), "request", InputError)
            found = await run_in_threadpool(answer, asked)
            if isinstance(found, bytes):
                return Response(found, media_type="audio/wav") if found else Response(status_code=204)
            return Json(await run_in_threadpool(studio.scene) if found is None else found)

        return _in_a_line(endpoint)

    def tells(answer: Callable[[], Any]) -> _Endpoint:
        async def endpoint(request: Request) -> Response:
            del request
            return Json(await run_in_threadpool(answer))

        return _in_a_line(endpoint)

    session = studio.session
    known = functools.cache(known_words)
    posts: Mapping[str, tuple[Callable[[Any], Any], type]] = {
        "change": (lambda asked: session.change(read_operation(asked.change), asked.revision), _Changed),
        "text": (lambda asked: session.write(asked.text, asked.revision), _Written),
        "import": (functools.partial(_take_in, session), _Import),
        "undo": (lambda asked: session.undo(asked.revision), _Step),
        "redo": (lambda asked: session.redo(asked.revision), _Step),
        "save": (lambda asked: session.save(overwrite=asked.overwrite), _Save),
        "copy": (functools.partial(_copy, session), _Copy),
        "load": (lambda asked: session.load(), _Nothing),
        "decide": (lambda asked: session.decide(take_up=asked.take_up), _Decide),
        "read": (lambda asked: prompt_facts(asked.text), _Read),
        "hear": (functools.partial(_hear, studio), _Heard),
        "measure": (functools.partial(_measure, studio), _Measured),
        "export": (functools.partial(_export, studio), _Export),
        "command": (functools.partial(_command, studio), _Export),
        "cancel": (lambda asked: studio.exporter.cancel(), _Nothing),
    }
    routes = [
        Route("/", page),
        Route("/page/{name}", page),
        Route("/api/scene", tells(studio.scene)),
        Route("/api/state", tells(studio.state)),
        Route("/api/words", tells(known)),
        Route("/api/waveform", tells(studio.waveform)),
        *(Route(f"/api/{name}", asks(*how), methods=["POST"]) for name, how in posts.items()),
    ]
    handlers: dict[Any, Any] = {TasError: _wrong, HTTPException: _unknown}
    return Guard(Starlette(routes=routes, exception_handlers=handlers), token, port)


def _hear(studio: Studio, asked: _Heard) -> bytes:
    """A passage; nothing, and no error, where the scene has been changed meanwhile: the page asks for that then."""
    timeline = studio.timeline_of(asked.revision)
    what: Any = asked.what
    muted, solo = frozenset(asked.muted), frozenset(asked.solo)
    passage = Passage(asked.start_s, asked.duration_s, what, muted, solo, asked.turned_deg)
    return b"" if timeline is None else studio.listening.hear(timeline, passage)


def _measure(studio: Studio, asked: _Measured) -> list[dict[str, Any]]:
    """Measured places; none, and no error, where the scene has been changed meanwhile: nobody waits for them then."""
    timeline = studio.timeline_of(asked.revision)
    passage = Passage(asked.start_s, asked.duration_s)
    return [] if timeline is None else studio.listening.measure(timeline, passage)


def _take_in(session: Session, asked: _Import) -> None:
    try:
        data = base64.b64decode(asked.data, validate=True)
    except ValueError as error:
        raise InputError(f"{asked.name}: what was sent of it is no base64, expected its bytes so") from error
    session.take_in(asked.name, data, asked.revision)


def _copy(session: Session, asked: _Copy) -> None:
    session.copy(export_path(session.path.parent, asked.name), overwrite=asked.overwrite)


def _export(studio: Studio, asked: _Export) -> None:
    session = studio.session
    if not session.is_saved:
        raise InputError("the scene is not saved, and a file is made of what is; expected it to be saved first")
    out = export_path(session.path.parent, asked.out)
    formats = read_formats(asked.formats)
    if studio.audio is None:
        request = FileRequest.of_objects(out, studio.objects, session.path, formats=formats)
    else:
        request = FileRequest(studio.audio, out, session.path, formats=formats, objects=studio.objects)
    studio.exporter.start(request, overwrite=asked.overwrite)


def _command(studio: Studio, asked: _Export) -> dict[str, str]:
    return {"command": studio.command(asked.out, read_formats(asked.formats))}


async def _body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MOST_BYTES:
            raise InputError(f"more than {_MOST_BYTES:,} bytes, expected a change of a scene")
    return body


def _parsed(body: bytes) -> Any:
    try:
        return parsed_json(body)
    except ValueError as error:
        raise InputError(str(error)) from None


async def _wrong(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, TasError)
    status = 409 if isinstance(error, _CONFLICTS) else 422 if error.exit_code == InputError.exit_code else 500
    return Json(error_facts(error) | {"kind": type(error).__name__}, status)


async def _unknown(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return Json({"error": f"{request.method} {request.url.path[:100]!r}: nothing is there"}, error.status_code)


def _in_a_line(endpoint: _Endpoint) -> _Endpoint:
    """The same, whose unexpected errors are answers, too: one request must not look like the end of the studio."""

    @functools.wraps(endpoint)
    async def answered(request: Request) -> Response:
        try:
            return await endpoint(request)
        except (TasError, HTTPException):
            raise
        except Exception as error:
            return Json({"error": f"unexpected {type(error).__name__}: {one_line(error)}"}, 500)

    return answered
