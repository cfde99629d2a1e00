"""Load on ``tas serve``: throughput, time of answers, and what happens at twice the capacity.

    python benchmarks/serve_load.py --seconds 60 --out benchmarks/results/serve.json

A server of its own is started on a Unix socket. First one client asks again and again; its rate is the capacity. Then
as many clients as there are places and as many again ask for so long, each at once after its answer, or, when refused,
after a pause. Every answer is counted, and the bytes of each sound are compared with the first.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tas_core.evaluation.results import describe_machine
from tas_core.system.processes import usable_cores

ROOT = Path(__file__).resolve().parents[1]
SOUND, TIMELINE = ROOT / "examples" / "duet.flac", ROOT / "examples" / "duet.yaml"
BOUNDARY = "tas-load"
PAUSE_S = 0.2


class Connection(http.client.HTTPConnection):
    """Over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=600)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(600)
        self.sock.connect(self._path)


@dataclass
class Seen:
    """What clients saw: status and seconds of each answer, digests of sounds, and what broke."""

    answers: list[tuple[int, float]] = field(default_factory=list)
    digests: set[str] = field(default_factory=set)
    broken: list[str] = field(default_factory=list)

    def times(self, status: int) -> np.ndarray:
        """Seconds of the answers with a status."""
        return np.array([seconds for code, seconds in self.answers if code == status])


def body(seconds: float) -> bytes:
    """A form with the duet of the examples and its timeline, of which so much is made."""
    parts = [
        ('name="sound"; filename="duet.flac"', SOUND.read_bytes()),
        ('name="timeline"; filename="duet.yaml"', TIMELINE.read_bytes()),
        ('name="options"', json.dumps({"output": "out.wav", "duration": seconds}).encode()),
    ]
    lines = [
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; {said}\r\n\r\n".encode() + data + b"\r\n"
        for said, data in parts
    ]
    return b"".join(lines) + f"--{BOUNDARY}--\r\n".encode()


def client(path: str, form: bytes, until: float, seen: Seen) -> None:
    """Ask until the time is over; the last request is waited for."""
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    while time.monotonic() < until:
        began = time.monotonic()
        connection = Connection(path)
        try:
            connection.request("POST", "/spatialize", form, headers)
            answer = connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            seen.broken.append(f"{type(error).__name__}: {error}")
            continue
        finally:
            connection.close()
        seen.answers.append((answer.status, time.monotonic() - began))
        if answer.status == 200:
            seen.digests.add(hashlib.sha256(data).hexdigest())
        else:
            time.sleep(PAUSE_S)


def loaded(path: str, form: bytes, clients: int, seconds: float) -> dict[str, Any]:
    """What so many clients see in so many seconds."""
    seen, began = Seen(), time.monotonic()
    threads = [threading.Thread(target=client, args=(path, form, began + seconds, seen)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took_s = time.monotonic() - began
    made, refused = seen.times(200), seen.times(503)
    quantiles = lambda x: [round(float(q), 3) for q in np.quantile(x, (0.5, 0.99))] if len(x) else None  # noqa: E731
    return {
        "clients": clients,
        "seconds": round(took_s, 1),
        "made": len(made),
        "made_per_second": round(len(made) / took_s, 3),
        "made_s_p50_p99": quantiles(made),
        "refused": len(refused),
        "refused_s_p50_p99": quantiles(refused),
        "other_answers": sorted({code for code, _ in seen.answers} - {200, 503}),
        "broken": seen.broken,
        "different_sounds": len(seen.digests),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--sound-seconds", type=float, default=2.0)
    parser.add_argument("--waiting", type=int, default=3)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    form = body(given.sound_seconds)
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/s"
        command = [sys.executable, "-m", "tas_cli", "serve", "--listen", f"unix:{path}"]
        command += ["--waiting", str(given.waiting), "--device", "cpu"]
        server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert server.stderr is not None
        sys.stderr.write(server.stderr.readline())
        places = 1 + given.waiting
        found: dict[str, Any] = {
            "machine": describe_machine("cpu", usable_cores(), 1),
            "sound_s": given.sound_seconds,
            "places": places,
        }
        found["one client"] = loaded(path, form, 1, given.seconds)
        found["as many as places"] = loaded(path, form, places, given.seconds)
        found["twice as many"] = loaded(path, form, 2 * places, given.seconds)
        connection = Connection(path)
        connection.request("GET", "/metrics")
        counts = connection.getresponse().read().decode()
        connection.close()
        found["answered, by the server's count"] = {
            line.split('"')[1]: int(float(line.split()[-1]))
            for line in counts.splitlines()
            if line.startswith("tas_requests_total{")
        }
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=120)
        found["exit code"] = server.returncode
    text = json.dumps(found, indent=1)
    print(text)
    if given.out:
        given.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
