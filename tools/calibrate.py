"""Fit a model's confidence on scenes whose sounds are known, and keep it beside its weights (docs/MODELS.md).

    python tools/calibrate.py runs/x/checkpoint --data bench-val --material material --sources '*' 'flare-game/*'

Scenes are of the validation split: clips in TASBench's layout, each under its own prompts, with a name too many, and
with one of its names replaced by that of something else; and scenes composed from training material, a set for each
pattern of sources. Every set counts the same. What was measured is kept in ``--examples FILE``, so that a run that is
stopped goes on, and a fit costs nothing.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tas_core.datasets.mixing.bank import StemBank
from tas_core.datasets.mixing.composition import SceneComposer
from tas_core.datasets.mixing.draws import CompositionConfig, Material
from tas_core.datasets.mixing.phrases import REST_PHRASES, PhraseTable
from tas_core.datasets.mixing.room_bank import RoomBank
from tas_core.datasets.sources.catalogue import load_categories
from tas_core.datasets.tasbench.layout import TasBench
from tas_core.evaluation.clips import RATE_HZ, read_clip
from tas_core.evaluation.confidence import outcome, prompts_of
from tas_core.evaluation.metrics import brier_score, expected_calibration_error, roc_auc
from tas_core.inference.engine import LoadedModel, load_model
from tas_core.inference.settings import RenderSettings
from tas_core.inference.stream import render
from tas_core.models.calibration import FEATURES, Calibration, write_calibration
from tas_core.models.pretrained import find_checkpoint
from tas_core.models.text_encoders.base import CachedEncoder
from tas_core.timeline.places import AzimuthPath
from tas_core.timeline.prompts import Clause, format_prompt
from tas_core.timeline.segments import Segment, Timeline

SPLIT = "val"
MISSED = 0.04
"""Of objects that are right, so many may be warned of."""
FOLDS = 5
DIGITS = 4
BATCH = 8
WINDOW_S = 4.0


@dataclass(frozen=True)
class Known:
    """A scene whose sounds are known: ``mono`` (time) at 16 kHz, and the true sound of each name that is right."""

    set: str
    clip: str
    mono: np.ndarray
    timeline: Timeline
    true: Mapping[str, np.ndarray]


def known_clips(data: TasBench) -> Iterator[Known]:
    """The clips of the validation split, each under its own prompts, with a name too many, and with a wrong one."""
    for name in data.split_clips(SPLIT, 1):
        clip = read_clip(data, name)
        for prompts, timeline, true in prompts_of(clip):
            yield Known(f"{data.root.name}, {prompts}", name, clip.mono, timeline, true)


def composed_scenes(folder: Path, encoder: str, sources: str, count: int, seed: int) -> Iterator[Known]:
    """Scenes composed of validation sources of training material, some with names that are wrong or too many.

    Args:
        folder: that ``tas data bank`` made.
        encoder: name of the text encoder whose phrases it has.
        sources: pattern of the names of the sources to use, such as ``flare-game/*``.
        count: of scenes; fewer are the first of more.
        seed: of what is drawn.
    """
    bank = StemBank.load(folder / "bank.safetensors", SPLIT)
    chosen = torch.tensor([fnmatch(name, sources) for name in bank.sources])[bank.source]
    if not chosen.any():
        raise SystemExit(f"{folder}: no source of the split {SPLIT} is called {sources}")
    columns = ("start", "length", "category", "source", "split")
    bank = replace(bank, **{name: getattr(bank, name)[chosen] for name in columns})
    rooms = RoomBank.load(folder / f"rooms-{SPLIT}.safetensors")
    table = PhraseTable.load(folder / f"phrases-{encoder}.safetensors")
    material = Material(bank, rooms, table, load_categories())
    composer = SceneComposer(material, SPLIT, CompositionConfig(window_s=WINDOW_S), seed, captions=False)
    phrases = table.phrases
    for number in range(count):
        step, row = divmod(number, BATCH)
        if row == 0:
            draws = composer.draw(step, BATCH)
            batch = composer.render(draws)
        words = [phrases[int(word)] for word, named in zip(draws.word[row], batch.named[row], strict=True) if named]
        # As the prompt language spells them.
        names = [Timeline.from_prompt(format_prompt([_clause(word, 0.0)])).objects[0] for word in words]
        timeline = timeline_of(names, batch.azimuth_deg[row].tolist(), batch.active[row].numpy(), WINDOW_S)
        if timeline is None or len(set(names)) < len(names) or set(words) & set(REST_PHRASES):
            continue
        stems = (batch.stem_mid[row] / 2).double().numpy()
        right = batch.right_name[row].tolist()
        true = {
            name: stem for name, stem, is_right in zip(names, stems, right, strict=False) if is_right and stem.any()
        }
        yield Known(
            f"{folder.name}, {sources}", f"{seed}-{number}", (batch.mid[row] / 2).double().numpy(), timeline, true
        )


def timeline_of(names: Sequence[str], azimuth_deg: Sequence[float], active: np.ndarray, length_s: float):
    """A timeline whose prompts hold the objects while they are active (object, block); None where none ever is."""
    active = active[: len(names)]
    blocks = active.shape[1]
    changes = [i for i in range(1, blocks) if (active[:, i] != active[:, i - 1]).any()]
    segments = []
    for first, stop in zip([0, *changes], [*changes, blocks], strict=True):
        clauses = tuple(_clause(names[k], azimuth_deg[k]) for k in np.flatnonzero(active[:, first]))
        if clauses:
            ends = (first * length_s / blocks, stop * length_s / blocks)
            segments.append(Segment(*ends, format_prompt(clauses), clauses))
    return Timeline(tuple(segments)) if segments else None


def _clause(name: str, azimuth_deg: float) -> Clause:
    return Clause(name, AzimuthPath(round(azimuth_deg), round(azimuth_deg)))


# ---------------------------------------------------------------------------- examples


@dataclass(frozen=True)
class Example:
    """An object of a known scene: what the model showed of it, and whether it was right."""

    model: str
    set: str
    clip: str
    object: str
    sounds: bool
    right: bool
    evidence: dict[str, float]


def examples_of(model: LoadedModel, scene: Known) -> list[Example]:
    """The objects of a scene that are not silent."""
    found = render(scene.mono, RATE_HZ, scene.timeline, model, RenderSettings(steps=1, stems=True))
    stems = dict(found.stems)
    examples = []
    for item, evidence in zip(found.detections, found.evidence, strict=True):
        if evidence is not None:
            result = outcome(item, stems[item.object], scene.mono, scene.true.get(item.object))
            named = model.digest, scene.set, scene.clip, item.object
            examples.append(Example(*named, *result, asdict(evidence)))
    return examples


def gathered(model: LoadedModel, scenes: Iterator[Known], kept: Path | None) -> list[Example]:
    """Examples of all scenes; those in a file of examples are not computed again, and new ones go there."""
    known: dict[tuple[str, str], list[Example]] = {}
    for line in kept.read_text("utf-8").splitlines() if kept and kept.exists() else ():
        values = json.loads(line)
        examples = [Example(**value) for value in values["examples"]]
        if values["model"] == model.digest and all(e.evidence.keys() == set(FEATURES) for e in examples):
            known[values["set"], values["clip"]] = examples
    found: list[Example] = []
    for scene in scenes:
        key = scene.set, scene.clip
        if key not in known:
            known[key] = examples_of(model, scene)
            if kept:
                line = {"model": model.digest, "set": scene.set, "clip": scene.clip}
                with kept.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({**line, "examples": [asdict(e) for e in known[key]]}) + "\n")
        found += known[key]
    return found


# ---------------------------------------------------------------------------- fit


def fit(examples: Sequence[Example], names: Sequence[str], model_digest: str, provenance: dict) -> Calibration:
    """Logistic regression of right on evidence, every set counting the same; ``low`` from clips that were left out."""
    x = np.array([[e.evidence[name] for name in names] for e in examples])
    right = np.array([e.right for e in examples])
    if right.all() or not right.any():
        raise SystemExit(f"{right.sum()} of {len(right)} objects are right; expected some, and not all")
    sets = [e.set for e in examples]
    weight = np.array([1 / sets.count(name) for name in sets])
    weight /= weight.mean()
    groups = [f"{e.set.partition(',')[0]} {e.clip}" for e in examples]
    folds = list(GroupKFold(min(FOLDS, len(set(groups)))).split(x, right, groups))
    if any(right[kept].all() or not right[kept].any() for kept, _ in folds):
        rare = "wrong" if right.mean() > 0.5 else "right"
        raise SystemExit(f"too few of {len(set(groups))} clips have objects that are {rare}; expected more scenes")
    regression = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    given = {"logisticregression__sample_weight": weight}
    how = {"cv": folds, "method": "predict_proba", "params": given}
    held_out = cross_val_predict(regression, x, right, **how)[:, 1]
    for name in dict.fromkeys(sets):
        say(name, held_out[[s == name for s in sets]], [e for e in examples if e.set == name])
    say("all", held_out, examples)
    low = round(float(np.quantile(held_out[right], MISSED)), DIGITS)
    scale, logistic = regression.fit(x, right, **given)
    slopes = logistic.coef_[0] / scale.scale_
    intercept = round(float(logistic.intercept_[0] - slopes @ scale.mean_), DIGITS)
    weights = {name: round(float(slope), DIGITS) for name, slope in zip(names, slopes, strict=True)}
    return Calibration(model_digest, intercept, weights, low, provenance)


def say(name: str, confidence: np.ndarray, examples: Sequence[Example]) -> None:
    """Scores of one set, from models that were not fitted on its clips."""
    right = [e.right for e in examples]
    absent = float(np.mean([not e.sounds for e in examples]))
    scores = {"AUC": roc_auc, "Brier": brier_score, "ECE": expected_calibration_error}
    said = ", ".join(f"{label} {score(confidence, right):.3f}" for label, score in scores.items())
    print(f"{name}: {len(right)} objects, {np.mean(right):.2f} right, {absent:.2f} absent; {said}")


def calibrate(arguments: argparse.Namespace) -> None:
    """Measure, fit and write."""
    model = load_model(arguments.checkpoint, "cpu")
    model = replace(model, encoder=CachedEncoder(model.encoder), calibration=None)
    scenes: list[Iterator[Known]] = [known_clips(TasBench(folder)) for folder in arguments.data]
    encoder = model.network.config.text_encoder
    for folder in arguments.material:
        for pattern in arguments.sources:
            scenes.append(composed_scenes(folder, encoder, pattern, arguments.scenes, arguments.seed))
    if not scenes:
        raise SystemExit("no scenes to fit on; expected --data or --material")
    examples = [e for each in scenes for e in gathered(model, each, arguments.examples)]
    about = {
        "sets": {name: sum(e.set == name for e in examples) for name in dict.fromkeys(e.set for e in examples)},
        "split": SPLIT,
        "seed": arguments.seed,
    }
    made = fit(examples, arguments.features, model.digest, about)
    path = write_calibration(arguments.out or find_checkpoint(arguments.checkpoint), made)
    print(f"{path}: low below {made.low:.2f}")


def main(words: Sequence[str] | None = None) -> None:
    """The command, with the words of the command line unless others are given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="shipped model or folder")
    parser.add_argument("--data", type=Path, nargs="*", default=[], help="data sets in TASBench's layout")
    parser.add_argument("--material", type=Path, nargs="*", default=[], help="folders that tas data bank made")
    parser.add_argument("--sources", nargs="*", default=["*"], help="patterns of sources of these; a set for each")
    parser.add_argument("--scenes", type=int, default=240, help="to compose for each set")
    parser.add_argument("--features", nargs="+", choices=FEATURES, default=FEATURES, help="evidence to use")
    parser.add_argument("--seed", type=int, default=0, help="of what is composed")
    parser.add_argument("--examples", type=Path, metavar="FILE", help="keep what was measured here, and go on from it")
    parser.add_argument("--out", type=Path, help="folder to write to in place of the checkpoint's")
    calibrate(parser.parse_args(words))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
