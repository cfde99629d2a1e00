"""Quality and intelligibility of speech, by the packages that others use: PESQ (``pesq``) and STOI (``pystoi``).

Both are of one channel, of speech, against a clean recording of it; here each ear is scored against the same ear of the
truth, and the mean of both is given. Of other sounds they say little. The packages are optional (``tas[eval]``).
"""

from __future__ import annotations

import importlib
import math
import warnings
from types import ModuleType
from typing import Any, Final

import numpy as np

from tas_core.errors import InputError
from tas_core.evaluation.metrics.checks import Signal, check_pair

SPEECH_PACKAGES: Final = ("pesq", "pystoi")
"""What has to be installed."""

_PESQ_MODES: Final = {8_000: "nb", 16_000: "wb"}
_PESQ_LONGEST_S: Final = 15.0


def check_speech_packages() -> None:
    """See that PESQ and STOI can be computed.

    Raises:
        InputError: a package is missing, or cannot be loaded.
    """
    for name in SPEECH_PACKAGES:
        _package(name)


def pesq_mos(output: Signal, truth: Signal, sample_rate_hz: int) -> float:
    """PESQ, mean of both ears, as a mean opinion score of 1.0 to 4.6; higher is better.

    Wide band at 16 kHz (ITU-T P.862.2), narrow band at 8 kHz (P.862, mapped by P.862.1); the standards have no other
    rates. Of more than 15 s it is the mean over equal parts of at most so much, for the standard's program holds 50
    utterances, which take 20 s at least, and reaches beyond its memory with more. It hears nothing of places, but for
    what they do to each ear by itself, and little of a level that is wrong throughout.

    Args:
        output: (ear, time).
        truth: the same shape.
        sample_rate_hz: 8000 or 16000.

    Returns:
        nan where the standard gives no score: no utterance is found in an ear, an ear of the output is silent, or less
        than a quarter of a second.

    Raises:
        InputError: the package ``pesq`` is missing.
        ValueError: another rate, unequal shapes, not two ears, no samples, or non-finite samples.
    """
    if sample_rate_hz not in _PESQ_MODES:
        raise ValueError(f"PESQ is defined at 8000 and 16000 Hz, got {sample_rate_hz}")
    package = _package("pesq")
    ours, theirs = _ears(output, truth)
    size = ours.shape[-1]
    edges = np.linspace(0, size, max(1, math.ceil(size / (_PESQ_LONGEST_S * sample_rate_hz))) + 1).round().astype(int)
    ears = []
    for heard, clean in zip(ours, theirs, strict=True):
        scores = []
        for start, stop in zip(edges, edges[1:], strict=False):
            try:
                scores.append(
                    package.pesq(sample_rate_hz, clean[start:stop], heard[start:stop], _PESQ_MODES[sample_rate_hz])
                )
            except (package.NoUtterancesError, package.BufferTooShortError):
                continue
            except ValueError:  # "cannot convert float NaN to integer", of silence
                continue
        ears.append(float(np.mean(scores)) if scores else math.nan)
    return float(np.mean(ears))


def stoi_score(output: Signal, truth: Signal, sample_rate_hz: int) -> float:
    """STOI, mean of both ears: intelligibility from about 0 to 1; higher is better (Taal et al., 2011).

    It hears nothing of places, of fine structure, nor of a level that is wrong throughout.

    Args:
        output: (ear, time).
        truth: the same shape.
        sample_rate_hz: of both; it is computed at 10 kHz.

    Returns:
        nan where an ear of the truth has less than 0.4 s of sound within 40 dB of its loudest.

    Raises:
        InputError: the package ``pystoi`` is missing.
        ValueError: unequal shapes, not two ears, no samples, or non-finite samples.
    """
    package = _package("pystoi")
    ours, theirs = _ears(output, truth)
    scores = []
    for heard, clean in zip(ours, theirs, strict=True):
        if not clean.any() or len(clean) < 0.1 * sample_rate_hz:
            return math.nan
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            try:
                scores.append(package.stoi(clean, heard, sample_rate_hz, extended=False))
            except RuntimeWarning:  # "Not enough STFT frames", which it would score as 1e-5
                return math.nan
    return float(np.mean(scores))


def _ears(output: Signal, truth: Signal) -> tuple[Any, Any]:
    return tuple(signal.double().cpu().numpy() for signal in check_pair(output, truth))  # type: ignore[return-value]


def _package(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(
            f"PESQ and STOI need the packages {' and '.join(SPEECH_PACKAGES)}; {name} cannot be loaded ({error})",
            remedy="speech_packages",
        ) from error
