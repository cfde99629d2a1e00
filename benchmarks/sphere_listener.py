"""Where a model of a listener points when it hears what the renderer of the sphere gives it: prints JSON.

    python -m venv listener && listener/bin/pip install bayesian-listener h5py
    python benchmarks/sphere.py --listener FOLDER [--sofa HEAD.sofa]
    listener/bin/python benchmarks/sphere_listener.py FOLDER --out benchmarks/results/sphere_listener.json

The model (Barumerli et al., "A Bayesian model for human directional localization of broadband static sound sources",
Acta Acustica 7, 2023) knows the measured responses of its own head; what it hears is once the same, which is as well
as it can do, once what is rendered at measured directions, and once what is rendered at each direction when that is
left out of the head.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyfar
import sofar
from bayesian_listener import BayesianListener

REPETITIONS = 5
DIRECTIONS = 250


def listener(path: Path, most: int | None = None) -> BayesianListener:
    """With the responses of a file, or so many of them, drawn at random."""
    with h5py.File(path) as file:
        count = len(file["hrir"])
        rows = np.sort(np.random.default_rng(0).permutation(count)[:most])
        sofa = sofar.Sofa("SimpleFreeFieldHRIR")
        sofa.Data_IR = np.asarray(file["hrir"], float)[rows]
        sofa.Data_SamplingRate = float(file.attrs["rate_hz"])
        azimuth_deg = np.asarray(file["azimuth_deg"], float)[rows]
        elevation_deg = np.asarray(file["elevation_deg"], float)[rows]
        distance_m = np.full(len(azimuth_deg), 1.4)
        sofa.SourcePosition = np.column_stack([azimuth_deg % 360, elevation_deg, distance_m])
        sofa.Data_Delay = np.zeros((1, 2))
    return BayesianListener(sofa)


def unit(coordinates: pyfar.Coordinates) -> np.ndarray:
    vectors = coordinates.cartesian
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def scores(asked: np.ndarray, pointed: np.ndarray) -> dict[str, float]:
    """Of asked directions (direction, xyz) and pointed ones (direction, repetition, xyz)."""
    wanted = np.broadcast_to(asked[:, None], pointed.shape)
    lateral = np.degrees(np.arcsin(np.clip(pointed[..., 1], -1, 1)) - np.arcsin(np.clip(wanted[..., 1], -1, 1)))
    polar = np.degrees(np.arctan2(pointed[..., 2], pointed[..., 0]) - np.arctan2(wanted[..., 2], wanted[..., 0]))
    polar = np.abs((polar + 180) % 360 - 180)
    inside = np.abs(wanted[..., 1]) < np.sin(np.radians(30))
    local = inside & (polar < 90)
    front = np.abs(wanted[..., 0]) > np.sin(np.radians(20))
    level = np.abs(wanted[..., 2]) > np.sin(np.radians(20))
    return {
        "directions": len(asked),
        "lateral_rms_deg": round(float(np.sqrt(np.square(lateral).mean())), 1),
        "polar_rms_deg": round(float(np.sqrt(np.square(polar[local]).mean())), 1),
        "quadrant_errors": round(float((polar[inside] >= 90).mean()), 3),
        "front_back_confused": round(float((pointed[..., 0] * wanted[..., 0] < 0)[front].mean()), 3),
        "up_down_confused": round(float((pointed[..., 2] * wanted[..., 2] < 0)[level].mean()), 3),
    }


def measure(folder: Path, head: str) -> dict[str, Any]:
    own = listener(folder / f"{head}-measured.h5")
    own.compute_target(reference="none", use_cache=False)
    own.compute_template(interpolation="barycentric", use_cache=False)
    found = {}
    for kind in ("measured", "rendered", "left-out"):
        other = listener(folder / f"{head}-{kind}.h5", DIRECTIONS)
        other.compute_target(reference="none", use_cache=False)
        pointed = own.localise(target=other.target, repetitions=REPETITIONS, seed=0)
        found[kind] = scores(unit(other.target.coords), unit(pointed))
        print(head, kind, found[kind], file=sys.stderr, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    heads = sorted({path.name.rpartition("-measured")[0] for path in arguments.folder.glob("*-measured.h5")})
    found = {head: measure(arguments.folder, head) for head in heads}
    print(json.dumps(found, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
