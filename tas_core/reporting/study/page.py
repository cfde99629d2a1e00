"""The page of a study: one HTML file that holds everything it needs and asks no network for anything.

Sounds are FLAC, 16 bit, at most 48 kHz, in base64. Chromium, Firefox and Safari (from 11 on) play it, and unlike
Opus, Vorbis and MP3 it keeps what is judged here: lossy codecs code the two ears jointly. One channel becomes two
equal ones, the files of a set get one rate and one length, and one gain where the loudest of them would clip, so
that nothing but the sound itself tells systems apart.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from tas_core.audio.formats import READABLE
from tas_core.audio.reader import Audio, read_audio
from tas_core.audio.resampling import resample
from tas_core.audio.writer import peak
from tas_core.conventions import LEFT_EAR, RIGHT_EAR
from tas_core.errors import InputError
from tas_core.reporting.html_page import fill_page, flac_bytes
from tas_core.reporting.study.records import (
    AROUND_FORMAT,
    FORMAT,
    KEY_NAME,
    Key,
    KeyClip,
    KeyItem,
    KeyObject,
)
from tas_core.system.files import check_new_file, write_files
from tas_core.system.folders import files_by_stem
from tas_core.system.progress import Progress, ignore
from tas_core.timeline.files import EXTENSIONS, load_timeline
from tas_core.timeline.segments import Timeline
from tas_core.timeline.sphere import SpherePoint

PAGE_NAME: Final = "study.html"

MAX_PAGE_BYTES: Final = 200_000_000
"""Larger pages are refused; one of this size opens in some 4 s. 30 clips of 10 s from 5 systems take about 75 MB at
16 kHz and 160 MB at 48 kHz."""

MAX_RATE_HZ: Final = 48_000
LENGTH_TOLERANCE_S: Final = 0.1
"""Files of one set may differ by this much in length; shorter ones end in silence."""

_SCRIPTS: Final = ("elements.js", "player.js", "page.js")
_ITEM_NUMBERS: Final = range(1000, 10_000)

_WIDE: Final = 0.5
"""Nobody is asked where a sound is that is all around, from this spread on."""

_TONE_RATE_HZ: Final = 16_000
_TONE_S: Final = 0.8

# "the cello", but not "the everything else" or "the my voice".
_DETERMINED: Final = frozenset(
    "all any both every everybody everyone everything her his its my our some that their these this those your".split()
)


@dataclass(frozen=True)
class StudyFiles:
    """What was made; ``as_dict`` gives plain values.

    Args:
        page: the HTML file, for the listeners.
        key: the key file, for whoever scores.
        study: name of the study, 16 hexadecimal digits.
        clips: how many clips are in it.
        items: how many recordings a listener hears, clips times systems.
        questions: how many questions a listener answers.
        page_bytes: size of the page.
        unmatched: clips that a system or the timelines lack, which were left out.
        moving: clips in whose timeline an object moves or has several places, or in which nothing has one, which were
            left out.
    """

    page: str
    key: str
    study: str
    clips: int
    items: int
    questions: int
    page_bytes: int
    unmatched: tuple[str, ...]
    moving: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def make_study(
    out: Path,
    systems: Mapping[str, Path],
    timelines: Path,
    *,
    clips: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress = ignore,
) -> StudyFiles:
    """Make the page of a listening study and its key.

    Each clip is a set: the files of all systems, in an order and under numbers drawn with the seed. The same
    input and seed give the same bytes.

    Args:
        out: an ``.html`` file, or a folder that gets ``study.html``; ``key.json`` goes beside it.
        systems: name -> folder of audio files with one or two channels; the file stem names the clip.
        timelines: folder of ``<clip>.yaml``, ``.srt``, ``.vtt`` or ``.txt``. A clip is used if no object in it moves
            or has two places.
        clips: how many clips to draw; all by default.
        seed: seed of everything that is drawn, 0 or more.
        overwrite: whether existing files may be replaced.
        progress: called with the fraction that is done, 0 to 1.

    Raises:
        InputError: a folder, file or timeline that cannot be used, too few clips, or a page above 200 MB. Nothing
            is written then.
        TasError: writing failed.
    """
    place = _Destination.of(out, overwrite)
    material = _Material.find(systems, timelines)
    rng = np.random.default_rng(seed)
    chosen = material.draw(clips, rng, str(timelines))
    items, shown, sounds = _recordings(material, chosen, rng, place.page, progress)
    study = _digest(shown, sounds)
    around = {"format": AROUND_FORMAT} if material.around else {}
    page = render_page({"study": study, "sets": len(chosen), "items": shown, **around}, sounds)
    used = tuple(material.clips[clip].clip for clip in chosen)
    key = Key(around.get("format", FORMAT), study, seed, tuple(systems), used, tuple(items))
    place.write(page, key, overwrite)
    return StudyFiles(
        page=str(place.page),
        key=str(place.key),
        study=study,
        clips=len(chosen),
        items=len(items),
        questions=sum(len(each["questions"]) for each in shown),
        page_bytes=len(page),
        unmatched=material.unmatched,
        moving=material.moving,
    )


def question(phrase: str) -> str:
    """The question for an object; it fits one sound and several ("the drums") alike."""
    article = "" if phrase.split()[0] in _DETERMINED else "the "
    return f"Where do you hear {article}{phrase}?"


def questions_of(item: KeyObject, *, around: bool) -> dict[str, str]:
    """The questions for an object, by what they ask for."""
    if not around:
        return {"side": question(item.object)}
    name = question(item.object).removeprefix("Where do you hear ").removesuffix("?")
    return {
        "side": question(item.object),
        "depth": f"In front of you or behind you: {name}?",
        "height": f"How high: {name}?",
    }


def render_page(study: Mapping[str, Any], sounds: Mapping[str, bytes]) -> bytes:
    """The HTML file, UTF-8. What comes from prompts is in its data only.

    Args:
        study: "study": name of the study; "sets": how many clips; "items": number, set (from 1) and questions
            of each recording in order; of a study all around also "format", and "asks" of each recording, what
            each of its questions is about.
        sounds: item number or ``tone-left`` and ``tone-right`` -> FLAC file.
    """
    return fill_page("study", study, sounds, scripts=_SCRIPTS, policy="media-src blob:")


# ---------------------------------------------------------------------------- files


@dataclass(frozen=True)
class _Destination:
    """The files of a study, and the folder that has to be made for them, if any."""

    page: Path
    key: Path
    folder: Path | None

    @classmethod
    def of(cls, out: Path, overwrite: bool) -> _Destination:
        """The files that go with an output that was named, checked before any work."""
        page = out if out.suffix.lower() in (".html", ".htm") else out / PAGE_NAME
        key = page.with_name(KEY_NAME)
        if page.parent == out and not out.exists():
            if not out.parent.is_dir():
                raise InputError(f"{out}: the folder {out.parent} does not exist")
            return cls(page, key, out)
        for path in (page, key):
            check_new_file(path, overwrite=overwrite)
        return cls(page, key, None)

    def write(self, page: bytes, key: Key, overwrite: bool) -> None:
        """Write both files or none; a folder that was made for them goes with them."""
        if self.folder is not None:
            try:
                self.folder.mkdir()
            except OSError as error:
                raise InputError(f"{self.folder}: no folder can be made ({error.strerror})") from error
        try:
            write_files({self.key: key.as_json(), self.page: page}, overwrite=overwrite)
        except BaseException:
            if self.folder is not None:
                with contextlib.suppress(OSError):
                    self.folder.rmdir()
            raise


# ---------------------------------------------------------------------------- clips


@dataclass(frozen=True)
class _UsableClip:
    """A clip with its timeline and the objects that listeners are asked about."""

    clip: KeyClip
    timeline: Timeline


@dataclass(frozen=True)
class _Material:
    """What a study can be made of.

    Attributes:
        files: system -> clip -> file.
        clips: those that can be used, by their file stems.
        unmatched: clips that a system or the timelines lack.
        moving: clips in which an object moves or has several places.
        around: whether any of them asks for more than the frontal plane. Then all questions do, so that a question does
            not give its answer away.
    """

    files: dict[str, dict[str, Path]]
    clips: dict[str, _UsableClip]
    unmatched: tuple[str, ...]
    moving: tuple[str, ...]
    around: bool

    @classmethod
    def find(cls, systems: Mapping[str, Path], timelines: Path) -> _Material:
        """All clips in folders of systems and of timelines."""
        if not systems:
            raise InputError("no system, expected at least one name and folder")
        for name in systems:
            if not name.strip() or not name.isprintable():
                raise InputError(f"{name!r} is not a name of a system, expected printable characters")
        files = {name: files_by_stem(folder, READABLE, "audio") for name, folder in systems.items()}
        scenes = files_by_stem(timelines, EXTENSIONS, "timeline")
        everywhere = set(scenes).intersection(*files.values())
        unmatched = tuple(sorted(set(scenes).union(*files.values()) - everywhere))
        usable: dict[str, _UsableClip] = {}
        moving = []
        for clip in sorted(everywhere):
            timeline = load_timeline(scenes[clip])
            objects = fixed_objects(timeline)
            if objects is None:
                moving.append(clip)
            else:
                usable[clip] = _UsableClip(KeyClip(clip, objects), timeline)
        around = any(clip.timeline.needs_sphere for clip in usable.values())
        return cls(files, usable, unmatched, tuple(moving), around)

    def draw(self, count: int | None, rng: np.random.Generator, where: str) -> list[str]:
        """So many clips, or all, in random order; ``where`` they are from is for messages."""
        wanted = len(self.clips) if count is None else count
        if not 1 <= wanted <= len(self.clips):
            raise InputError(
                f"{where}: {len(self.clips)} clips can be used, expected {'one' if count is None else count} or more"
                f" ({len(self.unmatched)} are not in every folder, in {len(self.moving)} an object moves)"
            )
        if wanted * len(self.files) > len(_ITEM_NUMBERS):
            recordings = wanted * len(self.files)
            raise InputError(f"{recordings} recordings, expected at most {len(_ITEM_NUMBERS)}; use fewer clips")
        return [sorted(self.clips)[i] for i in rng.permutation(len(self.clips))[:wanted]]


def _recordings(
    material: _Material, chosen: list[str], rng: np.random.Generator, page: Path, progress: Progress
) -> tuple[list[KeyItem], list[dict[str, Any]], dict[str, bytes]]:
    """Items of the key, the same as the page's data has them, and the sounds by their names in the page."""
    systems = list(material.files)
    numbers = rng.choice(np.array(_ITEM_NUMBERS), len(chosen) * len(systems), replace=False).tolist()
    items: list[KeyItem] = []
    shown: list[dict[str, Any]] = []
    sounds = {"tone-left": _tone(LEFT_EAR), "tone-right": _tone(RIGHT_EAR)}
    size = 0
    for position, clip in enumerate(chosen, 1):
        usable = material.clips[clip]
        coded = _encode_set({name: material.files[name][clip] for name in systems}, usable)
        asked = [questions_of(each, around=material.around) for each in usable.clip.objects]
        questions = [text for each in asked for text in each.values()]
        asks = {"asks": [about for each in asked for about in each]} if material.around else {}
        for i in rng.permutation(len(systems)):
            item = KeyItem(numbers[len(items)], clip, systems[i])
            items.append(item)
            shown.append({"item": item.item, "set": position, "questions": questions, **asks})
            sounds[str(item.item)] = coded[item.system]
            size += len(coded[item.system]) * 4 // 3
        if size > MAX_PAGE_BYTES:
            raise InputError(
                f"{page}: the page would be larger than {MAX_PAGE_BYTES // 10**6} MB, reached by clip"
                f" {position} of {len(chosen)}; use fewer clips, shorter ones or a lower sample rate"
            )
        progress(position / len(chosen))
    return items, shown, sounds


