"""Training batches from the recordings of a data set in TASBench's layout, FAIR-Play's own among them.

A batch is made of random windows at the models' rate. What lies in a window depends on (seed, epoch, index) only. Mid
and side are scaled by one factor, taken from the *mid* signal: what a model is given must not depend on the answer.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from tas_core.audio.resampling import require_ears, resample
from tas_core.conventions import LEFT_EAR, RIGHT_EAR
from tas_core.datasets.sources.catalogue import Split
from tas_core.datasets.tasbench.layout import TasBench
from tas_core.errors import AudioError, InputError
from tas_core.models.scene_batch import SceneBatch
from tas_core.timeline.segments import Timeline

MID_RMS = 0.1
_SILENCE_RMS = 1e-5
_MARGIN_S = 0.05
"""Read on each side of a window and cut off again, so that the resampler has something to look at."""


class RecordedScenes:
    """Random windows of recordings under the prompts nearest to their centres (paper, section 4.2).

    A recording is not separated into its objects, so a batch holds each window as one "object" that is all of
    the sound. That is what models that take a whole prompt learn from; a model with a mask per object cannot.

    Args:
        data: the data set.
        split: train, val or test.
        fold: number of the split, 1 to 10 for FAIR-Play.
        window_s: length of a window.
        seed: of clips and places; the same (seed, step) gives the same batch.
        device: of the batches.

    Raises:
        InputError: the split is missing, empty, or names a clip that is not there.
    """

    def __init__(
        self, data: TasBench, split: Split, fold: int, window_s: float, seed: int, device: torch.device | None = None
    ) -> None:
        self.windows = PromptWindows(data, data.split_clips(split, fold), window_s, seed=seed)
        self.split, self.fold, self.seed = split, fold, seed
        self.device = device or torch.device("cpu")

    def compose(self, step: int, batch_size: int) -> SceneBatch:
        """The windows of one training step; no clip twice as long as there are enough."""
        rng = np.random.default_rng([self.seed, step])
        count = len(self.windows)
        chosen = rng.permutation(max(count, batch_size))[:batch_size] % count
        found = [self.windows.at(int(index), step) for index in chosen]
        mid = torch.stack([w.mid for w in found])
        return SceneBatch(
            stem_mid=mid[:, None],
            stem_side=torch.stack([w.side for w in found])[:, None],
            rest_mid=torch.zeros_like(mid),
            clause_features=torch.zeros(batch_size, 1, 0),
            azimuth_deg=torch.zeros(batch_size, 1),
            named=torch.ones(batch_size, 1, dtype=torch.bool),
            active=torch.ones(batch_size, 1, 1, dtype=torch.bool),
            right_name=torch.ones(batch_size, 1, dtype=torch.bool),
            side_known=torch.ones(batch_size, dtype=torch.bool),
            prompts=tuple(w.prompt for w in found),
        ).to(self.device)

    def source_names(self) -> list[str]:
        """What the batches are made of."""
        return [f"{Path(self.windows.data.root).name}: {self.split} of split {self.fold}, {len(self.windows)} clips"]

    def captions(self, count: int) -> list[str]:
        """The prompts of the recordings, at most so many."""
        return list(islice(self.windows.prompts(), count))


@dataclass(frozen=True)
class PromptWindow:
    """A window of a clip, and the prompt nearest to its centre in time (paper, section 4.2).

    ``mid`` = left + right and ``side`` = left - right are float32 (time), scaled by one ``gain``.
    """

    clip: str
    start_s: float
    mid: Tensor
    side: Tensor
    gain: float
    prompt: str


class PromptWindows:
    """Random windows of clips as the paper trains on: 1 s, with the prompt nearest to the centre.

    Args:
        data: the data set.
        clips: which of its clips, e.g. from :meth:`TasBench.split_clips`.
        window_s: length of a window; a shorter clip is padded with silence at its end.
        sample_rate_hz: of the windows.
        seed: of their starts.

    Raises:
        InputError: no clips, or a window that is not longer than 0 s.
    """

    def __init__(
        self,
        data: TasBench,
        clips: Sequence[str],
        window_s: float = 1.0,
        sample_rate_hz: int = 16000,
        seed: int = 0,
    ) -> None:
        if not clips:
            raise InputError(f"{data.root}: no clips to take windows from")
        if not window_s > 0:
            raise InputError(f"the window is {window_s} s long, expected more than 0")
        self.data, self.clips = data, tuple(clips)
        self.window_s, self.sample_rate_hz, self.seed = window_s, sample_rate_hz, seed
        self._timelines: dict[str, Timeline] = {}

    def __len__(self) -> int:
        return len(self.clips)

    def at(self, index: int, epoch: int = 0) -> PromptWindow:
        """The window of a clip, by its index, in an epoch.

        Raises:
            AudioError: the clip cannot be read, has not two channels, or holds samples that are no numbers.
            TimelineError: its timeline is missing, or is none, or asks for more than the frontal plane.
        """
        clip = self.clips[index]
        start_s = self._start_s(index, epoch)
        mid, side, gain = self._signals(clip, start_s)
        centre_s = start_s + self.window_s / 2
        return PromptWindow(clip, start_s, mid, side, gain, nearest_prompt(self._timeline(clip), centre_s))

    def prompts(self) -> Iterator[str]:
        """The prompts of all clips.

        Raises:
            TimelineError: a timeline is missing, or is none, or asks for more than the frontal plane.
        """
        for clip in self.clips:
            yield from (segment.text for segment in self._timeline(clip).segments)

    def _timeline(self, clip: str) -> Timeline:
        if clip not in self._timelines:
            timeline = self.data.timeline(clip)
            timeline.require_plane()  # models learn azimuths in front
            self._timelines[clip] = timeline
        return self._timelines[clip]

    def _start_s(self, index: int, epoch: int) -> float:
        """Where the window of a clip starts, seconds."""
        path = self.data.audio_path(self.clips[index])
        try:
            info = soundfile.info(os.fsencode(path))
        except (soundfile.SoundFileError, OSError) as error:
            raise AudioError(f"{path}: cannot be read ({error})") from error
        require_ears(path, info.channels)
        length_s = info.frames / info.samplerate
        rng = np.random.default_rng([self.seed, epoch, index])
        return float(rng.uniform(0, max(0.0, length_s - self.window_s)))

    def _signals(self, clip: str, start_s: float) -> tuple[Tensor, Tensor, float]:
        """Mid and side (time) of a window, and the gain in them."""
        path = self.data.audio_path(clip)
        size = round(self.window_s * self.sample_rate_hz)
        try:
            with soundfile.SoundFile(os.fsencode(path)) as file:
                rate_hz = file.samplerate
                margin = round(_MARGIN_S * rate_hz)
                first = round(start_s * rate_hz)
                before = min(first, margin)
                file.seek(first - before)
                count = round(self.window_s * rate_hz) + before + margin
                ears = file.read(count, dtype="float64", always_2d=True).T
        except (soundfile.SoundFileError, OSError) as error:
            raise AudioError(f"{path}: cannot be read ({error})") from error
        if not np.isfinite(ears).all():
            raise AudioError(f"{path}: holds samples that are no numbers")
        if rate_hz != self.sample_rate_hz:
            ears = resample(ears, rate_hz, self.sample_rate_hz)
            before = round(before * self.sample_rate_hz / rate_hz)
        ears = ears[:, before : before + size]
        ears = np.pad(ears, ((0, 0), (0, size - ears.shape[1])))
        mid, side = ears[LEFT_EAR] + ears[RIGHT_EAR], ears[LEFT_EAR] - ears[RIGHT_EAR]
        rms = float(np.sqrt(np.mean(np.square(mid))))
        gain = MID_RMS / rms if rms > _SILENCE_RMS else 1.0
        return torch.from_numpy(gain * mid).float(), torch.from_numpy(gain * side).float(), gain


def nearest_prompt(timeline: Timeline, time_s: float) -> str:
    """The prompt that holds at a time, or else the one nearest to it; of two as near, the earlier."""

    def distance(item: tuple[float, float]) -> float:
        return max(item[0] - time_s, time_s - item[1], 0.0)

    spans = []
    for i, segment in enumerate(timeline.segments):
        following = timeline.segments[i + 1].start_s if i + 1 < len(timeline.segments) else np.inf
        spans.append((segment.start_s, following if segment.end_s is None else segment.end_s))
    best = min(range(len(spans)), key=lambda i: (distance(spans[i]), i))
    # A segment does not hold at its end, the next one does.
    if best + 1 < len(spans) and spans[best + 1][0] <= time_s and distance(spans[best + 1]) == 0:
        best += 1
    return timeline.segments[best].text
