"""Where the ears say that sounds are, beside where the words of `examples/scenes/around.yaml` ask them to be.

    python benchmarks/around.py --out benchmarks/results/around.json

The whole program renders the mix of `examples/duet.flac`. The ideal observer of `tas eval data`
(`tas_core/evaluation/metrics/sphere.py`) hears each stem in it, and names the nearest of KEMAR's 710 directions.
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
from tas_core.audio.reader import read_audio
from tas_core.conventions import REFERENCE_M, db_to_amplitude
from tas_core.evaluation.metrics.sphere import frame_samples, great_circle_deg, heard_sounds, sphere_observer
from tas_core.jobs.request import FileOptions
from tas_core.timeline.files import load_timeline
from tas_core.timeline.segments import Timeline, Track

EXAMPLES = Path(__file__).parents[1] / "examples"
WINDOW_S = 0.3


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
    observer, rows = sphere_observer(load_kemar(), rate_hz), []
    size = frame_samples(rate_hz)
    for text, name, start_s, end_s, moving in moments(timeline, duration_s):
        part = slice(round(start_s * rate_hz), round(end_s * rate_hz))
        number = names.index(name)
        (sound,) = heard_sounds(observer, ears[:, part], stems[:, part], rate_hz, [(number, 0.0, end_s - start_s)])
        own = np.lib.stride_tricks.sliding_window_view(stems[number, part], size)[:: size // 8]
        times_s = start_s + (np.arange(len(own)) * (size // 8) + size / 2) / rate_hz
        tracks = timeline.tracks(times_s, duration_s)
        want = asked(next(track for track in tracks if track.object == name), np.square(own).mean(axis=1) + 1e-12)
        heard = off_deg = None
        if sound is not None:
            heard = {
                "azimuth_deg": sound.azimuth_deg,
                "elevation_deg": sound.elevation_deg,
                "distance_m": REFERENCE_M / db_to_amplitude(sound.louder_db),
            }
            direction = direction_vectors(np.array(want["azimuth_deg"]), np.array(want["elevation_deg"]))
            off_deg = great_circle_deg(direction, sound.direction) if want["spread"] < 1 else None
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
        want, heard = row["asked"], row["heard"] or dict.fromkeys(row["asked"], np.nan)
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
