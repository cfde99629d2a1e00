"""`tas` for tests that start it often: forks of one process that has loaded torch already, which takes 2 s each time.

``WarmTas`` keeps that process. The program that it writes is found and run as ``tas`` is; it hands its arguments,
environment, folder and standard streams to a fork, passes signals on, and ends as that ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """#!{python} -IS
import json, os, signal, socket, sys

server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
asked = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode("ascii")
streams = [number for number in (0, 1, 2) if os.path.exists(f"/proc/self/fd/{{number}}")]
socket.send_fds(server, [bytes(streams)], streams)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    if signal.getsignal(number) != signal.SIG_IGN:
        signal.signal(number, lambda number, _: server.send(bytes([number])))
server.sendall(len(asked).to_bytes(4, "big") + asked)
code = int.from_bytes(server.recv(2) or b"\\0\\1", "big", signed=True)
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""


class WarmTas:
    """The process that forks, and the program that asks it to."""

    def __init__(self, folder: Path) -> None:
        """Start it; ``folder`` is where its program and its socket are written."""
        self.program = folder / "tas"
        address = folder / "socket"
        self.program.write_text(PROGRAM.format(python=sys.executable, address=str(address)))
        self.program.chmod(0o755)
        command = [sys.executable, "-m", "tests.support.warm_tas", str(address)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def stop(self) -> None:
        self._process.communicate(timeout=60)


def main() -> None:
    """Fork for whoever connects, until the standard input ends."""
    from tests.support.warm import warm_up

    warm_up()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen()
    print("ready", flush=True)
    with selectors.DefaultSelector() as ready:
        ready.register(0, selectors.EVENT_READ)
        ready.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                if key.fd == 0:
                    return
                if not any(key is other for other in ready.get_map().values()):  # ended a moment ago
                    continue
                if key.fileobj is listener:
                    _begin(listener.accept()[0], ready)
                elif isinstance(key.fileobj, socket.socket):
                    _signal(key.fileobj, key.data, ready)
                else:
                    _end(key.fd, *key.data, ready)


def _begin(client: socket.socket, ready: selectors.BaseSelector) -> None:
    """Fork for a program; one that went away before it had asked costs nobody else theirs."""
    streams: list[int] = []
    try:
        numbers, streams, _, _ = socket.recv_fds(client, 3, 3)
        with client.makefile("rb", buffering=0) as asked:
            arguments, folder, variables = json.loads(_read(asked, int.from_bytes(_read(asked, 4), "big")))
    except (OSError, EOFError):
        for stream in streams:
            os.close(stream)
        client.close()
        return
    pid = os.fork()
    if pid == 0:
        for number, stream in zip(numbers, streams, strict=True):
            os.dup2(stream, number)
        for number in {0, 1, 2} - set(numbers):
            os.close(number)
        ready.close()
        for stream in os.listdir("/proc/self/fd"):
            if int(stream) > 2:
                with contextlib.suppress(OSError):
                    os.close(int(stream))
        _run(arguments, folder, variables)
    for stream in streams:
        os.close(stream)
    ready.register(client, selectors.EVENT_READ, pid)
    ready.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, client))


def _read(file: Any, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = file.read(size - len(found))
        if not part:
            raise EOFError("the program went away")
        found += part
    return found


def _signal(client: socket.socket, pid: int, ready: selectors.BaseSelector) -> None:
    """What the program was sent, or its end: a fork does not outlive it."""
    numbers = client.recv(16)
    if not numbers:
        ready.unregister(client)
    for number in numbers or [signal.SIGKILL]:
        os.kill(pid, number)


def _end(pidfd: int, pid: int, client: socket.socket, ready: selectors.BaseSelector) -> None:
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    ready.unregister(pidfd)
    os.close(pidfd)
    with contextlib.suppress(KeyError):
        ready.unregister(client)
    with contextlib.suppress(OSError):  # it was ended first
        client.send(code.to_bytes(2, "big", signed=True))
    client.close()


def _run(arguments: list[str], folder: str, variables: dict[str, str]) -> NoReturn:
    """Be the program, from its streams to its end."""
    code = 1
    try:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(variables)
        for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
            stream = None
            with contextlib.suppress(OSError):
                errors = "backslashreplace" if number == 2 else None
                stream = open(number, mode, closefd=False, errors=errors, buffering=1 if number == 2 else -1)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
        from tas_cli.main import main as tas

        sys.argv = ["tas", *arguments]
        tas()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
