"""How long should a place take to change where a prompt begins or ends? As short as no click is heard.

    python benchmarks/transition.py --out benchmarks/results/transition.json

Steady sounds (sine tones, pink noise, an accordion of the tests' material) are thrown by a timeline from hard left to
hard right, to the center, into time without a prompt, and back to hard left, with the default model and each length of
transition. The same sounds are also made to stay where the timeline has them. A moment of the throw is compared with
the same moment of those, so that nothing is asked of the sounds but to go on. "cut" is put together from them, sample
by sample: what a click measures.

*Click*: the ears' filters are gammatones of fourth order at the centers of third octaves, as wide as the ear's
(Glasberg and Moore, 1990), and their slopes stand for what a sound masks beside itself. Levels are means over a Hann
window of 15 ms. ``excess_db`` is by how much, at most, a level in either ear is above the higher one of staying
before and staying after, where it is within 60 dB of the whole ear at that moment; less is not heard beside it. The
smallest difference that is heard is about 1 dB in sounds that last, and twice that in some 15 ms (Florentine, 1986);
what is above 2 dB counts as a click.

A glide also passes places that are louder in an ear than both of its ends, as a head has them near 45 degrees. That
is movement and no click; ``passing_excess_db`` is the excess over all places on the way, in steps of 15 degrees.

*Smear*: ``smear_s`` is the time from where the level difference of the ears leaves the first 10 % of its change to
where it stays in the last 10 %. Of these, 7 or 8 ms are the window of the levels, as "cut" shows.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.ndimage import convolve1d

from tas_core.audio.reader import read_audio
from tas_core.audio.resampling import to_mono
from tas_core.conventions import LEFT_EAR, RIGHT_EAR, power_to_db
from tas_core.evaluation.results import describe_machine
from tas_core.inference.engine import LoadedModel, load_model
from tas_core.inference.settings import RenderSettings
from tas_core.inference.stream import render
from tas_core.models.pretrained import DEFAULT_MODEL
from tas_core.timeline.files import format_timeline
from tas_core.timeline.segments import Segment, Timeline

ROOT = Path(__file__).resolve().parents[1]
ACCORDION = ROOT / "tests" / "data" / "floor" / "stems" / "000170" / "1-accordion.flac"
RATE_HZ, DURATION_S, LEVEL = 48000, 5.0, 0.1
TONES_HZ = (200, 1000, 4000)
TRANSITIONS_S = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5)
BORDERS_S = (1.003, 2.010, 3.001, 4.006)
"""Not on the grid of the model's frames."""
PLACES_DEG: tuple[float | None, ...] = (90.0, -90.0, 0.0, None, 90.0)
"""Between the borders; None is time without a prompt, which is as the center."""
STEP_DEG = 15.0
WINDOW_MS, AROUND_S = 15, 0.1
RANGE_DB, HEARD_DB = 60.0, 2.0
THIRD_OCTAVES_HZ = 1000 * 2 ** (np.arange(-10, 13) / 3)


def sounds() -> dict[str, tuple[str, np.ndarray, int]]:
    """What each sound is called in the prompts, its samples (time), and their rate."""
    time_s = np.arange(round(DURATION_S * RATE_HZ)) / RATE_HZ
    found = {f"sine of {hz} Hz": ("a tone", LEVEL * np.sin(2 * np.pi * hz * time_s), RATE_HZ) for hz in TONES_HZ}
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(len(time_s)))
    freqs_hz = np.fft.rfftfreq(len(time_s), 1 / RATE_HZ)
    pink = np.fft.irfft(spectrum / np.sqrt(freqs_hz.clip(20)), len(time_s))
    found["pink noise"] = ("noise", LEVEL * pink / pink.std(), RATE_HZ)
    accordion = read_audio(ACCORDION)
    found["accordion"] = ("an accordion", to_mono(accordion.samples).astype(float), accordion.sample_rate_hz)
    return found


