"""Clips of the recordings in packages.

``scripts/install-training-material.sh FOLDER`` lays the sound files of every package below ``FOLDER/PACKAGE``, and
``tas data bank --recordings FOLDER`` renders them. Patterns of ``prompts/objects.yaml`` are names below the package's
folder.

A clip strings stretches of recordings together. What sounds up to both of its ends, as rain and engines do, goes over
into the next stretch; anything else is followed by a pause, as barks and knocks are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
import soxr

from tas_core.datasets.sources.catalogue import Category, Voice
from tas_core.datasets.sources.clips import DryClip, source_rng
from tas_core.datasets.sources.melodies import kit_pattern
from tas_core.datasets.sources.packages import KIT_KEYS, PACKAGED_KITS, PACKAGED_VOICES, Kit, Packaged
from tas_core.errors import TasError

ENDINGS = (".ogg", ".oga", ".wav", ".flac", ".mp3", ".aiff")
"""Of the sound files that patterns can mean."""
LEFT_OUT = "!"
"""Before a pattern of what other patterns mean and should not."""
_PLACES = 3
"""Places of a long recording that are looked at; the loudest is taken."""
_SHORTEST_S = 0.05
"""Shorter recordings are left out: place holders, and single periods of synthesizers."""
_EDGE_S = 0.05
"""Of a stretch: what has to sound at either end for it to go over into the next, and how long that takes."""
_FADE_S = 0.004
_STEADY = 0.25
"""Root mean square of both edges over that of the whole, from which on a stretch goes over into the next."""
_PAUSE_S = (0.05, 0.6)
_SPEED_OCTAVES = 0.35
_KIT_OCTAVES = 0.1
_LOUDNESS = 1.5
"""Power of a hit's velocity, from 0 to 1, that is its amplitude."""
_PEAK = 0.9
_SILENT = 1e-3
_AUDIBLE = 0.01
"""Of a peak: what ends of recordings have to reach to be kept."""
_FEWEST = 2
"""Clips of a package's recordings of a category, however short they are."""


def check_packages(root: Path, categories: Sequence[Category]) -> None:
    """See that the folder has every package that categories, voices or kits name.

    Raises:
        TasError: one is missing.
    """
    wanted = {package for c in categories for package, _ in c.recorded} | {v.argument for v in PACKAGED_VOICES}
    wanted |= {kit.package for kit in PACKAGED_KITS}
    missing = sorted(package for package in wanted if not (root / package).is_dir())
    if missing:
        raise TasError(
            f"{root}: holds no recordings of {', '.join(missing)}; "
            f"expected a folder made by scripts/install-training-material.sh"
        )


def packaged_voices(root: Path) -> tuple[Voice, ...]:
    """The recorded speakers below ``root``."""
    return tuple(replace(voice, argument=str(root / voice.argument)) for voice in PACKAGED_VOICES)


@lru_cache(maxsize=1024)
def packaged_files(root: Path, package: str, patterns: tuple[str, ...]) -> tuple[Path, ...]:
    """Recordings of a package that patterns mean, without those of patterns behind ``!``, in the order of their names.

    Raises:
        TasError: a pattern means none, as in another version of the package, or all of them are left out.
    """
    found: set[Path] = set()
    left_out: set[Path] = set()
    for pattern in patterns:
        wanted = pattern.removeprefix(LEFT_OUT)
        files = {p for p in (root / package).rglob(wanted) if p.suffix.lower() in ENDINGS and p.is_file()}
        if not files:
            raise TasError(f"{root / package}: no recordings '{wanted}'; expected some, as prompts/objects.yaml says")
        (found if wanted == pattern else left_out).update(files)
    if not found - left_out:
        raise TasError(f"{root / package}: no recordings but those that are left out; see prompts/objects.yaml")
    return tuple(sorted(found - left_out))


def clips_worth(files: Sequence[Path], most: int, length_s: float) -> int:
    """How many clips recordings are worth: two for their length each, at least 2 and at most ``most``."""
    seconds = sum(_info(path).duration for path in files)
    return min(max(_FEWEST, round(2 * seconds / length_s)), max(_FEWEST, most))


def packaged_clip(
    files: Sequence[Path], length_s: float, rate_hz: int, rng: np.random.Generator, *, as_they_are: bool = False
) -> np.ndarray | None:
    """Stretches of recordings in a row, none twice before all were heard.

    Args:
        files: the recordings.
        length_s: of the clip.
        rate_hz: of the clip.
        rng: draws files, places, speeds and pauses.
        as_they_are: whether recordings keep their speed, and only what is silent at their ends is cut; otherwise each
            stretch has a speed of its own, within a third of an octave.

    Returns:
        Float32 (time), peak 0.9; None where nothing sounds.

    Raises:
        TasError: a recording cannot be read.
    """
    size, edge = round(length_s * rate_hz), round(_EDGE_S * rate_hz)
    clip = np.zeros(size, np.float32)
    at, silent = 0, 0
    left: list[int] = []
    while at < size and silent < len(files):
        left = left or rng.permutation(len(files)).tolist()
        speed = float(2.0 ** rng.uniform(-_SPEED_OCTAVES, _SPEED_OCTAVES)) if not as_they_are else 1.0
        stretch = _stretch(files[left.pop()], length_s, rate_hz, speed, rng)
        if stretch is None:
            silent += 1
            continue
        if as_they_are:
            stretch = _without_silence(stretch, edge)
        steady = _is_steady(stretch, edge)
        stretch = _faded(stretch, edge if steady else round(_FADE_S * rate_hz))
        end = min(at + len(stretch), size)
        clip[at:end] += stretch[: end - at]
        at += len(stretch) - edge if steady else len(stretch) + round(float(rng.uniform(*_PAUSE_S)) * rate_hz)
        silent = 0
    return _at_peak(clip)


