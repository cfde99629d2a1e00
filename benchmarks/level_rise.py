"""How much louder an ear gets than the mono input, and where that comes from.

    python benchmarks/level_rise.py

Peaks and levels (RMS) of the louder ear over those of the input, in dB: of what ``slots`` makes, of the same without
what the band above 8 kHz adds, and of the plain head filter with the whole sound at the mean of the requested places.
The sounds: those of ``examples/`` under their timelines, the duet turned up by 20 dB and clipped, and synthesised ones.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import tas_core
from tas_core.audio import peak, read_audio
from tas_core.audio.resampling import resample, to_mono
from tas_core.conventions import LEFT_EAR, RIGHT_EAR, amplitude_to_db, to_ears
from tas_core.inference.baselines import through_head
from tas_core.timeline.segments import Timeline

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
RATE_HZ = 44_100
MODEL_RATE_HZ = 16_000


def cases() -> Iterator[tuple[str, np.ndarray, int, Timeline]]:
    """Name, samples (time), rate and timeline of each sound."""
    sounds = {}
    for name in ("voice.wav", "crow.flac", "tabla.flac", "duet.flac"):
        found = read_audio(EXAMPLES / name)
        sounds[name] = to_mono(found.samples), found.sample_rate_hz
        yield name, *sounds[name], tas_core.load_timeline((EXAMPLES / name).with_suffix(".yaml"))
    duet, rate_hz = sounds["duet.flac"]
    for azimuth_deg in (10, 15, 30, 45, 60, 90):
        prompt = Timeline.from_prompt(f"music {azimuth_deg} degrees to the left")
        yield f"duet.flac, clipped, at {azimuth_deg}", np.clip(10 * duet, -0.99, 0.99), rate_hz, prompt
    time_s = np.arange(5 * RATE_HZ) / RATE_HZ
    noise = 0.1 * np.random.default_rng(0).standard_normal(len(time_s))
    yield "white noise at 45", noise, RATE_HZ, Timeline.from_prompt("noise on the left")
    for hz, place in ((110, "45 degrees"), (750, "75 degrees")):
        square = 0.9 * np.sign(np.sin(2 * np.pi * hz * time_s))
        yield f"square wave of {hz} Hz at {place[:2]}", square, RATE_HZ, Timeline.from_prompt(f"a buzz {place} left")


def rise_db(ears: np.ndarray, x: np.ndarray) -> tuple[float, float]:
    """Peak and level of the louder ear over those of the input, dB."""
    level = lambda signal: float(np.sqrt(np.square(signal).mean(axis=-1)).max())  # noqa: E731
    return amplitude_to_db(peak(ears) / peak(x)), amplitude_to_db(level(ears) / level(x))


def main() -> None:
    """Print the table."""
    model = tas_core.load_model("slots", "cpu")
    print(f"{'':32}  slots       below 8 kHz  head filter   (peak, level; dB)")
    for name, x, rate_hz, timeline in cases():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that there is no music in the noise
            ears = tas_core.spatialize(x, rate_hz, timeline, model=model).ears
        side = ears[LEFT_EAR] - ears[RIGHT_EAR]
        low = resample(resample(side, rate_hz, MODEL_RATE_HZ), MODEL_RATE_HZ, rate_hz, len(x))
        found = (ears, to_ears(x, low), through_head(x, rate_hz, timeline))
        print(
            f"{name:32}" + "".join(f"{p:6.1f} {r:5.1f} " for p, r in (rise_db(each, x) for each in found)), flush=True
        )


if __name__ == "__main__":
    main()
