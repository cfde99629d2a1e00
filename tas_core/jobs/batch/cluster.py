"""Files of a batch by workers of a Ray cluster, on this machine or on others, through Ray Data.

The files are rows of a data set, and actors that hold the model map them to outcomes. Ray Data gives a row only to an
actor that has room for it, so nothing piles up, and does it again where an actor was killed.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import re
import secrets
import signal
import socket
import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from tas_core.errors import InputError, TasError
from tas_core.jobs.batch.processes import share_of_cores
from tas_core.jobs.batch.rows import Attempts, RowWorker
from tas_core.jobs.batch.worker import FileOutcome, FileTask
from tas_core.jobs.spatialize import FileWorker
from tas_core.system.processes import child_environment, usable_cores
from tas_core.system.programs import temporary_folder

LOCAL: Final = "local"
"""The address of a cluster that is started on this machine for one run."""
PACKAGES: Final = ("ray", "pandas", "pyarrow")

_EXPECTED: Final = f"expected {LOCAL}, or HOST:PORT of a cluster"
_LONGEST_FOLDER: Final = 16
"""Bytes of the folder that a session gets a folder in: sockets some 90 bytes below have paths of at most 107."""
_STORE_BYTES: Final = 100 * 2**20
"""Of shared memory for rows and outcomes, which are names and numbers; Ray takes at least 75 MiB."""
_PATIENCE_S: Final = 5.0

_QUIET: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # else it writes lines of its own to stderr
    "RAY_DEDUP_LOGS": "1",  # what would repeat itself on stdout is kept back ...
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # ... and so is all else that it says of workers that died
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # its future default, without the warning
}


@dataclass(frozen=True)
class RayCluster:
    """A cluster that files are made on; made by :meth:`read`.

    Attributes:
        address: :data:`LOCAL`, or ``HOST:PORT``.
        actors: how many make files at once; None is as many as there are GPUs, and without any, CPUs.
    """

    address: str = LOCAL
    actors: int | None = None

    @classmethod
    def read(cls, address: str, actors: int | None = None) -> RayCluster:
        """A cluster, if its address can be one and what it takes is installed; nothing is started or asked.

        Raises:
            InputError: no address, or packages are missing.
        """
        if address != LOCAL and not _host_and_port(address):
            raise InputError(f"{address!r} is not the address of a Ray cluster, {_EXPECTED}")
        missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
        if missing:
            names = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'}"
            raise InputError(f"a Ray cluster needs further packages, and {names} not installed", remedy="ray_packages")
        return cls(address, actors)

    @contextlib.contextmanager
    def joined(self, num_files: int, device: str, *, fail_fast: bool = False) -> Iterator[RayEngine]:
        """Start the cluster, or join the one that runs; at the end its own processes are gone, and their files.

        Args:
            num_files: to make; there are no more actors than these.
            device: where models compute: auto, cpu or cuda.
            fail_fast: whether the first failure is going to end it, so that no actor is given a file in advance.

        Raises:
            TasError: it cannot be started or joined, or has nothing to compute with.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(_environment(own=self.address == LOCAL))
            ray = _import_ray()
            if self.address == LOCAL:
                stack.enter_context(_started(ray, min(self.actors or usable_cores(), usable_cores(), num_files)))
            else:
                stack.enter_context(_joined(ray, self.address))
            there = ray.cluster_resources()
            yield RayEngine(ray, self._pool(there, num_files, device), in_advance=0 if fail_fast else 1)

    def _pool(self, there: Mapping[str, float], num_files: int, device: str) -> Pool:
        """How many actors, and what of the cluster each of them takes."""
        gpus, cpus = there.get("GPU", 0.0), there.get("CPU", 0.0)
        if cpus < 1:
            raise TasError(f"{self.address}: the Ray cluster has no CPU to give, expected one or more")
        if device == "cuda" and gpus < 1:
            raise InputError(f"{self.address}: the Ray cluster has no GPU, expected one, or the CPU as device")
        on_gpus = gpus >= 1 and device != "cpu"
        actors = max(1, min(self.actors or int(gpus if on_gpus else cpus), int(cpus), num_files))
        threads = share_of_cores(actors) if self.address == LOCAL else 1
        # A GPU is shared by as many as there are more actors than GPUs; Ray counts in ten-thousandths.
        share = min(1.0, int(10_000 * gpus / actors) / 10_000) if on_gpus else 0.0
        return Pool(actors, threads, share)


@dataclass(frozen=True)
class Pool:
    """Actors that make files: how many, and the threads and the part of a GPU that each has."""

    actors: int
    threads: int
    gpus: float


