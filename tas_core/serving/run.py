"""A server from its start to its end: the socket, the processes with the model, signals."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tas_core.errors import InputError, TasError
from tas_core.jobs.spatialize import JobSettings
from tas_core.models.pretrained import find_checkpoint
from tas_core.serving.maker import Loaded, Maker, Order
from tas_core.serving.queue import JobQueue
from tas_core.serving.settings import Address, Folders, Limits
from tas_core.system.partial_files import PartialFolder, remove_stale
from tas_core.system.processes import KeptProcess, usable_cores
from tas_core.system.write_errors import write_error

if TYPE_CHECKING:
    import uvicorn

    from tas_core.jobs.batch.worker import FileOutcome

_HEADER_BYTES: Final = 65_536
_IDLE_S: Final = 5
_SPARE_CONNECTIONS: Final = 100
"""Beyond those of requests that are taken: of who is refused, and asks how the server is."""

Tell = Callable[[str], None]


def serve(
    address: Address,
    settings: JobSettings,
    limits: Limits,
    folders: Folders,
    *,
    ready: Callable[[Address, Loaded], None],
    tell: Tell,
) -> None:
    """Answer requests until SIGINT or SIGTERM: what is being worked on then ends, what waits is refused.

    The model is loaded first, so that what is wrong with it is said before anybody can connect.

    Args:
        address: where to listen.
        settings: the model, the device and the head; options that requests do not state.
        limits: of requests.
        folders: that requests may name files in.
        ready: told where it listens and what it has loaded, once it does.
        tell: told a line about each thing that goes wrong on its own side.

    Raises:
        InputError: the model or the head cannot be used, or the address is taken.
        TasError: packages are missing; no temporary folder can be made.
        KeyboardInterrupt: SIGINT came a second time: what was worked on is lost.
        SystemExit: SIGTERM did.
    """
    try:
        import uvicorn  # noqa: F401

        from tas_core.serving.app import Service, build_app
    except ImportError as error:
        raise TasError(
            f"a server needs further packages, and {error.name} is none: pip install 'tas[serve]'"
        ) from error
    find_checkpoint(settings.model_name)
    settings = settings.with_head()
    options = replace(settings.options, longest_s=limits.sound_s)
    with _temporary_folder() as temporary, listening(address) as (sock, where):
        queue = JobQueue(hands(settings, limits), limits.jobs, limits.waiting, limits.work_s)
        try:
            loaded = queue.load()
            service = Service(queue, limits, folders, options, loaded, temporary, where.path is None, tell)
            asked = asyncio.run(_answer(build_app(service), queue, sock, lambda: ready(where, loaded), limits))
        finally:
            queue.abandon()
    if asked == signal.SIGINT:
        raise KeyboardInterrupt
    if asked is not None:
        raise SystemExit(128 + asked)


def hands(settings: JobSettings, limits: Limits) -> Callable[[], KeptProcess[Order | None, FileOutcome | Loaded]]:
    """What gives each thread of a row its process, with a share of the cores."""
    maker = Maker(settings, limits.memory_bytes, limits.sound_s)
    threads = max(1, usable_cores() // limits.jobs)
    if (allowed := os.environ.get("OMP_NUM_THREADS", "")).isdecimal():
        threads = max(1, min(threads, int(allowed)))
    return partial(KeptProcess, maker, threads=threads, modules=["torch"])


async def _answer(
    app: Callable[..., object], queue: JobQueue, sock: socket.socket, ready: Callable[[], None], limits: Limits
) -> int | None:
    """Answer until a signal comes, and then what has begun; the number of a second signal, which did not wait."""
    import uvicorn

    class Server(uvicorn.Server):
        """One whose signals are ours: the first lets the work end, the second does not wait for it."""

        again: int | None = None

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            loop, numbers = asyncio.get_running_loop(), (signal.SIGINT, signal.SIGTERM)
            for number in numbers:
                loop.add_signal_handler(number, self.heard, int(number))
            try:
                yield
            finally:
                for number in numbers:
                    loop.remove_signal_handler(number)

        def heard(self, number: int) -> None:
            if queue.stopping:
                self.again = number
                self.force_exit = True
                loop = asyncio.get_running_loop()
                loop.run_in_executor(None, queue.abandon)
            queue.stop()
            self.should_exit = True

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()

    config = plain_config(
        app,
        limit_concurrency=limits.jobs + limits.waiting + _SPARE_CONNECTIONS,
        timeout_keep_alive=_IDLE_S,
        h11_max_incomplete_event_size=_HEADER_BYTES,
    )
    server = Server(config)
    await server.serve(sockets=[sock])
    return server.again


def plain_config(app: Callable[..., object], **more: Any) -> uvicorn.Config:
    """How an application of ours is served: by h11 alone, without a word in logs or headers.

    Args:
        app: as ASGI has it.
        more: further settings of uvicorn.
    """
    import uvicorn

    return uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        **more,
    )


@contextlib.contextmanager
def listening(address: Address) -> Iterator[tuple[socket.socket, Address]]:
    """A socket that listens, and where: a port that was left open is the one that was found.

    The file of a Unix socket is for this user alone. It goes at the end; one that a killed server left is taken over.

    Raises:
        InputError: somebody listens there, the path is something else, or the address cannot be had.
    """
    if address.path is None:
        sock = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET, socket.SOCK_STREAM)
        with sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind((address.host, address.port))
            except OSError as error:
                raise InputError(f"{address}: cannot listen there ({error.strerror}), expected another port") from error
            sock.listen()
            yield sock, replace(address, port=sock.getsockname()[1])
        return
    path = address.path
    _free(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        before = os.umask(0o177)
        try:
            sock.bind(os.fspath(path))
        except OSError as error:
            raise InputError(f"{address}: cannot listen there ({error.strerror}), expected another path") from error
        finally:
            os.umask(before)
        mine = os.lstat(path)
        try:
            sock.listen()
            yield sock, address
        finally:
            with contextlib.suppress(OSError):
                now = os.lstat(path)
                if (now.st_dev, now.st_ino) == (mine.st_dev, mine.st_ino):
                    path.unlink()


def _free(path: Path) -> None:
    """Remove the file of a Unix socket that nobody listens at."""
    try:
        found = os.lstat(path)
    except OSError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise InputError(f"{path}: there is something else than a socket, expected another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            sock.connect(os.fspath(path))
        except ConnectionRefusedError:
            with contextlib.suppress(OSError):
                path.unlink()
        except OSError as error:
            raise InputError(f"{path}: cannot be looked at ({error.strerror}), expected another path") from error
        else:
            raise InputError(f"{path}: another server listens there, expected another path")


@contextlib.contextmanager
def _temporary_folder() -> Iterator[Path]:
    """A folder for what comes with requests, for this user alone; those that killed servers left are removed."""
    place = Path(tempfile.gettempdir())
    remove_stale(place)
    try:
        folder = PartialFolder(place)
        folder.path.chmod(0o700)
    except OSError as error:
        raise write_error(place, error, "a temporary folder") from error
    try:
        yield folder.path
    finally:
        folder.remove()
