"""Every row of the paper's tables, trained at one budget on one material and evaluated on one data set, in one command.

    python benchmarks/quality.py --material bank --data bench --runs runs/quality --budget cpu

``--material`` is a folder of ``tas data bank``, ``--data`` a data set in TASBench's layout (``tas data simulate``).
All learned rows see the same scenes (same seed, same number and length of windows). The command may be killed and
started again: trainings go on where they were, finished rows and clips are kept. It writes
``benchmarks/results/quality-BUDGET.json`` and the tables of ``docs/RESULTS.md``. With ``--rows``, the other rows stay
in them as they are, if they were measured on the same clips in the same way.

Budgets: ``cpu`` is written for two cores and an hour, at reduced width and far too few steps for the networks that
predict noise; ``cuda`` is what the paper states (3000 steps, batch 12) at full width. ``cpu-long`` is between them, an
hour of a core for each row: the paper's steps and batch at reduced width, of a quarter of its window, and the paper's
rows at ten times its learning rate, since narrow networks take larger steps.

``--prediction v`` trains the paper's rows under a schedule that ends in noise (presets ``paper-v...``), evaluates each
network once, which gives its mean estimate, and writes ``quality-BUDGET-v.json``, beside the other.

``--folds`` trains on the recordings of the data set itself, once for each of its splits, and averages; that is for
FAIR-Play, which has ten. Rows that learn from separate stems are left out of it.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tas_core.datasets.tasbench.layout import DATASET_FILE, TasBench
from tas_core.errors import EncoderError
from tas_core.evaluation.results import Evaluation
from tas_core.evaluation.runner import evaluate
from tas_core.evaluation.settings import EvaluationSettings
from tas_core.evaluation.systems import SystemSpec
from tas_core.models.description import CONFIG_FILE
from tas_core.models.registry import PRESETS, preset_family
from tas_core.models.text_encoders.registry import build_text_encoder
from tas_core.training.run import run_training

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Budget:
    """What every learned row gets: steps of ``batch_size`` windows of ``window_s``, and how it is evaluated.

    ``sampling_steps`` are of the networks that start from noise, None for as many as each takes by itself.
    ``of_paper`` are settings of the training of the paper's rows alone, in place of what the paper states.
    """

    suffix: str
    steps: int
    batch_size: int
    window_s: float
    precision: str
    compile: bool
    clips: int | None
    sampling_steps: int | None
    control_clips: int
    of_paper: Mapping[str, float] = field(default_factory=dict)


BUDGETS = {
    "cpu": Budget("-small", 200, 4, 1.0, "fp32", False, 20, 4, 4),
    "cpu-long": Budget(
        "-small",
        3000,
        12,
        0.25,
        "fp32",
        False,
        40,
        None,
        12,
        {"learning_rate": 2e-3, "warmup_steps": 50, "decay_share": 0.5},
    ),
    "cuda": Budget("", 3000, 12, 1.0, "bf16", True, None, 6, 24),
}


@dataclass(frozen=True)
class Learned:
    """A row that is trained: its name in the tables and its preset at full width."""

    name: str
    preset: str


LEARNED = (
    Learned("MONO2BINAURAL, text", "mono2binaural"),
    Learned("APNet, text", "apnet"),
    Learned("TAS without SAF (add)", "paper-add"),
    Learned("TAS audio only", "paper-audio-only"),
    Learned("TAS conv", "paper-conv"),
    Learned("TAS + SAF", "paper"),
    Learned("slots, this budget", "slots"),
)
ENCODERS = (("MiniLM", "minilm", "paper"), ("BERT", "bert", "paper-bert"), ("T5", "t5", "paper-t5"),
            ("CLIP", "clip", "paper-clip"))  # fmt: skip
SHIPPED = "slots, as shipped"
FLOORS = (SystemSpec("Mono-Mono", "mono"), SystemSpec("pan", "pan"), SystemSpec("hrtf", "hrtf"))
CEILINGS = (
    SystemSpec("oracle-mask", "oracle-mask"),
    SystemSpec("oracle-direct", "oracle-direct"),
    SystemSpec("ground truth", "truth"),
)

PAPER_COLUMNS = ("stft", "env", "wav_x1000", "amp", "pha", "snr_db")
SPACE_COLUMNS = ("rank_object", "rank_audio", "azimuth_error_deg", "ic_error", "ild_error_db", "itd_error_us",
                 "mirror_db", "swap_accuracy", "real_time_factor")  # fmt: skip
HEADS = {
    "stft": "STFT ↓", "env": "ENV ↓", "wav_x1000": "WAV ↓", "amp": "AMP ↓", "pha": "PHA ↓", "snr_db": "SNR ↑",
    "rank_object": "rank object ↑", "rank_audio": "rank audio ↑", "azimuth_error_deg": "azimuth error ° ↓",
    "ic_error": "IC error ↓", "ild_error_db": "ILD error dB ↓", "itd_error_us": "ITD error µs ↓",
    "mirror_db": "mirror dB ↓", "swap_accuracy": "swap ↑", "real_time_factor": "time / audio ↓",
}  # fmt: skip


def budget_for(name: str, prediction: str) -> Budget:
    """A budget by name; networks that predict v make as many evaluations as they do by themselves."""
    return replace(BUDGETS[name], sampling_steps=None) if prediction == "v" else BUDGETS[name]


def preset_at(budget: Budget, preset: str) -> str:
    """A preset's name at the width of a budget; ``slots`` has one width."""
    return preset if preset == "slots" else preset + budget.suffix


