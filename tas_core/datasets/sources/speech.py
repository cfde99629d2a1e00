"""Voices: speech synthesizers, and recordings of people."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from tas_core.datasets.sources.catalogue import Voice
from tas_core.datasets.sources.clips import DryClip, _finish, source_rng
from tas_core.datasets.sources.recordings import _string_together
from tas_core.errors import TasError
from tas_core.timeline.vocabulary import words_file


@lru_cache(maxsize=1)
def _sentences() -> tuple[str, ...]:
    return tuple(words_file("sentences.txt").read_text(encoding="utf-8").split("\n")[:-1])


def _speak(voice: Voice, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """A few sentences by a speech synthesizer: samples (time) and rate."""
    text = " ".join(rng.choice(_sentences(), size=5, replace=False))
    if voice.engine == "espeak":
        pace = ["-s", str(int(rng.integers(120, 190))), "-p", str(int(rng.integers(25, 75)))]
        return _synthesized(["espeak-ng", "-v", voice.argument, *pace, "--stdout", text])
    stretch = f"duration_stretch={rng.uniform(0.85, 1.2):.2f}"
    return _synthesized(["flite", "-voice", voice.argument, "--setf", stretch, "-o", "/dev/stdout", "-t", text])


def _synthesized(command: Sequence[str]) -> tuple[np.ndarray, int]:
    """Samples (time) and rate of the WAV that a program writes to a pipe, whose header does not know its length."""
    try:
        done = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise TasError(f"{command[0]} does not speak ({error}); see scripts/install-material.sh") from error
    rate_hz = int.from_bytes(done[24:28], "little")
    payload = done[done.find(b"data") + 8 :]
    return np.frombuffer(payload[: len(payload) // 2 * 2], "<i2").astype(np.float32) / 32768.0, rate_hz


@lru_cache(maxsize=64)
def voice_files(voice: Voice) -> tuple[Path, ...]:
    """Recordings of a speaker, in a fixed order; none for a synthesizer.

    Raises:
        TasError: they are not installed.
    """
    if voice.engine != "files":
        return ()
    found: list[Path] = []
    for pattern in voice.patterns:
        found += sorted(p for p in Path(voice.argument).rglob(pattern) if p.stat().st_size > 3000)
    if not found:
        raise TasError(f"{voice.argument}: no recordings of voice {voice.name}; see scripts/install-material.sh")
    return tuple(found)


def voice_clip(voice: Voice, length_s: float, rate_hz: int, rng: np.random.Generator) -> np.ndarray | None:
    """Random sentences of one speaker: float32 (time), peak 0.9, at most ``length_s``; None where nothing sounds."""
    if voice.engine == "files":
        samples, _ = _string_together(voice_files(voice), length_s, rate_hz, rng, vary=False)
        return _finish(samples, rate_hz, rate_hz, length_s)
    samples, from_hz = _speak(voice, rng)
    return _finish(samples, from_hz, rate_hz, length_s)


def render_voice(voice: Voice, clips: int, length_s: float, rate_hz: int, seed: int) -> Iterator[DryClip]:
    """Clips of one speaker, under the category that fits what is known of the speaker."""
    category = {"any": "person talking", "male": "man talking", "female": "woman talking"}[voice.speaker]
    for index in range(clips):
        done = voice_clip(voice, length_s, rate_hz, source_rng(seed, voice.name, index))
        if done is not None:
            yield DryClip(category, voice.name, voice.split, done)
