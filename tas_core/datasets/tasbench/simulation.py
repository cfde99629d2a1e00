"""TASBench-Sim: simulated binaural clips with stems and annotations, in TASBench's layout.

A clip is rendered from its scene (:mod:`tas_core.datasets.tasbench.scenes`): every object's dry sound goes through the
binaural room impulse response of its place, and through a series of them while it moves. Annotations are made
from the finished stems: an object is in the text of a frame if and only if its stem sounds in it.

Each clip is made in a hidden folder and moved into place, the stems with ``scene.json`` last; a clip with a
``scene.json`` is complete. Same seed, same bytes, whatever the number of processes.
"""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any, ClassVar, NoReturn, Protocol

import numpy as np

from tas_core.acoustics.hrtf import HrirSet
from tas_core.acoustics.rooms import Room, binaural_response
from tas_core.acoustics.sofa import read_sofa
from tas_core.audio.writer import write_audio
from tas_core.conventions import db_to_amplitude, db_to_power
from tas_core.datasets.sources.catalogue import SOUNDFONTS, SPLITS, VOICES, Split, load_categories
from tas_core.datasets.sources.clips import runs, source_rng
from tas_core.datasets.sources.instruments import FontSynth, font_clip
from tas_core.datasets.sources.recordings import recording_clip
from tas_core.datasets.sources.speech import voice_clip
from tas_core.datasets.tasbench.layout import (
    ACTIVE_DB,
    AUDIO_FOLDER,
    DATASET_FILE,
    FRAME_S,
    HEAD_FILE,
    MONO_FOLDER,
    SCENE_FILE,
    SPLIT_FOLDER,
    STEM_FOLDER,
    TIMELINE_FOLDER,
    TasBench,
    write_split,
)
from tas_core.datasets.tasbench.scenes import LENGTH_S, Scene, SceneObject, clip_split, draw_scene, files_for
from tas_core.errors import InputError, TasError
from tas_core.system.files import make_folder, whole_folder, write_files
from tas_core.system.json_values import json_value
from tas_core.system.partial_files import remove_stale
from tas_core.system.processes import KILLED, in_processes
from tas_core.system.progress import Progress, ignore
from tas_core.timeline.files import format_timeline

SIMULATION_FORMAT = 1
_LOUDNESS = 0.06
_FADE_S = 0.02
_DIRECT_STEP_DEG = 2.0
_ROOM_STEP_DEG = 15.0
_TAIL_S = 0.1
_ATTEMPTS = 8


# ---------------------------------------------------------------------------- sound


@cache
def _synth(name: str) -> FontSynth:
    return FontSynth(next(font for font in SOUNDFONTS if font.name == name))


