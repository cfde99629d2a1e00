"""What is wrong with a data set in TASBench's layout: recordings, timelines, splits, stems of simulated clips."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from tas_core.audio.reader import Audio, AudioReader, read_audio
from tas_core.audio.resampling import require_ears
from tas_core.conventions import db_to_power, power_to_db
from tas_core.datasets.sources.catalogue import SPLITS
from tas_core.datasets.tasbench.clip_jobs import map_clips
from tas_core.datasets.tasbench.layout import (
    AUDIO_FOLDER,
    DATASET_FILE,
    HEAD_FILE,
    SCENE_FILE,
    SPLIT_FOLDER,
    STEM_FOLDER,
    TIMELINE_FOLDER,
    TasBench,
    is_file_name,
    read_split,
)
from tas_core.errors import InputError, TimelineError
from tas_core.system.json_values import json_value
from tas_core.system.progress import Progress, ignore
from tas_core.timeline.segments import END_TOLERANCE_S

Severity = Literal["error", "warning"]

LENGTH_S: Final = 10.0
"""Length of FAIR-Play's clips, to within LENGTH_TOLERANCE_S."""
LENGTH_TOLERANCE_S: Final = 0.1

MAX_STEM_ERROR_DB: Final = -80.0
"""Power of mix minus sum of stems, over the power of the mix, from which on stems are not those of the mix."""

_PCM_BITS: Final = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24}
_SHOWN_CLIPS: Final = 5
_POSITION = re.compile(r":(\d+):(\d+)\Z")


@dataclass(frozen=True)
class Problem:
    """Something wrong with a data set.

    Attributes:
        severity: "error", it cannot be used as it is; "warning", it can, though it is unusual.
        path: the file or folder, relative to the data set, with forward slashes.
        message: what is wrong, in one line.
    """

    severity: Severity
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.path}: {self.message}"


def check_dataset(data: TasBench, *, jobs: int = 1, progress: Progress = ignore) -> list[Problem]:
    """Look for everything that training or evaluation would stumble over.

    Headers of all recordings are read, all timelines and all splits. Samples are read only where a clip has stems,
    which have to sum to it.

    Args:
        data: the data set.
        jobs: processes.
        progress: told the fraction of the clips that are done, 0 to 1.

    Returns:
        Problems clip by clip, then of the splits; empty for a data set without fault.
    """
    root = data.root
    clips = data.clips()
    problems = []
    if not clips:
        problems.append(Problem("error", AUDIO_FOLDER, "no clips in it, expected files such as 000001.wav"))
    length_s = LENGTH_S
    simulated = (root / DATASET_FILE).is_file()
    if simulated:
        length_s, found = _simulated_length(data)
        problems += found or _check_head(data)
    annotated = (root / TIMELINE_FOLDER).is_dir()
    if clips and not annotated:
        problems.append(Problem("error", TIMELINE_FOLDER, "no such folder, expected a timeline for every clip"))
    work = partial(
        _check_clip,
        data,
        length_s=length_s,
        annotated=annotated,
        stems_expected=simulated and (root / STEM_FOLDER).is_dir(),
    )
    checked = map_clips(work, clips, jobs, progress)
    rates = Counter(clip.rate_hz for clip in checked if clip.rate_hz)
    usual_hz = rates.most_common(1)[0][0] if rates else None
    for name, clip in zip(clips, checked, strict=True):
        if clip.rate_hz and clip.rate_hz != usual_hz:
            message = f"the sample rate is {clip.rate_hz} Hz, that of most clips {usual_hz} Hz"
            problems.append(Problem("error", _name(data, data.audio_path(name)), message))
        problems += clip.problems
    problems += _strays(data, frozenset(clips))
    problems += _check_splits(data, clips)
    return problems


# ---------------------------------------------------------------------------- clips


@dataclass(frozen=True)
class _Checked:
    """A clip's problems, and its sample rate where it can be read."""

    rate_hz: int | None
    problems: tuple[Problem, ...]


def _check_clip(data: TasBench, clip: str, *, length_s: float, annotated: bool, stems_expected: bool) -> _Checked:
    path = data.audio_path(clip)
    name = _name(data, path)
    problems: list[Problem] = []
    rate_hz = duration_s = None
    try:
        with AudioReader(path) as reader:
            rate_hz, num_frames, num_channels = reader.sample_rate_hz, reader.num_frames, reader.num_channels
    except InputError as error:
        problems.append(_from_error(data, path, error))
    else:
        duration_s = num_frames / rate_hz
        try:
            require_ears(path, num_channels)
        except InputError as error:
            problems.append(_from_error(data, path, error))
        if abs(duration_s - length_s) > LENGTH_TOLERANCE_S:
            low, high = length_s - LENGTH_TOLERANCE_S, length_s + LENGTH_TOLERANCE_S
            problems.append(Problem("warning", name, f"{duration_s:.3f} s long, expected {low:g} to {high:g} s"))
    if annotated:
        problems += _check_timeline(data, clip, duration_s)
    if stems_expected or data.stem_folder(clip).is_dir():
        problems += _check_stems(data, clip, readable=rate_hz is not None)
    return _Checked(rate_hz, tuple(problems))


