"""Renders chunks by the paper's procedure: overlapping windows, each under one prompt, averaged."""

from __future__ import annotations

from typing import cast

import torch

from tas_core.conventions import numbered_seed
from tas_core.inference.chunk import Chunk, RenderedChunk
from tas_core.inference.engine import LoadedModel
from tas_core.inference.settings import RenderSettings
from tas_core.models.base import PromptModel
from tas_core.system.progress import Progress
from tas_core.timeline.segments import Timeline


class WindowRenderer:
    """Side signals by a model that is conditioned on whole prompts (paper, section 4.2).

    Windows of the length and hop that the model's config says (1 s every 0.1 s for ``paper``), each under the prompt
    that holds at its centre, are averaged where they overlap. Windows centred beyond either end take the prompt that
    holds there; windows without a prompt count as centred. Noise is keyed by (seed, window number).

    Args:
        timeline: with all ends closed.
        duration_s: length of the audio, seconds.
        model: of any family that is conditioned on prompts.
        settings: of the rendering; ``steps`` and ``seed`` count.
        batch_size: windows to compute at once; None is the model's own default.
    """

    tracker = None
    """It does not separate, so nothing is known of single objects."""
    likeness = None
    evidence = None

    def __init__(
        self,
        timeline: Timeline,
        duration_s: float,
        model: LoadedModel,
        settings: RenderSettings,
        batch_size: int | None = None,
    ) -> None:
        del duration_s
        network = cast(PromptModel, model.network)
        self._timeline, self._model, self._encoder = timeline, network, model.encoder
        self._steps, self._seed = settings.steps or network.default_steps, settings.seed
        self._batch_size = batch_size or network.default_batch
        config = network.config
        self._window = round(config.window_s * config.sample_rate_hz)
        self.stride = round(config.hop_s * config.sample_rate_hz)
        self.margin = self._window

    @torch.inference_mode()
    def __call__(self, chunk: Chunk, progress: Progress) -> RenderedChunk:
        """Side signal of the wanted samples of a chunk."""
        model, mid = self._model, chunk.mid
        device = next(model.parameters()).device
        size, hop = self._window, self.stride
        reach = size - hop
        padded = torch.nn.functional.pad(mid, (reach, reach + hop))
        starts = range(0, mid.shape[-1] + reach, hop)
        wanted = []
        for start in starts:
            centre = min(max(chunk.offset + start + size / 2 - reach, 0), chunk.total - 1)
            prompt = self._text_at(centre / model.config.sample_rate_hz)
            if prompt is not None:
                wanted.append((start, prompt))
        total, count = torch.zeros(len(padded)), torch.zeros(len(padded))
        for start in starts:
            count[start : start + size] += 1
        for at in range(0, len(wanted), self._batch_size):
            group = wanted[at : at + self._batch_size]
            windows = torch.stack([padded[start : start + size] for start, _ in group]).to(device)
            text = self._encoder([prompt for _, prompt in group]).to(device)
            noise = None
            if model.uses_noise:
                numbers = [(chunk.offset + start) // hop for start, _ in group]
                seeds = [numbered_seed(self._seed, number) for number in numbers]
                noise = torch.stack([torch.randn(size, generator=torch.Generator().manual_seed(s)) for s in seeds])
                noise = noise.to(device)
            sides = model.window_sides(windows, text, self._steps, noise).cpu()
            for (start, _), side in zip(group, sides, strict=True):
                total[start : start + size] += side
            progress((at + len(group)) / len(wanted))
        return RenderedChunk((total / count.clamp_min(1))[reach:][chunk.wanted])

    def _text_at(self, time_s: float) -> str | None:
        """The prompt that holds at a time; None in uncovered time."""
        near = self._timeline.overlapping(time_s, time_s)
        return near.segments[0].text if near else None
