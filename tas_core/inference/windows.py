"""The paper's procedure: overlapping windows of one second, each under one prompt, averaged."""

from __future__ import annotations

import torch

from tas_core.inference.chunk import Placed, Stretch
from tas_core.models.base import PromptModel
from tas_core.models.text_encoders.base import TextEncoder
from tas_core.system.progress import Progress
from tas_core.timeline.segments import Timeline


class WindowedSide:
    """Side signals of a model of whole prompts, by the paper's procedure (section 4.2).

    Windows of the length and hop that the model's config says (1 s every 0.1 s for ``paper``), each under the prompt
    that holds at its centre, are averaged where they overlap. Windows centred beyond either end take the prompt that
    holds there; windows without a prompt count as centred. Noise is keyed by (seed, window number).

    Args:
        timeline: with all ends closed.
        model: on its device.
        encoder: the text encoder that the model was trained with.
        steps: network evaluations.
        seed: of the noise.
        batch_size: windows to compute at once; None is the model's own default.
    """

    def __init__(
        self,
        timeline: Timeline,
        model: PromptModel,
        encoder: TextEncoder,
        steps: int,
        seed: int,
        batch_size: int | None = None,
    ) -> None:
        self._timeline, self._model, self._encoder = timeline, model, encoder
        self._steps, self._seed = steps, seed
        self._batch_size = batch_size or model.default_batch
        config = model.config
        self._window = round(config.window_s * config.sample_rate_hz)
        self.stride = round(config.hop_s * config.sample_rate_hz)
        self.margin = self._window

    @torch.inference_mode()
    def __call__(self, stretch: Stretch, progress: Progress) -> Placed:
        """Side signal of a stretch."""
        model, mid = self._model, stretch.mid
        device = next(model.parameters()).device
        size, hop = self._window, self.stride
        reach = size - hop
        padded = torch.nn.functional.pad(mid, (reach, reach + hop))
        starts = range(0, mid.shape[-1] + reach, hop)
        wanted = []
        for start in starts:
            centre = min(max(stretch.offset + start + size / 2 - reach, 0), stretch.total - 1)
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
                numbers = [(stretch.offset + start) // hop for start, _ in group]
                seeds = [self._seed * 1_000_003 + number for number in numbers]
                noise = torch.stack([torch.randn(size, generator=torch.Generator().manual_seed(s)) for s in seeds])
                noise = noise.to(device)
            sides = model.window_sides(windows, text, self._steps, noise).cpu()
            for (start, _), side in zip(group, sides, strict=True):
                total[start : start + size] += side
            progress((at + len(group)) / len(wanted))
        return Placed((total / count.clamp_min(1))[reach:][stretch.wanted])

    def _text_at(self, time_s: float) -> str | None:
        """The prompt that holds at a time; None in uncovered time."""
        near = self._timeline.overlapping(time_s, time_s)
        return near.segments[0].text if near else None
