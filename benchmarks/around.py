"""Where the ears say that sounds are, beside where the words of `examples/scenes/around.yaml` ask them to be.

    python benchmarks/around.py --out benchmarks/results/around.json --figure docs/figures/around.png

The whole program renders the six sounds. The ideal observer of `tas eval data`
(`tas_core/evaluation/metrics/sphere.py`) hears each of them, and names the nearest of KEMAR's 710 directions; the
distance is by level. In a room, as for listeners, the first wave counts (precedence): 2.5 ms of the response from its
onset on. There the distance is also by the direct-to-reverberant ratio, from the room's critical distance,
0.057 sqrt(V / RT60).

`--estimated` renders a mix instead, `examples/duet.flac`, whose stems the shipped model estimates, and measures the
same of these. `--mixed` does so with the six sounds mixed to mono, under the same words.
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
import soundfile
import yaml

import tas_core
from tas_core.acoustics.hrtf import direction_vectors, load_kemar
from tas_core.audio.reader import read_audio
from tas_core.conventions import REFERENCE_M
from tas_core.evaluation.metrics.sphere import SphereObserver, frame_samples, frames, great_circle_deg, paths_to_ears
from tas_core.jobs.request import FileOptions
from tas_core.timeline.files import load_timeline
from tas_core.timeline.segments import Timeline, Track

EXAMPLES = Path(__file__).parents[1] / "examples"
FIRST_WAVE_S, ONSET_SHARE = 0.0025, 0.1
WINDOW_S = 0.3


def first_wave(response: np.ndarray, power: np.ndarray, rate_hz: int) -> np.ndarray:
    """What comes first of a response (ear, freq), as a response.

    Args:
        response: from a sound to the ears.
        power: of the sound (freq); where it has none, nothing is known.
        rate_hz: of both.
    """
    heard = np.fft.irfft(response * power / (power + 1e-4 * power.max()), axis=-1)
    size = heard.shape[-1]
    heard = np.roll(heard, size // 8, axis=-1)  # the filters of the head may ring a little ahead
    energy = np.convolve(np.square(heard).sum(axis=0), np.ones(8), mode="same")
    onset = max(0, int(np.argmax(energy[: size // 2] > ONSET_SHARE * energy.max())) - 12)
    length = round(FIRST_WAVE_S * rate_hz)
    first = np.zeros_like(heard)
    first[:, onset : onset + length] = heard[:, onset : onset + length]
    return np.fft.rfft(first, axis=-1)


def reverberance(response: np.ndarray, power: np.ndarray, ears: np.ndarray) -> float:
    """Energy of what a response (ear, freq) lets through of a sound over all else in spectra of the ears, dB."""
    whole = np.square(np.abs(ears)).sum(axis=1).mean(axis=0).sum()
    direct = (np.square(np.abs(response)) * power).sum()
    return float(10 * np.log10(direct / (whole - direct)))


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


def measure(folder: Path, scene: Path, source: Path | None) -> dict[str, Any]:
    """Render a scene, of a mix or of the sounds that it names, and find where its sounds are."""
    timeline = load_timeline(scene)
    began = time.process_time()
    options = FileOptions(subtype="FLOAT")
    result = tas_core.spatialize_file(source, folder / "ears.wav", timeline=scene, stems=folder, options=options)
    taken_s = time.process_time() - began
    made = read_audio(folder / "ears.wav")
    ears, rate_hz = made.samples, made.sample_rate_hz
    every = np.concatenate([read_audio(Path(stem.path)).samples for stem in result.stems])
    names = [stem.object for stem in result.stems]
    duration_s = ears.shape[1] / rate_hz
    segments = timeline.resolved(duration_s).segments
    observer = SphereObserver(load_kemar(), rate_hz, as_rendered=True)
    rows, size = [], frame_samples(rate_hz)
    for text, name, start_s, end_s, moving in moments(timeline, duration_s):
        part = slice(round(start_s * rate_hz), round(end_s * rate_hz))
        # What does not sound says nothing; what was heard of it in a room before would be taken for something else.
        sounding = [n for n, stem in enumerate(every) if np.square(stem[part]).mean() > 1e-9]
        number = names.index(name)
        if number not in sounding:
            continue
        stems, own = every[sounding], sounding.index(number)
        pieces = np.lib.stride_tricks.sliding_window_view(every[number, part], size)[:: size // 8]
        times_s = start_s + (np.arange(len(pieces)) * (size // 8) + size / 2) / rate_hz
        tracks = timeline.tracks(times_s, duration_s)
        want = asked(next(track for track in tracks if track.object == name), np.square(pieces).mean(axis=1) + 1e-12)
        x, y = frames(stems[:, part], rate_hz), frames(ears[:, part], rate_hz)
        responses, power = paths_to_ears(x, y)
        room = next(segment.room for segment in segments if segment.start_s <= start_s < (segment.end_s or 1e9))
        inside = room is not None and room.size_m is not None
        response = first_wave(responses[own], power[own], rate_hz) if inside else responses[own]
        sound = observer(response, power[own])
        heard = {
            "azimuth_deg": sound.azimuth_deg,
            "elevation_deg": sound.elevation_deg,
            "distance_m": REFERENCE_M * 10 ** (-sound.louder_db / 20),
        }
        if room is not None and room.size_m is not None and len(sounding) == 1:
            ratio_db = reverberance(response, power[own], y)
            critical_m = 0.057 * np.sqrt(np.prod(room.size_m) / (room.rt60_s or 1.0))
            heard["direct_to_reverberant_db"] = round(ratio_db, 1)
            heard["distance_by_reverberation_m"] = round(float(critical_m * 10 ** (-ratio_db / 20)), 2)
        there = direction_vectors(np.array(want["azimuth_deg"]), np.array(want["elevation_deg"]))
        off_deg = great_circle_deg(there, sound.direction) if want["spread"] < 0.5 else None
        level_dbfs = 10 * np.log10(np.square(every[number, part]).mean() + 1e-20)
        rows.append(
            {
                "text": text, "object": name, "from_s": round(start_s, 2), "to_s": round(end_s, 2), "moving": moving,
                "asked": want, "heard": heard, "off_deg": off_deg, "level_dbfs": round(float(level_dbfs), 1),
            }
        )  # fmt: skip
    errors = [row["off_deg"] for row in rows if row["off_deg"] is not None]
    behind = [
        row
        for row in rows
        if row["off_deg"] is not None and abs(np.cos(np.radians(row["asked"]["azimuth_deg"]))) > 0.34
    ]
    confused = [
        np.cos(np.radians(row["asked"]["azimuth_deg"])) * np.cos(np.radians(row["heard"]["azimuth_deg"])) < 0
        for row in behind
    ]
    return {
        "renderer": result.renderer,
        "median_off_deg": round(float(np.median(errors)), 1),
        "worst_off_deg": round(float(np.max(errors)), 1),
        "front_back_confused": f"{sum(confused)} of {len(confused)}",
        "cpu_s": round(taken_s, 2),
        "rows": rows,
    }


def mixed(scene: Path, folder: Path) -> tuple[Path, Path]:
    """The sounds that a scene names mixed to one of one channel, and the scene without them, in a folder."""
    words = yaml.safe_load(scene.read_text("utf-8"))
    sounds = [read_audio(scene.parent / file) for file in words.pop("sources").values()]
    mix = np.sum([sound.samples.mean(axis=0) for sound in sounds], axis=0)
    soundfile.write(folder / "mix.wav", mix, sounds[0].sample_rate_hz, subtype="FLOAT")
    (folder / "scene.yaml").write_text(yaml.safe_dump(words), "utf-8")
    return folder / "scene.yaml", folder / "mix.wav"


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Asked and heard places seen from above, the listener in the middle: what is overhead is there, too."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(dict.fromkeys(row["object"] for row in rows if row["off_deg"] is not None))
    colours = dict(zip(names, ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9"), strict=False))
    figure, axes = pyplot.subplots(figsize=(7.4, 5.2), layout="constrained", facecolor="white")
    for radius, deg in ((1.0, "0"), (np.cos(np.radians(30)), "30"), (np.cos(np.radians(60)), "60 degrees up")):
        axes.add_patch(pyplot.Circle((0, 0), radius, fill=False, color="0.85", lw=1.2))
        axes.annotate(deg, (0.38 * radius, -0.92 * radius), color="0.45", fontsize=7.5, backgroundcolor="white")
    axes.add_patch(pyplot.Circle((0, 0), 0.07, color="0.8"))
    axes.add_patch(pyplot.Polygon([(-0.03, 0.06), (0.03, 0.06), (0, 0.12)], color="0.8"))
    for row in rows:
        if row["off_deg"] is None:
            continue
        asked_at, heard_at = (
            direction_vectors(np.array(at["azimuth_deg"]), np.array(at["elevation_deg"]))
            for at in (row["asked"], row["heard"])
        )
        colour = colours[row["object"]]
        axes.plot([-asked_at[1], -heard_at[1]], [asked_at[0], heard_at[0]], color=colour, lw=0.8, alpha=0.6)
        axes.plot(-asked_at[1], asked_at[0], "o", ms=9, mfc="none", mec=colour, mew=1.3)
        axes.plot(-heard_at[1], heard_at[0], "o", ms=4, color=colour)
    for name in names:
        axes.plot([], [], "o", ms=5, color=colours[name], label=name)
    axes.plot([], [], "o", ms=9, mfc="none", mec="0.4", label="asked by words")
    axes.plot([], [], "o", ms=4, color="0.4", label="heard by the ears")
    for where, (x, y) in {"front": (0, 1.1), "behind": (0, -1.1), "left": (-1.16, 0), "right": (1.16, 0)}.items():
        axes.annotate(where, (x, y), ha="center", va="center", color="0.35", fontsize=9)
    axes.set_xlim(-1.3, 1.3)
    axes.set_ylim(-1.2, 1.2)
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=9, labelcolor="0.2")
    figure.savefig(path, dpi=110, facecolor="white", bbox_inches="tight")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--figure", type=Path, help="draw asked and heard places, seen from above")
    parser.add_argument("--estimated", action="store_true", help="of stems that the shipped model estimates")
    parser.add_argument("--mixed", action="store_true", help="of stems estimated from the sum of the six sounds")
    arguments = parser.parse_args()
    scene, source = EXAMPLES / "scenes" / "around.yaml", None
    if arguments.estimated:
        scene, source = EXAMPLES / "scenes" / "duet_around.yaml", EXAMPLES / "duet.flac"
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as given:
        if arguments.mixed:
            scene, source = mixed(scene, Path(given))
        found = measure(Path(folder), scene, source)
    for row in found["rows"]:
        want, heard = row["asked"], row["heard"]
        print(
            f"{row['from_s']:5.2f}-{row['to_s']:5.2f} {row['object']:10} asked {want['azimuth_deg']:7.1f}"
            f" {want['elevation_deg']:5.1f} {want['distance_m']:5.2f} m {want['spread']:.1f}  heard"
            f" {heard['azimuth_deg']:7.1f} {heard['elevation_deg']:5.1f} {heard['distance_m']:5.2f} m"
            f" ({heard.get('distance_by_reverberation_m', '')})"
            f"  off {row['off_deg'] if row['off_deg'] is None else round(row['off_deg'], 1)}  {row['level_dbfs']} dBFS"
        )
    print({name: value for name, value in found.items() if name != "rows"})
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if arguments.figure:
        draw(found["rows"], arguments.figure)


if __name__ == "__main__":
    main()
