"""Dry mono sound of every category: soundfonts, speech synthesizers and recordings.

Each ``render_*`` function yields :class:`DryClip` objects at :data:`SAMPLE_RATE_HZ`
or any rate asked for. The synthesizers' own reverb and chorus are off: rooms
are added later, by :mod:`tas_core.acoustics.rooms`.
"""

from __future__ import annotations

import subprocess
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr

from tas_core.datasets.sources.catalogue import (
    RECORDING_FOLDERS,
    Category,
    SoundFont,
    Split,
    Voice,
)
from tas_core.datasets.sources.melodies import Note, kit_pattern, melody, percussion_hits
from tas_core.datasets.sources.timidity import PatchSynth
from tas_core.errors import TasError
from tas_core.timeline.vocabulary import words_file

_SYNTH_RATE_HZ = 44100
_SYNTH_BLOCK = 64
_VOICES = 128
_SPARE_VOICES = 32
"""More than a single note takes, lest the synthesizer should complain that it has none left."""
_SYNTH_PERIOD = 48000
"""FluidSynth's dither repeats after this many samples, a multiple of the 64 that it computes at a time."""


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


def _finish(samples: np.ndarray, from_hz: int, rate_hz: int, length_s: float) -> np.ndarray | None:
    """Resample, cut, remove the mean and scale to peak 0.9; None where nothing sounds."""
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


