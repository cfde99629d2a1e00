"""Where the ears say that sounds are, beside where the words of `examples/scenes/around.yaml` ask them to be.

    python benchmarks/around.py --out benchmarks/results/around.json

The whole program renders the mix of `examples/duet.flac`. What is from each stem to each ear is found by least squares
over frames, H(f) = S_yx S_xx^-1, so that sounds that play at once are told apart. An ideal observer compares its levels
in third octaves and the time difference of the ears with what KEMAR's 710 directions have, and names the nearest.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import tas_core
from tas_core.acoustics.hrtf import direction_vectors, load_kemar
from tas_core.acoustics.sphere.head import sphere_head
from tas_core.audio.reader import read_audio
from tas_core.jobs.request import FileOptions
from tas_core.timeline.files import load_timeline
from tas_core.timeline.segments import Timeline, Track

EXAMPLES = Path(__file__).parents[1] / "examples"
SIZE, HOP = 2048, 256
BANDS_HZ = 250 * 2 ** (np.arange(16) / 3)
WINDOW_S = 0.3
LEAD_PER_DB_S = 20e-6
WEAKEST_DB = 35.0


def frames(signals: np.ndarray) -> np.ndarray:
    """Spectra (frame, signal, freq) of signals (signal, time)."""
    pieces = np.lib.stride_tricks.sliding_window_view(signals, SIZE, axis=1)[:, ::HOP]
    return np.fft.rfft(pieces * np.hanning(SIZE), axis=-1).transpose(1, 0, 2)


def paths_to_ears(stems: np.ndarray, ears: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Responses (stem, ear, freq) from stems (stem, time) to ears (ear, time), and the stems' powers (stem, freq)."""
    x, y = frames(stems), frames(ears)
    among = np.einsum("tif,tjf->fij", x, x.conj()) / len(x)
    across = np.einsum("tef,tjf->fej", y, x.conj()) / len(x)
    power = np.einsum("fii->fi", among).real
    little = 1e-6 * power.sum(axis=1).max() * np.eye(len(stems))
    found = np.linalg.solve((among + little).transpose(0, 2, 1), across.transpose(0, 2, 1))  # H S_xx = S_yx
    return found.transpose(1, 2, 0), power.T


class Observer:
    """Names the measured direction that sounds most like what is heard; one for a rate."""

    def __init__(self, rate_hz: int) -> None:
        kemar = load_kemar()
        above = kemar.elevation_deg > -41
        self.azimuth_deg, self.elevation_deg = kemar.azimuth_deg[above], kemar.elevation_deg[above]
        self.freqs_hz = np.fft.rfftfreq(SIZE, 1 / rate_hz)
        self.rate_hz = rate_hz
        responses = sphere_head(kemar, rate_hz).response(self.azimuth_deg, self.elevation_deg)
        self._known = np.fft.rfft(responses, SIZE)
        self._bands = [(self.freqs_hz >= f / 2 ** (1 / 6)) & (self.freqs_hz < f * 2 ** (1 / 6)) for f in BANDS_HZ]

    def levels_db(self, response: np.ndarray, power: np.ndarray) -> np.ndarray:
        """Levels (..., ear, band), weighted with the power (freq) of what was heard through them."""
        energy = np.abs(response) ** 2 * power
        return np.stack([10 * np.log10(energy[..., b].sum(axis=-1) / power[b].sum() + 1e-20) for b in self._bands], -1)

    def lead_s(self, response: np.ndarray, power: np.ndarray) -> np.ndarray:
        """By how much the left ear leads (...), of responses (..., ear, freq)."""
        use = power * ((self.freqs_hz > 300) & (self.freqs_hz < 1500))
        likeness = np.fft.irfft(response[..., 1, :] * response[..., 0, :].conj() * use, 32 * SIZE)
        shift = np.arange(32 * SIZE)
        shift = np.where(shift > 16 * SIZE, shift - 32 * SIZE, shift) / (32 * self.rate_hz)
        return shift[np.where(np.abs(shift) < 1e-3, likeness, -np.inf).argmax(axis=-1)]

    def __call__(self, response: np.ndarray, power: np.ndarray) -> dict[str, float]:
        """Azimuth and elevation, degrees, and distance by level alone, metres, of a response (ear, freq)."""
        band_power = np.array([power[b].sum() for b in self._bands])
        heard = band_power > band_power.max() * 10 ** (-WEAKEST_DB / 10)
        known_db = self.levels_db(self._known, power)[..., heard]
        found_db = self.levels_db(response, power)[..., heard]
        off_db = found_db - known_db
        louder_db = off_db.mean(axis=(1, 2))
        lead = (self.lead_s(response, power) - self.lead_s(self._known, power)) / LEAD_PER_DB_S
        error = np.square(off_db - louder_db[:, None, None]).sum(axis=(1, 2)) + np.square(lead)
        best = int(error.argmin())
        return {
            "azimuth_deg": float(self.azimuth_deg[best]),
            "elevation_deg": float(self.elevation_deg[best]),
            "distance_m": float(1.4 * 10 ** (-louder_db[best] / 20)),
        }


