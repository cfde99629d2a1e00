"""RealBench: clips of real recordings that no training uses, heard with a person's measured head in simulated rooms.

Made as TASBench-Sim is (:mod:`tas_core.datasets.tasbench.simulation`), with the same places, rooms
and wordings. What differs is what sounds, and whose ears hear it: sounds are those of ``prompts/realbench.yaml``, the
head is that of the list, measured all around. Every sixth clip is a real mixture whose parts are placed at the levels
that they have in it. All clips are for testing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from tas_core.acoustics.hrtf import HrirSet
from tas_core.acoustics.rooms import random_room
from tas_core.conventions import numbered_seed
from tas_core.datasets.sources.catalogue import SOUND_KINDS, Split
from tas_core.datasets.sources.clips import source_rng
from tas_core.datasets.sources.real_sounds import (
    RealList,
    RealSound,
    load_real_list,
    mixture_start_s,
    part_clip,
    real_clip,
)
from tas_core.datasets.tasbench.layout import HEAD_FILE, TasBench
from tas_core.datasets.tasbench.scenes import (
    FROM_SECOND,
    LENGTH_S,
    Scene,
    SceneObject,
    draw_distance_m,
    draw_equal,
    draw_level_db,
    draw_path,
    draw_peak_dbfs,
    draw_places,
    draw_style,
    draw_times,
)
from tas_core.datasets.tasbench.simulation import gate, make_clips, render_scene, whole_head
from tas_core.errors import TasError
from tas_core.system.progress import Progress, ignore

REALBENCH_FORMAT: Final = 1
MIXTURE_EVERY: Final = 6
"""Of so many clips, one is a mixture."""
OBJECT_SHARES: Final = (0.25, 0.4, 0.2, 0.15)
"""Shares of clips with 1, 2, 3, 4 objects among those that are no mixtures."""
_ATTEMPTS = 8
_DRAWS = 1000
_SILENT = 1e-3


def realbench(
    root: Path,
    recordings: Path,
    clips: int,
    *,
    seed: int = 0,
    rate_hz: int = 48000,
    jobs: int = 1,
    progress: Progress = ignore,
) -> TasBench:
    """Make RealBench, or go on with it: complete clips are kept.

    Args:
        root: folder to write.
        recordings: folder made by ``scripts/install-realbench.sh``.
        clips: how many, numbered from 1; fewer are the first of more.
        seed: of everything random.
        rate_hz: sample rate.
        jobs: processes.
        progress: told the fraction done, 0 to 1.

    Raises:
        InputError: the folder holds something else, or cannot be written, or the head cannot be read.
        TasError: recordings are missing, or the disk is full; complete clips stay.
    """
    known = load_real_list()
    known.check_recordings(recordings)
    recipe = RealClips(recordings, seed, rate_hz, known)
    recipe.head()
    return make_clips(root, recipe, clips, jobs=jobs, progress=progress)


@dataclass(frozen=True)
class RealClips:
    """Scenes drawn by a seed from a folder of recordings, those of RealBench or of another list, rendered at a rate."""

    recordings: Path
    seed: int
    rate_hz: int
    known: RealList

    def made_with(self) -> dict[str, Any]:
        """What ``dataset.json`` holds."""
        return {
            "format": REALBENCH_FORMAT,
            "kind": self.known.name,
            "seed": self.seed,
            "rate_hz": self.rate_hz,
            "length_s": LENGTH_S,
            "head": HEAD_FILE,
            "head_name": self.known.head.name,
            "sounds": self.known.digest,
        }

    @property
    def head_path(self) -> Path:
        """The file of the head."""
        return self.known.head.path(self.recordings)

    def split(self, number: int) -> Split:
        """All clips are for testing."""
        del number
        return "test"

    def head(self) -> HrirSet:
        """The head, all around, read once in a process.

        Raises:
            InputError: it cannot be read.
        """
        return whole_head(self.head_path)

    def render(self, number: int) -> tuple[Scene, np.ndarray]:
        """Draw and render a clip: the scene with what became known of it, and its stems (object, ear, time)."""
        return render_scene(self.scene(number), dry_sound=self._dry, head=self.head())

    def scene(self, number: int) -> Scene:
        """The scene of a clip; ``active`` of its objects is left open until it is rendered.

        Raises:
            TasError: recordings are missing or cannot be read.
        """
        rng = source_rng(self.seed, "real scene", number)
        style, peak_dbfs, room = draw_style(rng), draw_peak_dbfs(rng), random_room(rng)
        if self.known.mixtures and number % MIXTURE_EVERY == 0:
            objects = self._mixture_objects(number, rng)
        else:
            objects = self._drawn_objects(number, rng)
        return Scene(
            clip=f"{number:06d}",
            split="test",
            seed=self.seed,
            rate_hz=self.rate_hz,
            length_s=LENGTH_S,
            room=room,
            style=style,
            peak_dbfs=peak_dbfs,
            objects=tuple(objects),
        )

    def _drawn_objects(self, number: int, rng: np.random.Generator) -> list[SceneObject]:
        shares = np.array(OBJECT_SHARES)
        chosen = draw_sounds(self.known.sounds, 1 + int(rng.choice(len(shares), p=shares / shares.sum())), rng)
        places = draw_places(len(chosen), rng)
        equal = draw_equal(rng)
        lead = int(rng.integers(len(chosen)))
        objects = []
        for i, (sound, place_deg) in enumerate(zip(chosen, places, strict=True)):
            start_s, stop_s = draw_times(i == lead, rng)
            item = self._placed(sound, number, i, place_deg, rng)
            level_db = 0.0 if equal else draw_level_db(rng)
            objects.append(replace(item, start_s=start_s, stop_s=stop_s, level_db=level_db, material=sound.files))
        return objects

    def _mixture_objects(self, number: int, rng: np.random.Generator) -> list[SceneObject]:
        mixtures = self.known.mixtures
        mixture = mixtures[int(rng.integers(len(mixtures)))]
        first_s = mixture_start_s(mixture, self.recordings, LENGTH_S, rng)
        order = rng.permutation(len(mixture.parts)).tolist()
        parts = [mixture.parts[i] for i in order]
        levels = [part_clip(part, self.recordings, first_s, LENGTH_S, self.rate_hz)[1] for part in parts]
        objects = []
        for i, (part, place_deg) in enumerate(zip(parts, draw_places(len(parts), rng), strict=True)):
            item = self._placed(part, number, i, place_deg, rng)
            level_db = round(levels[i] - max(levels), 1)
            where = f"{part.files[0]}{FROM_SECOND}{first_s:g}"
            objects.append(replace(item, level_db=level_db, material=(where,)))
        return objects

    def _placed(
        self, sound: RealSound, number: int, index: int, place_deg: float, rng: np.random.Generator
    ) -> SceneObject:
        return SceneObject(
            category=sound.category,
            phrase=sound.words[int(rng.integers(len(sound.words)))].lower(),
            file=f"{index + 1}-{sound.category.replace(' ', '-')}.flac",
            source=f"{sound.source}/{sound.name}",
            seed=numbered_seed(self.seed, number) * 8 + index,
            path=draw_path(place_deg, rng),
            distance_m=draw_distance_m(rng),
            start_s=0.0,
            stop_s=LENGTH_S,
            level_db=0.0,
            kind=sound.kind,
            also=sound.also,
        )

    def _dry(self, item: SceneObject, split: Split, rate_hz: int) -> tuple[np.ndarray, tuple[str, ...]]:
        """An object's dry sound, float64 (time), and the recordings in it as the scene has them."""
        del split
        size = round(LENGTH_S * rate_hz)
        for attempt in range(_ATTEMPTS):
            found = self._recorded(item, attempt, rate_hz)
            if found is not None:
                out = np.zeros(size)
                out[: len(found)] = found[:size]
                out *= gate(item, size, rate_hz)
                if np.abs(out).max() > _SILENT:
                    return out, item.material
        raise TasError(f"{self.recordings}: nothing sounds in {item.source}; are the recordings complete?")

    def _recorded(self, item: SceneObject, attempt: int, rate_hz: int) -> np.ndarray | None:
        sound = self.known.by_source[item.source]
        _, of_mixture, start_s = item.material[0].rpartition(FROM_SECOND)
        if of_mixture:
            return part_clip(sound, self.recordings, float(start_s), LENGTH_S, rate_hz)[0]
        rng = source_rng(item.seed, item.source, attempt)
        return real_clip(sound, self.recordings, LENGTH_S, rate_hz, rng)


def draw_sounds(among: Sequence[RealSound], count: int, rng: np.random.Generator) -> list[RealSound]:
    """Sounds of a scene: each kind as often as the others, none by the name of another, none that may be in another.

    Raises:
        TasError: so many different ones are not to be found.
    """
    by_kind = [found for kind in SOUND_KINDS if (found := [sound for sound in among if sound.kind == kind])]
    chosen: list[RealSound] = []
    for _ in range(_DRAWS):
        if len(chosen) == count:
            return chosen
        sounds = by_kind[int(rng.integers(len(by_kind)))]
        candidate = sounds[int(rng.integers(len(sounds)))]
        if not any(_confusable(candidate, other) for other in chosen):
            chosen.append(candidate)
    raise TasError(f"{count} sounds that cannot be taken for each other are not found among {len(among)}")


def _confusable(one: RealSound, other: RealSound) -> bool:
    """Whether a word or a category of one may mean the other."""
    return bool(
        one.category == other.category
        or one.category in other.also
        or other.category in one.also
        or {word.lower() for word in one.words} & {word.lower() for word in other.words}
    )
