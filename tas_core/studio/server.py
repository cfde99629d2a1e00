"""A studio from its start to its end: the scene, the sound, the port that this machine alone reaches."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tas_core.errors import InputError, TasError
from tas_core.jobs.request import find_timeline
from tas_core.jobs.spatialize import JobSettings
from tas_core.serving.run import listening, plain_config
from tas_core.serving.settings import Address
from tas_core.studio.exports import Exporter
from tas_core.studio.session import Session
from tas_core.studio.sounds import Listening
from tas_core.system.files import STANDARD_STREAM
from tas_core.system.locks import alone
from tas_core.timeline.files import EXTENSIONS, is_timeline
from tas_core.timeline.sources import SourceFile

if TYPE_CHECKING:
    from tas_core.studio.app import Command, Studio

LOCK_ENDING: Final = ".tas-studio.lock"
_HOST: Final = "127.0.0.1"
_END_S: Final = 2


@dataclass(frozen=True)
class StudioRequest:
    """What a studio is opened with.

    Args:
        audio: the input; None if all sounds are given.
        scene: the timeline file, which need not be there; None is the one beside the input, or a new one.
        objects: files of the sounds of objects.
        port: 0 is any that is free.
    """

    audio: Path | None
    scene: Path | None = None
    objects: tuple[SourceFile, ...] = ()
    port: int = 0


def run_studio(
    request: StudioRequest, settings: JobSettings, command: Callable[[Path], Command], ready: Callable[[str], None]
) -> None:
    """Show a scene on a page until SIGINT or SIGTERM; what was not saved is kept beside the file.

    Args:
        request: what to open.
        settings: model and device.
        command: given the scene's file, says which words make a file of it.
        ready: told the address, with its token, once it listens.

    Raises:
        InputError: sound or scene cannot be read, or the port is taken.
        TasError: packages are missing.
        KeyboardInterrupt: SIGINT came.
    """
    try:
        import uvicorn

        from tas_core.studio.app import build_app
    except ImportError as error:
        raise TasError(
            f"a studio needs further packages, and {error.name} is none: pip install 'tas[studio]'"
        ) from error
    with opened(request, settings, command) as studio, listening(Address(None, _HOST, request.port)) as (sock, where):
        token = secrets.token_urlsafe(32)

        class Server(uvicorn.Server):
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                ready(f"http://{where}/?token={token}")

        config = plain_config(build_app(studio, token, where.port), timeout_graceful_shutdown=_END_S)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # doubts are said on the page
            Server(config).run(sockets=[sock])


@contextlib.contextmanager
def opened(request: StudioRequest, settings: JobSettings, command: Callable[[Path], Command]) -> Iterator[Studio]:
    """What a page works on; at the end what is being made is cancelled, and nothing of it stays.

    Raises:
        InputError: sound or scene cannot be read, or another studio has the scene open.
    """
    from tas_core.studio.app import Studio

    path = request.scene or _scene_beside(request)
    with (
        _alone(path),
        Listening(request.audio, request.objects, settings.model_name, settings.device) as listening,
    ):
        session = Session(path, listening.duration_s)
        exporter = Exporter(settings, listening.load)
        try:
            yield Studio(session, listening, exporter, request.audio, request.objects, command(path))
        finally:
            exporter.cancel(wait_s=_END_S)


def _alone(path: Path) -> contextlib.AbstractContextManager[None]:
    """Work on a scene that no other studio works on: two would replace what each other keeps beside the file.

    Raises:
        InputError: on entering, where another one does.
    """
    place = Path(os.path.realpath(path))
    refused = lambda who: InputError(  # noqa: E731
        f"{path}: another studio{who} has it open, expected that one to be used, or to be ended"
    )
    return alone(place.with_name(f".{place.name}{LOCK_ENDING}"), refused)


def _scene_beside(request: StudioRequest) -> Path:
    """The timeline beside the input or the first sound, or where a new one goes."""
    beside = request.audio or (request.objects[0].file if request.objects else None)
    if beside is None:
        raise InputError("no sound, expected an input or sounds of objects", remedy="input")
    if str(beside) == STANDARD_STREAM:
        raise InputError("a studio reads the sound again and again, expected a file")
    there = [path for path in map(beside.with_suffix, EXTENSIONS) if path.is_file() and is_timeline(path)]
    return find_timeline(beside) if there or not beside.exists() else beside.with_suffix(".yaml")
