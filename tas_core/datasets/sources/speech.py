"""Voices: speech synthesizers, and recordings of people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from tas_core.audio import read_audio, to_mono
from tas_core.conventions import db_to_amplitude
from tas_core.datasets.sources.catalogue import CROWD, Speaker, Voice
from tas_core.datasets.sources.clips import DryClip, finish_clip, missing_material, run_synthesizer, source_rng
from tas_core.datasets.sources.pitch import median_pitch_hz, speakers_by_pitch
from tas_core.datasets.sources.recordings import join_recordings
from tas_core.system.programs import temporary_folder
from tas_core.timeline.vocabulary import words_file


@lru_cache(maxsize=1)
def _sentences() -> tuple[str, ...]:
    return tuple(words_file("sentences.txt").read_text(encoding="utf-8").split("\n")[:-1])


def _speak(voice: Voice, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """A few sentences by a speech synthesizer: float32 samples (time) and their rate.

    Raises:
        TasError: it is not installed, or fails.
    """
    text = " ".join(rng.choice(_sentences(), size=5, replace=False))
    with temporary_folder() as folder:
        # To a file and not to a pipe, where a WAV header cannot say how long it is.
        path = folder / "speech.wav"
        if voice.engine == "espeak":
            pace = ["-s", str(int(rng.integers(120, 190))), "-p", str(int(rng.integers(25, 75)))]
            command = ["espeak-ng", "-v", voice.argument, *pace, "-w", str(path), text]
        else:
            pace = ["--setf", f"duration_stretch={rng.uniform(0.85, 1.2):.2f}"]
            command = ["flite", "-voice", voice.argument, *pace, "-o", str(path), "-t", text]
        run_synthesizer(command, f"{command[0]} does not speak")
        found = read_audio(path)
    return to_mono(found.samples), found.sample_rate_hz


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
        raise missing_material(f"{voice.argument}: no recordings of voice {voice.name}")
    return tuple(found)


def voice_clip(voice: Voice, length_s: float, rate_hz: int, rng: np.random.Generator) -> np.ndarray | None:
    """Random sentences of one speaker: float32 (time), peak 0.9, at most ``length_s``; None where nothing sounds."""
    if voice.engine == "files":
        return recorded_voice_clip(voice_files(voice), length_s, rate_hz, rng)
    samples, from_hz = _speak(voice, rng)
    return finish_clip(samples, from_hz, rate_hz, length_s)


def recorded_voice_clip(
    files: Sequence[Path], length_s: float, rate_hz: int, rng: np.random.Generator
) -> np.ndarray | None:
    """Recordings of a speaker in a row, as they are: float32 (time), peak 0.9; None where nothing sounds."""
    samples, _ = join_recordings(files, length_s, rate_hz, rng, vary=False)
    return finish_clip(samples, rate_hz, rate_hz, length_s)


def babble_clip(voices: Sequence[Voice], length_s: float, rate_hz: int, rng: np.random.Generator) -> np.ndarray | None:
    """Three to ten people who talk at once, some of them twice if there are few: float32 (time), peak 0.9.

    Levels differ by 12 dB at most; None where nothing sounds.

    Raises:
        TasError: recordings are missing.
    """
    together = np.zeros(round(length_s * rate_hz), np.float32)
    for _ in range(int(rng.integers(3, 11))):
        one = voice_clip(voices[int(rng.integers(len(voices)))], length_s, rate_hz, rng)
        if one is not None:
            together[: len(one)] += one * np.float32(db_to_amplitude(float(rng.uniform(-12, 0))))
    return finish_clip(together, rate_hz, rate_hz, length_s)


def render_babble(voices: Sequence[Voice], clips: int, length_s: float, rate_hz: int, seed: int) -> Iterator[DryClip]:
    """So many crowds of voices of one split."""
    split = voices[0].split
    for index in range(clips):
        done = babble_clip(voices, length_s, rate_hz, source_rng(seed, CROWD, split, index))
        if done is not None:
            yield DryClip(CROWD, f"voices at once ({split})", split, done)


def render_voice(voice: Voice, clips: int, length_s: float, rate_hz: int, seed: int) -> Iterator[DryClip]:
    """Clips of one speaker, under the category that fits what is known of the speaker, or heard of the voice.

    Of a crowd there is one clip for each recording, however many ``clips`` say.
    """
    categories: dict[Speaker, str] = {"any": "person talking", "male": "man talking", "female": "woman talking"}
    people: Iterable[list[np.ndarray | None]]
    if voice.crowd:
        people = (
            [recorded_voice_clip([file], length_s, rate_hz, source_rng(seed, voice.name, index))]
            for index, file in enumerate(voice_files(voice))
        )
    else:
        rngs = [source_rng(seed, voice.name, index) for index in range(clips)]
        people = [[voice_clip(voice, length_s, rate_hz, rng) for rng in rngs]]
    for drawn in people:
        found = [clip for clip in drawn if clip is not None]
        pitches_hz = [None if voice.acted else median_pitch_hz(clip, rate_hz) for clip in found]
        for clip, who in zip(found, speakers_by_pitch(pitches_hz, voice.speaker), strict=True):
            yield DryClip(categories[who], voice.name, voice.split, clip)