def place(azimuth_deg: float) -> str:
    """In words."""
    if not azimuth_deg:
        return "in the center"
    return f"{abs(azimuth_deg):g} degrees to the {'left' if azimuth_deg > 0 else 'right'}"


def thrown(name: str) -> Timeline:
    """The timeline of the throw."""
    edges = (0.0, *BORDERS_S, DURATION_S)
    return Timeline(
        tuple(
            Segment.from_prompt(start_s, end_s, f"{name} {place(azimuth_deg)}")
            for start_s, end_s, azimuth_deg in zip(edges[:-1], edges[1:], PLACES_DEG, strict=True)
            if azimuth_deg is not None
        )
    )


def levels(ears: np.ndarray, rate_hz: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean squares over the window, every millisecond: in each band (ear, band, ms), and of all (ear, ms)."""
    spectrum = np.fft.fft(ears)
    freqs_hz = np.fft.fftfreq(ears.shape[-1], 1 / rate_hz)
    window = np.hanning(WINDOW_MS + 2)

    def smooth(signal: np.ndarray) -> np.ndarray:
        means = np.square(np.abs(signal)).reshape(*signal.shape[:-1], -1, rate_hz // 1000).mean(axis=-1)
        return convolve1d(means, window / window.sum(), mode="nearest")

    bands_hz = THIRD_OCTAVES_HZ[THIRD_OCTAVES_HZ < 0.45 * rate_hz]
    width_hz = 1.019 * 24.7 * (1 + 4.37 * bands_hz / 1000)
    # Twice the real signal's filter: the complex one passes positive frequencies only.
    filters = [np.sqrt(2) * (1 + 1j * (freqs_hz - hz) / b) ** -4 for hz, b in zip(bands_hz, width_hz, strict=True)]
    return np.stack([smooth(np.fft.ifft(spectrum * h)) for h in filters], axis=1), smooth(ears)


def decibels(power: np.ndarray) -> np.ndarray:
    return power_to_db(power + 1e-15)


def most_above_db(found: tuple[np.ndarray, np.ndarray], stays: list[np.ndarray], part: slice) -> float:
    """By how much levels are above the highest of those of places (ear, band, ms), at most, where they are heard."""
    bands, total = (decibels(power[..., part]) for power in found)
    above = bands - decibels(np.max([stay[..., part] for stay in stays], axis=0))
    return float(above[bands > total[:, None] - RANGE_DB].max())


class Throws:
    """One sound, thrown and staying."""

    def __init__(self, model: LoadedModel, name: str, x: np.ndarray, rate_hz: int) -> None:
        self._model, self._name, self._x, self._rate_hz = model, name, x, rate_hz
        self._stays: dict[float, tuple[np.ndarray, np.ndarray]] = {}

    def ears(self, timeline: Timeline, transition_s: float = 0.0) -> np.ndarray:
        """What the model makes, (ear, time)."""
        settings = RenderSettings(transition_s=transition_s)
        return render(self._x, self._rate_hz, timeline, self._model, settings).ears

    def staying(self, azimuth_deg: float) -> np.ndarray:
        """The sound in one place, (ear, time)."""
        return self.ears(Timeline.from_prompt(f"{self._name} {place(azimuth_deg)}"))

    def stay(self, azimuth_deg: float) -> tuple[np.ndarray, np.ndarray]:
        """Levels of the sound in one place."""
        if azimuth_deg not in self._stays:
            self._stays[azimuth_deg] = levels(self.staying(azimuth_deg), self._rate_hz)
        return self._stays[azimuth_deg]

    def cut(self) -> np.ndarray:
        """Ears (ear, time) that change from one sample to the next."""
        edges = [0, *(round(border_s * self._rate_hz) for border_s in BORDERS_S), len(self._x)]
        spans = zip(PLACES_DEG, edges[:-1], edges[1:], strict=True)
        return np.concatenate([self.staying(deg or 0.0)[:, a:b] for deg, a, b in spans], axis=1)

    def measured(self, ears: np.ndarray, transition_s: float) -> list[dict[str, float]]:
        """Each border of a throw (ear, time)."""
        found = levels(ears, self._rate_hz)
        rows = []
        for border_s, before, after in zip(BORDERS_S, PLACES_DEG[:-1], PLACES_DEG[1:], strict=True):
            ends = before or 0.0, after or 0.0
            around_s = transition_s / 2 + AROUND_S
            part = slice(round(1000 * (border_s - around_s)), round(1000 * (border_s + around_s)))
            steps = round(abs(ends[1] - ends[0]) / STEP_DEG) + 1
            passed = [self.stay(float(deg))[0] for deg in np.linspace(*ends, steps)]
            row = {"border_s": border_s, "excess_db": most_above_db(found, [passed[0], passed[-1]], part)}
            if transition_s:
                row["passing_excess_db"] = most_above_db(found, passed, part)
            if ends[0] != ends[1]:
                row["smear_s"] = self._smear_s(found[1], ends, part)
            rows.append(row)
        return rows

    def _smear_s(self, total: np.ndarray, ends: tuple[float, float], part: slice) -> float:
        difference = lambda power: np.subtract(*decibels(power[[LEFT_EAR, RIGHT_EAR], part]))  # noqa: E731
        first, last = (difference(self.stay(deg)[1]) for deg in ends)
        done = (difference(total) - first) / (last - first)
        return float(np.flatnonzero(done < 0.9)[-1] + 1 - np.flatnonzero(done > 0.1)[0]) / 1000


def summary(rows: list[dict[str, float]]) -> dict[str, Any]:
    """Of one length, over all sounds and borders."""
    of = lambda key: [row[key] for row in rows if key in row]  # noqa: E731
    found: dict[str, Any] = {key: max(of(key)) for key in ("excess_db", "passing_excess_db") if of(key)}
    return found | {"smear_s": [min(of("smear_s")), max(of("smear_s"))]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # a sine is not much of a tone to the model, and takes the mask all the same
    model = load_model(DEFAULT_MODEL, "cpu")
    lengths: dict[str, float | None] = {"cut": None} | {f"{s:g} s": s for s in TRANSITIONS_S}
    rows: dict[str, dict[str, list[dict[str, float]]]] = {length: {} for length in lengths}
    for sound, (name, x, rate_hz) in sounds().items():
        throws = Throws(model, name, x, rate_hz)
        for length, transition_s in lengths.items():
            ears = throws.cut() if transition_s is None else throws.ears(thrown(name), transition_s)
            rows[length][sound] = throws.measured(ears, transition_s or 0.0)
    totals = {length: summary([row for each in found.values() for row in each]) for length, found in rows.items()}
    without = [s for length, s in lengths.items() if s is not None and totals[length]["excess_db"] <= HEARD_DB]
    report: dict[str, Any] = {
        "machine": describe_machine("cpu", torch.get_num_threads(), 1),
        "model": DEFAULT_MODEL,
        "model_digest": model.digest,
        "timeline": format_timeline(thrown("sound"), "timeline.yaml"),
        "shortest_without_click_s": min(without, default=None),
        "lengths": {length: totals[length] | {"sounds": rows[length]} for length in lengths},
    }
    # Decibels and seconds to three digits are more than the measures are worth.
    text = json.dumps(json.loads(json.dumps(report), parse_float=lambda digits: round(float(digits), 3)), indent=1)
    for length, found in totals.items():
        shortest, longest = found["smear_s"]
        passing = f", passing {found['passing_excess_db']:4.1f} dB" if "passing_excess_db" in found else ""
        print(f"{length:>6}  excess {found['excess_db']:4.1f} dB{passing}, smear {shortest:.3f} to {longest:.3f} s")
    print(f"shortest without a click: {report['shortest_without_click_s']} s")
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
