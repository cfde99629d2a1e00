"""PyTorch data sets over TASBench's layout: random windows at the models' rate.

What comes at an index depends on (seed, epoch, index) only, hence not on the number of worker processes.
Mid and side are scaled by one factor, taken from the *mid* signal: what a model is told must not depend on
the answer.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import soundfile
import torch
from torch import Tensor
from torch.utils.data import Dataset

from tas_core.audio.resampling import resample
from tas_core.conventions import LEFT_EAR, RIGHT_EAR
from tas_core.datasets.tasbench.layout import TasBench
from tas_core.errors import AudioError, InputError
from tas_core.timeline.segments import Timeline, Track

MID_RMS = 0.1
_SILENCE_RMS = 1e-5
_MARGIN_S = 0.05
"""Read on each side of a window and cut off again, so that the resampler has something to look at."""


@dataclass(frozen=True)
class Window:
    """A window of a clip: ``mid`` = left + right and ``side`` = left - right, float32 (time), scaled alike."""

    clip: str
    start_s: float
    mid: Tensor
    side: Tensor
    gain: float
    """What mid and side were multiplied with."""


@dataclass(frozen=True)
class PromptWindow(Window):
    """A window and the prompt nearest to its centre in time (paper, section 4.2)."""

    prompt: str


@dataclass(frozen=True)
class TimelineWindow(Window):
    """A window and all that the timeline says of it: a track per object, sampled at ``times_s`` of the clip."""

    tracks: tuple[Track, ...]


class _Windows(Dataset[Window]):
    """One random window of every clip.

    Args:
        data: the data set.
        clips: which of its clips, e.g. from :meth:`TasBench.split_clips`.
        window_s: length of a window; a shorter clip is padded with silence at its end.
        sample_rate_hz: of the windows.
        seed: of their places.

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
        self.epoch = 0
        self._timelines: dict[str, Timeline] = {}

    def set_epoch(self, epoch: int) -> None:
        """Choose which epoch's windows to give; call it before an epoch, in the main process."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.clips)

    def _timeline(self, clip: str) -> Timeline:
        if clip not in self._timelines:
            self._timelines[clip] = self.data.timeline(clip)
        return self._timelines[clip]

    def _place(self, index: int, epoch: int) -> tuple[str, float, float]:
        """Clip, start of the window in seconds, and length of the clip in seconds."""
        clip = self.clips[index]
        path = self.data.audio_path(clip)
        try:
            info = soundfile.info(os.fsencode(path))
        except (soundfile.SoundFileError, OSError) as error:
            raise AudioError(f"{path}: cannot be read ({error})") from error
        if info.channels != 2:
            raise AudioError(f"{path}: {info.channels} channels, expected two, left and right")
        length_s = info.frames / info.samplerate
        rng = np.random.default_rng([self.seed, epoch, index])
        return clip, float(rng.uniform(0, max(0.0, length_s - self.window_s))), length_s

    def _signals(self, clip: str, start_s: float) -> tuple[Tensor, Tensor, float]:
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


class PromptWindows(_Windows):
    """Windows as the paper trains on: 1 s, with the prompt nearest to the centre."""

    def __getitem__(self, index: int) -> PromptWindow:
        return self.at(index, self.epoch)

    def at(self, index: int, epoch: int) -> PromptWindow:
        """The window of a clip, by its index, in any epoch."""
        clip, start_s, _ = self._place(index, epoch)
        mid, side, gain = self._signals(clip, start_s)
        centre_s = start_s + self.window_s / 2
        return PromptWindow(clip, start_s, mid, side, gain, nearest_prompt(self._timeline(clip), centre_s))


class TimelineWindows(_Windows):
    """Windows with the whole of what the timeline says of them.

    Args:
        hop_s: distance of the instants at which tracks are sampled; the first is the window's start.
        others: as for all windows.
    """

    def __init__(self, data: TasBench, clips: Sequence[str], hop_s: float = 0.016, **others: float | int) -> None:
        super().__init__(data, clips, **others)  # type: ignore[arg-type]
        self.hop_s = hop_s

    def __getitem__(self, index: int) -> TimelineWindow:
        clip, start_s, length_s = self._place(index, self.epoch)
        mid, side, gain = self._signals(clip, start_s)
        times_s = start_s + np.arange(round(self.window_s / self.hop_s) + 1) * self.hop_s
        tracks = self._timeline(clip).tracks(times_s, length_s)
        heard = tuple(track for track in tracks if track.active.any())
        return TimelineWindow(clip, start_s, mid, side, gain, heard)


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


def collate(windows: Sequence[Window]) -> dict[str, Tensor | list[object]]:
    """A batch of windows for a ``DataLoader``: tensors stacked (batch, time), all else as lists."""
    batch: dict[str, Tensor | list[object]] = {
        "mid": torch.stack([w.mid for w in windows]),
        "side": torch.stack([w.side for w in windows]),
        "clip": [w.clip for w in windows],
        "start_s": [w.start_s for w in windows],
    }
    if all(isinstance(w, PromptWindow) for w in windows):
        batch["prompt"] = [w.prompt for w in windows if isinstance(w, PromptWindow)]
    if all(isinstance(w, TimelineWindow) for w in windows):
        batch["tracks"] = [w.tracks for w in windows if isinstance(w, TimelineWindow)]
    return batch
