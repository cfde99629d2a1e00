"""Draw how far a model's confidence can be believed: what ``tas eval data --also confidence --save FILE`` wrote.

    python tools/plot_reliability.py scores.json --row slots -o docs/figures/reliability.png

Above, the fraction of objects that were right against the confidence in them, with 95 % intervals over clips; a
calibrated confidence lies on the diagonal. Below, how many objects there are, right and wrong.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tas_core.evaluation.metrics import clip_bootstrap, reliability_curve
from tas_core.evaluation.metrics.calibration import BINS

BLUE, RED, GREY = "#0072b2", "#d55e00", "#666666"


def judged(row: dict) -> list[np.ndarray]:
    """Confidence and whether it was right (object, 2) of each clip of a row."""
    clips = [clip.get("confidence", []) for clip in row["clips"].values()]
    return [np.array([[each["confidence"], each["right"]] for each in objects], float) for objects in clips if objects]


def share_right(rows: np.ndarray, low: float, high: float) -> float:
    """Fraction that was right of objects (object, 2) with a confidence in a bin; nan for none."""
    inside = (rows[:, 0] >= low) & ((rows[:, 0] < high) | (high == 1))
    return float(rows[inside, 1].mean()) if inside.any() else float("nan")


def draw(row: dict, seed: int = 0) -> Figure:
    """The picture of a row.

    Raises:
        SystemExit: the row has no confidence.
    """
    clips = judged(row)
    if not clips:
        raise SystemExit(f"{row['name']} has no confidence; expected results of tas eval data --also confidence")
    every = np.concatenate(clips)
    figure = Figure(figsize=(5, 5.6), layout="constrained")
    curve, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    curve.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1, label="calibrated")
    bins = reliability_curve(every[:, 0], every[:, 1] > 0)
    middle, right = [item.mean_confidence for item in bins], [item.right_share for item in bins]
    spans = [clip_bootstrap(clips, lambda rows, b=b: share_right(rows, b.low, b.high), seed) for b in bins]
    ends = np.array([[r - s.low, s.high - r] for r, s in zip(right, spans, strict=True)]).clip(0).T
    curve.errorbar(middle, right, ends, fmt="o-", color=BLUE, capsize=3, label=row["name"])
    auc = row["measures"]["confidence_auc"]
    curve.set(
        ylim=(-0.03, 1.03), ylabel="fraction that was right", title=f"AUC {auc['mean']:.2f}, {len(every)} objects"
    )
    curve.legend(loc="upper left")
    edges = np.linspace(0, 1, BINS + 1)
    parts = [every[every[:, 1] > 0, 0], every[every[:, 1] == 0, 0]]
    counts.hist(parts, edges, stacked=True, color=[BLUE, RED], label=["right", "wrong"])
    counts.set(xlim=(0, 1), xlabel="confidence", ylabel="objects")
    counts.legend()
    return figure


def main(words: list[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="JSON of tas eval data --save")
    parser.add_argument("--row", help="whose; the first by default")
    parser.add_argument("-o", "--out", type=Path, required=True, help="PNG, SVG or PDF")
    arguments = parser.parse_args(words)
    rows = {row["name"]: row for row in json.loads(arguments.results.read_text("utf-8"))["rows"]}
    name = arguments.row or next(iter(rows))
    if name not in rows:
        raise SystemExit(f"{arguments.results} has no row '{name}'; expected one of {', '.join(rows)}")
    draw(rows[name]).savefig(arguments.out, dpi=110)
    print(arguments.out)


if __name__ == "__main__":
    main()