def _check_timeline(data: TasBench, clip: str, duration_s: float | None) -> Iterator[Problem]:
    path = data.timeline_path(clip)
    name = _name(data, path)
    if not path.exists():
        yield Problem("error", name, "no timeline for this clip")
        return
    try:
        timeline = data.timeline(clip)
    except TimelineError as error:
        yield _from_error(data, path, error)
        return
    if duration_s is None:
        return
    for segment in timeline.segments:
        if segment.start_s >= duration_s:
            message = f"a segment starts at {segment.start_s:g} s, expected a start before the clip ends at"
            yield Problem("error", name, f"{_position(segment.where)}{message} {duration_s:g} s")
        elif segment.end_s is not None and segment.end_s > duration_s + END_TOLERANCE_S:
            message = f"a segment ends at {segment.end_s:g} s, after the clip of {duration_s:g} s"
            yield Problem("warning", name, _position(segment.where) + message)


def _strays(data: TasBench, clips: frozenset[str]) -> Iterator[Problem]:
    """Timelines and stems that have lost their recording."""
    found = {path.stem: path for path in (data.root / TIMELINE_FOLDER).glob("*.yaml") if path.stem not in clips}
    for path in (data.root / STEM_FOLDER).glob("*/"):
        if path.name not in clips and not path.name.startswith("."):
            found.setdefault(path.name, path)
    for clip, path in sorted(found.items()):
        name = _name(data, data.audio_path(clip))
        yield Problem("error", name, f"no such recording, but there is {_name(data, path)}")


# ---------------------------------------------------------------------------- simulated clips


def _check_head(data: TasBench) -> list[Problem]:
    """What is wrong with the head that the description names."""
    try:
        data.head()
    except InputError as error:
        path = data.root / DATASET_FILE
        return [_from_error(data, path if str(error).startswith(str(path)) else data.root / HEAD_FILE, error)]
    return []


def _simulated_length(data: TasBench) -> tuple[float, list[Problem]]:
    """Length of the clips of a simulated data set, seconds, and what is wrong with its description."""
    path = data.root / DATASET_FILE
    try:
        description = json_value(path.read_bytes().decode("utf-8"), not_numbers=True)
    except (OSError, ValueError) as error:
        return LENGTH_S, [Problem("error", DATASET_FILE, f"not readable as JSON ({error})")]
    length_s = description.get("length_s") if isinstance(description, dict) else None
    if isinstance(length_s, bool) or not isinstance(length_s, int | float) or not 0 < length_s < math.inf:
        return LENGTH_S, [Problem("error", DATASET_FILE, "`length_s` is not there or no length, expected seconds")]
    return float(length_s), []


def _check_stems(data: TasBench, clip: str, readable: bool) -> Iterator[Problem]:
    folder = data.stem_folder(clip)
    name = _name(data, folder)
    if not folder.is_dir():
        yield Problem("error", name, "incomplete: no stems for this clip")
        return
    scene_path = data.scene_path(clip)
    scene_name = _name(data, scene_path)
    if not scene_path.exists():
        yield Problem("error", name, f"incomplete: no {SCENE_FILE} in it")
        return
    try:
        scene = data.scene(clip)
    except InputError as error:
        yield _from_error(data, scene_path, error)
        return
    files = _stem_files(scene.get("objects"))
    if files is None:
        yield Problem("error", scene_name, "`objects` is no list of entries with a `file` in this folder")
        return
    if scene.get("clip") != clip:
        yield Problem("error", scene_name, f"`clip` is {scene.get('clip')!r}, expected {clip!r}")
    if not readable:
        return
    try:
        mix = read_audio(data.audio_path(clip))
    except InputError as error:
        yield _from_error(data, data.audio_path(clip), error)
        return
    if scene.get("rate_hz") != mix.sample_rate_hz:
        message = f"`rate_hz` is {scene.get('rate_hz')!r}, expected that of the mix, {mix.sample_rate_hz}"
        yield Problem("error", scene_name, message)
    stems = []
    for file in files:
        path = folder / file
        try:
            stem = read_audio(path)
        except InputError as error:
            yield _from_error(data, path, error)
            continue
        if (stem.samples.shape, stem.sample_rate_hz) != (mix.samples.shape, mix.sample_rate_hz):
            yield Problem("error", _name(data, path), f"{_shape(stem)}, expected those of the mix, {_shape(mix)}")
            continue
        stems.append(stem)
    if len(stems) == len(files) and (message := _sum_error(mix, stems)):
        yield Problem("error", name, message)
    if any(entry.get("place") for entry in scene["objects"]):
        yield from _check_dry(data, clip, scene["objects"], mix)


