"""Ten things that people do, with real recordings: the command, and where each sound came out.

    python benchmarks/ten_scenes.py --recordings FOLDER [--heard FOLDER] [--out FOLDER] [--model slots]

FOLDER is made by ``scripts/install-realbench.sh`` (recordings that no training uses); the one of ``--heard`` by
``scripts/install-training-material.sh``, for the scene that needs a sound of it. ``ten_scenes.yaml`` says what sounds.
Each scene is 10 s at 48 kHz, mono, 16 bits; ``tas spatialize`` makes it binaural with the prompt as it is there, and
nothing else is set. Then each sound is looked for in the two ears, in the bins that are its own in the parts
(:mod:`tas_core.evaluation.metrics.azimuth`): over the whole time, and for one that moves in spans of half a second. A
sound is on its side if it is perceived left, center or right as the prompt says (+-15 degrees). The same is done with
the parts themselves at their places, what perfect separation would give.

Figures go to ``benchmarks/results/ten-scenes.json``, the table of the README to standard output.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import yaml
from scipy.signal import butter, sosfiltfilt

from tas_core.audio.resampling import resample
from tas_core.conventions import db_to_amplitude
from tas_core.datasets.sources.catalogue import load_categories
from tas_core.datasets.sources.package_clips import packaged_clip, packaged_files
from tas_core.datasets.sources.real_sounds import load_real_list, part_clip, real_clip
from tas_core.evaluation.metrics.azimuth import object_azimuth_spans_deg
from tas_core.evaluation.metrics.objects import side_of
from tas_core.inference.baselines import through_head
from tas_core.timeline.prompts import Clause, format_prompt, parse_prompt
from tas_core.timeline.segments import Timeline

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "ten-scenes.json"
RATE_HZ, SCORE_RATE_HZ, LENGTH_S = 48_000, 16_000, 10.0
PEAK = 0.5
SPAN_S = 0.5
FADE_S = 0.02
SOUNDS_DB = -40.0
_DOUBTED = re.compile(r"'([^']+)'")
"""Names in warnings, which are of objects that are alike or of low confidence."""


def dry_sound(part: dict[str, Any], args: argparse.Namespace, number: int) -> np.ndarray | None:
    """A part alone (time), at a common level while it sounds; None where its recordings are not at hand."""
    rng = np.random.default_rng(number)
    known = load_real_list()
    x: np.ndarray | None
    if "sound" in part:
        sound = next(s for s in known.sounds if s.name == part["sound"])
        x = real_clip(sound, args.recordings, LENGTH_S, RATE_HZ, rng)
    elif "mixture" in part:
        mixture = next(m for m in known.mixtures if m.name == part["mixture"])
        sound = next(p for p in mixture.parts if p.files[0].endswith(part["part"]))
        x = part_clip(sound, args.recordings, 20.0, LENGTH_S, RATE_HZ)[0]
    else:
        if args.heard is None:
            return None
        category = next(c for c in load_categories() if c.name == part["heard"])
        package, patterns = category.recorded[0]
        x = packaged_clip(packaged_files(args.heard, package, patterns), LENGTH_S, RATE_HZ, rng, as_they_are=True)
    if x is None:
        raise SystemExit(f"{part}: nothing sounds in it")
    out = np.zeros(round(LENGTH_S * RATE_HZ))
    start, end = round(part.get("start_s", 0) * RATE_HZ), round(part.get("end_s", LENGTH_S) * RATE_HZ)
    stretch = np.asarray(x[: end - start], np.float64)
    fade = np.minimum(1, (np.arange(len(stretch)) + 1) / (FADE_S * RATE_HZ))
    out[start : start + len(stretch)] = stretch * fade * fade[::-1]
    loud = np.abs(out) > np.abs(out).max() * db_to_amplitude(SOUNDS_DB)
    return out * db_to_amplitude(part.get("level_db", 0.0)) / np.sqrt(np.square(out[loud]).mean())


def parts_of(scene: dict[str, Any], args: argparse.Namespace, number: int) -> np.ndarray | None:
    """The parts (part, time) of a scene as they are in its mixture, whose peak is one half."""
    found = [dry_sound(part, args, 10 * number + i) for i, part in enumerate(scene["parts"])]
    if any(x is None for x in found):
        return None
    parts = np.stack([x for x in found if x is not None])
    if "band_hz" in scene:
        parts = sosfiltfilt(butter(4, scene["band_hz"], "bandpass", fs=RATE_HZ, output="sos"), parts)
    return PEAK * parts / np.abs(parts.sum(axis=0)).max()


def spans_of(clause: Clause) -> list[tuple[float, float]]:
    """Stretches of time in which one azimuth can be measured."""
    if clause.azimuth.start_deg == clause.azimuth.end_deg:
        return [(0.0, LENGTH_S)]
    return [(t, t + SPAN_S) for t in np.arange(0.0, LENGTH_S, SPAN_S).tolist()]


def perceived(
    ears: np.ndarray, parts: np.ndarray, clauses: tuple[Clause, ...], timeline: Timeline
) -> list[dict[str, Any]]:
    """Where each part is in two ears (ear, time) at 48 kHz: its mean error, and how much of its time on its side."""
    low = resample(ears, RATE_HZ, SCORE_RATE_HZ)
    stems = np.repeat(resample(parts, RATE_HZ, SCORE_RATE_HZ)[:, None], 2, axis=1)
    tracks = {t.object: t for t in timeline.tracks(np.arange(0.0, LENGTH_S, SPAN_S / 2), LENGTH_S)}
    found = []
    for k, clause in enumerate(clauses):
        spans = spans_of(clause)
        measured = object_azimuth_spans_deg(low, stems, SCORE_RATE_HZ, spans)[:, k]
        track = tracks[clause.object].azimuth_deg
        asked = np.array([track[round((a + b) / SPAN_S)] if len(spans) > 1 else track[0] for a, b in spans])
        heard = ~np.isnan(measured)
        found.append(
            {
                "object": clause.object,
                "asked_deg": [float(asked[0]), float(asked[-1])],
                "measured_deg": [round(float(v), 1) for v in measured[heard]],
                "error_deg": round(float(np.abs(measured - asked)[heard].mean()), 1),
                "on_its_side": round(float((side_of(measured[heard]) == side_of(asked[heard])).mean()), 3),
            }
        )
    return found


def separated(parts: np.ndarray, clauses: tuple[Clause, ...]) -> np.ndarray:
    """Ears (ear, time) with every part at its place: what perfect separation would give."""
    each = (
        through_head(part, RATE_HZ, Timeline.from_prompt(format_prompt((clause,))).resolved(LENGTH_S))
        for part, clause in zip(parts, clauses, strict=True)
    )
    return np.sum(list(each), axis=0)


def measure(scene: dict[str, Any], number: int, args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """One scene: files in ``folder``, the command, and where its parts came out."""
    parts = parts_of(scene, args, number)
    if parts is None:
        return {"scene": scene["scene"], "not_run": "needs the folder of --heard"}
    clauses = parse_prompt(scene["prompt"])
    timeline = Timeline.from_prompt(scene["prompt"]).resolved(LENGTH_S)
    name = scene["scene"].replace(" ", "-")
    source, out = folder / f"{name}.wav", folder / f"{name}.binaural.wav"
    soundfile.write(source, parts.sum(axis=0), RATE_HZ, subtype="PCM_16")
    words = [
        "spatialize",
        str(source),
        "-p",
        scene["prompt"],
        "-o",
        str(out),
        "--force",
        "--json",
        "--model",
        args.model,
    ]
    done = subprocess.run([sys.executable, "-m", "tas_cli", *words], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    return {
        "scene": scene["scene"],
        "command": shlex.join(["tas", "spatialize", source.name, "-p", scene["prompt"], "-o", out.name]),
        "note": scene.get("note"),
        "objects": perceived(soundfile.read(out)[0].T, parts, clauses, timeline),
        "separated": perceived(separated(parts, clauses), parts, clauses, timeline),
        "energy": [clause["energy_share"] for segment in told["segments"] for clause in segment["clauses"]],
        "warnings": [line.replace(f"{folder}/", "") for line in done.stderr.splitlines()],
    }


def outcome(item: dict[str, Any]) -> str:
    """What came out of one sound, in words."""
    if item["on_its_side"] == 1:
        return f"{item['object']} right"
    if len(item["measured_deg"]) > 1:
        return f"{item['object']} right for {item['on_its_side']:.0%} of its time"
    return f"**{item['object']}** at {place(item['measured_deg'][0])} in place of {place(item['asked_deg'][0])}"


def place(azimuth_deg: float) -> str:
    """An azimuth in words, such as 45° left."""
    side = "left" if azimuth_deg > 0 else "right"
    return f"{abs(azimuth_deg):.0f}° {side}" if round(azimuth_deg) else "the center"


def table(results: list[dict[str, Any]]) -> str:
    """The table of the README."""
    lines = ["| | `tas spatialize in.wav -o out.wav -p ...` | what came out |", "|---|---|---|"]
    for found in results:
        if "not_run" in found:
            lines.append(f"| {found['scene']} | | not run: {found['not_run']} |")
            continue
        said = "; ".join(map(outcome, found["objects"]))
        if doubted := dict.fromkeys(name for line in found["warnings"] for name in _DOUBTED.findall(line)):
            said += f"; a warning doubts {', '.join(doubted)}"
        lines.append(f"| {found['scene']} | {shlex.split(found['command'])[4]} | {said} |")
    return "\n".join(lines)


def main() -> None:
    """Make, measure and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=Path, required=True)
    parser.add_argument("--heard", type=Path)
    parser.add_argument("--out", type=Path, help="folder for the sounds; none are kept without it")
    parser.add_argument("--model", default="slots")
    args = parser.parse_args()
    scenes = yaml.safe_load((HERE / "ten_scenes.yaml").read_text())
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.out or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        results = [measure(scene, number, args, folder) for number, scene in enumerate(scenes)]
    RESULTS.write_text(json.dumps({"model": args.model, "scenes": results}, indent=1) + "\n")
    print(table(results))


if __name__ == "__main__":
    main()
