"""Fixtures that several test files share: small inputs, the command line run in this process or as a process."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

# Before torch is imported: a fixed number of threads makes results repeatable from one machine to the next.
os.environ.setdefault("OMP_NUM_THREADS", "2")
# No settings of whoever runs the tests.
os.environ["TAS_CONFIG"] = os.devnull

import numpy as np
import pytest
import soundfile

# Whoever runs the tests may ignore signals, as nohup and shells in the background do; programs would inherit that.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, _handler)


def _refuse_other_machines() -> None:
    """Let no test, and nothing that a test calls in this process, reach another machine."""
    connect, look_up = socket.socket.connect, socket.getaddrinfo
    here = ("localhost", "127.0.0.1", "::1", "", None)

    def connect_here(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and address[0] not in here:
            raise OSError(f"tests reach no other machine, and {address[0]} is one")
        connect(self, address)  # type: ignore[arg-type]

    def look_up_here(host: object, *arguments: object, **options: object) -> object:
        if host not in here:
            raise socket.gaierror(f"tests reach no other machine, and {host!r} is one")
        return look_up(host, *arguments, **options)  # type: ignore[arg-type]

    socket.socket.connect, socket.getaddrinfo = connect_here, look_up_here  # type: ignore[method-assign, assignment]


_refuse_other_machines()

TAS = Path(sys.executable).with_name("tas")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests go first: of several processes, none shall begin one when the others have ended."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


@dataclass(frozen=True)
class Finished:
    """How a run of the command line ended."""

    code: int
    out: str
    err: str

    @property
    def error_line(self) -> str:
        """The one line that says what was wrong; fails where there are more, or none."""
        lines = self.err.splitlines()
        assert len(lines) == 1, f"expected one line on stderr, got: {self.err!r}"
        assert lines[0].startswith("tas: error: ")
        return lines[0].removeprefix("tas: error: ")


@pytest.fixture
def tas(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Finished]:
    """Runs ``tas`` with arguments in this process, which is much faster than a new one."""
    from tas_cli.main import main

    def run(*arguments: object) -> Finished:
        capsys.readouterr()
        with monkeypatch.context() as patch, warnings.catch_warnings():
            patch.setattr(sys, "argv", ["tas", *map(str, arguments)])
            try:
                main()
                code: object = 0
            except SystemExit as stop:
                code = stop.code or 0
        assert isinstance(code, int)
        captured = capsys.readouterr()
        return Finished(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def tas_process() -> Callable[..., Finished]:
    """Runs ``tas`` with arguments as a process of its own, as a user does."""

    def run(*arguments: object, cwd: Path | None = None) -> Finished:
        command = [str(TAS), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=300, check=False)
        return Finished(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def warm_tas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A program that does what ``tas`` does in processes of their own, much sooner, for tests that start many."""
    from tests.support.warm_tas import WarmTas

    if not hasattr(os, "pidfd_open"):
        yield TAS
        return
    warm = WarmTas(tmp_path_factory.mktemp("warm"))
    yield warm.program
    warm.stop()


def tone(seconds: float = 1.0, rate_hz: int = 16_000, level: float = 0.25, channels: int = 1) -> np.ndarray:
    """(channel, time): a decaying harmonic tone under noise, another one in every channel."""
    rng = np.random.default_rng(3)
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    partials = np.array([1, 2, 3, 5, 8])[:, None]
    rows = [
        np.sin(2 * np.pi * 220 * (1 + c) * partials * t).sum(axis=0) / 5 + 0.3 * rng.standard_normal(len(t))
        for c in range(channels)
    ]
    return level * np.array(rows) / 2


def noise(channels: int = 2, frames: int = 1000) -> np.ndarray:
    """(channel, time): the same even noise every time, up to 0.9, single precision."""
    return np.random.default_rng(7).uniform(-0.9, 0.9, (channels, frames)).astype(np.float32)


@pytest.fixture
def make_audio(tmp_path: Path) -> Callable[..., Path]:
    """Writes a short harmonic tone; returns its path."""

    def write(name: str = "in.wav", subtype: str = "PCM_16", **shape: float | int) -> Path:
        path = tmp_path / name
        rate_hz = int(shape.get("rate_hz", 16_000))
        soundfile.write(path, tone(**shape).T, rate_hz, subtype=subtype)  # type: ignore[arg-type]
        return path

    return write


@pytest.fixture
def make_timeline(tmp_path: Path) -> Callable[..., Path]:
    """Writes a timeline of entries such as ``start: 0, text: cello on the left``; returns its path."""

    def write(*entries: str, name: str = "scene.yaml") -> Path:
        path = tmp_path / name
        path.write_text("prompts:\n" + "".join(f"  - {{{entry}}}\n" for entry in entries))
        return path

    return write


@pytest.fixture
def one_thread() -> Iterator[None]:
    """One thread for torch, which is faster for small networks and gives the same sums everywhere."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoint folder of a small, untrained model: it works at once, and what it says where is arbitrary."""
    import torch

    from tas_core.models.checkpoints import save_checkpoint
    from tas_core.models.slots.config import SlotsConfig
    from tas_core.models.slots.model import SlotsModel
    from tests.support.tiny import TINY_SLOTS

    shipped = SlotsConfig()  # its text encoder, which commands load by themselves
    config = replace(
        TINY_SLOTS,
        context_frames=4,
        level_frames=8,
        text_encoder=shipped.text_encoder,
        text_width=shipped.text_width,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        model = SlotsModel(config)
        # It tells all names apart and takes everything to be there, so that it does not complain.
        torch.nn.init.normal_(model.networks[0].mask_key.weight, std=8.0)
        for fusion in model.networks[0].fusions:
            torch.nn.init.normal_(fusion.get_parameter("inject.weight"), std=0.4)
    torch.nn.init.zeros_(model.networks[0].presence.out.weight)
    torch.nn.init.constant_(model.networks[0].presence.out.bias, 5.0)
    folder = tmp_path_factory.mktemp("model") / "tiny"
    return save_checkpoint(folder, "slots", asdict(config), model.state_dict(), {"made_for": "tests"})


@pytest.fixture(scope="session")
def calibrated(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model with a calibration, under which nothing is doubtful."""
    from tas_core.models.calibration import Calibration, write_calibration
    from tas_core.models.checkpoints import load_checkpoint

    folder = shutil.copytree(tiny_model, tmp_path_factory.mktemp("calibrated") / "model")
    write_calibration(folder, Calibration(load_checkpoint(folder).digest, -1.0, {"sharpness": 2.0}, 0.0))
    return folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Makes a disk of so many bytes, and gives its folder; only who may mount one can test with it."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def make(num_bytes: int) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", f"size={num_bytes}", "none", str(folder)]
        if not shutil.which("mount") or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("needs the right to mount a file system")
        return folder

    yield make
    if os.path.ismount(folder):
        subprocess.run(["umount", str(folder)], check=True, capture_output=True)