def _dry(item: SceneObject, split: Split, rate_hz: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """An object's dry sound, float64 (time), and the recorded files in it.

    Raises:
        TasError: its source renders nothing but silence.
    """
    category = next(c for c in load_categories() if c.name == item.category)
    size = round(LENGTH_S * rate_hz)
    for attempt in range(_ATTEMPTS):
        rng = source_rng(item.seed, item.source, attempt)
        files: tuple[str, ...] = ()
        if category.kind == "speech":
            voice = next(v for v in VOICES if v.name == item.source)
            found = voice_clip(voice, LENGTH_S, rate_hz, rng)
        elif category.kind == "recording":
            found, used = recording_clip(files_for(category, split), LENGTH_S, rate_hz, rng)
            files = tuple(p.name for p in used)
        else:
            found = font_clip(_synth(item.source.partition("/")[0]), category, LENGTH_S, rate_hz, rng)
        if found is not None:
            out = np.zeros(size)
            out[: len(found)] = found
            out *= gate(item, size, rate_hz)
            if np.abs(out).max() > 1e-3:
                return out, files
    raise TasError(f"{item.source} renders nothing for '{item.category}'; is the material complete?")


def gate(item: SceneObject, size: int, rate_hz: int) -> np.ndarray:
    """Envelope (time) of an object that plays from ``start_s`` to ``stop_s``, with raised-cosine ends."""
    time_s = np.arange(size) / rate_hz
    ramp = lambda x: 0.5 - 0.5 * np.cos(np.pi * np.clip(x / _FADE_S, 0, 1))  # noqa: E731
    opening = ramp(time_s - item.start_s) if item.start_s > 0 else 1.0
    closing = ramp(item.stop_s - time_s) if item.stop_s < LENGTH_S else 1.0
    return np.ones(size) * opening * closing


def convolved(signal: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Full convolution of (time) with (ear, tap), in float32: its rounding lies 120 dB below the signal."""
    from scipy.signal import oaconvolve

    return oaconvolve(signal[None].astype(np.float32), response.astype(np.float32), axes=-1)


def _crossfaded(
    dry: np.ndarray, azimuth_deg: np.ndarray, step_deg: float, response: Callable[[float], np.ndarray]
) -> np.ndarray:
    """Sound (ear, time) of a source on the move, whose azimuth never turns back.

    Responses at evenly spaced azimuths are each fed with the part of the signal that is sent from near it, with
    weights that fall linearly to the neighbours.
    """
    position = azimuth_deg / step_deg
    rising = position if position[-1] >= position[0] else -position
    out = np.zeros((2, len(dry)))
    for index in range(int(np.floor(rising[0])), int(np.ceil(rising[-1])) + 1):
        first, stop = np.searchsorted(rising, index - 1, "right"), np.searchsorted(rising, index + 1, "left")
        if first == stop:
            continue
        weight = 1 - np.abs(rising[first:stop] - index)
        azimuth = index * step_deg if rising is position else -index * step_deg
        sound = convolved(dry[first:stop] * weight, response(azimuth))
        end = min(len(dry), first + sound.shape[-1])
        out[:, first:end] += sound[:, : end - first]
    return out


def render_object(
    dry: np.ndarray, item: SceneObject, room: Room, rate_hz: int, head: HrirSet | None = None
) -> np.ndarray:
    """Binaural sound (ear, time) of an object in a room, as long as ``dry`` (time); ``head`` is by default KEMAR.

    At rest: one binaural room response. On the move: the direct sound changes every 2 degrees (whose interaural
    delay is a fraction of a sample), reflections and tail every 15; the tail's noise stays the same.
    """
    length_s = max(_TAIL_S, room.rt60_s + _TAIL_S)

    def full(azimuth_deg: float) -> np.ndarray:
        rng = np.random.default_rng([item.seed, 77])
        return binaural_response(room, azimuth_deg, item.distance_m, rate_hz, length_s, rng, head)

    if not item.is_moving:
        return convolved(dry, full(item.path[0][1]))[:, : len(dry)]
    anechoic = replace(room, rt60_s=0.0)

    def direct(azimuth_deg: float) -> np.ndarray:
        rng = np.random.default_rng(0)
        return binaural_response(anechoic, azimuth_deg, item.distance_m, rate_hz, _TAIL_S / 2, rng, head)

    def reflected(azimuth_deg: float) -> np.ndarray:
        response = full(azimuth_deg)
        first = direct(azimuth_deg)
        response[:, : first.shape[-1]] -= first
        return response

    azimuth = item.azimuth_deg(np.arange(len(dry)) / rate_hz)
    out = _crossfaded(dry, azimuth, _DIRECT_STEP_DEG, direct)
    if room.rt60_s > 0:
        out += _crossfaded(dry, azimuth, _ROOM_STEP_DEG, reflected)
    return out


def sounding_frames(stem: np.ndarray, rate_hz: int) -> np.ndarray:
    """Which frames of 0.1 s a stem (channel, time) sounds in, above ``ACTIVE_DB``: (frame) bool."""
    size = round(FRAME_S * rate_hz)
    frames = stem.shape[-1] // size
    power = np.square(stem[:, : frames * size]).reshape(len(stem), frames, size).mean(axis=(0, 2))
    return power > power.max(initial=0.0) * db_to_power(ACTIVE_DB)


def loud_frames_rms(sound: np.ndarray, rate_hz: int) -> float:
    """Root mean square of a sound (channel, time) over the frames that it sounds in, so that pauses do not count."""
    sounding = sounding_frames(sound, rate_hz)
    size = round(FRAME_S * rate_hz)
    power = np.square(sound).mean(axis=0)[: len(sounding) * size].reshape(-1, size).mean(axis=1)
    return float(np.sqrt(power[sounding].mean()))


def dry_sound(item: SceneObject, split: Split, rate_hz: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """The catalogue's own :data:`DrySound`.

    Raises:
        TasError: its source renders nothing but silence.
    """
    return _dry(item, split, rate_hz)


DrySound = Callable[[SceneObject, Split, int], tuple[np.ndarray, tuple[str, ...]]]
"""Makes an object's dry sound (time) at a rate, gated to its own time, and names the recorded files in it."""


def render_scene(
    scene: Scene, *, dry_sound: DrySound | None = None, head: HrirSet | None = None
) -> tuple[Scene, np.ndarray]:
    """Render a scene.

    Args:
        scene: what to render.
        dry_sound: where sounds come from; by default the catalogue's material.
        head: whose ears; by default KEMAR's.

    Returns:
        The scene with ``active`` and ``material`` filled in, and its stems (object, ear, time), full scale 1.
    """
    rate_hz = scene.rate_hz
    stems = []
    objects = []
    for item in scene.objects:
        dry, files = (dry_sound or _dry)(item, scene.split, rate_hz)
        stem = render_object(dry, item, scene.room, rate_hz, head)
        rms = loud_frames_rms(stem, rate_hz)
        stems.append(stem * (_LOUDNESS / rms) * db_to_amplitude(item.level_db))
        objects.append(replace(item, material=files, active=runs(sounding_frames(stem, rate_hz))))
    found = np.stack(stems)
    loudest = max(float(np.abs(found).max()), float(np.abs(found.sum(axis=0)).max()))
    found *= db_to_amplitude(scene.peak_dbfs) / loudest
    return replace(scene, objects=tuple(objects)), found


# ---------------------------------------------------------------------------- files


def write_clip(root: Path, scene: Scene, stems: np.ndarray, dry: np.ndarray | None = None) -> None:
    """Write a rendered clip: into a hidden folder first, then into place, the stems with their description last.

    Args:
        root: the data set.
        scene: as rendered.
        stems: (object, ear, time).
        dry: of the 3D twin, the sounds before they were placed (object, time), whose sum is what systems hear.
    """
    clip = scene.clip
    timeline = scene.timeline()
    if timeline is None:
        raise TasError(f"clip {clip}: nothing sounds in it")
    write = lambda path, samples: write_audio(path, samples, scene.rate_hz, "PCM_24")  # noqa: E731
    with whole_folder(root / STEM_FOLDER / clip, overwrite=True) as part:
        for item, stem in zip(scene.objects, stems, strict=True):
            write(part / item.file, stem)
        mix, mono = part / "mix.wav", part / "mono.wav"
        write(mix, stems.sum(axis=0))
        if dry is not None:
            for item, sound in zip(scene.objects, dry, strict=True):
                write(part / item.dry, sound[None])
            write(mono, dry.sum(axis=0, keepdims=True))
        text = json.dumps(scene.to_json(), indent=1, sort_keys=True) + "\n"
        (part / SCENE_FILE).write_text(text, encoding="utf-8")
        mix.replace(root / AUDIO_FOLDER / f"{clip}.wav")
        if dry is not None:
            make_folder(root / MONO_FOLDER)
            mono.replace(root / MONO_FOLDER / f"{clip}.wav")
        path = root / TIMELINE_FOLDER / f"{clip}.yaml"
        write_files({path: format_timeline(timeline, path).encode()})


class Recipe(Protocol):
    """What the clips of a data set are; goes to other processes, so that it can be pickled.

    Attributes:
        head_path: a file of the head whose ears hear it, which the data set gets a copy of; None is KEMAR's.
    """

    @property
    def head_path(self) -> Path | None: ...  # noqa: D102

    def made_with(self) -> dict[str, Any]:
        """What ``dataset.json`` holds."""
        ...

    def split(self, number: int) -> Split:
        """The part that a clip belongs to."""
        ...

    def render(self, number: int) -> tuple[Scene, np.ndarray] | tuple[Scene, np.ndarray, np.ndarray]:
        """Draw and render a clip, as :func:`render_scene`; dry sounds may follow, as :func:`write_clip` takes them."""
        ...


@dataclass(frozen=True)
class SimulatedClips:
    """TASBench-Sim: scenes drawn by a seed, rendered at a rate.

    Attributes:
        seed: of everything random.
        rate_hz: sample rate.
        head_path: a SOFA file of a head that was measured all around; None is KEMAR.
    """

    kind: ClassVar = "TASBench-Sim"
    format: ClassVar = SIMULATION_FORMAT

    seed: int
    rate_hz: int
    head_path: Path | None = None

    def made_with(self) -> dict[str, Any]:
        """What ``dataset.json`` holds."""
        return {
            "format": self.format,
            "kind": self.kind,
            "seed": self.seed,
            "rate_hz": self.rate_hz,
            "length_s": LENGTH_S,
            **head_description(self.head_path),
        }

    def split(self, number: int) -> Split:
        """The part that a clip belongs to."""
        return clip_split(number)

    def render(self, number: int) -> tuple[Scene, np.ndarray] | tuple[Scene, np.ndarray, np.ndarray]:
        """Draw and render a clip."""
        scene, head = draw_scene(self.seed, number, self.rate_hz), self.head()
        return render_scene(scene) if head is None else render_scene(scene, head=head)

    def head(self) -> HrirSet | None:
        """The head, read once in a process; None is KEMAR.

        Raises:
            InputError: it cannot be read.
        """
        return None if self.head_path is None else whole_head(self.head_path)


def head_description(path: Path | None) -> dict[str, str]:
    """What ``dataset.json`` says of a head of its own; nothing of KEMAR.

    Raises:
        InputError: the file cannot be read.
    """
    return {} if path is None else {"head": HEAD_FILE, "head_sha256": hashlib.sha256(_read_bytes(path)).hexdigest()}


@lru_cache(maxsize=1)
def whole_head(path: Path) -> HrirSet:
    """A head that was measured all around, read once in a process.

    Raises:
        InputError: it cannot be read.
    """
    return read_sofa(path, everywhere=True)


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error


def _make(root: Path, recipe: Recipe, number: int) -> int:
    """Draw, render and write one clip, in a worker process."""
    try:
        write_clip(root, *recipe.render(number))
    except OSError as error:
        full = " (disk full)" if error.errno == errno.ENOSPC else ""
        raise TasError(f"{root}: clip {number:06d} could not be written: {error.strerror}{full}") from error
    return number


def is_complete(root: Path, clip: str) -> bool:
    """Whether a clip has been made to its end."""
    return (root / STEM_FOLDER / clip / SCENE_FILE).is_file()


def prepare(root: Path, made_with: Mapping[str, Any]) -> None:
    """Make the folders of a data set; refuse a folder that holds something else.

    Raises:
        InputError: it holds something else, or was made with other settings, or cannot be written.
    """
    path = root / DATASET_FILE
    if path.exists():
        try:
            earlier = json_value(path.read_bytes().decode("utf-8"), not_numbers=True)
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: not readable ({error})") from error
        if earlier != made_with:
            raise InputError(f"{path}: the folder was made with {earlier}, {made_with} is requested; choose another")
    elif root.is_dir() and any(root.iterdir()):
        raise InputError(f"{root}: the folder is not empty and holds no {DATASET_FILE}; choose another")
    for name in (AUDIO_FOLDER, TIMELINE_FOLDER, STEM_FOLDER):
        make_folder(root / name)
    write_files({path: (json.dumps(dict(made_with), indent=1) + "\n").encode()})
    for folder in (root, *(root / SPLIT_FOLDER).glob("*")):
        remove_stale(folder)
    _remove_parts(root)


def _put_head(path: Path, head: Path) -> None:
    """Copy the file of a head into a data set, if it is not there."""
    content = _read_bytes(head)
    if not path.is_file() or path.read_bytes() != content:
        write_files({path: content}, overwrite=True)


def _remove_parts(root: Path) -> None:
    """Clear away clips that were begun and not finished."""
    for name in (TIMELINE_FOLDER, STEM_FOLDER):
        remove_stale(root / name)


def simulate(
    root: Path,
    clips: int,
    *,
    seed: int = 0,
    rate_hz: int = 48000,
    splits: Sequence[Split] = SPLITS,
    jobs: int = 1,
    progress: Progress = ignore,
) -> TasBench:
    """Make TASBench-Sim, or go on with it: complete clips are kept.

    There is one split, ``split1``, since the source material decides which part a clip belongs to.

    Args:
        root: folder to write.
        clips: how many clips the whole data set has, numbered from 1; 1871 makes the paper's 1497/187/187.
        seed: of everything random.
        rate_hz: sample rate.
        splits: the parts to make; clips of the others are left out.
        jobs: processes.
        progress: told the fraction done, 0 to 1.

    Raises:
        InputError: the folder holds something else, or cannot be written.
        TasError: material is missing, or the disk is full; complete clips stay.
    """
    return make_clips(root, SimulatedClips(seed, rate_hz), clips, splits=splits, jobs=jobs, progress=progress)


def make_clips(
    root: Path,
    recipe: Recipe,
    clips: int,
    *,
    splits: Sequence[Split] = SPLITS,
    jobs: int = 1,
    progress: Progress = ignore,
) -> TasBench:
    """Make the clips of a recipe, or go on with it; arguments and errors as :func:`simulate`."""
    prepare(root, recipe.made_with())
    if recipe.head_path is not None:
        _put_head(root / HEAD_FILE, recipe.head_path)
    wanted = [n for n in range(1, clips + 1) if recipe.split(n) in splits]
    left = [n for n in wanted if not is_complete(root, f"{n:06d}")]
    done = len(wanted) - len(left)
    try:
        for _ in _made(root, recipe, left, jobs):
            done += 1
            progress(done / len(wanted))
    except BaseException:
        _remove_parts(root)
        raise
    complete = [n for n in range(1, clips + 1) if is_complete(root, f"{n:06d}")]
    for split in SPLITS:
        listed = [f"{n:06d}" for n in complete if recipe.split(n) == split]
        write_split(TasBench(root).split_path(split), listed)
    return TasBench(root)


def _made(root: Path, recipe: Recipe, numbers: Sequence[int], jobs: int) -> Iterable[int]:
    """Make clips in worker processes; yields the number of each as it is done."""
    if jobs == 1 or len(numbers) < 2:
        for number in numbers:
            yield _make(root, recipe, number)
        return
    with closing(
        in_processes(partial(_make, root, recipe), numbers, jobs, killed=_refuse, modules=["scipy.signal"])
    ) as results:
        for _, number in results:
            yield number


def _refuse(number: int) -> NoReturn:
    raise TasError(f"clip {number:06d}: {KILLED}; complete clips stay", remedy="jobs")