def kit_clip(kit: Kit, root: Path, length_s: float, rate_hz: int, rng: np.random.Generator) -> np.ndarray | None:
    """A beat on a recorded kit, one hit after another: float32 (time), peak 0.9.

    Raises:
        TasError: hits are missing or cannot be read.
    """
    speed = float(2.0 ** rng.uniform(-_KIT_OCTAVES, _KIT_OCTAVES))
    files = {
        key: packaged_files(root, kit.package, (f"{kit.folder}/{pattern}",))
        for keys, pattern in zip(KIT_KEYS, kit.hits, strict=True)
        for key in keys
    }
    clip = np.zeros(round(length_s * rate_hz), np.float32)
    heard: dict[Path, np.ndarray] = {}
    for note in kit_pattern(length_s, rng):
        path = files[note.pitch][int(rng.integers(len(files[note.pitch])))]
        if path not in heard:
            info = _info(path)
            heard[path] = soxr.resample(_read(path, 0, info.frames), info.samplerate * speed, rate_hz, quality="HQ")
        at = round(note.start_s * rate_hz)
        hit = heard[path][: len(clip) - at]
        clip[at : at + len(hit)] += hit * (note.velocity / 127) ** _LOUDNESS
    return _at_peak(clip)


def render_kit(part: Packaged, clips: int, length_s: float, rate_hz: int, seed: int) -> Iterator[DryClip]:
    """So many beats on a recorded kit."""
    kit = part.kit
    assert kit is not None
    for index in range(clips):
        done = kit_clip(kit, part.root, length_s, rate_hz, source_rng(seed, part.package.name, kit.name, index))
        if done is not None:
            yield DryClip(part.category.name, part.name, part.package.split, done)


def render_package(part: Packaged, clips: int, length_s: float, rate_hz: int, seed: int) -> Iterator[DryClip]:
    """At most ``clips`` clips of what a package has of a category, fewer where it has little."""
    category, package = part.category, part.package
    files = packaged_files(part.root, package.name, dict(category.recorded)[package.name])
    for index in range(clips_worth(files, clips, length_s)):
        done = packaged_clip(files, length_s, rate_hz, source_rng(seed, package.name, category.name, index))
        if done is not None:
            yield DryClip(category.name, part.name, package.split, done)


def _at_peak(clip: np.ndarray) -> np.ndarray | None:
    """A clip (time) without its mean, at peak 0.9; None where nothing sounds."""
    clip = clip - clip.mean()
    peak = float(np.abs(clip).max(initial=0.0))
    return None if peak < _SILENT else clip * (_PEAK / peak)


def _info(path: Path) -> Any:
    try:
        return sf.info(str(path))
    except sf.LibsndfileError as error:
        raise TasError(f"{path}: not a readable recording ({error})") from error


def _stretch(path: Path, longest_s: float, rate_hz: int, speed: float, rng: np.random.Generator) -> np.ndarray | None:
    """A recording at a speed, of a long one the loudest of some places: float32 (time), peak 1; None if silent."""
    info = _info(path)
    frames = min(info.frames, round(longest_s * info.samplerate * speed))
    starts = [int(rng.integers(info.frames - frames + 1)) for _ in range(_PLACES)]
    places = [_read(path, start, frames) for start in (starts if frames < info.frames else [0])]
    samples = max(places, key=lambda place: float(np.square(place).sum()))
    peak = float(np.abs(samples).max(initial=0.0))
    if len(samples) < _SHORTEST_S * info.samplerate or peak < _SILENT:
        return None
    return soxr.resample(samples / peak, info.samplerate * speed, rate_hz, quality="HQ").astype(np.float32)


def _without_silence(samples: np.ndarray, margin: int) -> np.ndarray:
    """A stretch (time) without what is silent at its ends, but for a margin."""
    sounding = np.flatnonzero(np.abs(samples) > _AUDIBLE * np.abs(samples).max(initial=0.0))
    if not len(sounding):
        return samples
    return samples[max(0, int(sounding[0]) - margin) : int(sounding[-1]) + 1 + margin]


def _read(path: Path, start: int, frames: int) -> np.ndarray:
    """Part of a recording, float32 (time)."""
    try:
        samples, _ = sf.read(str(path), frames, start, dtype="float32", always_2d=True)
    except sf.LibsndfileError as error:
        raise TasError(f"{path}: not a readable recording ({error})") from error
    return samples.mean(axis=1)


def _is_steady(samples: np.ndarray, edge: int) -> bool:
    """Whether a stretch is long and sounds up to both of its ends."""
    if len(samples) < 6 * edge:
        return False
    whole, first, last = (float(np.sqrt(np.square(part).mean())) for part in (samples, samples[:edge], samples[-edge:]))
    return min(first, last) > _STEADY * whole


def _faded(samples: np.ndarray, fade: int) -> np.ndarray:
    """The same with ramps at both ends, whose sum with those of a neighbour is one."""
    ramp = np.ones(len(samples), np.float32)
    fade = min(fade, len(samples) // 2)
    rise = (np.arange(fade, dtype=np.float32) + 0.5) / max(fade, 1)
    ramp[:fade], ramp[len(ramp) - fade :] = rise, rise[::-1]
    return samples * ramp
