"""The studio: changes of a scene, whole requests with their tokens, and what was kept of a scene that was not saved.

Nothing is rendered: what is to be heard and to be made is looked at, and left.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from starlette.types import ASGIApp

from tas_core.errors import TasError
from tas_core.jobs.request import FileRequest
from tas_core.studio.app import Studio, build_app
from tas_core.studio.document import Document
from tas_core.studio.exports import ExportState
from tas_core.studio.session import Session, autosave_path
from tas_core.studio.sounds import Listening, Passage, audible
from tas_core.studio.waveform import Waveform
from tas_core.timeline.segments import Timeline
from tas_core.timeline.sources import SourceFile
from tools.fuzz.asking import Answer, asked, parted
from tools.fuzz.door import Door

_DURATION_S = 8.0
_TOKEN, _PORT = "Qm9y3cT0kVvJ4aXh2uWd7sLr1eFnZp6iGb8oKjHtYxM", 4711
_PAGE = {"host": f"127.0.0.1:{_PORT}", "origin": f"http://127.0.0.1:{_PORT}", "cookie": f"tas-studio-{_PORT}={_TOKEN}"}
_MOST_LINES = 12
_CODED = re.compile(rb"@\((.*?)\)@")
_SCENE = (
    "prompts:\n  - {start: 0, end: 3.2, text: 'cello on the left, piano on the right'}  # first\n"
    "  - start: 3.2\n    text: the cello moves from the left to the right\n"
)


class _Silent(Listening):
    """Hears nothing, once it is clear what is to be heard."""

    def __init__(self) -> None:
        self.sample_rate_hz, self.duration_s = 16_000, _DURATION_S
        self._num_samples = round(_DURATION_S * 16_000)

    def hear(self, timeline: Timeline, passage: Passage) -> bytes:
        self._span(passage)
        audible(timeline, passage.muted, passage.solo).resolved(_DURATION_S)
        return b""

    def measure(self, timeline: Timeline, passage: Passage) -> list[dict[str, Any]]:
        first, stop = self._span(passage)
        timeline.resolved(_DURATION_S).cut_out(first / self.sample_rate_hz, stop / self.sample_rate_hz)
        return []

    def waveform(self, parts: int) -> Waveform:
        return Waveform(lambda: iter([np.zeros(parts)]), parts, parts)


class _Idle:
    """Makes nothing, once it is clear where it would lie."""

    state = ExportState()

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def start(self, request: FileRequest, *, overwrite: bool) -> None:
        del overwrite
        for made in request.deliveries:
            if made.path.resolve().parent != self._folder.resolve():
                raise AssertionError("an output outside of the folder of the scene")

    def cancel(self) -> None:
        pass


def _folder(folder: Path) -> Path:
    return folder / "studio"


@cache
def _application(folder: Path) -> tuple[Studio, ASGIApp]:
    objects = (SourceFile("viola", _folder(folder) / "viola.wav"),)
    parts: tuple[Any, Any] = _Silent(), _Idle(_folder(folder))
    session = Session(_scene(folder), _DURATION_S)
    studio = Studio(session, *parts, _folder(folder) / "in.wav", objects, lambda out, formats: f"{out} {formats}")
    return studio, build_app(studio, _TOKEN, _PORT)


def _scene(folder: Path) -> Path:
    """A scene in a folder of its own."""
    own = _folder(folder)
    own.mkdir(exist_ok=True)
    for path in own.iterdir():
        path.unlink()
    path = own / "scene.yaml"
    path.write_text(_SCENE, encoding="utf-8")
    return path


def _studio(folder: Path) -> tuple[Session, ASGIApp]:
    """The scene as it is at first, and what answers for it; made once."""
    studio, app = _application(folder)
    studio.session.__init__(_scene(folder), _DURATION_S)  # type: ignore[misc]
    return studio.session, app


def _checked(answer: Answer) -> Answer:
    """An answer that is what a page is told: what was asked for, or one line."""
    if answer.status >= 500:
        raise AssertionError(f"status {answer.status}: {answer.body[:200]!r}")
    if answer.status >= 400 and answer.header("content-type") == "application/json":
        said = json.loads(answer.body)["error"]
        if not said or "\n" in said:
            raise AssertionError(f"not one line: {said!r}")
    return answer


def _changes(data: bytes, folder: Path) -> None:
    """Lines with the name of what is asked for and its JSON.

    In it @R@ is the revision of the scene, and what stands in @( )@ is sent in base64.
    """
    session, app = _studio(folder)
    for line in data.split(b"\n")[:_MOST_LINES]:
        name, _, body = line.partition(b" ")
        body = body.replace(b"@R@", str(session.revision).encode())
        body = _CODED.sub(lambda found: base64.b64encode(found[1]), body)
        method = "POST" if body else "GET"
        _checked(asked(app, method, "/api/" + name.decode("latin-1"), _PAGE, body))
    _check_kept(session)


def _check_kept(session: Session) -> None:
    """What the scene says can be read again, and is in its file or beside it."""
    document = session.document
    if Document.read(session.path, document.text).timeline != document.timeline:
        raise AssertionError("the text says another scene")
    again = Session(session.path, _DURATION_S)
    kept = again.document.text if again.left is None else again.left
    if session.left is None and kept != document.text:
        raise AssertionError("the scene is not kept")


def _request(data: bytes, folder: Path) -> None:
    """A whole request, in which @TOKEN@ is what lets somebody in."""
    method, target, headers, body = parted(data.replace(b"@TOKEN@", _TOKEN.encode()))
    session, app = _studio(folder)
    before = session.document
    answer = _checked(asked(app, method, target, headers, body))
    if b"@TOKEN@" in data:
        return
    if answer.status != 403 or session.document is not before:
        raise AssertionError(f"let in without a token: {answer.status}")
    if _TOKEN.encode() in answer.body or _TOKEN in str(answer.headers):
        raise AssertionError("the token is told")


def _autosave(data: bytes, folder: Path) -> None:
    """What was kept, taken up, undone and saved."""
    path = _scene(folder)
    autosave_path(path).write_bytes(data)
    session = Session(path, _DURATION_S)
    if session.left is None:
        return
    session.state()
    session.decide(take_up=True)
    _check_kept(session)
    try:
        session.save()
    except TasError:  # one that says nothing
        session.undo(session.revision)
    _check_kept(session)


def _lines(*asked_for: tuple[str, Any]) -> bytes:
    texts = (f"{name} {json.dumps(said)}" if said is not None else name for name, said in asked_for)
    return "\n".join(texts).replace('"@R@"', "@R@").encode()


def _change(kind: str, **fields: Any) -> tuple[str, Any]:
    return "change", {"revision": "@R@", "change": {"kind": kind, **fields}}


def _change_seeds() -> Sequence[bytes]:
    point = {"azimuth_deg": -35.0, "elevation_deg": 20.0, "distance_m": 2.0, "spread": 0.1}
    step = {"revision": "@R@"}
    return [
        _lines(
            _change("put", segment=0, object="piano", start=point),
            _change("put", segment=1, object="cello", start={"azimuth_deg": 10}, end=point),
            ("undo", step),
            ("redo", step),
            ("save", {"overwrite": False}),
        ),
        _lines(
            _change("split", segment=1, at_s=4.5),
            _change("join", segment=0, words="second"),
            _change("times", segment=0, start_s=0.5, end_s=None),
            _change("remove", segment=0),
            ("scene", None),
        ),
        _lines(
            _change("add", start_s=7.0, end_s=7.5, text="rain all around at -6 dB"),
            _change("text", segment=0, text="dog left\ncat right"),
            ("text", {"revision": "@R@", "text": "prompts:\n- {start: 0, text: dog left}\n"}),
            ("copy", {"name": "other.srt", "overwrite": True}),
            ("load", {}),
        ),
        _lines(
            ("read", {"text": "a bell behind me, 2 m away; 2 violins left of the piano"}),
            ("hear", {"revision": "@R@", "start_s": 1, "duration_s": 2, "muted": ["piano"], "what": "output"}),
            ("export", {"out": "o.wav", "formats": ["binaural", "adm"], "overwrite": True}),
            ("command", {"out": "o.adm.wav", "formats": ["adm"]}),
            ("decide", {"take_up": True}),
            ("measure", {"revision": "@R@", "start_s": 1, "duration_s": 2}),
            ("import", {"name": "a.srt", "revision": "@R@", "data": "@(00:00:01,000 --> 00:00:02,000 dog left)@"}),
            ("import", {"name": "a.yaml", "revision": "@R@", "data": "@(prompts: [{start: 0, text: dog left}])@"}),
            ("cancel", {}),
            ("state", None),
        ),
    ]


def _request_seeds() -> Sequence[bytes]:
    host = f"host: 127.0.0.1:{_PORT}\n"
    own = f"{host}origin: http://127.0.0.1:{_PORT}\ncookie: tas-studio-{_PORT}=@TOKEN@\n"
    body = '{"revision": 0, "change": {"kind": "text", "segment": 0, "text": "dog left"}}'
    return [
        f"GET /?token=@TOKEN@\n{host}\n".encode(),
        f"POST /api/change\n{own}content-type: application/json\n\n{body}".encode(),
        f"GET /page/main.js\n{own}sec-fetch-site: same-origin\n\n".encode(),
        f"POST /api/change\n{host}origin: http://evil.example\ncookie: a=b; tas-studio-{_PORT}=\n\n{body}".encode(),
    ]


def _autosave_seeds() -> Sequence[bytes]:
    text = json.dumps(_SCENE.replace("cello", "viola"))
    return [f"file: scene.yaml\ntext: {text}\n".encode(), b"file: scene.yaml\ntext: |\n  prompts: []\n", b"text: ''\n"]


_TOKENS = tuple(
    word.encode()
    for word in (
        *('"revision": @R@', '"segment"', '"start_s"', '"kind": "put"', "\n", "undo", "redo", "save", "export"),
        *(
            "NaN",
            "1e999",
            "1e308",
            "-1",
            "1e-9",
            "null",
            "9" * 30,
            "9" * 400,
            "[" * 50,
            "\\ud800",
            "\\u0000",
            "\\u202e",
            "../",
        ),
        *(" and ", "moves from", "behind", "all around", '\\"', "'", "#", "{", "}", ": ", "- ", "\\n", "&a", "*a"),
    )
)
_HEADERS = tuple(
    word.encode()
    for word in (
        *("@TOKEN@", "cookie: ", f"tas-studio-{_PORT}=", "host: ", "origin: ", "null", "localhost", f":{_PORT}"),
        *("?token=", "&token=", "%00", "/../", "/page/", "/api/", "GET ", "POST ", "HEAD ", "sec-fetch-site: none"),
    )
)
DOORS = (
    Door("studio", _changes, _change_seeds, _TOKENS),
    Door("studio-request", _request, _request_seeds, _HEADERS),
    Door("autosave", _autosave, _autosave_seeds, _TOKENS),
)
