"""What of an evaluation goes into the repository: its JSON without single clips, and the rows of tables in Markdown.

    python tools/publish_scores.py scores.json --data runs/tasbench --out benchmarks/results/shipped.json
    python tools/publish_scores.py scores.json --data realbench --columns snr_db rank_object rank_audio swap_accuracy

``scores.json`` is what ``tas eval data --save`` wrote. ``--data`` is what the data set is called in the commands of the
pages, in place of a folder of this machine. Cells are a mean with its interval; groups, such as "2 objects", have the
measure of ``--group``. Then `tests/project/test_figures.py` says which page does not say what its file says.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tas_core.system.files import write_files

DECIMALS = {"azimuth_error_deg": 1, "itd_error_us": 0, "mirror_db": 0}
"""Of cells, where they are not two."""
COLUMNS = ("snr_db", "rank_object", "rank_audio", "azimuth_error_deg", "swap_accuracy", "found_present", "found_absent")


def without_clips(scores: Mapping[str, Any], data: str) -> dict[str, Any]:
    """An evaluation of a data set by this name, without what single clips have."""
    rows = [{key: value for key, value in row.items() if key != "clips"} for row in scores["rows"]]
    return {**scores, "settings": {**scores["settings"], "data": data}, "rows": rows}


def cell(measure: Mapping[str, float] | None, name: str) -> str:
    """A mean and its interval, as pages have them; the mean alone where one clip gives none."""
    if measure is None or measure["mean"] is None:
        return "-"
    digits = DECIMALS.get(name, 2)
    if measure["low"] is None:
        return f"{measure['mean']:.{digits}f}"
    return f"{measure['mean']:.{digits}f} [{measure['low']:.{digits}f}, {measure['high']:.{digits}f}]"


def table(scores: Mapping[str, Any], columns: Sequence[str], group: str) -> list[str]:
    """Rows of tables: measures of each row, of its groups, and of its differences to the first."""
    rows = scores["rows"]
    lines = ["| | " + " | ".join(columns) + " |"]
    lines += [f"| {r['name']} | " + " | ".join(cell(r["measures"].get(c), c) for c in columns) + " |" for r in rows]
    groups = dict.fromkeys(name for r in rows for name, of in r["groups"].items() if group in of)
    lines += ["", f"| {group} | " + " | ".join(groups) + " |"]
    lines += [
        f"| {r['name']} | " + " | ".join(cell(r["groups"].get(name, {}).get(group), group) for name in groups) + " |"
        for r in rows
    ]
    if any(r["differences"] for r in rows):
        lines += ["", f"| less {rows[0]['name']} | " + " | ".join(columns) + " |"]
        lines += [
            f"| {r['name']} | " + " | ".join(cell(r["differences"].get(c), c) for c in columns) + " |" for r in rows[1:]
        ]
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", type=Path, help="JSON to write, over what is there")
    parser.add_argument("--columns", nargs="+", default=COLUMNS)
    parser.add_argument("--group", default="rank_audio")
    arguments = parser.parse_args()
    found = without_clips(json.loads(arguments.scores.read_text("utf-8")), arguments.data)
    if arguments.out:
        write_files({arguments.out: (json.dumps(found, indent=1, ensure_ascii=False) + "\n").encode()})
    print(*table(found, arguments.columns, arguments.group), sep="\n")
