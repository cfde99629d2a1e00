"""``tas serve`` as a process, with a client of the standard library over its socket."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.serving import run
from tas_core.serving.run import listening
from tas_core.serving.settings import Address
from tests.conftest import TAS, Finished, tone
from tests.support.asgi import FORM, form
from tests.support.processes import children, wait_for_end

PROMPT = json.dumps({"prompt": "a tone on the left"})


class Connection(http.client.HTTPConnection):
    """A connection over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=120)
        self._path = path

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(120)
        self.sock.connect(str(self._path))


def ask(path: Path, method: str, target: str, body: bytes | None = None) -> tuple[int, bytes]:
    with Connection(path) as connection:
        connection.request(method, target, body, FORM if body else {})
        answer = connection.getresponse()
        return answer.status, answer.read()


def own_children(pid: int) -> list[int]:
    """Processes that a process has started itself."""
    return [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]


@pytest.fixture
def start(tiny_model: Path, tmp_path: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], Path]]]:
    """Starts a server with options; gives its process and its socket, once it listens."""
    started: list[subprocess.Popen[str]] = []
    # A short path: below a long one each process would load torch for itself.
    (tmp_path / "tmp").symlink_to(tempfile.mkdtemp(prefix="t"), target_is_directory=True)

    def begin(*words: str) -> tuple[subprocess.Popen[str], Path]:
        path = tmp_path / "socket"
        command = [str(TAS), "serve", "--listen", f"unix:{path}", "--model", str(tiny_model), "--device", "cpu", *words]
        process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": os.readlink(tmp_path / "tmp")}
        )
        started.append(process)
        assert process.stderr is not None
        said = process.stderr.readline()
        assert said == f"tas: listening at unix:{path}, model {tiny_model} on cpu\n", said + process.stderr.read()
        return process, path

    yield begin
    for process in started:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()
    shutil.rmtree(os.readlink(tmp_path / "tmp"))


@pytest.mark.slow
def test_a_server_from_its_start_to_its_end(
    start: Callable[..., tuple[subprocess.Popen[str], Path]],
    tmp_path: Path,
    tas: Callable[..., Finished],
    tiny_model: Path,
) -> None:
    """Sound as the command makes it; who takes too much harms himself alone; what has begun ends before the server."""
    sound, long = tmp_path / "in.wav", tmp_path / "long.wav"
    soundfile.write(sound, tone(0.5)[0], 16_000)
    soundfile.write(long, np.tile(tone(1.0)[0], 20), 16_000)
    words = ("-p", "a tone on the left", "--model", tiny_model)
    assert tas("spatialize", sound, "-o", tmp_path / "o.wav", *words).code == 0
    server, path = start("--max-memory", "64", "--max-minutes", "1")
    body = form(("sound", "in.wav", sound), ("options", None, PROMPT))
    assert ask(path, "POST", "/spatialize", body) == (200, (tmp_path / "o.wav").read_bytes())
    assert json.loads(ask(path, "GET", "/health")[1])["model"] == str(tiny_model)
    # A block of 64 channels is half a gigabyte of numbers.
    soundfile.write(tmp_path / "wide.wav", np.full((300_000, 64), 1000, np.int16), 48_000)
    wide = form(("sound", "w.wav", tmp_path / "wide.wav"), ("options", None, PROMPT))
    status, said = ask(path, "POST", "/spatialize", wide)
    assert (status, json.loads(said)["error"][:53]) == (413, "it takes more memory than a request may, 64 MiB; expe")
    everyone = list(children(server.pid))
    with Connection(path) as connection:
        connection.request("POST", "/spatialize", form(("sound", "l.wav", long), ("options", None, PROMPT)), FORM)
        began = time.monotonic()
        while json.loads(ask(path, "GET", "/health")[1])["working"] == 0:
            assert time.monotonic() - began < 30
            time.sleep(0.005)
        server.send_signal(signal.SIGTERM)
        answer = connection.getresponse()
        assert answer.status == 200
        assert len(answer.read()) == 44 + 4 * 20 * 16_000
    assert server.wait(60) == 0
    assert server.stderr is not None
    assert server.stderr.read() == ""
    wait_for_end(everyone)
    assert not path.exists()
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.slow
def test_what_takes_too_long_is_ended_and_a_worker_that_was_killed_is_replaced(
    start: Callable[..., tuple[subprocess.Popen[str], Path]], tmp_path: Path
) -> None:
    sound = tmp_path / "in.wav"
    soundfile.write(sound, tone(0.5)[0], 16_000)
    body = form(("sound", "in.wav", sound), ("options", None, PROMPT))
    server, path = start("--max-seconds", "60")
    (worker,) = set(children(server.pid)) - set(own_children(server.pid))  # of the one that has loaded torch
    os.kill(worker, signal.SIGSTOP)  # it stands still
    with Connection(path) as connection:
        connection.request("POST", "/spatialize", body, FORM)
        while json.loads(ask(path, "GET", "/health")[1])["working"] == 0:
            time.sleep(0.005)
        os.kill(worker, signal.SIGKILL)
        answer = connection.getresponse()
        assert answer.status == 500
        assert json.loads(answer.read())["error"].startswith("the process that worked on it was killed")
    assert ask(path, "POST", "/spatialize", body)[0] == 200
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    assert path.exists()
    with listening(Address(path)):  # the next one takes the socket over
        pass


def test_what_a_killed_server_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left = tmp_path / ".tas-0123456789ab.parts"
    left.mkdir()
    (left / "in.wav").write_bytes(b"of a client")
    with run._temporary_folder() as folder:
        assert not left.exists()
        assert folder.parent == tmp_path
        assert folder.stat().st_mode & 0o777 == 0o700
        with run._temporary_folder() as other:  # that of another server stays
            assert folder.exists()
            assert other != folder
    assert list(tmp_path.iterdir()) == []


def test_the_command_needs_no_library_of_http_for_its_help() -> None:
    program = "import sys, tas_cli.main; print([m for m in ('starlette', 'uvicorn', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
