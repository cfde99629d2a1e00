"""Write anew what tests promise of the shipped models, after new weights: digests, and what the duet sounds like.

    python tools/renew_pins.py

Writes ``tests/data/shipped.yaml`` and ``tests/data/duet_witness.yaml``. To be run when weights or their calibration
change, and never to make a test pass: `tests/project/test_pinned.py` holds that nothing else changes them.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import yaml

import tas_core
from tas_core.models.description import read_description
from tas_core.system.files import write_files

ROOT = Path(__file__).resolve().parents[1]
WEIGHTS = ROOT / "tas_core" / "models" / "weights"
PINS = ROOT / "tests" / "data" / "shipped.yaml"
WITNESS = ROOT / "tests" / "data" / "duet_witness.yaml"
STEPS = (1, 3)
APART = 20_000
"""Samples between those that are kept."""


def pins() -> dict[str, dict[str, str]]:
    """SHA-256 of every shipped file, and what each model is named by in results."""
    files = sorted(path for path in WEIGHTS.rglob("*") if path.is_file())
    sums = {str(path.relative_to(WEIGHTS)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    models = sorted({path.parent for path in files})
    return {"files": sums, "digests": {folder.name: read_description(folder).digest for folder in models}}


def duet(steps: int) -> dict[str, list[float]]:
    """The difference between the ears of the examples' duet: samples, levels of its segments; and the confidence."""
    mono, rate_hz = soundfile.read(ROOT / "examples" / "duet.flac")
    timeline = tas_core.load_timeline(ROOT / "examples" / "duet.yaml")
    result = tas_core.spatialize(mono, rate_hz, timeline, steps=steps, seed=0, device="cpu")
    side = result.ears[0] - result.ears[1]
    edges = [round(segment.start_s * rate_hz) for segment in timeline.segments]
    levels = [float(np.sqrt(np.mean(part**2))) for part in np.split(side, edges[1:])]
    confidence = [float(item.confidence or 0.0) for item in result.detections]
    return {"samples": side[::APART].tolist(), "segment_rms": levels, "confidence": confidence}


def rewritten(path: Path, value: Any, flow: bool | None = False) -> bytes:
    """A file of ours with another value under the comment at its head, its innermost lists in a row with None."""
    head = "".join(line for line in path.read_text("utf-8").splitlines(keepends=True) if line.startswith("#"))
    return (head + yaml.safe_dump(value, default_flow_style=flow, width=110)).encode()


if __name__ == "__main__":
    rounded = {
        steps: {name: [round(each, 6) for each in values] for name, values in duet(steps).items()} for steps in STEPS
    }
    write_files({PINS: rewritten(PINS, pins()), WITNESS: rewritten(WITNESS, rounded, None)})
    print(PINS, WITNESS, sep="\n")
