"""Does a network of the paper's family learn to place, or only to denoise? Ten clips, learned by heart.

    python benchmarks/overfit.py --minutes 6

Each clip is 32 ms of a sound of ``examples/`` through the measured head, far on the left or on the
right; every sound is there on both sides, so that only the text can tell which. All arms, a schedule and what the
network predicts and learns by, begin with the same weights and with text layers fitted to the prompts, and see the
same clips, one optimiser step each in turn until the clock runs out. Printed by steps: the loss, the correlation of
the true side with the estimate of a single evaluation from pure noise (what ``tas train`` logs as
``val_side_correlation_from_noise``, here on what is trained on), and that of a side sampled in six steps. A network
that places goes to 1, one that only denoises stays at 0.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy.signal import fftconvolve
from torch import Tensor

from tas_core.acoustics.rooms import direct_response
from tas_core.audio import read_audio
from tas_core.audio.resampling import resample, to_mono
from tas_core.conventions import LEFT_EAR, RIGHT_EAR
from tas_core.models.base import correlation
from tas_core.models.paper.model import PRESETS, TRAINING, PaperModel
from tas_core.models.text_encoders.registry import build_text_encoder
from tas_core.training.text_start import fit_text_layers

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
SOUNDS = {"voice": "voice.wav", "crow": "crow.flac", "drums": "tabla.flac", "duet": "duet.flac"}
AZIMUTH_DEG = 60.0
WINDOW_S = 0.032
ARMS = ("paper-small", "paper-v-small")
SAMPLING_STEPS = 6
ESTIMATES = 2
"""Draws of noise that a correlation is the mean over."""


@dataclass(frozen=True)
class Clips:
    """Ten clips: ``mid`` and ``side`` (clip, time), their ``prompts``, and text features ``text`` (clip, width)."""

    mid: Tensor
    side: Tensor
    prompts: tuple[str, ...]
    text: Tensor


def make_clips(rate_hz: int) -> Clips:
    """The loudest window of each sound and two of the voice, each on both sides."""
    size = round(WINDOW_S * rate_hz)
    excerpts: list[tuple[str, np.ndarray]] = []
    for name, file in SOUNDS.items():
        found = read_audio(EXAMPLES / file)
        sound = resample(to_mono(found.samples), found.sample_rate_hz, rate_hz)
        windows = sound[: len(sound) // size * size].reshape(-1, size)
        order = np.argsort(-np.square(windows).sum(axis=1))
        excerpts += [(name, windows[row]) for row in order[: 2 if name == "voice" else 1]]
    mids, sides, prompts = [], [], []
    for number, (name, excerpt) in enumerate(excerpts):
        label = f"second {name}" if number == 1 else name
        for place, azimuth_deg in (("left", AZIMUTH_DEG), ("right", -AZIMUTH_DEG)):
            response = direct_response(azimuth_deg, rate_hz)
            ears = [fftconvolve(excerpt, response[ear])[:size] for ear in (LEFT_EAR, RIGHT_EAR)]
            mids.append(ears[0] + ears[1])
            sides.append(ears[0] - ears[1])
            prompts.append(f"the {label} on the {place}")
    mid, side = (torch.from_numpy(np.array(rows)).float() for rows in (mids, sides))
    return Clips(mid, side, tuple(prompts), build_text_encoder("minilm")(prompts))


class Arm:
    """A network in training on the clips."""

    def __init__(self, preset: str, clips: Clips, rate: float, features: int, layers: int) -> None:
        torch.manual_seed(0)
        self.preset = preset
        sizes = {"feature_channels": features, "layers_per_block": layers, "window_s": WINDOW_S}
        self.model = PaperModel(replace(PRESETS[preset], **sizes))
        fit_text_layers(self.model, clips.prompts, lambda _: clips.text)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), rate, (0.9, 0.98), weight_decay=0.0)
        self.generator = torch.Generator().manual_seed(1)
        self.losses: list[float] = []

    def update(self, clips: Clips) -> None:
        """Make one optimiser step on all clips."""
        loss = self.model.training_loss(clips.mid, clips.side, clips.text, self.generator)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.losses.append(float(loss.detach()))

    def figures(self, clips: Clips, steps: int) -> dict[str, float | int | str]:
        """Where the arm is after so many steps."""
        found: dict[str, float | int | str] = {"arm": self.preset, "step": steps}
        found["loss"] = round(float(np.mean(self.losses[-50:])), 4)
        for name, evaluations, draws in (("one_step", 1, ESTIMATES), ("sampled", SAMPLING_STEPS, 1)):
            noise = torch.Generator().manual_seed(2)
            values = [
                correlation(self.model.sample(clips.mid, clips.text, evaluations, noise, "ddim"), clips.side).mean()
                for _ in range(draws)
            ]
            found[name] = round(float(torch.stack(values).mean()), 3)
        return found


def main() -> None:
    """Train all arms in turn and print a line of JSON for each at every report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arms", nargs="*", default=ARMS, choices=[name for name in PRESETS if "paper" in name])
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--rate", type=float, default=10 * TRAINING["learning_rate"])
    parser.add_argument("--features", type=int, default=16)
    parser.add_argument("--layers", type=int, default=6, help="per block; the paper has 10")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--report-every", type=int, default=50, help="steps")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    clips = make_clips(PRESETS[arguments.arms[0]].sample_rate_hz)
    arms = [Arm(name, clips, arguments.rate, arguments.features, arguments.layers) for name in arguments.arms]
    ends = time.monotonic() + 60 * arguments.minutes
    step = 0
    while time.monotonic() < ends:
        for arm in arms:
            arm.update(clips)
        step += 1
        if step % arguments.report_every == 0:
            for arm in arms:
                print(json.dumps(arm.figures(clips, step)), flush=True)
    if step % arguments.report_every:
        for arm in arms:
            print(json.dumps(arm.figures(clips, step)), flush=True)


if __name__ == "__main__":
    main()