def _check_dry(data: TasBench, clip: str, objects: Sequence[dict[str, Any]], mix: Audio) -> Iterator[Problem]:
    """What is wrong with the input of a clip of the 3D twin, and the dry sounds that it is the sum of."""
    folder, mono_path = data.stem_folder(clip), data.mono_path(clip)
    files = _stem_files([{"file": entry.get("dry")} for entry in objects])
    if files is None:
        yield Problem("error", _name(data, data.scene_path(clip)), "`objects` has places without `dry` in this folder")
        return
    sounds = []
    for path in (mono_path, *(folder / file for file in files)):
        try:
            sound = read_audio(path)
        except InputError as error:
            yield _from_error(data, path, error)
            return
        expected = (1, mix.samples.shape[1])
        if (sound.samples.shape, sound.sample_rate_hz) != (expected, mix.sample_rate_hz):
            what = f"expected one channel of {mix.samples.shape[1]} samples at {mix.sample_rate_hz} Hz as the mix"
            yield Problem("error", _name(data, path), f"{_shape(sound)}, {what}")
            return
        sounds.append(sound)
    if message := _sum_error(sounds[0], sounds[1:]):
        yield Problem("error", _name(data, mono_path), message.replace("stems", "dry sounds"))


def _stem_files(objects: object) -> list[str] | None:
    """File names of a scene's objects; None where one is missing or leads elsewhere."""
    if not isinstance(objects, list):
        return None
    files = [entry.get("file") if isinstance(entry, dict) else None for entry in objects]
    good = [file for file in files if is_file_name(file)]
    return good if len(good) == len(files) else None


def _sum_error(mix: Audio, stems: Sequence[Audio]) -> str:
    """What is wrong with the sum of the stems, or nothing.

    Rounding to the depth of the files is no fault, and of a soft clip it can exceed the limit. A step of q between
    neighbouring values gives an error power of up to q^2 / 3 per file (uniform between 0 and q, as of truncation).
    """
    error = mix.samples.astype(np.float64)
    mix_power = float(np.mean(error**2))
    for stem in stems:
        error -= stem.samples
    power = float(np.mean(error**2))
    steps = (2.0 ** (1 - _PCM_BITS[audio.subtype]) for audio in (mix, *stems) if audio.subtype in _PCM_BITS)
    if power <= db_to_power(MAX_STEM_ERROR_DB) * mix_power + sum(step**2 / 3 for step in steps):
        return ""
    if mix_power == 0:
        return "the mix is silent, but its stems are not"
    level_db = power_to_db(power / mix_power)
    return f"the stems sum to the mix with an error of {level_db:.1f} dB, expected {MAX_STEM_ERROR_DB:g} dB at most"


def _shape(audio: Audio) -> str:
    channels, num_frames = audio.samples.shape
    return f"{channels} channels of {num_frames} samples at {audio.sample_rate_hz} Hz"


# ---------------------------------------------------------------------------- splits


def _check_splits(data: TasBench, clips: Sequence[str]) -> Iterator[Problem]:
    numbers = data.split_numbers()
    if not numbers:
        yield Problem("warning", SPLIT_FOLDER, "no splits, expected folders such as split1")
    for number in numbers:
        parts: dict[str, Counter[str]] = {}
        for split in SPLITS:
            path = data.split_path(split, number)
            name = _name(data, path)
            if not path.exists():
                yield Problem("error", name, "no such file")
                continue
            try:
                parts[split] = listed = Counter(read_split(path))
            except InputError as error:
                yield _from_error(data, path, error)
                continue
            if missing := listed.keys() - set(clips):
                yield Problem("error", name, f"names {_clips(missing)} without a recording")
            if twice := [clip for clip, count in listed.items() if count > 1]:
                yield Problem("error", name, f"lists {_clips(twice)} more than once")
            for other in SPLITS[: SPLITS.index(split)]:
                if other in parts and (shared := listed.keys() & parts[other].keys()):
                    yield Problem("error", name, f"shares {_clips(shared)} with {other}.h5")
        if len(parts) == len(SPLITS):
            folder = _name(data, data.split_path(SPLITS[0], number).parent)
            if unused := set(clips).difference(*parts.values()):
                yield Problem("warning", folder, f"{_clips(unused)} in none of {', '.join(SPLITS)}")


def _clips(clips: Iterable[str]) -> str:
    names = sorted(clips)
    more = ", ..." if len(names) > _SHOWN_CLIPS else ""
    return f"{len(names)} clip{'s' if len(names) > 1 else ''} ({', '.join(names[:_SHOWN_CLIPS])}{more})"


# ---------------------------------------------------------------------------- messages


def _name(data: TasBench, path: Path) -> str:
    return path.relative_to(data.root).as_posix()


def _position(where: str) -> str:
    """`file:line:column` as words."""
    match = _POSITION.search(where)
    return f"line {match[1]}, column {match[2]}: " if match else ""


def _from_error(data: TasBench, path: Path, error: InputError) -> Problem:
    """The first line of an error about a file, which begins with the file's path."""
    message = str(error).split("\n", 1)[0].removeprefix(f"{path}")
    if position := re.match(r":\d+:\d+(?=:)", message):
        message = _position(position[0]) + message[position.end() + 1 :].lstrip()
    return Problem("error", _name(data, path), message.removeprefix(":").lstrip())