def under(prediction: str, preset: str) -> str:
    """The preset that predicts this, "noise" or "v", in place of one of the paper's rows; others stay as they are."""
    return preset.replace("paper", "paper-v", 1) if prediction == "v" else preset


def train_row(preset: str, budget: Budget, material: Path, run: Path, *, device: str, fold: int = 1) -> Path:
    """Train one row, or go on with it; returns its checkpoint."""
    folder = run / "checkpoint"
    if folder.is_dir() and json.loads((folder / CONFIG_FILE).read_text())["provenance"]["steps"] >= budget.steps:
        return folder
    began = time.perf_counter()
    of_paper = budget.of_paper if preset_family(preset) == "paper" else {}

    def report(step: int, figures: dict[str, float]) -> None:
        if "loss" in figures:
            print(f"  {step:5d}  loss {figures['loss']:.4f}  {time.perf_counter() - began:.0f} s", flush=True)

    run_training(
        material,
        run,
        preset,
        device=device,
        steps=budget.steps,
        batch_size=budget.batch_size,
        window_s=budget.window_s,
        ema_decay=0.999 if budget.steps > 1000 else 0.98,
        precision=budget.precision,
        compile=budget.compile or preset_family(preset) == "slots",  # two minutes that pay soon
        seed=0,
        fold=fold,
        log_every=max(1, budget.steps // 10),
        validate_every=min(250, budget.steps),
        save_every=max(1, budget.steps // 5),
        progress=report,
        **{"warmup_steps": max(1, budget.steps // 20), **of_paper},
    )
    return folder


def missing_encoder(preset: str) -> str | None:
    """Why the text encoder of a preset cannot be had here; None if it can."""
    try:
        build_text_encoder(PRESETS[preset].text_encoder)
    except EncoderError as error:
        return " ".join(str(error).split())
    return None


def sampling_steps(preset: str, budget: Budget) -> int | None:
    """Network evaluations in the comparison; None is the model's own number."""
    return budget.sampling_steps if preset_family(preset) == "paper" else None


def figures_of(evaluation: Evaluation) -> dict[str, Any]:
    """What the result file keeps: everything but the values of single clips."""
    found = evaluation.as_dict()
    for row in found["rows"]:
        row["clips"] = len(row["clips"])
    return found


def measured_before(path: Path, found: Mapping[str, Any], budget: Budget) -> dict[str, dict[str, Any]]:
    """Learned rows that the result file of an earlier run of the same comparison has, by name.

    The same comparison has the same budget, settings and clips, and gives the same figures to what is not learned. A
    file of another comparison is an error, since writing the new one would lose its rows.
    """
    if not path.exists():
        return {}
    before = json.loads(path.read_text(encoding="utf-8"))
    found, stated = (json.loads(json.dumps(value)) for value in (found, vars(budget)))  # tuples are lists there
    differs = [name for name in ("settings", "clips") if _but_paths(before[name]) != _but_paths(found[name])]
    differs += ["budget"] if before["budget"] != stated else []
    figures = {row["name"]: row["measures"] for row in found["rows"] if "measures" in row}
    for row in before["rows"]:
        if row["name"] == FLOORS[0].name and not _agree(row["measures"], figures[row["name"]]):
            differs.append(f"{row['name']} on these clips")
    if differs:
        raise SystemExit(
            f"error: {path}: its rows were measured in another comparison ({', '.join(differs)}); "
            "move it away, or measure all rows (without --rows)"
        )
    learned = {row.name for row in LEARNED}
    return {row["name"]: row for row in before["rows"] if row["name"] in learned and "measures" in row}


def _but_paths(value: Any) -> Any:
    """Settings without the folder of the data; anything else as it is."""
    return {k: v for k, v in value.items() if k != "data"} if isinstance(value, dict) else value


def _agree(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether the same was measured: processors differ in the last digits. Times are of the moment."""
    return all(
        math.isclose(value["mean"], other[name]["mean"], rel_tol=1e-4, abs_tol=1e-9)
        for name, value in one.items()
        if name != "real_time_factor" and value["mean"] is not None
    )


# ---------------------------------------------------------------------------- tables


def _cell(row: dict[str, Any], measure: str) -> str:
    value = row["measures"].get(measure)
    if value is None or value["mean"] is None:
        return "-"
    digits = {"stft": 3, "env": 3, "amp": 3, "pha": 3, "real_time_factor": 3, "ic_error": 3, "rank_object": 2,
              "rank_audio": 2, "swap_accuracy": 2}.get(measure, 2)  # fmt: skip
    if measure in ("itd_error_us", "mirror_db"):
        digits = 0
    mean, low, high = value["mean"], value["low"], value["high"]
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def table(rows: Sequence[dict[str, Any]], names: Sequence[str], columns: Sequence[str]) -> list[str]:
    """A table in Markdown; rows that were not run say why."""
    by_name = {row["name"]: row for row in rows}
    lines = ["| | " + " | ".join(HEADS[c] for c in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name in names:
        row = by_name.get(name)
        if row is None:
            continue
        if "not_run" in row:
            lines.append(f"| {name} | not run: {row['not_run']} |" + " |" * (len(columns) - 1))
        else:
            lines.append(f"| {name} | " + " | ".join(_cell(row, c) for c in columns) + " |")
    return lines


def results_page(result: dict[str, Any], command: str) -> str:
    """The section of ``docs/RESULTS.md`` of one budget."""
    rows, budget, machine = result["rows"], result["budget"], result["machine"]
    names = {row.name for row in LEARNED}
    learned = [
        f"{row['name']}: {row['training_hours']:.2f} h, {row['parameters'] / 1e6:.2f} M parameters"
        for row in rows
        if row["name"] in names and "training_steps" in row
    ]
    all_names = [r.name for r in FLOORS] + [r.name for r in LEARNED] + [SHIPPED] + [r.name for r in CEILINGS]
    steps = budget["sampling_steps"]
    sampled = (
        "networks that learn by the error of the signal make one evaluation, which gives their mean estimate."
        if steps is None
        else f"networks that predict noise are sampled in {steps} steps."
    )
    width = f"reduced ({budget['suffix']})" if budget["suffix"] else "full"
    lines = [
        f"`{command}`",
        "",
        f"Device: {machine['device']} ({machine['processor']}); {machine['date'][:10]}. Budget per learned row: "
        f"{budget['steps']} steps of {budget['batch_size']} windows of {budget['window_s']:g} s, width {width}; "
        f"{sampled} {len(result['clips'])} clips of "
        f"the test part of {result['data']}, own captions; "
        f"mirrored and exchanged prompts on up to {budget['control_clips']} of them. "
        "Brackets: 95 % bootstrap intervals over clips.",
        "",
        "Training: " + "; ".join(learned) + ".",
        "",
        "**Table 1: floors, rivals, this program, ceilings**",
        "",
        *table(rows, all_names, PAPER_COLUMNS),
        "",
        "**The same rows: places, space, control, speed**",
        "",
        *table(rows, all_names, SPACE_COLUMNS),
        "",
        "**Table 2: text encoders** (of TAS + SAF)",
        "",
        *table(rows, [f"TAS + SAF, {name}" for name, _, _ in ENCODERS], PAPER_COLUMNS),
        "",
        "**Table 3: fusion**",
        "",
        *table(
            rows,
            ["Mono-Mono", "TAS audio only", "TAS without SAF (add)", "TAS conv", "TAS + SAF"],
            PAPER_COLUMNS,
        ),
    ]
    return "\n".join(lines)


def write_page(name: str, text: str) -> None:
    """Put a section between its marks in ``docs/RESULTS.md``."""
    path = ROOT / "docs" / "RESULTS.md"
    page = path.read_text(encoding="utf-8")
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    path.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


# ---------------------------------------------------------------------------- the run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--material", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs/quality"))
    parser.add_argument("--budget", choices=BUDGETS, default="cpu")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rows", nargs="*", help="names of learned rows to train; default all")
    parser.add_argument("--prediction", choices=("noise", "v"), default="noise", help="of the paper's rows")
    parser.add_argument("--folds", action="store_true")
    parser.add_argument("--no-page", action="store_true", help="leave docs/RESULTS.md as it is")
    arguments = parser.parse_args()
    budget, data = budget_for(arguments.budget, arguments.prediction), TasBench(arguments.data)
    wanted = [row for row in LEARNED if not arguments.rows or row.name in arguments.rows]
    folds = data.split_numbers() if arguments.folds else (1,)
    section = f"quality-{arguments.budget}" + ("-folds" if arguments.folds else "")
    section += "-v" if arguments.prediction == "v" else ""
    out = ROOT / "benchmarks" / "results" / f"{section}.json"
    per_fold = []
    for fold in folds:
        material = arguments.data if arguments.folds else arguments.material
        base = arguments.runs / arguments.budget / (f"fold{fold}" if arguments.folds else "composed")
        rows, about = [*FLOORS], {}
        not_run = {row.name: "not trained at this budget yet" for row in LEARNED if row not in wanted}
        for row in wanted:
            preset = preset_at(budget, under(arguments.prediction, row.preset))
            if arguments.folds and preset_family(preset) == "slots":
                not_run[row.name] = "learns from separate stems"
                continue
            print(f"{row.name} ({preset})", flush=True)
            folder = train_row(preset, budget, material, base / preset, device=arguments.device, fold=fold)
            rows.append(SystemSpec(row.name, str(folder), sampling_steps(preset, budget)))
            about[row.name] = describe(folder)
        for name, _, preset in ENCODERS:
            if why := missing_encoder(preset):
                print(f"{name}: {why}", flush=True)
                not_run[f"TAS + SAF, {name}"] = "the text encoder's weights are not at hand"
            elif preset != "paper" and arguments.budget == "cuda":
                preset = under(arguments.prediction, preset)
                folder = train_row(preset, budget, material, base / preset, device=arguments.device, fold=fold)
                rows.append(SystemSpec(f"TAS + SAF, {name}", str(folder), sampling_steps(preset, budget)))
                about[rows[-1].name] = describe(folder)
        rows += [SystemSpec(SHIPPED, "slots"), *CEILINGS]
        settings = EvaluationSettings(
            folds=(fold,),
            clips=budget.clips,
            control=True,
            control_clips=budget.control_clips,
            device=arguments.device,
        )
        shown = [0.0]

        def tell(fraction: float, shown: list[float] = shown) -> None:
            if fraction - shown[0] >= 0.05:
                shown[0] = fraction
                print(f"  evaluated {fraction:.0%}", flush=True)

        found = figures_of(evaluate(data, rows, settings, out=base / "evaluation", progress=tell))
        for entry in found["rows"]:
            entry |= about.get(entry["name"], {})
        kept = measured_before(out, found, budget) if arguments.rows and not arguments.folds else {}
        for entry in found["rows"]:
            kept.pop(entry["name"], None)
        found["rows"] += [*kept.values(), *({"name": n, "not_run": why} for n, why in not_run.items() if n not in kept)]
        same = next((r for r in found["rows"] if r["name"] == "TAS + SAF"), None)
        if same is not None:
            found["rows"].append({**same, "name": "TAS + SAF, MiniLM"})
        per_fold.append(found)
    result = per_fold[0] if len(per_fold) == 1 else averaged(per_fold)
    result["budget"] = vars(budget)
    result["settings"]["data"] = data.root.name  # no folder of this machine
    result["data"] = "TASBench-Sim" if (data.root / DATASET_FILE).exists() else data.root.name
    out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    command = "python benchmarks/quality.py --material bank --data bench --budget " + arguments.budget
    if not arguments.no_page:
        command += " --prediction v" if arguments.prediction == "v" else ""
        write_page(section, results_page(result, command + (" --folds" if arguments.folds else "")))
    print(out)


def describe(folder: Path) -> dict[str, Any]:
    """Steps, hours and size of a trained row."""
    from safetensors import safe_open

    from tas_core.models.description import WEIGHTS_FILE

    origin = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))["provenance"]
    with safe_open(str(folder / WEIGHTS_FILE), "np") as file:
        sizes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118
    count = 0
    for shape in sizes:
        total = 1
        for side in shape:
            total *= side
        count += total
    return {"training_steps": origin["steps"], "training_hours": origin["hours"], "parameters": count}


def averaged(per_fold: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean over folds of each measure's mean; the interval is the range of the folds."""
    result = {**per_fold[0], "folds": len(per_fold)}
    for row in result["rows"]:
        for measure, value in row.get("measures", {}).items():
            means = [
                other["measures"][measure]["mean"]
                for found in per_fold
                for other in found["rows"]
                if other["name"] == row["name"] and measure in other.get("measures", {})
            ]
            value |= {"mean": sum(means) / len(means), "low": min(means), "high": max(means), "count": len(means)}
    return result


if __name__ == "__main__":
    main()
