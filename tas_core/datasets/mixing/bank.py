"""The stem bank: dry stems of every category in one compact file.

A bank is one safetensors file: ``samples`` (int16, all clips one after another), and
per clip ``start``, ``length``, ``category``, ``source`` and ``split`` (int64).
The names behind the numbers are in the file's metadata, as JSON. Scenes are composed
from it on the fly, see :mod:`tas_core.datasets.mixing.composition`.

A bank that travels is coded (:mod:`tas_core.datasets.mixing.codec`): in place of ``samples`` and ``start`` it holds
blocks of clips of one split, three tensors each, and the metadata says how many clips of which length a block has.
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save, save_file
from torch import Tensor

from tas_core.datasets.mixing import codec
from tas_core.datasets.mixing.tensor_file import open_tensors
from tas_core.datasets.sources.catalogue import (
    CROWD,
    SINGING,
    SOUNDFONTS,
    SPLITS,
    VOICES,
    Category,
    SoundFont,
    Split,
    Voice,
    load_categories,
)
from tas_core.datasets.sources.packages import PACKAGED_KITS, PACKAGES, Packaged
from tas_core.errors import InputError, TasError
from tas_core.system.files import whole_file, write_files
from tas_core.system.json_values import json_value
from tas_core.system.processes import KILLED, in_order, in_processes
from tas_core.system.programs import temporary_folder
from tas_core.system.write_errors import temporary_file_error

BANK_FORMAT = 1
_COLUMNS = ("length", "category", "source", "split")
_TENSORS = ("samples", "start", *_COLUMNS)


@dataclass(frozen=True)
class StemBank:
    """Dry mono stems and what they are.

    ``samples`` int16 (time); ``start``, ``length``, ``category``, ``source``, ``split``
    int64 (clip); the last three index ``categories``, ``sources`` and ``SPLITS``.
    """

    samples: Tensor
    start: Tensor
    length: Tensor
    category: Tensor
    source: Tensor
    split: Tensor
    categories: tuple[str, ...]
    sources: tuple[str, ...]
    sample_rate_hz: int

    def clips_of(self, split: Split) -> dict[int, Tensor]:
        """Clip numbers of a split, by category number; categories without clips are absent."""
        wanted = self.split == SPLITS.index(split)
        found = {}
        for number in range(len(self.categories)):
            clips = torch.nonzero(wanted & (self.category == number))[:, 0]
            if len(clips):
                found[number] = clips
        return found

    def clip(self, index: int) -> Tensor:
        """One clip, float32 (time), peak 0.9."""
        at, size = int(self.start[index]), int(self.length[index])
        return self.samples[at : at + size].float() / 32767.0

    def only(self, split: Split) -> StemBank:
        """The clips of one split, with the names and numbers of the whole bank."""
        return self.taking(torch.nonzero(self.split == SPLITS.index(split))[:, 0])

    def taking(self, clips: Tensor) -> StemBank:
        """Clips by their numbers, int64, with the names and numbers of the whole bank."""
        start, length = self.start[clips], self.length[clips]
        spans = zip(start.tolist(), length.tolist(), strict=True)
        samples = torch.cat([self.samples[:0], *(self.samples[at : at + size] for at, size in spans)])
        columns = {name: getattr(self, name)[clips] for name in _COLUMNS}
        return replace(self, samples=samples, start=length.cumsum(0) - length, **columns)

    def check(self) -> None:
        """Refuse clips that point to what is not there; a graphics processor would say of it no more than that.

        Raises:
            ValueError: numbers of another count or type, or out of range.
        """
        size = len(self.samples)
        if self.samples.ndim != 1 or self.sample_rate_hz <= 0:
            raise ValueError(f"samples of shape {tuple(self.samples.shape)} at {self.sample_rate_hz} Hz")
        if not all(isinstance(name, str) for name in (*self.categories, *self.sources)):
            raise ValueError("names of categories and sources that are no texts")
        ranges = {
            "start": (0, size - 1),
            "length": (1, size),
            "category": (0, len(self.categories) - 1),
            "source": (0, len(self.sources) - 1),
            "split": (0, len(SPLITS) - 1),
        }
        for name, (low, high) in ranges.items():
            values = getattr(self, name)
            if values.dtype != torch.int64 or values.ndim != 1 or len(values) != len(self.start):
                raise ValueError(f"'{name}' has the shape {tuple(values.shape)}, expected a whole number for each clip")
            if len(values) and not low <= int(values.min()) <= int(values.max()) <= high:
                raise ValueError(f"'{name}' holds numbers outside of {low} to {high}")
        if bool((self.start + self.length > size).any()):
            raise ValueError("clips end beyond the last sample")
        if self.samples.dtype != torch.int16:
            raise ValueError(f"samples are {self.samples.dtype}, expected 16-bit integers")

    def save(self, path: Path) -> None:
        """Write the bank to one safetensors file."""
        with whole_file(path) as partial:
            try:
                save_file({name: getattr(self, name) for name in _TENSORS}, partial, metadata=self._metadata())
            except SafetensorError as error:
                raise OSError(errno.EIO, str(error)) from error

    def _metadata(self) -> dict[str, str]:
        return {
            "format": str(BANK_FORMAT),
            "sample_rate_hz": str(self.sample_rate_hz),
            "categories": json.dumps(self.categories),
            "sources": json.dumps(self.sources),
        }

    def save_coded(self, path: Path, clips: Tensor, length: Tensor, blocks: Sequence[codec.CodedClips]) -> None:
        """Write some clips in coded form.

        Args:
            path: the file.
            clips: numbers of the clips in the order of ``blocks``, int64 (clip).
            length: samples of each that count, int64 (clip); a block pads its clips to one length.
            blocks: coded excerpts of the clips, no block with clips of two splits.
        """
        tensors = {name: getattr(self, name)[clips] for name in _COLUMNS} | {"length": length}
        for number, block in enumerate(blocks):
            tensors[f"reference {number}"] = torch.from_numpy(block.reference)
            for name in ("levels", "coefficients"):
                tensors[f"{name} {number}"] = torch.frombuffer(bytearray(getattr(block, name)), dtype=torch.uint8)
        shapes = json.dumps([block.shape for block in blocks])
        write_files({path: save(tensors, metadata={**self._metadata(), "blocks": shapes})})

    @staticmethod
    def load(path: Path, split: Split | None = None) -> StemBank:
        """Read a bank, coded or not; with ``split``, only the clips of that split.

        Raises:
            InputError: no such file, not a bank, or a bank of another format.
        """
        with open_tensors(path, "not a readable stem bank") as (file, meta):
            if meta.get("format") != str(BANK_FORMAT):
                raise InputError(f"{path}: stem bank format {meta.get('format')}, expected {BANK_FORMAT}")
            tensors = _decode(file, meta["blocks"], split) if "blocks" in meta else {}
            bank = StemBank(
                **{name: tensors[name] if tensors else file.get_tensor(name) for name in _TENSORS},
                categories=tuple(json_value(meta["categories"])),
                sources=tuple(json_value(meta["sources"])),
                sample_rate_hz=int(meta["sample_rate_hz"]),
            )
            bank.check()
        return bank if split is None or tensors else bank.only(split)


def _decode(file: safe_open, blocks: str, split: Split | None) -> dict[str, Tensor]:
    """The tensors of a bank from those of a coded file, leaving out blocks of other splits than ``split``."""
    columns = {name: file.get_tensor(name) for name in _COLUMNS}
    wanted: list[Tensor] = []
    coded: list[codec.CodedClips] = []
    first = 0
    for number, (count, time) in enumerate(json_value(blocks)):
        if not 0 < count <= len(columns["split"]) - first:
            raise ValueError(f"a block of {count} clips, and {len(columns['split']) - first} are left")
        rows = torch.arange(first, first + count)
        first += count
        if split is None or int(columns["split"][rows[0]]) == SPLITS.index(split):
            wanted.append(rows)
            parts = [file.get_tensor(f"{name} {number}").numpy() for name in ("reference", "levels", "coefficients")]
            coded.append(codec.CodedClips((count, time), parts[0], parts[1].tobytes(), parts[2].tobytes()))
    if first != len(columns["split"]):
        raise ValueError(f"blocks of {first} clips, and there are {len(columns['split'])}")
    clips = torch.cat(wanted) if wanted else torch.zeros(0, dtype=torch.long)
    columns = {name: values[clips] for name, values in columns.items()}
    lengths = iter(columns["length"].tolist())
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pieces = [clip[: next(lengths)] for block in pool.map(codec.decode_clips, coded) for clip in block]
    samples = torch.cat(pieces) if pieces else torch.zeros(0, dtype=torch.int16)
    return {"samples": samples, "start": columns["length"].cumsum(0) - columns["length"], **columns}


@dataclass(frozen=True)
class BankSettings:
    """What a bank is rendered from, and how; with the installed material, all that it depends on.

    Attributes:
        clips_per_source: clips of a category from one soundfont. Synthesized voices give three times as many, and
            voices of real people, whose material is long, eight times, and crowds one for each recording; the
            recordings of a category in a package up to twice as many, of many people eight times, as far as they
            last; kits, of soundfonts and recorded, six times; ensembles of a soundfont up to ten times. Of what a
            real person sings there are as many, of a crowd's singing and of several voices at once ten times as many.
        length_s: of a clip, at most.
        rate_hz: of the bank.
        seed: of melodies, sentences and levels.
        categories: what to render; by default everything in ``prompts/objects.yaml``.
        fonts: soundfonts to use.
        voices: voices to use.
        recordings: folder made by ``scripts/install-training-material.sh``; None goes without.
    """

    clips_per_source: int = 4
    length_s: float = 8.0
    rate_hz: int = 16000
    seed: int = 0
    categories: tuple[Category, ...] = field(default_factory=load_categories)
    fonts: tuple[SoundFont, ...] = SOUNDFONTS
    voices: tuple[Voice, ...] = VOICES
    recordings: Path | None = None


@dataclass(frozen=True)
class _Crowd:
    """People of one split, who talk at once."""

    voices: tuple[Voice, ...]
    name: str = CROWD


@dataclass(frozen=True)
class _Job:
    """One source to render, and so many clips of it at most.

    A soundfont, a voice, voices at once, or the recordings of a category in a split or in a package; ``sung`` is what a
    voice sings in place of what it says.
    """

    subject: SoundFont | Voice | _Crowd | Packaged | tuple[Category, Split]
    clips: int
    settings: BankSettings
    sung: bool = False

    @property
    def name(self) -> str:
        return self.subject[0].name if isinstance(self.subject, tuple) else self.subject.name


def _jobs(settings: BankSettings) -> list[_Job]:
    """All sources, in the order in which a bank has them."""
    clips = settings.clips_per_source
    found = [_Job(font, clips, settings) for font in settings.fonts]
    found += [_Job(voice, clips * (8 if voice.engine == "files" else 3), settings) for voice in settings.voices]
    found += _sung(settings.voices, settings)
    recorded = [category for category in settings.categories if category.samples]
    found += [_Job((category, split), clips, settings) for category in recorded for split in SPLITS]
    found += _packaged_jobs(settings)
    return found + _crowds([job.subject for job in found if isinstance(job.subject, Voice) and not job.sung], settings)


def _crowds(voices: Sequence[Voice], settings: BankSettings) -> list[_Job]:
    """Real people at once, of each split that has any."""
    if CROWD not in (category.name for category in settings.categories):
        return []
    of_split = [tuple(v for v in voices if v.is_natural and v.split == split) for split in SPLITS]
    return [_Job(_Crowd(people), settings.clips_per_source * 10, settings) for people in of_split if people]


def _sung(voices: Iterable[Voice], settings: BankSettings) -> list[_Job]:
    """Voices that sing, those of crowds often."""
    if SINGING not in (category.name for category in settings.categories):
        return []
    clips = settings.clips_per_source
    return [
        _Job(voice, clips * (10 if voice.crowd else 1), settings, sung=True) for voice in voices if voice.is_natural
    ]


def _packaged_jobs(settings: BankSettings) -> list[_Job]:
    """Speakers and recordings in packages."""
    from tas_core.datasets.sources.package_clips import check_packages, packaged_voices

    root, clips = settings.recordings, settings.clips_per_source
    if root is None:
        return []
    check_packages(root, settings.categories)
    packages = {package.name: package for package in PACKAGES}
    voices = packaged_voices(root)
    found = [_Job(voice, clips * 8, settings) for voice in voices] + _sung(voices, settings)
    for category in settings.categories:
        if category.kind == "kit":
            kits = [Packaged(category, packages[kit.package], root, kit) for kit in PACKAGED_KITS]
            found += [_Job(kit, clips * 6, settings) for kit in kits]
        parts = [Packaged(category, packages[name], root) for name, _ in category.recorded]
        found += [_Job(part, clips * part.package.worth, settings) for part in parts]
    return found


def _refuse(job: _Job) -> NoReturn:
    raise TasError(f"{job.name}: {KILLED}", remedy="jobs")


def _render_job(job: _Job, scratch: Path) -> tuple[Path, list[tuple[str, str, Split, int]]]:
    """Render one source in a worker process.

    Returns:
        A file of the int16 samples of all clips, one after another, and (category, source, split, length) of each.
        Not the samples themselves: they wait until those of earlier sources are there, and not in memory.
    """
    from tas_core.datasets.sources.clips import DryClip
    from tas_core.datasets.sources.instruments import render_font
    from tas_core.datasets.sources.package_clips import render_kit, render_package
    from tas_core.datasets.sources.recordings import render_recordings
    from tas_core.datasets.sources.singing import render_singing
    from tas_core.datasets.sources.speech import render_babble, render_voice

    found: Iterator[DryClip]
    c = job.settings
    if isinstance(job.subject, SoundFont):
        found = render_font(job.subject, c.categories, job.clips, c.length_s, c.rate_hz, c.seed)
    elif isinstance(job.subject, Voice):
        render_said_or_sung = render_singing if job.sung else render_voice
        found = render_said_or_sung(job.subject, job.clips, c.length_s, c.rate_hz, c.seed)
    elif isinstance(job.subject, _Crowd):
        found = render_babble(job.subject.voices, job.clips, c.length_s, c.rate_hz, c.seed)
    elif isinstance(job.subject, Packaged):
        render = render_package if job.subject.kit is None else render_kit
        found = render(job.subject, job.clips, c.length_s, c.rate_hz, c.seed)
    else:
        category, split = job.subject
        found = render_recordings(category, split, job.clips, c.length_s, c.rate_hz, c.seed)
    samples, clips = [], []
    for clip in found:
        samples.append(np.round(clip.samples * 32767).astype(np.int16).tobytes())
        clips.append((clip.category, clip.source, clip.split, len(clip.samples)))
    try:
        handle, name = tempfile.mkstemp(dir=scratch)
        with os.fdopen(handle, "wb") as file:
            file.writelines(samples)
    except OSError as error:
        raise temporary_file_error(scratch.parent, f"clips of {job.name}", error) from error
    return Path(name), clips


def build_bank(
    settings: BankSettings,
    *,
    jobs: int = 2,
    progress: Callable[[int, int, str], None] = lambda done, total, name: None,
) -> StemBank:
    """Render every category from every soundfont, voice and recording.

    Args:
        settings: what to render; the result depends on it and the installed material, not on ``jobs``.
        jobs: processes.
        progress: told (sources done, of how many, name).

    Raises:
        TasError: material is missing or damaged, the disk for temporary files is full, or a process was killed.
    """
    plan = _jobs(settings)
    names = [c.name for c in settings.categories]
    sources: list[str] = []
    columns: dict[str, list[int]] = {k: [] for k in ("start", "length", "category", "source", "split")}
    chunks: list[np.ndarray] = []
    position = 0
    with (
        temporary_folder() as scratch,
        closing(
            in_processes(partial(_render_job, scratch=scratch), plan, jobs, killed=_refuse, modules=["torch"])
        ) as found,
    ):
        for done, (path, rendered) in enumerate(in_order(found)):
            chunks.append(np.fromfile(path, np.int16))
            path.unlink()
            for category_name, source, split, length in rendered:
                if source not in sources:
                    sources.append(source)
                columns["start"].append(position)
                columns["length"].append(length)
                columns["category"].append(names.index(category_name))
                columns["source"].append(sources.index(source))
                columns["split"].append(SPLITS.index(split))
                position += length
            progress(done + 1, len(plan), plan[done].name)
    return StemBank(
        samples=torch.from_numpy(np.concatenate(chunks)),
        categories=tuple(names),
        sources=tuple(sources),
        sample_rate_hz=settings.rate_hz,
        **{k: torch.tensor(v) for k, v in columns.items()},
    )