def fixed_objects(timeline: Timeline) -> tuple[KeyObject, ...] | None:
    """Objects of a timeline in the order of the text, or None if one moves or has more than one place.

    Objects all around have no place to be asked for; None, too, if there are no others.
    """
    places: dict[str, SpherePoint] = {}
    for segment in timeline.segments:
        for clause in segment.clauses:
            point = clause.path.start
            if clause.path.is_moving or places.setdefault(clause.object, point) != point:
                return None
    pointed = {name: point for name, point in places.items() if point.spread < _WIDE}
    return tuple(KeyObject(name, point.azimuth_deg, point.elevation_deg) for name, point in pointed.items()) or None


# ---------------------------------------------------------------------------- sound


def _encode_set(paths: Mapping[str, Path], clip: _UsableClip) -> dict[str, bytes]:
    """FLAC files of one clip by system, alike in rate, length and channels, with the level relations kept."""
    audio = {name: read_audio(path) for name, path in paths.items()}
    first = next(iter(paths))
    for name, path in paths.items():
        channels = len(audio[name].samples)
        if channels > 2:
            raise InputError(f"{path}: {channels} channels, expected one or two")
        if abs(audio[name].duration_s - audio[first].duration_s) > LENGTH_TOLERANCE_S:
            raise InputError(
                f"{path}: lasts {audio[name].duration_s:.2f} s, but {paths[first]} lasts"
                f" {audio[first].duration_s:.2f} s, expected one length per clip"
            )
    clip.timeline.resolved(max(each.duration_s for each in audio.values()))
    rate_hz = min(MAX_RATE_HZ, max(each.sample_rate_hz for each in audio.values()))
    ears = {name: _ears(each, rate_hz) for name, each in audio.items()}
    length = max(each.shape[-1] for each in ears.values())
    gain = min(1.0, (1.0 - 2.0**-15) / max(1e-9, *(peak(each) for each in ears.values())))
    return {
        name: flac_bytes(np.pad(gain * each, ((0, 0), (0, length - each.shape[-1]))), rate_hz)
        for name, each in ears.items()
    }


def _ears(audio: Audio, rate_hz: int) -> np.ndarray:
    """(ear, time), float64, at a rate."""
    samples = resample(audio.samples.astype(np.float64), audio.sample_rate_hz, rate_hz)
    return np.broadcast_to(samples, (2, samples.shape[-1]))


def _tone(ear: int) -> bytes:
    """The tone of the headphone check, in one ear."""
    time_s = np.arange(round(_TONE_S * _TONE_RATE_HZ)) / _TONE_RATE_HZ
    fade = np.clip(np.minimum(time_s, _TONE_S - time_s) / 0.05, 0.0, 1.0)
    ears = np.zeros((2, len(time_s)))
    ears[ear] = 0.1 * fade * sum(np.sin(2 * np.pi * f * time_s) for f in (500, 1000, 1500))
    return flac_bytes(ears, _TONE_RATE_HZ)


def _digest(shown: list[dict[str, Any]], sounds: Mapping[str, bytes]) -> str:
    """Name of a study: what it asks and plays."""
    digest = hashlib.sha256(json.dumps(shown, sort_keys=True).encode())
    for name, data in sorted(sounds.items()):
        digest.update(name.encode() + hashlib.sha256(data).digest())
    return digest.hexdigest()[:16]
