"""Small stand-ins that several test files share: a text encoder, networks, and material without soundfonts."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from tas_core.acoustics.rooms import direct_response
from tas_core.datasets.mixing.bank import StemBank
from tas_core.datasets.mixing.phrases import PhraseTable
from tas_core.datasets.mixing.room_bank import RoomBank, build_rooms
from tas_core.datasets.sources.catalogue import SPLITS, load_categories
from tas_core.inference.engine import LoadedModel
from tas_core.inference.result import Spatialized
from tas_core.inference.settings import RenderSettings
from tas_core.inference.stream import render
from tas_core.models.base import SpatialModel
from tas_core.models.paper.model import PaperConfig
from tas_core.models.scene_batch import SceneBatch
from tas_core.models.slots.config import SlotsConfig
from tas_core.models.slots.model import SlotsModel
from tas_core.system.progress import Progress, ignore
from tas_core.timeline.segments import Timeline

RATE_HZ = 16000

TINY_SLOTS = SlotsConfig(
    channels=8,
    frame_channels=2,
    blocks=2,
    fusion_after=(1, 2),
    context_frames=3,
    level_frames=6,
    balance=0.75,
    balance_frames=4,
    mask_features=4,
    text_encoder="hash",
    text_width=8,
    diffuse_channels=8,
    diffuse_layers=2,
)

TINY_PAPER = PaperConfig(
    feature_channels=8,
    encoder_kernels=(5, 3),
    residual_channels=6,
    num_blocks=2,
    layers_per_block=3,
    step_width=10,
    text_encoder="hash",
    text_width=8,
    num_steps=5,
    beta_max=0.5,  # abar ends at 0.205, near the 0.280 of the full schedule
)


class HashEncoder:
    """A text encoder without weights: every text gets its own fixed unit vector."""

    name = "hash"
    width = 8
    device = torch.device("cpu")

    def to(self, device: torch.device) -> Self:
        self.device = device
        return self

    def __call__(self, texts: Sequence[str]) -> Tensor:
        rows = []
        for text in texts:
            seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
            row = np.random.default_rng(seed).standard_normal(self.width)
            rows.append(row / np.linalg.norm(row))
        return torch.from_numpy(np.array(rows).reshape(len(rows), self.width)).float()


def tiny_slots(seed: int = 0, **changes: object) -> SlotsModel:
    """A small network with random weights everywhere, since layers that start at zero would hide the others."""
    torch.manual_seed(seed)
    model = SlotsModel(replace(TINY_SLOTS, **changes))  # type: ignore[arg-type]
    for parameter in model.parameters():
        if not bool(parameter.detach().any()):
            nn.init.normal_(parameter, std=0.3)
    for network in model.networks:
        # It takes everything to be there; what it does not hear is said in a warning, which tests take for an error.
        nn.init.normal_(network.presence.out.weight, std=0.01)
        nn.init.constant_(network.presence.out.bias, 5.0)
        # Scores and masks of a fresh network hardly differ from uniform; make the text matter.
        nn.init.normal_(network.mask_key.weight, std=8.0)
        for fusion in network.fusions:
            nn.init.normal_(fusion.get_parameter("inject.weight"), std=0.4)
    return model.eval()


CATEGORIES = ("piano", "cello", "violin", "glockenspiel", "church organ")


def tiny_scenes(batch: int = 2, seconds: float = 0.6, seed: int = 0) -> SceneBatch:
    """Two clauses and a rest that differ in frequency; the second scene has one clause and no known side."""
    samples = round(seconds * RATE_HZ)
    time_s = torch.arange(samples) / RATE_HZ
    stems = torch.zeros(batch, 3, samples)
    for k, base_hz in enumerate((300.0, 900.0, 2700.0)):
        for b in range(batch):
            tone = sum(torch.sin(2 * math.pi * base_hz * h * (1 + 0.01 * b) * time_s + h) for h in (1, 1.37, 2))
            noise = torch.randn(samples, generator=torch.Generator().manual_seed(seed + 10 * k + b))
            stems[b, k] = 0.05 * tone * (1 + torch.sin(2 * math.pi * (2 + k) * time_s)) + 0.003 * noise
    named = torch.tensor([[True, True], [True, False]]).repeat(batch // 2, 1)
    mid = stems[:, :2] * named[..., None]
    azimuth = torch.tensor([[70.0, -40.0], [-90.0, 0.0]]).repeat(batch // 2, 1)
    side = mid * torch.sign(azimuth)[..., None] * 0.6
    known = torch.tensor([True, False]).repeat(batch // 2)
    text = HashEncoder()(["cello", "piano"])[None].expand(batch, -1, -1) * named[..., None]
    active = torch.ones(batch, 2, 4, dtype=torch.bool)
    active[:, 0, 3] = False
    return SceneBatch(mid, side, stems[:, 2], text, azimuth, named, active, named, known, ("a prompt",) * batch)


def tone_bank(length_s: float = 2.0, clips: int = 2) -> StemBank:
    """Every category a chord of its own with a little noise, in every split, from a source of its own."""
    rng = np.random.default_rng(7)
    time_s = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
    rows: list[tuple[int, int, int, np.ndarray]] = []
    sources: list[str] = []
    for split in range(len(SPLITS)):
        for number in range(len(CATEGORIES)):
            sources.append(f"{SPLITS[split]} font/{CATEGORIES[number]}")
            for clip in range(clips):
                base_hz = 220.0 * 1.6**number * (1 + 0.03 * clip + 0.01 * split)
                tone = sum(np.sin(2 * np.pi * base_hz * k * time_s + rng.uniform(0, 6)) / k for k in (1, 2, 3, 5))
                sound = tone + 0.05 * rng.standard_normal(len(time_s))
                sound *= 0.9 / np.abs(sound).max()
                rows.append((number, len(sources) - 1, split, np.round(sound * 32767).astype(np.int16)))
    size = len(time_s)
    return StemBank(
        samples=torch.from_numpy(np.concatenate([r[3] for r in rows])),
        start=torch.arange(len(rows)) * size,
        length=torch.full((len(rows),), size),
        category=torch.tensor([r[0] for r in rows]),
        source=torch.tensor([r[1] for r in rows]),
        split=torch.tensor([r[2] for r in rows]),
        categories=CATEGORIES,
        sources=tuple(sources),
        sample_rate_hz=RATE_HZ,
    )


def dry_rooms(azimuth_deg: Sequence[float] = (-70.0, -35.0, -10.0, 10.0, 35.0, 70.0)) -> RoomBank:
    """One room without reflections, heard from the given directions."""
    responses = np.stack([direct_response(a, RATE_HZ) for a in azimuth_deg])[None]
    return RoomBank(
        torch.from_numpy(responses.astype(np.float16)), torch.tensor([list(azimuth_deg)]), torch.zeros(1), RATE_HZ
    )


class WideHashEncoder(HashEncoder):
    """One that goes for the encoder of shipped models: its name, and features of its width."""

    name = "minilm"
    width = 384


def phrase_table(encoder: HashEncoder | None = None) -> PhraseTable:
    encoder = encoder or HashEncoder()
    return PhraseTable.build(load_categories(), encoder, encoder.name)


def write_material(folder: Path) -> Path:
    """A folder such as ``tas data bank`` makes, a thousand times smaller."""
    folder.mkdir(parents=True, exist_ok=True)
    tone_bank().save(folder / "bank.safetensors")
    for number, split in enumerate(SPLITS):
        build_rooms(2, 5, length_s=0.1, seed=number).save(folder / f"rooms-{split}.safetensors")
    phrase_table().save(folder / f"phrases-{HashEncoder.name}.safetensors")
    return folder


def rendered(
    samples: np.ndarray,
    rate_hz: int,
    timeline: Timeline,
    network: SpatialModel,
    progress: Progress = ignore,
    **settings: Any,
) -> Spatialized:
    """A whole signal (time) rendered by a network in memory whose text encoder is a :class:`HashEncoder`."""
    return render(samples, rate_hz, timeline, in_memory(network), RenderSettings(**settings), progress)


def in_memory(network: SpatialModel) -> LoadedModel:
    """A network as a loaded model, with an encoder without weights."""
    return LoadedModel.of(network, HashEncoder())
