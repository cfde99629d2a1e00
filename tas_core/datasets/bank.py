"""The stem bank: dry stems of every category in one compact file.

A bank is one safetensors file: ``samples`` (int16, all clips one after another), and
per clip ``start``, ``length``, ``category``, ``source`` and ``split`` (int64).
The names behind the numbers are in the file's metadata, as JSON. Scenes are composed
from it on the fly, see :mod:`tas_core.datasets.composition`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tas_core.datasets.catalogue import SPLITS, Split, load_categories
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


def _render_job(job: tuple) -> list:
    """Render one source in a worker process; returns (category, source, split, int16 samples)."""
    from tas_core.datasets import rendering

    kind, subject, clips, length_s, rate_hz, seed = job
    categories = load_categories()
    found: Iterator[rendering.DryClip]
    if kind == "font":
        found = rendering.render_font(subject, categories, clips, length_s, rate_hz, seed)
    elif kind == "voice":
        found = rendering.render_voice(subject, clips, length_s, rate_hz, seed)
    else:
        category, split = subject
        found = rendering.render_recordings(category, split, clips, length_s, rate_hz, seed)
    return [(c.category, c.source, c.split, np.round(c.samples * 32767).astype(np.int16)) for c in found]


def build_bank(
    *,
    clips_per_source: int,
    length_s: float = 8.0,
    rate_hz: int = 16000,
    seed: int = 0,
    jobs: int = 2,
    progress: Callable[[int, int, str], None] = lambda done, total, name: None,
) -> StemBank:
    """Render every category from every soundfont, voice and recording.

    The result depends on the arguments and the installed material, not on ``jobs``.
    Voices of real people give four times as many clips, since their material is long.
    """
    from tas_core.datasets.catalogue import SOUNDFONTS, VOICES

    categories = load_categories()
    plan: list[tuple] = []
    for font in SOUNDFONTS:
        plan.append(("font", font, clips_per_source, length_s, rate_hz, seed))
    for voice in VOICES:
        clips = clips_per_source * (8 if voice.engine == "files" else 3)
        plan.append(("voice", voice, clips, length_s, rate_hz, seed))
    for category in categories:
        if category.kind == "recording":
            for split in SPLITS:
                plan.append(("recording", (category, split), clips_per_source, length_s, rate_hz, seed))
    names = [c.name for c in categories]
    sources: list[str] = []
    columns: dict[str, list[int]] = {k: [] for k in ("start", "length", "category", "source", "split")}
    chunks: list[np.ndarray] = []
    position = 0
    with ProcessPoolExecutor(max_workers=jobs) as pool:
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
            subject = plan[done][1]
            progress(done + 1, len(plan), getattr(subject, "name", None) or subject[0].name)
    return StemBank(
        samples=torch.from_numpy(np.concatenate(chunks)),
        categories=tuple(names),
        sources=tuple(sources),
        sample_rate_hz=rate_hz,
        **{k: torch.tensor(v) for k, v in columns.items()},
    )
