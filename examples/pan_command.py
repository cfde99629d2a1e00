"""A program as a row of ``tas eval data``: the whole of a mono file, panned to the mean place that is requested.

It stands for any program of yours. To try it, where BENCH is a data set (docs/EVALUATION.md, "Any program"):

    tas eval data BENCH --model pan --model 'mine=command:python examples/pan_command.py {mono} {places} {out}'

Both rows get nearly the same figures, for ``pan`` is this formula; it only passes from one place to the next by and by.
"""

import json
import sys

import numpy as np
import soundfile


def main(mono: str, places: str, out: str) -> None:
    """Read a mono WAV file and the requested places, and write two ears of the same length and rate."""
    x, rate_hz = soundfile.read(mono)
    with open(places, encoding="utf-8") as file:
        segments = json.load(file)["segments"]
    side = np.zeros(len(x))
    for segment in segments:
        first, last = round(segment["start_s"] * rate_hz), round(segment["end_s"] * rate_hz)
        ends = [(c["azimuth_start_deg"], c["azimuth_end_deg"]) for c in segment["clauses"]]
        start_deg, end_deg = np.mean(ends, axis=0)
        azimuth_deg = np.linspace(start_deg, end_deg, max(0, min(last, len(x)) - first))
        side[first:last] = np.tan(np.radians(azimuth_deg * 45 / 90))  # left is positive
    ears = np.stack([x * (1 + side), x * (1 - side)], axis=1)
    soundfile.write(out, ears, rate_hz, subtype="FLOAT")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: pan_command.py MONO PLACES OUT")
    main(*sys.argv[1:])
