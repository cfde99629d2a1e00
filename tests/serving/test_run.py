"""``tas serve`` as a process, with a client of the standard library over its socket."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.conftest import TAS, Finished, tone
from tests.jobs.batch.test_processes import children, wait_for_end
from tests.support.asgi import FORM, form

PROMPT = json.dumps({"prompt": "a tone on the left"})


class Connection(http.client.HTTPConnection):
    """A connection over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=120)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(120)
        self.sock.connect(str(self._path))


def ask(path: Path, method: str, target: str, body: bytes | None = None) -> tuple[int, bytes]:
    connection = Connection(path)
    connection.request(method, target, body, FORM if body else {})
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


@pytest.fixture
def start(tiny_model: Path, tmp_path: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], Path]]]:
    """Starts a server with options; gives its process and its socket, once it listens."""
    started: list[subprocess.Popen[str]] = []
    (tmp_path / "tmp").mkdir()

    def run(*words: str) -> tuple[subprocess.Popen[str], Path]:
        path = tmp_path / "socket"
        command = [str(TAS), "serve", "--listen", f"unix:{path}", "--model", str(tiny_model), "--device", "cpu", *words]
        process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(tmp_path / "tmp")}
        )
        started.append(process)
        assert process.stderr is not None
        said = process.stderr.readline()
        assert said == f"tas: listening at unix:{path}, model {tiny_model} on cpu\n", said + process.stderr.read()
        return process, path

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_a_server_from_its_start_to_its_end(
    start: Callable[..., tuple[subprocess.Popen[str], Path]],
    tmp_path: Path,
    tas: Callable[..., Finished],
    tiny_model: Path,
) -> None:
    """Sound as the command makes it; a worker that is killed or takes too much harms its own request alone."""
    sound = tmp_path / "in.wav"
    soundfile.write(sound, tone(0.5)[0], 16_000)
    assert (
        tas("spatialize", sound, "-p", "a tone on the left", "-o", tmp_path / "o.wav", "--model", tiny_model).code == 0
    )
    server, path = start("--max-memory", "64", "--max-minutes", "1")
    body = form(("sound", "in.wav", sound), ("options", None, PROMPT))
    assert ask(path, "POST", "/spatialize", body) == (200, (tmp_path / "o.wav").read_bytes())
    assert json.loads(ask(path, "GET", "/health")[1])["model"] == str(tiny_model)
    # One block of 64 channels is half a gigabyte of numbers.
    soundfile.write(tmp_path / "wide.wav", np.full((300_000, 64), 1000, np.int16), 48_000)
    status, said = ask(
        path, "POST", "/spatialize", form(("sound", "w.wav", tmp_path / "wide.wav"), ("options", None, PROMPT))
    )
    assert (status, json.loads(said)["error"][:53]) == (413, "it takes more memory than a request may, 64 MiB; expe")
    (worker, *_) = [pid for pid in children(server.pid) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(worker, signal.SIGKILL)
    assert ask(path, "POST", "/spatialize", body)[0] in (200, 500)
    assert ask(path, "POST", "/spatialize", body) == (200, (tmp_path / "o.wav").read_bytes())
    everyone = list(children(server.pid))
    server.send_signal(signal.SIGTERM)
    _, rest = server.communicate(timeout=60)
    assert server.returncode == 0, rest
    assert "Traceback" not in rest
    wait_for_end(everyone)
    assert not path.exists()
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.slow
def test_what_is_worked_on_ends_before_the_server_and_what_takes_too_long_is_ended(
    start: Callable[..., tuple[subprocess.Popen[str], Path]], tmp_path: Path
) -> None:
    sound = tmp_path / "in.wav"
    soundfile.write(sound, np.tile(tone(1.0)[0], 90), 16_000)
    body = form(("sound", "in.wav", sound), ("options", None, PROMPT))
    server, path = start("--max-seconds", "120", "--waiting", "1")
    connection = Connection(path)
    connection.request("POST", "/spatialize", body, FORM)
    began = time.monotonic()
    while json.loads(ask(path, "GET", "/health")[1])["working"] == 0:
        assert time.monotonic() - began < 30
        time.sleep(0.005)
    server.send_signal(signal.SIGINT)
    answer = connection.getresponse()
    assert answer.status == 200
    assert len(answer.read()) == 44 + 4 * 90 * 16_000
    _, rest = server.communicate(timeout=60)
    assert server.returncode == 0, rest
    server, path = start("--max-seconds", "0.1")
    status, said = ask(path, "POST", "/spatialize", body)
    assert status == 504, said
    assert "longer than 0.1 s" in json.loads(said)["error"]
    os.kill(server.pid, signal.SIGKILL)
    server.communicate()
    assert path.exists()
    server, path = start()  # takes the socket over, and removes what the killed one left
    assert len(list((tmp_path / "tmp").iterdir())) == 1
    server.send_signal(signal.SIGTERM)
    server.communicate(timeout=60)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_the_command_needs_no_library_of_http_for_its_help() -> None:
    program = "import sys, tas_cli.main; print([m for m in ('starlette', 'uvicorn', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
