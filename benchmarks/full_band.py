"""Is the image above the model's band as wide as below? Ears made with ideal masks beside the truth, band by band.

    tas data simulate --out full --clips 200 --rate 48000 --split val
    python benchmarks/full_band.py full --out benchmarks/results/full_band.json

The default model goes through its whole path with the network replaced by the truth: masks from the true stems at
16 kHz, their true azimuths, and the directness that fits the true side signal best (least squares over 9 bins and 15
frames). So what is measured is the rule for the band above 8 kHz and not the model. A second row goes without
objects, as models of whole prompts do: the true side signal below 8 kHz, and above it what follows from that alone.
The third is the simplest rule, one panning value for the whole band above, from the level difference between 4.8 and
7.6 kHz.

Per third octave and 0.1 s: the level difference L between the ears in dB, where the band is within 40 dB of its
loudest. ``mean_db`` is the mean of |L|, ``width`` that over the truth's, ``slope`` the slope of L against the truth's
(1 is as wide as the truth), ``error_db`` the mean of |L - truth|. "below" and "above" are all windows of the bands
on either side of 8 kHz.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d, avg_pool2d

from tas_core.acoustics.stft import stft
from tas_core.audio.reader import read_audio
from tas_core.audio.resampling import resample
from tas_core.conventions import LEFT_EAR, RIGHT_EAR, db_to_power, power_to_db
from tas_core.datasets.tasbench.layout import TasBench
from tas_core.datasets.tasbench.scenes import Scene
from tas_core.inference.bandwidth_extension import ModelBand, extend_bandwidth
from tas_core.inference.engine import LoadedModel
from tas_core.inference.stream import render
from tas_core.models.slots.config import SlotsConfig
from tas_core.models.slots.model import SlotsModel
from tas_core.models.slots.network import Separation
from tas_core.timeline.places import AzimuthPath
from tas_core.timeline.prompts import Clause, format_prompt
from tas_core.timeline.segments import Segment, Timeline

RATE_HZ, MODEL_HZ = 48000, 16000
BELOW_HZ, ABOVE_HZ = (4000, 5000, 6300), (10000, 12500, 16000)
FFT, HOP, FRAMES = 1024, 480, 10
RANGE_DB, FLOOR_DBFS = 40.0, -90.0
ROWS = ("objects", "side signal alone", "one value")


class Ideal(SlotsModel):
    """The default model's path from masks to ears, with masks and directness from the truth."""

    def __init__(self, stems: np.ndarray, side: np.ndarray, azimuth_deg: np.ndarray) -> None:
        super().__init__(SlotsConfig(balance=0.0))  # for masks that are true need no correction
        c = self.config
        power = stft(torch.from_numpy(stems), c.n_fft, c.hop).abs().square().transpose(-1, -2)
        masks = power / power.sum(dim=0).clamp_min(1e-12)
        # Nothing is left for the rest, but silence has to be somebody's.
        self.masks = torch.cat([masks, (1 - masks.sum(dim=0, keepdim=True)).clamp_min(0)])[None].float()
        self.true_side = stft(torch.from_numpy(side), c.n_fft, c.hop)[None]
        self.azimuth = torch.from_numpy(azimuth_deg)[None].float()

    def separate(
        self, spectrum: Tensor, clause_features: Tensor, active: Tensor, within: slice | None = None
    ) -> Separation:
        """The truth, whatever is asked."""
        del clause_features
        nothing = torch.zeros(1, self.masks.shape[1] - 1, -(-spectrum.shape[-1] // self.config.patch))
        whole = Separation(self.masks, active, torch.ones_like(self.masks[:, 0]), nothing[..., None], nothing)
        direct = self.directional(spectrum, whole, self.azimuth)
        pooled = lambda x: avg_pool2d(x[:, None], (9, 15), 1, (4, 7), count_include_pad=False)[:, 0]  # noqa: E731
        fit = pooled((direct.conj() * self.true_side).real.float()) / pooled(direct.abs().square()).clamp_min(1e-12)
        directness = fit.clamp(0, 1).transpose(1, 2)
        kept = within or slice(None)
        if len(range(spectrum.shape[-1])[kept]) < spectrum.shape[-1]:
            raise ValueError("the truth is known for whole clips of one block only")
        return Separation(self.masks, active, directness, nothing[..., None], nothing)


class NoText:
    """A text encoder for a model that does not read."""

    name, width = "none", 1

    def to(self, device: Any) -> Self:
        del device
        return self

    def __call__(self, texts: Any) -> Tensor:
        return torch.zeros(len(texts), 1)


def true_timeline(scene: Scene) -> Timeline:
    """The scene's objects where they are, all the time; paths of several lines become as many segments."""
    ends = sorted({t for item in scene.objects for t, _ in item.path})
    segments = []
    for start_s, end_s in zip(ends[:-1], ends[1:], strict=True):
        clauses = tuple(
            Clause(item.phrase, AzimuthPath(*(float(a) for a in item.azimuth_deg(np.array([start_s, end_s])))))
            for item in scene.objects
        )
        segments.append(Segment(start_s, end_s, format_prompt(clauses), clauses))
    return Timeline(tuple(segments))


def one_value(x: np.ndarray, low: np.ndarray, side_low: np.ndarray) -> np.ndarray:
    """Side signal (time) by the simplest rule."""
    ears = torch.from_numpy(np.stack([low + side_low / 2, low - side_low / 2]))
    power = stft(ears, 512, 256).abs().square()[:, round(0.6 * 256) : round(0.95 * 256)].sum(dim=1)
    level = avg_pool1d(power[:, None], 7, 1, 3, count_include_pad=False)[:, 0].clamp_min(0).sqrt().numpy()
    pan = (level[LEFT_EAR] - level[RIGHT_EAR]) / (level.sum(axis=0) + 1e-12)
    high = x - resample(low, MODEL_HZ, RATE_HZ, len(x))
    times = np.arange(len(pan)) * 256 * RATE_HZ / MODEL_HZ
    return resample(side_low, MODEL_HZ, RATE_HZ, len(x)) + 2 * high * np.interp(np.arange(len(x)), times, pan)


def band_energies(ears: np.ndarray) -> np.ndarray:
    """Energies (ear, band, window of 0.1 s) of the third octaves."""
    power = stft(torch.from_numpy(ears), FFT, HOP).abs().square().numpy()
    freqs_hz = np.arange(FFT // 2 + 1) * RATE_HZ / FFT
    whole = power.shape[-1] // FRAMES * FRAMES
    inside = [(freqs_hz >= c / 2 ** (1 / 6)) & (freqs_hz < c * 2 ** (1 / 6)) for c in BELOW_HZ + ABOVE_HZ]
    return np.stack([power[:, i, :whole].sum(axis=1).reshape(2, -1, FRAMES).sum(axis=-1) for i in inside], axis=1)


def level_difference_db(energies: np.ndarray) -> np.ndarray:
    """(band, window), positive left."""
    return power_to_db((energies[LEFT_EAR] + 1e-12) / (energies[RIGHT_EAR] + 1e-12))


def ears_of(data: TasBench, clip: str) -> dict[str, np.ndarray]:
    """Ears (ear, time) of the truth and of each row."""
    scene = Scene.from_json(data.scene(clip), clip)
    truth = read_audio(data.audio_path(clip)).samples.astype(float)
    paths = [data.stem_folder(clip) / item.file for item in scene.objects]
    stems = np.stack([read_audio(path).samples.astype(float).sum(axis=0) for path in paths])
    x = truth.mean(axis=0)
    low, side_low = (resample(s, RATE_HZ, MODEL_HZ) for s in (x, truth[LEFT_EAR] - truth[RIGHT_EAR]))
    stems_low = resample(stems, RATE_HZ, MODEL_HZ)
    times_s = np.arange(1 + len(low) // 256) * 256 / MODEL_HZ
    azimuth_deg = np.stack([item.azimuth_deg(times_s) for item in scene.objects])
    model = Ideal(stems_low, side_low, azimuth_deg).eval()
    found = {"truth": truth, "objects": render(x, RATE_HZ, true_timeline(scene), LoadedModel.of(model, NoText())).ears}
    for name, side in (
        ("side signal alone", extend_bandwidth(x, RATE_HZ, ModelBand(low, side_low, MODEL_HZ)).side),
        ("one value", one_value(x, low, side_low)),
    ):
        found[name] = np.stack([x + side / 2, x - side / 2])
    return found


def measure(data: TasBench) -> dict[str, Any]:
    """Every row in every band, over all clips."""
    pairs: dict[str, list[list[tuple[np.ndarray, np.ndarray]]]] = {
        name: [[] for _ in BELOW_HZ + ABOVE_HZ] for name in ROWS
    }
    clips = [clip for clip in data.clips() if data.scene_path(clip).is_file()]
    floor = FRAMES * db_to_power(FLOOR_DBFS) * 3 / 16 * FFT**2
    for clip in clips:
        ears = ears_of(data, clip)
        energies = band_energies(ears["truth"])
        total = energies.sum(axis=0)
        heard = (total > db_to_power(-RANGE_DB) * total.max(axis=1, keepdims=True)) & (total > floor)
        truth = level_difference_db(energies)
        for name in ROWS:
            ours = level_difference_db(band_energies(ears[name]))
            for band, kept in enumerate(heard):
                pairs[name][band].append((truth[band, kept], ours[band, kept]))
    groups = {"below": range(len(BELOW_HZ)), "above": range(len(BELOW_HZ), len(BELOW_HZ + ABOVE_HZ))}
    bands = {str(hz): range(i, i + 1) for i, hz in enumerate(BELOW_HZ + ABOVE_HZ)}
    report: dict[str, Any] = {"clips": len(clips), "rows": {}}
    for name in ROWS:
        report["rows"][name] = {
            band: compared(*(np.concatenate(p) for p in zip(*(q for i in parts for q in pairs[name][i]), strict=True)))
            for band, parts in (bands | groups).items()
        }
    return report


def compared(truth: np.ndarray, ours: np.ndarray) -> dict[str, float]:
    """Level differences (window) beside the truth's, as the module says."""
    return {
        "windows": len(truth),
        "truth_mean_db": float(np.abs(truth).mean()),
        "mean_db": float(np.abs(ours).mean()),
        "width": float(np.abs(ours).mean() / np.abs(truth).mean()),
        "slope": float((truth * ours).sum() / np.square(truth).sum()),
        "error_db": float(np.abs(ours - truth).mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="simulated clips at 48 kHz, with stems")
    parser.add_argument("--out", type=Path, help="write JSON here")
    options = parser.parse_args()
    report = measure(TasBench(options.data))
    for name, bands in report["rows"].items():
        print(name)
        for band, row in bands.items():
            print(f"  {band:>6}  " + "  ".join(f"{key} {value:.2f}" for key, value in row.items()))
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