class RayEngine:
    """A cluster that was joined.

    Args:
        ray: the module.
        pool: of actors.
        in_advance: files that an actor has waiting beside the one that it is at.
    """

    def __init__(self, ray: Any, pool: Pool, *, in_advance: int) -> None:
        self._ray, self._pool, self._in_advance = ray, pool, in_advance

    def compute(self, tasks: Sequence[FileTask], worker: FileWorker) -> Generator[tuple[int, FileOutcome], None, None]:
        """Numbers of the tasks, from 0, and outcomes as they come; what is under way is ended where this is closed.

        Args:
            tasks: what to do.
            worker: what makes them; a copy in each actor.

        Raises:
            InputError: the model cannot be used, or the cluster does not have this machine's folders.
            TasError: the cluster cannot go on.
        """
        if not tasks:
            return
        ray, pool = self._ray, self._pool
        # Where the one that counts is killed, another begins, and takes all files for begun.
        counting = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Attempts)
        attempts = counting.remote(_was_restarted)
        rows = [{"number": number, "task": task} for number, task in enumerate(tasks)]
        outcomes = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            RowWorker,
            fn_constructor_args=(worker, os.getcwd(), pool.threads, _Begin(attempts), version("tas")),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(
                min_size=1,
                max_size=pool.actors,
                initial_size=pool.actors,
                max_tasks_in_flight_per_actor=1 + self._in_advance,
            ),
            num_cpus=1,
            **({"num_gpus": pool.gpus} if pool.gpus else {}),
        )
        missing = set(range(len(tasks)))
        try:
            for some in outcomes.iter_batches(batch_size=None, prefetch_batches=0, batch_format="numpy"):
                for number, answer in zip(map(int, some["number"]), some["answer"], strict=True):
                    if isinstance(answer, Exception):
                        raise answer
                    if number in missing:
                        missing.remove(number)
                        yield number, answer
        except ray.exceptions.RayError as error:
            said = _first_line(error)
            hint = "; its nodes need tas of this version, with its packages" if "No module named" in said else ""
            raise TasError(f"the Ray cluster cannot go on: {said}{hint}") from error
        finally:
            ray.kill(attempts)
        if missing:
            raise TasError(f"the Ray cluster ended without an answer for {len(missing)} of {len(tasks)} files")


class _Begin:
    """What a worker asks of the one that counts."""

    def __init__(self, attempts: Any) -> None:
        self._attempts = attempts

    def __call__(self, number: int) -> int:
        import ray

        times: int = ray.get(self._attempts.begin.remote(number))
        return times


def _was_restarted() -> bool:
    import ray

    return bool(ray.get_runtime_context().was_current_actor_reconstructed)


def _host_and_port(address: str) -> tuple[str, int] | None:
    """The two parts of an address, if it has them."""
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})", address)
    if found is None or not 0 < int(found[2]) < 2**16:
        return None
    return found[1].strip("[]"), int(found[2])


@contextlib.contextmanager
def _environment(*, own: bool) -> Iterator[None]:
    """What Ray is told by variables: to tell nobody of its use, and to let nobody else into a cluster of one's own.

    Args:
        own: whether the cluster is started for this run; one that runs has its own rules for who may join.
    """
    settings = dict(_QUIET)
    if own:
        # Ray listens on all addresses of a machine that could be one of several, as which this makes it not count.
        settings |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
        settings |= {"RAY_worker_niceness": "0"}  # else workers give way to all else, unlike processes of a batch
        settings |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        with child_environment(1):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _import_ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise TasError(f"Ray is installed, and does not work ({_first_line(error)})") from error

    logging.getLogger("ray").setLevel(logging.CRITICAL)
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    return ray


@contextlib.contextmanager
def _started(ray: Any, num_cpus: int) -> Iterator[None]:
    """A cluster on this machine, in a folder of its own that is removed at the end."""
    fits = len(os.fsencode(tempfile.gettempdir())) <= _LONGEST_FOLDER
    with temporary_folder(None if fits else Path("/tmp")) as folder:
        options = {"num_cpus": num_cpus, "object_store_memory": _STORE_BYTES, "include_dashboard": False}
        ours: list[Any] = []
        try:
            with _initialised(ray, LOCAL, folder, **options, _temp_dir=str(folder)):
                try:
                    yield
                finally:
                    ours = _processes_of(folder)
        finally:
            _wait_for_end(ours)


def _processes_of(folder: Path) -> list[Any]:
    """Processes of the cluster with its files in a folder: those that this one started, and their workers."""
    import psutil  # which comes with Ray

    found = []
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if any(str(folder) in word for word in process.cmdline()):
                found += [process, *process.children(recursive=True)]
    return found


def _wait_for_end(processes: list[Any]) -> None:
    """Until processes that are told to end are gone, and with them what they held; those that stay are killed."""
    if not processes:
        return
    import psutil

    _, alive = psutil.wait_procs(processes, timeout=_PATIENCE_S)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=_PATIENCE_S)


@contextlib.contextmanager
def _joined(ray: Any, address: str) -> Iterator[None]:
    """A cluster that runs, asked first whether anything answers there, for which Ray would wait long."""
    found = _host_and_port(address)
    assert found is not None
    try:
        socket.create_connection(found, timeout=_PATIENCE_S).close()
    except OSError as error:
        raise TasError(
            f"{address}: no Ray cluster answers ({error.strerror or error}), {_EXPECTED} that runs"
        ) from error
    with _initialised(ray, address, Path("/")):
        yield


@contextlib.contextmanager
def _initialised(ray: Any, address: str, folder: Path, **options: Any) -> Iterator[None]:
    """Ray in this process, until it is shut down.

    Workers look for modules in the folder that this process is in meanwhile, so it is one that holds none.
    """
    signals = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with contextlib.chdir(folder), _without_stderr():
            ray.init(address, log_to_driver=False, logging_level=logging.CRITICAL, **options)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        ray.shutdown()
        what = "started" if address == LOCAL else "joined"
        raise TasError(f"{address}: the Ray cluster cannot be {what} ({_first_line(error)})") from error
    try:
        for number, handler in signals.items():
            if signal.getsignal(number) != handler:  # Ray puts its own in their places
                signal.signal(number, handler)
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _without_stderr() -> Iterator[None]:
    """Nothing that compiled code writes to stderr meanwhile is seen; Ray tells there how quiet it was told to be."""
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _first_line(error: BaseException) -> str:
    """What an error says in one line; the one in a worker that it quotes, if it quotes one."""
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", str(error)).splitlines() if line.strip()]
    quoted = (line for line in reversed(lines) if re.match(r"[\w.]+(Error|Exception): ", line))
    return next(quoted, lines[0] if lines else type(error).__name__)