class FontSynth:
    """FluidSynth on one soundfont, effects off.

    Raises:
        TasError: pyfluidsynth or the soundfont is not installed.
    """

    def __init__(self, font: SoundFont) -> None:
        try:
            import fluidsynth
        except ImportError as error:
            raise TasError(
                "rendering instruments needs pyfluidsynth and libfluidsynth: "
                "pip install 'tas[simulate]' and apt-get install libfluidsynth3"
            ) from error
        if not font.path.exists():
            raise TasError(f"{font.path}: soundfont {font.name} is not installed; see scripts/install-material.sh")
        self._synth = fluidsynth.Synth(samplerate=float(_SYNTH_RATE_HZ), gain=0.4)
        self._synth.setting("synth.reverb.active", 0)
        self._synth.setting("synth.chorus.active", 0)
        self._font_id = self._synth.sfload(str(font.path))
        self._font = font

    def render(
        self,
        notes: Sequence[Note],
        duration_s: float,
        *,
        program: int | None = None,
        tuning_cents: float = 0.0,
    ) -> np.ndarray | None:
        """Play notes; ``program`` None is the percussion channel. Float32 (time) or None without preset."""
        channel = 0 if program is not None else 9
        # Fonts that hold nothing but a drum kit keep it in bank 0.
        bank = 0 if program is not None or self._font.only_percussion else 128
        if self._synth.program_select(channel, self._font_id, bank, program or 0) != 0:
            return None
        self._touch_all_voices(channel)
        self._synth.pitch_bend(channel, int(np.clip(tuning_cents / 200.0, -1, 1) * 8191))
        events = sorted(
            [(n.start_s, 1, n) for n in notes] + [(n.start_s + n.length_s, 0, n) for n in notes],
            key=lambda e: (e[0], e[1]),
        )
        pieces: list[np.ndarray] = []
        now = 0
        for time_s, is_on, note in events:
            at = min(round(time_s * _SYNTH_RATE_HZ), round(duration_s * _SYNTH_RATE_HZ))
            if at > now:
                pieces.append(self._synth.get_samples(at - now))
                now = at
            if is_on:
                self._synth.noteon(channel, note.pitch, note.velocity)
            else:
                self._synth.noteoff(channel, note.pitch)
        end = round(duration_s * _SYNTH_RATE_HZ)
        if end > now:
            pieces.append(self._synth.get_samples(end - now))
        # All sound off (MIDI controller 120), since a system reset lets notes ring on into the next clip.
        self._synth.cc(channel, 120, 0)
        self._synth.get_samples(-end % _SYNTH_PERIOD + _SYNTH_PERIOD)
        stereo = np.concatenate(pieces).reshape(-1, 2).astype(np.float32) / 32768.0
        return stereo.sum(axis=1)

    def _touch_all_voices(self, channel: int) -> None:
        """Bring every voice into one state, whatever it played before.

        A voice that is used again fades in from the amplitude at which its last note was cut off, so that a clip
        would depend on the clips before it.
        """
        self._synth.setting("synth.polyphony", _VOICES + _SPARE_VOICES)
        self._synth.pitch_bend(channel, 0)
        for key in list(range(128)) * (_VOICES // 16):
            if self._synth.get_active_voice_count() >= _VOICES:
                break
            self._synth.noteon(channel, key, 100)
        self._synth.get_samples(_SYNTH_BLOCK)
        self._synth.cc(channel, 120, 0)
        self._synth.get_samples(_SYNTH_PERIOD - _SYNTH_BLOCK)
        self._synth.setting("synth.polyphony", _VOICES)

    def close(self) -> None:
        """Free the soundfont."""
        self._synth.delete()


def open_synth(font: SoundFont) -> FontSynth | PatchSynth:
    """What plays a soundfont or patch set.

    Raises:
        TasError: it or its player is not installed.
    """
    return PatchSynth(font, _SYNTH_RATE_HZ) if font.path.suffix == ".cfg" else FontSynth(font)


def font_clip(
    synth: FontSynth | PatchSynth, category: Category, length_s: float, rate_hz: int, rng: np.random.Generator
) -> np.ndarray | None:
    """Random music of one category on a soundfont: float32 (time), peak 0.9; None where the font has no such preset."""
    tuning = float(rng.uniform(-60, 60))
    if category.kind == "melodic":
        assert category.program is not None
        notes = melody(category.program, length_s, rng, pitch_range=category.pitch_range, style=category.style)
        samples = synth.render(notes, length_s, program=category.program, tuning_cents=tuning)
    elif category.kind == "percussion":
        assert category.key is not None
        samples = synth.render(percussion_hits(category.key, length_s, rng), length_s)
    else:
        samples = synth.render(kit_pattern(length_s, rng), length_s)
    return None if samples is None else _finish(samples, _SYNTH_RATE_HZ, rate_hz, length_s)


def render_font(
    font: SoundFont, categories: Sequence[Category], clips: int, length_s: float, rate_hz: int, seed: int
) -> Iterator[DryClip]:
    """Clips of every category that a soundfont can play."""
    synth = open_synth(font)
    for category in categories:
        if not font.plays(category):
            continue
        count = clips * 6 if category.kind == "kit" else clips
        for index in range(count):
            done = font_clip(synth, category, length_s, rate_hz, source_rng(seed, font.name, category.name, index))
            if done is not None:
                yield DryClip(category.name, f"{font.name}/{category.name}", font.split, done)
    synth.close()


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


def _read_recording(path: Path) -> tuple[np.ndarray, int]:
    if path.suffix == ".g722":
        command = ["ffmpeg", "-v", "error", "-f", "g722", "-i", str(path), "-f", "s16le", "-"]
        raw = subprocess.run(command, capture_output=True, check=True).stdout
        return np.frombuffer(raw, "<i2").astype(np.float32) / 32768.0, 16000
    samples, rate_hz = sf.read(str(path), dtype="float32", always_2d=True)
    return samples.mean(axis=1), int(rate_hz)


def _string_together(
    files: Sequence[Path], length_s: float, rate_hz: int, rng: np.random.Generator, *, vary: bool
) -> tuple[np.ndarray, tuple[Path, ...]]:
    """Recordings one after another with short gaps, drawn from ``files``, and which; ``vary`` changes their speed."""
    pieces: list[np.ndarray] = []
    used: set[Path] = set()
    total = 0
    while total < length_s * rate_hz:
        path = files[int(rng.integers(len(files)))]
        used.add(path)
        samples, from_hz = _read_recording(path)
        speed = float(2.0 ** rng.uniform(-0.35, 0.35)) if vary else 1.0
        if len(samples) < 16:
            samples = np.zeros(16, np.float32)
        samples = soxr.resample(samples, from_hz * speed, rate_hz, quality="HQ")
        peak = np.abs(samples).max(initial=1e-9)
        gap = np.zeros(int(rng.uniform(0.05, 0.6) * rate_hz), np.float32)
        pieces += [(samples / peak).astype(np.float32), gap]
        total += len(samples) + len(gap)
    return np.concatenate(pieces), tuple(sorted(used))


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


@lru_cache(maxsize=256)
def recording_files(category: Category) -> tuple[Path, ...]:
    """Recorded one-shots of a category, in a fixed order."""
    found: list[Path] = []
    for folder, _ in RECORDING_FOLDERS:
        for pattern in category.samples:
            for ending in (".ogg", ".wav", ".flac"):
                found += folder.rglob(pattern + ending)
    return tuple(sorted({p for p in found if "_desc" not in p.name}))


def recording_split(files: Sequence[Path], split: Split) -> list[Path]:
    """Files of a split: of three or more, the last goes to test and the one before to val."""
    if len(files) < 3:
        return list(files) if split == "train" else []
    return {"train": list(files[:-2]), "val": [files[-2]], "test": [files[-1]]}[split]


def recording_clip(
    files: Sequence[Path], length_s: float, rate_hz: int, rng: np.random.Generator
) -> tuple[np.ndarray | None, tuple[Path, ...]]:
    """Recorded one-shots in a row, at varied speeds: float32 (time), peak 0.9, and the files that were used."""
    samples, used = _string_together(files, length_s, rate_hz, rng, vary=True)
    return _finish(samples, rate_hz, rate_hz, length_s), used


def render_recordings(
    category: Category, split: Split, clips: int, length_s: float, rate_hz: int, seed: int
) -> Iterator[DryClip]:
    """Clips made of the recorded one-shots that a split may use, at varied speeds."""
    files = recording_split(recording_files(category), split)
    for index in range(clips if files else 0):
        rng = source_rng(seed, category.name, split, index)
        done, _ = recording_clip(files, length_s, rate_hz, rng)
        if done is not None:
            yield DryClip(category.name, f"recordings/{category.name} ({split})", split, done)
