"""What all kinds of sources share: dry mono clips, their random generators, and the error for missing material."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import soxr

from tas_core.datasets.sources.catalogue import Split
from tas_core.errors import TasError
from tas_core.system.programs import captured


@dataclass(frozen=True)
class DryClip:
    """Dry mono sound: float32 ``samples`` (time), peak 0.9, of one category from one source."""

    category: str
    source: str
    split: Split
    samples: np.ndarray


def source_rng(seed: int, *names: object) -> np.random.Generator:
    """A generator keyed by names, so that no clip depends on the order of rendering."""
    digest = zlib.crc32("\x1f".join(str(n) for n in names).encode())
    return np.random.default_rng([seed, digest])


def finish_clip(samples: np.ndarray, from_hz: int, rate_hz: int, length_s: float) -> np.ndarray | None:
    """Samples (time) resampled, cut to ``length_s``, without mean, float32, peak 0.9; None where nothing sounds."""
    if from_hz != rate_hz:
        samples = soxr.resample(samples, from_hz, rate_hz, quality="HQ")
    samples = samples[: round(length_s * rate_hz)].astype(np.float32)
    if len(samples) == 0:
        return None
    samples = samples - samples.mean()
    peak = float(np.abs(samples).max(initial=0.0))
    if peak < 1e-3:
        return None
    return samples * (0.9 / peak)


def runs(flags: np.ndarray) -> tuple[tuple[int, int], ...]:
    """Runs of True as (first, last + 1)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return tuple((int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True))


def missing_material(fault: str) -> TasError:
    """The error for a source that cannot be rendered here: what is at fault, and how to install it."""
    return TasError(f"{fault}; see scripts/install-material.sh")


def run_synthesizer(command: Sequence[str], fault: str, stdin: bytes | None = None) -> bytes:
    """What a synthesizer writes to its standard output.

    Args:
        command: the program and its arguments.
        fault: what to say if it fails, such as "flite does not speak".
        stdin: its input.

    Raises:
        TasError: it is not installed, or fails.
    """
    try:
        done = captured(command, said=stdin)
    except OSError as error:
        raise missing_material(f"{fault} ({error})") from error
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        reason = f"exit code {done.returncode}" + (f": {lines[-1].strip()}" if lines else "")
        raise missing_material(f"{fault} ({reason})")
    return done.stdout
