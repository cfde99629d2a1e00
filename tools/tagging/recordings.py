"""What is listened to: recordings of the catalogue, or clips of a stem bank; and what a tagger made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
import soundfile
import soxr

from tas_core.datasets.sources.catalogue import load_categories
from tas_core.datasets.sources.package_clips import packaged_files
from tas_core.datasets.sources.recordings import recording_files
from tas_core.errors import InputError

_PLACES = 3
"""Of a recording that is longer than what is listened to; the loudest is taken."""


@dataclass(frozen=True)
class Recording:
    """A recording under the name that the catalogue gives it.

    Attributes:
        category: of the catalogue.
        source: package, or source of a bank, that it is from.
        name: of the file below its package, or ``clip N`` of a bank.
        place: file, or number of the clip.
    """

    category: str
    source: str
    name: str
    place: Path | int


class Sound(NamedTuple):
    """Samples float32 (time) at peak 1, or silent, at a rate, and the seconds that the whole recording lasts."""

    samples: np.ndarray
    rate_hz: int
    seconds: float


def spread(files: Sequence[Recording], most: int) -> list[Recording]:
    """At most so many of some recordings, evenly over their order."""
    if len(files) <= most:
        return list(files)
    return [files[round(index * (len(files) - 1) / max(1, most - 1))] for index in range(most)]


def catalogue_recordings(root: Path, most: int) -> list[Recording]:
    """Recordings of packages below ``root``, and of installed ones, at most so many of a category and package.

    Raises:
        TasError: a pattern of the catalogue means no file.
    """
    found: list[Recording] = []
    for category in load_categories():
        for package, patterns in category.recorded:
            files = packaged_files(root, package, patterns)
            named = [Recording(category.name, package, str(f.relative_to(root / package)), f) for f in files]
            found += spread(named, most)
        installed = [Recording(category.name, _installed_package(f), f.name, f) for f in recording_files(category)]
        for package in sorted({recording.source for recording in installed}):
            found += spread([recording for recording in installed if recording.source == package], most)
    return found


def _installed_package(file: Path) -> str:
    return "tuxpaint-stamps" if "tuxpaint" in file.parts else "sonic-pi-samples"


def read_sound(file: Path, longest_s: float) -> Sound:
    """A recording, of a long one the loudest of three places.

    Raises:
        InputError: it cannot be read, or holds samples that are no numbers.
    """
    try:
        info = soundfile.info(str(file))
        frames = min(info.frames, round(longest_s * info.samplerate))
        starts = [round(place * (info.frames - frames) / (_PLACES - 1)) for place in range(_PLACES)]
        places = [_read(file, start, frames) for start in dict.fromkeys(starts)]
    except soundfile.LibsndfileError as error:
        raise InputError(f"{file}: not a readable recording ({error})") from error
    samples = max(places, key=lambda part: float(np.square(part).sum()))
    if not np.isfinite(samples).all():
        raise InputError(f"{file}: holds samples that are no numbers")
    return Sound(at_peak(samples), info.samplerate, info.duration)


def _read(file: Path, start: int, frames: int) -> np.ndarray:
    return soundfile.read(str(file), frames, start, dtype="float32", always_2d=True)[0].mean(axis=1)


def at_peak(samples: np.ndarray) -> np.ndarray:
    """Samples (time) at peak 1; silence stays silent."""
    peak = float(np.abs(samples).max(initial=0.0))
    return samples / peak if peak > 0 else samples


def at_rate(sound: Sound, rate_hz: int) -> np.ndarray:
    """The samples of a sound at another rate, float32 (time)."""
    return soxr.resample(sound.samples, sound.rate_hz, rate_hz, quality="HQ").astype(np.float32)


def bank_recordings(path: Path, most: int, longest_s: float) -> Iterator[tuple[Recording, Sound]]:
    """Clips of a stem bank, at most so many of a category and source. It needs torch and safetensors.

    Raises:
        InputError: no such file, or not a bank.
    """
    from tas_core.datasets.mixing.bank import StemBank

    bank = StemBank.load(path)
    pairs: dict[tuple[str, str], list[Recording]] = {}
    for clip, (category, source) in enumerate(zip(bank.category.tolist(), bank.source.tolist(), strict=True)):
        named = Recording(bank.categories[category], bank.sources[source], f"clip {clip}", clip)
        pairs.setdefault((named.category, named.source.removesuffix("/" + named.category)), []).append(named)
    for (_, source), clips in pairs.items():
        for clip in spread(clips, most):
            assert isinstance(clip.place, int)
            samples = bank.clip(clip.place).numpy()
            part = at_peak(samples[: round(longest_s * bank.sample_rate_hz)])
            sound = Sound(part, bank.sample_rate_hz, len(samples) / bank.sample_rate_hz)
            yield Recording(clip.category, source, clip.name, clip.place), sound


@dataclass(frozen=True)
class Heard:
    """What a tagger made of recordings.

    Attributes:
        tagger: its name.
        category, source, name: of each recording.
        seconds: that each lasts, float64 (recording).
        embedding: float32 (recording, dimension).
        labels: of the tagger; none where it has no names for what it scores.
        score: logarithms of probabilities, or logits, float32 (recording, label).
    """

    tagger: str
    category: tuple[str, ...]
    source: tuple[str, ...]
    name: tuple[str, ...]
    seconds: np.ndarray
    embedding: np.ndarray
    labels: tuple[str, ...]
    score: np.ndarray

    def save(self, path: Path) -> None:
        """Write it to one file of NumPy's (``.npz``)."""
        texts = {name: np.array(getattr(self, name), dtype=np.str_) for name in _TEXTS}
        numbers = {name: getattr(self, name) for name in _NUMBERS}
        with path.open("wb") as file:
            np.savez_compressed(file, tagger=np.array(self.tagger), **texts, **numbers)

    @staticmethod
    def load(path: Path) -> Heard:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: no such file, another file, or arrays that do not fit each other.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
                texts = {name: tuple(str(text) for text in found[name]) for name in _TEXTS}
                heard = Heard(str(found["tagger"]), **texts, **{name: found[name] for name in _NUMBERS})
        except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
            raise InputError(f"{path}: not what 'tag' writes ({error})") from error
        count = len(heard.category)
        shapes = [(len(heard.source),), (len(heard.name),), heard.seconds.shape, heard.embedding.shape[:1]]
        if any(shape != (count,) for shape in shapes) or heard.score.shape != (count, len(heard.labels)):
            raise InputError(f"{path}: its arrays are of different lengths, expected one row for each recording")
        if not (np.isfinite(heard.embedding).all() and np.isfinite(heard.score).all()):
            raise InputError(f"{path}: holds numbers that are none")
        return heard


_TEXTS = ("category", "source", "name", "labels")
_NUMBERS = ("seconds", "embedding", "score")