def moments(timeline: Timeline, duration_s: float) -> list[tuple[str, str, float, float, bool]]:
    """What is measured: text, object, from, to, and whether it moves."""
    found = []
    for segment in timeline.resolved(duration_s).segments:
        assert segment.end_s is not None
        for clause in segment.clauses:
            moving = clause.path.is_moving
            edges = np.arange(segment.start_s + 0.05, segment.end_s - WINDOW_S + 1e-9, WINDOW_S)
            spans = [(a, a + WINDOW_S) for a in edges] if moving else [(segment.start_s + 0.1, segment.end_s)]
            found += [(segment.text, clause.object, float(a), float(b), moving) for a, b in spans]
    return found


def asked(track: Track, power: np.ndarray) -> dict[str, float]:
    """Azimuth, elevation, distance and spread of a track (time): where it is while it sounds, by its power (time)."""
    weights = power / power.sum()
    x, y, z = weights @ direction_vectors(track.azimuth_deg, track.elevation_deg)
    return {
        "azimuth_deg": float(np.degrees(np.arctan2(y, x))),
        "elevation_deg": float(np.degrees(np.arctan2(z, np.hypot(x, y)))),
        "distance_m": float(weights @ track.distance_m),
        "spread": float(weights @ track.spread),
    }


def measure(folder: Path) -> dict[str, Any]:
    """Render the example, and find where its sounds are."""
    timeline = load_timeline(EXAMPLES / "scenes" / "around.yaml")
    began = time.process_time()
    options = FileOptions(subtype="FLOAT")
    result = tas_core.spatialize_file(
        EXAMPLES / "duet.flac",
        folder / "ears.wav",
        timeline=EXAMPLES / "scenes" / "around.yaml",
        stems=folder,
        options=options,
    )
    taken_s = time.process_time() - began
    made = read_audio(folder / "ears.wav")
    ears, rate_hz = made.samples, made.sample_rate_hz
    stems = np.concatenate([read_audio(Path(stem.path)).samples for stem in result.stems])
    names = [stem.object for stem in result.stems]
    duration_s = ears.shape[1] / rate_hz
    observer, rows = Observer(rate_hz), []
    for text, name, start_s, end_s, moving in moments(timeline, duration_s):
        part = slice(round(start_s * rate_hz), round(end_s * rate_hz))
        responses, power = paths_to_ears(stems[:, part], ears[:, part])
        number = names.index(name)
        own = np.lib.stride_tricks.sliding_window_view(stems[number, part], SIZE)[::HOP]
        times_s = start_s + (np.arange(len(own)) * HOP + SIZE / 2) / rate_hz
        tracks = timeline.tracks(times_s, duration_s)
        want = asked(next(track for track in tracks if track.object == name), np.square(own).mean(axis=1) + 1e-12)
        heard = observer(responses[number], power[number])
        a, b = (direction_vectors(np.array(at["azimuth_deg"]), np.array(at["elevation_deg"])) for at in (want, heard))
        off_deg = float(np.degrees(np.arccos(np.clip(a @ b, -1, 1)))) if want["spread"] < 1 else None
        level_dbfs = 10 * np.log10(np.square(stems[number, part]).mean() + 1e-20)
        rows.append(
            {
                "text": text, "object": name, "from_s": round(start_s, 2), "to_s": round(end_s, 2), "moving": moving,
                "asked": want, "heard": heard, "off_deg": off_deg, "level_dbfs": round(float(level_dbfs), 1),
            }
        )  # fmt: skip
    errors = [row["off_deg"] for row in rows if row["off_deg"] is not None]
    return {
        "renderer": result.renderer,
        "median_off_deg": float(np.median(errors)),
        "worst_off_deg": float(np.max(errors)),
        "cpu_s": round(taken_s, 2),
        "rows": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder))
    for row in found["rows"]:
        want, heard = row["asked"], row["heard"]
        print(
            f"{row['from_s']:5.2f}-{row['to_s']:5.2f} {row['object']:8} asked {want['azimuth_deg']:7.1f}"
            f" {want['elevation_deg']:5.1f} {want['distance_m']:5.2f} m {want['spread']:.1f}  heard"
            f" {heard['azimuth_deg']:7.1f} {heard['elevation_deg']:5.1f} {heard['distance_m']:5.2f} m"
            f"  off {row['off_deg'] if row['off_deg'] is None else round(row['off_deg'], 1)}  {row['level_dbfs']} dBFS"
        )
    print(f"median {found['median_off_deg']:.1f}, worst {found['worst_off_deg']:.1f} degrees")
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
