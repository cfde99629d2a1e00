"""Windows of a data set: what lies in them, the prompt that holds, the scale, and that they repeat."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tas_core.datasets.recorded import PromptWindows, RecordedScenes, nearest_prompt
from tas_core.datasets.tasbench.layout import TasBench
from tas_core.errors import AudioError, InputError
from tas_core.timeline.segments import Segment, Timeline
from tests.support.fairplay import LENGTHS, SPLIT, write_annotated

CLIPS = tuple(LENGTHS)


@pytest.fixture
def fairplay(tmp_path: Path) -> TasBench:
    return TasBench(write_annotated(tmp_path / "fairplay"))


def test_fairplays_own_layout_loads(fairplay: TasBench) -> None:
    windows = PromptWindows(fairplay, fairplay.split_clips("train"))
    assert len(windows) == len(SPLIT["train"])
    for index in range(len(windows)):
        window = windows.at(index)
        assert window.clip == SPLIT["train"][index]
        assert window.mid.shape == window.side.shape == (16000,)
        assert window.mid.dtype == torch.float32
        assert 0 <= window.start_s <= LENGTHS[window.clip] / 48000 - 1
        assert window.prompt == ("cello on the left" if window.start_s + 0.5 < 5 else "piano on the right")


def test_a_window_is_the_clip_from_there_on(fairplay: TasBench) -> None:
    """Against the whole clip, resampled at once: equal to 0.1 % of the level, which the resampler's edges differ by."""
    import soxr

    windows = PromptWindows(fairplay, CLIPS)
    for index, clip in enumerate(CLIPS):
        window = windows.at(index)
        ears = soxr.resample(soundfile.read(fairplay.audio_path(clip))[0], 48000, 16000, quality="VHQ")
        # The window starts on a sample of the file, three of which are one of the window's.
        begin = round(window.start_s * 48000) / 3
        time = begin + np.arange(16000)
        spectrum = np.fft.rfft(ears, axis=0)
        freqs = np.fft.rfftfreq(len(ears))
        shifted = np.fft.irfft(spectrum * np.exp(2j * np.pi * freqs * (begin % 1))[:, None], len(ears), axis=0)
        part = shifted[int(begin) : int(begin) + 16000] if begin % 1 else ears[int(begin) : int(begin) + 16000]
        assert len(time) == len(part)
        expected = window.gain * (part[:, 0] + part[:, 1])
        inner = slice(400, -400)
        error = np.sqrt(np.mean((window.mid.numpy()[inner] - expected[inner]) ** 2)) / 0.1
        assert error < 0.02  # white noise up to half the rate: the filters' edges hold 1 % of its amplitude


def test_scaled_by_the_mix_alone(fairplay: TasBench) -> None:
    window = PromptWindows(fairplay, CLIPS).at(0)
    assert float(window.mid.square().mean().sqrt()) == pytest.approx(0.1, rel=0.01)
    # Left twice as loud in the file changes mid and side, yet the scale still follows mid.
    path = fairplay.audio_path(CLIPS[0])
    samples, rate_hz = soundfile.read(path)
    soundfile.write(path, samples * [0.0, 0.5], rate_hz)
    one_ear = PromptWindows(fairplay, CLIPS).at(0)
    assert float(one_ear.mid.square().mean().sqrt()) == pytest.approx(0.1, rel=0.01)
    torch.testing.assert_close(one_ear.side, -one_ear.mid)


def test_silence_is_not_blown_up(fairplay: TasBench) -> None:
    soundfile.write(fairplay.audio_path(CLIPS[0]), np.zeros((480000, 2)), 48000)
    window = PromptWindows(fairplay, CLIPS).at(0)
    assert window.gain == 1.0
    assert not window.mid.any()


def test_windows_depend_on_seed_epoch_and_index_only(fairplay: TasBench) -> None:
    def starts(order: Sequence[int], seed: int = 0, epoch: int = 0) -> dict[int, float]:
        windows = PromptWindows(fairplay, CLIPS, seed=seed)
        return {index: windows.at(index, epoch).start_s for index in order}

    every = range(len(CLIPS))
    assert starts(every) == starts(every)
    assert starts(every) == starts(every[::-1])  # whatever was read before
    assert all(a != b for a, b in zip(starts(every).values(), starts(every, seed=1).values(), strict=True))
    assert all(a != b for a, b in zip(starts(every).values(), starts(every, epoch=1).values(), strict=True))


def test_a_short_clip_is_padded(fairplay: TasBench) -> None:
    soundfile.write(fairplay.audio_path(CLIPS[0]), np.full((24000, 2), 0.25), 48000)
    window = PromptWindows(fairplay, CLIPS).at(0)
    assert window.start_s == 0
    assert window.mid[2000:7000].abs().min() > 0.05
    assert not window.mid[8100:].any()


def test_nearest_prompt() -> None:
    spans = ((1.0, 2.0, "ant"), (2.0, 3.0, "bee"), (6.0, None, "cow"))
    timeline = Timeline(tuple(Segment.from_prompt(start, end, f"{name} left") for start, end, name in spans))
    told = {
        0.0: "ant",
        1.0: "ant",
        1.99: "ant",
        2.0: "bee",
        3.0: "bee",
        4.4: "bee",
        4.6: "cow",
        6.0: "cow",
        99.0: "cow",
    }
    for time_s, name in told.items():
        assert nearest_prompt(timeline, time_s) == f"{name} left", time_s


def test_recorded_scenes_are_batches_of_windows(fairplay: TasBench) -> None:
    scenes = RecordedScenes(fairplay, "train", 1, 1.0, seed=3)
    batch = scenes.compose(7, 3)
    again = RecordedScenes(fairplay, "train", 1, 1.0, seed=3).compose(7, 3)
    torch.testing.assert_close(batch.mid, again.mid)
    assert batch.prompts == again.prompts
    assert batch.mid.shape == batch.side.shape == (3, 16000)
    assert not torch.equal(batch.mid, scenes.compose(8, 3).mid)
    assert len({tuple(row[:5].tolist()) for row in batch.mid}) == 3  # each of the three clips once
    assert scenes.compose(0, 5).mid.shape == (5, 16000)  # more than there are clips


def test_prompts_of_recordings_are_those_of_their_timelines(fairplay: TasBench) -> None:
    scenes = RecordedScenes(fairplay, "train", 1, 1.0, seed=3)
    every = [segment.text for clip in scenes.windows.clips for segment in fairplay.timeline(clip).segments]
    assert scenes.captions(10**6) == every
    assert scenes.captions(2) == every[:2]


def test_bad_input(fairplay: TasBench) -> None:
    with pytest.raises(InputError, match="no clips"):
        PromptWindows(fairplay, ())
    with pytest.raises(InputError, match="window is 0"):
        PromptWindows(fairplay, CLIPS, window_s=0)
    path = fairplay.audio_path(CLIPS[0])
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(AudioError, match=r"000001\.wav: cannot be read"):
        PromptWindows(fairplay, CLIPS).at(0)
    soundfile.write(path, np.zeros(480000), 48000)
    with pytest.raises(AudioError, match="1 channel, expected two, left and right"):
        PromptWindows(fairplay, CLIPS).at(0)
    soundfile.write(path, np.full((480000, 2), np.nan), 48000, subtype="FLOAT")
    with pytest.raises(AudioError, match="no numbers"):
        PromptWindows(fairplay, CLIPS).at(0)
