"""The stem bank: dry stems of every category in one compact file.

A bank is one safetensors file: ``samples`` (int16, all clips one after another), and
per clip ``start``, ``length``, ``category``, ``source`` and ``split`` (int64).
The names behind the numbers are in the file's metadata, as JSON. Scenes are composed
from it on the fly, see :mod:`tas_core.datasets.composition`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tas_core.datasets.catalogue import SOUNDFONTS, SPLITS, VOICES, Category, SoundFont, Split, Voice, load_categories
from tas_core.errors import InputError

BANK_FORMAT = 1
_TENSORS = ("samples", "start", "length", "category", "source", "split")


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

    def save(self, path: Path) -> None:
        """Write the bank to one safetensors file."""
        meta = {
            "format": str(BANK_FORMAT),
            "sample_rate_hz": str(self.sample_rate_hz),
            "categories": json.dumps(self.categories),
            "sources": json.dumps(self.sources),
        }
        save_file({name: getattr(self, name) for name in _TENSORS}, str(path), metadata=meta)

    @staticmethod
    def load(path: Path) -> StemBank:
        """Read a bank.

        Raises:
            InputError: no such file, not a bank, or a bank of another format.
        """
        try:
            with safe_open(str(path), "pt") as file:
                meta = file.metadata() or {}
                if meta.get("format") != str(BANK_FORMAT):
                    raise InputError(f"{path}: stem bank format {meta.get('format')}, expected {BANK_FORMAT}")
                return StemBank(
                    **{name: file.get_tensor(name) for name in _TENSORS},
                    categories=tuple(json.loads(meta["categories"])),
                    sources=tuple(json.loads(meta["sources"])),
                    sample_rate_hz=int(meta["sample_rate_hz"]),
                )
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise InputError(f"{path}: not a readable stem bank ({error})") from error


@dataclass(frozen=True)
class _Job:
    """One source to render: a soundfont, a voice, or the recordings of a category in a split."""

    subject: SoundFont | Voice | tuple[Category, Split]
    clips: int
    length_s: float
    rate_hz: int
    seed: int
    categories: tuple[Category, ...]

    @property
    def name(self) -> str:
        return self.subject[0].name if isinstance(self.subject, tuple) else self.subject.name


def _render_job(job: _Job) -> list[tuple[str, str, Split, np.ndarray]]:
    """Render one source in a worker process; returns (category, source, split, int16 samples)."""
    from tas_core.datasets import rendering

    found: Iterator[rendering.DryClip]
    if isinstance(job.subject, SoundFont):
        found = rendering.render_font(job.subject, job.categories, job.clips, job.length_s, job.rate_hz, job.seed)
    elif isinstance(job.subject, Voice):
        found = rendering.render_voice(job.subject, job.clips, job.length_s, job.rate_hz, job.seed)
    else:
        category, split = job.subject
        found = rendering.render_recordings(category, split, job.clips, job.length_s, job.rate_hz, job.seed)
    return [(c.category, c.source, c.split, np.round(c.samples * 32767).astype(np.int16)) for c in found]


def build_bank(
    *,
    clips_per_source: int,
    length_s: float = 8.0,
    rate_hz: int = 16000,
    seed: int = 0,
    jobs: int = 2,
    progress: Callable[[int, int, str], None] = lambda done, total, name: None,
    categories: tuple[Category, ...] | None = None,
    fonts: Sequence[SoundFont] = SOUNDFONTS,
    voices: Sequence[Voice] = VOICES,
) -> StemBank:
    """Render every category from every soundfont, voice and recording.

    The result depends on the arguments and the installed material, not on ``jobs``.
    Synthesized voices give three times as many clips, and voices of real people, whose material is long, eight times.

    Args:
        clips_per_source: clips of a category from one soundfont.
        length_s: of a clip.
        rate_hz: of the bank.
        seed: of melodies, sentences and levels.
        jobs: processes.
        progress: told (sources done, of how many, name).
        categories: what to render; None is everything in ``prompts/objects.yaml``.
        fonts: soundfonts to use.
        voices: voices to use.
    """
    categories = load_categories() if categories is None else categories
    how = (length_s, rate_hz, seed, categories)
    plan = [_Job(font, clips_per_source, *how) for font in fonts]
    plan += [_Job(voice, clips_per_source * (8 if voice.engine == "files" else 3), *how) for voice in voices]
    for category in categories:
        if category.kind == "recording":
            plan += [_Job((category, split), clips_per_source, *how) for split in SPLITS]
    names = [c.name for c in categories]
    sources: list[str] = []
    columns: dict[str, list[int]] = {k: [] for k in ("start", "length", "category", "source", "split")}
    chunks: list[np.ndarray] = []
    position = 0
    # Fresh processes: a fork would inherit locks held by threads of this one (torch, FluidSynth) and wait forever.
    with ProcessPoolExecutor(max_workers=jobs, mp_context=get_context("spawn")) as pool:
        for done, rendered in enumerate(pool.map(_render_job, plan)):
            for category_name, source, split, samples in rendered:
                if source not in sources:
                    sources.append(source)
                columns["start"].append(position)
                columns["length"].append(len(samples))
                columns["category"].append(names.index(category_name))
                columns["source"].append(sources.index(source))
                columns["split"].append(SPLITS.index(split))
                chunks.append(samples)
                position += len(samples)
            progress(done + 1, len(plan), plan[done].name)
    return StemBank(
        samples=torch.from_numpy(np.concatenate(chunks)),
        categories=tuple(names),
        sources=tuple(sources),
        sample_rate_hz=rate_hz,
        **{k: torch.tensor(v) for k, v in columns.items()},
    )
