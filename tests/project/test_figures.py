"""Figures on the pages are those of the files that they come from: results, calibration, catalogue, weights."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tas_core.datasets.sources.catalogue import SOUNDFONTS, VOICES, load_categories
from tas_core.datasets.sources.packages import PACKAGED_KITS, PACKAGED_VOICES, PACKAGES
from tas_core.models.description import FAMILIES
from tas_core.models.info import model_info

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = ROOT / "tas_core" / "models" / "weights"


@cache
def page(name: str) -> str:
    """A page, each stretch of white space one blank, but for the ends of the rows of its tables."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.sub(r"(?<=[^|\s])[ ]*\n[ ]*(?=[^|\s])", " ", text)


def said(name: str, *sentences: str) -> None:
    """See that a page has these words."""
    text = page(name)
    assert [sentence for sentence in sentences if sentence not in text] == []


@cache
def result(name: str) -> Any:
    """What a benchmark left."""
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))


def row(name: str, system: str) -> dict[str, Any]:
    """A row of an evaluation."""
    (found,) = (r for r in result(name)["rows"] if r["name"] == system)
    return found


def cells(name: str, label: str) -> list[list[str]]:
    """The cells behind a label, of all rows of a page's tables that begin with it."""
    rows = re.findall(rf"^\| {re.escape(label)} \| (.*) \|$", page(name), re.MULTILINE)
    return [found.split(" | ") for found in rows]


def interval(measure: dict[str, float], form: str = ".2f") -> str:
    """A mean with the interval around it."""
    return f"{measure['mean']:{form}} [{measure['low']:{form}}, {measure['high']:{form}}]"


# ------------------------------------------------------------------ TASBench-Sim, as shipped

SHIPPED = (
    ("mono in both ears", "tasbench_sim_floors", "mono"),
    ("whole mixture panned", "tasbench_sim_floors", "pan"),
    ("whole mixture through the head", "tasbench_sim_floors", "hrtf"),
    ("**`slots`, 1 step (default)**", "shipped", "slots"),
    ("`slots`, names that training never used", "shipped-held-out", "slots"),
    ("`slots`, 3 steps", "shipped-3-steps", "slots@3"),
    ("ideal masks, same direction filter", "tasbench_sim_floors", "oracle-mask"),
    ("true stems at their true places, no room", "tasbench_sim_floors", "oracle-direct"),
    ("the clip itself", "tasbench_sim_floors", "truth"),
)


@pytest.mark.parametrize("name", ["README.md", "MODEL_CARD.md"])
@pytest.mark.parametrize(("label", "results", "system"), SHIPPED)
def test_the_table_of_the_shipped_weights(name: str, label: str, results: str, system: str) -> None:
    found = row(results, system)["measures"]
    swap = f"{found['swap_accuracy']['mean']:.2f}" if "swap_accuracy" in found else "-"
    three = [f"{found[measure]['mean']:.2f}" for measure in ("snr_db", "rank_object", "rank_audio")]
    assert [*three, f"{found['azimuth_error_deg']['mean']:.1f}°", swap] in cells(name, label)


def test_results_are_of_the_weights_that_are_shipped() -> None:
    """So new weights need new figures, and a new calibration the same."""
    digest = model_info("slots").digest
    of = ("shipped", "shipped-held-out", "shipped-3-steps", "realbench", "realbench_confidence", "sphere_twin")
    assert {name: r["digest"] for name in of for r in result(name)["rows"] if r["kind"] == "model"} == dict.fromkeys(
        of, digest
    )
    assert json.loads((WEIGHTS / "slots" / "calibration.json").read_text())["model_digest"] == digest


def test_what_the_default_model_aims_at() -> None:
    slots, floors = row("shipped", "slots"), {r["name"]: r for r in result("tasbench_sim_floors")["rows"]}
    of = {name: value["mean"] for name, value in slots["measures"].items()}
    truth, direct, mono = (floors[name]["measures"] for name in ("truth", "oracle-direct", "mono"))
    rules = [floors[name]["measures"] for name in ("mono", "pan", "hrtf")]
    best = {name: min(rule[name]["mean"] for rule in rules) for name in ("stft", "env", "wav_x1000", "amp", "pha")}
    best["snr_db"] = max(rule["snr_db"]["mean"] for rule in rules)
    half_way = (mono["snr_db"]["mean"] + direct["snr_db"]["mean"]) / 2
    one, two, more = (slots["groups"][group] for group in ("1 object", "2 objects", "3 objects or more"))
    head = floors["hrtf"]["groups"]["1 object"]
    swap = slots["measures"]["swap_accuracy"]
    three_steps = {name: value["mean"] for name, value in row("shipped-3-steps", "slots@3")["measures"].items()}
    said(
        "docs/RESULTS.md",
        f"`oracle-direct`, {half_way:.2f} dB | {of['snr_db']:.2f} dB | reached |",
        f"STFT {of['stft']:.3f} (best of them {best['stft']:.3f}), ENV {of['env']:.3f} ({best['env']:.3f}), "
        f"WAV {of['wav_x1000']:.2f} ({best['wav_x1000']:.2f}), AMP {of['amp']:.3f} ({best['amp']:.3f}), "
        f"PHA {of['pha']:.3f} ({best['pha']:.3f}), SNR {of['snr_db']:.2f} ({best['snr_db']:.2f}) | reached |",
        f"90 % of the ground truth's own, {0.9 * truth['rank_object']['mean']:.3f} | {of['rank_object']:.3f} | reached",
        f"80 % of the ground truth's own, {0.8 * truth['rank_audio']['mean']:.3f} | {of['rank_audio']:.3f}: "
        f"one object {one['rank_audio']['mean']:.2f}, two {two['rank_audio']['mean']:.2f}, "
        f"three or more {more['rank_audio']['mean']:.2f} | reached |",
        f"{swap['mean']:.3f}: {round(swap['mean'] * swap['count'])} of {swap['count']} clips, "
        f"so [{swap['low']:.2f}, {swap['high']:.2f}]",
        f"{one['azimuth_error_deg']['mean']:.1f} and {two['azimuth_error_deg']['mean']:.1f} degrees | reached |",
        f"SNR {one['snr_db']['mean']:.2f} dB ({head['snr_db']['mean']:.2f}), azimuth error "
        f"{one['azimuth_error_deg']['mean']:.2f} degrees ({head['azimuth_error_deg']['mean']:.2f}), on its side in "
        f"{one['rank_object']['mean']:.3f} ({head['rank_object']['mean']:.3f})",
        f"below half of Mono-Mono's, {mono['ic_error']['mean'] / 2:.3f} | {of['ic_error']:.3f}; "
        f"`oracle-direct` {direct['ic_error']['mean']:.3f} |",
        f"`found_present` {of['found_present']:.2f}, `found_absent` {of['found_absent']:.2f}",
        f"0 in one step, {three_steps['center_spl_db']:.2f} dB in three",
        f"three steps cost {of['snr_db'] - three_steps['snr_db']:.2f} dB of SNR",
    )
    said(
        "README.md",
        f"of clips with two objects {two['rank_audio']['mean']:.2f} are right as a whole, of those with three or more "
        f"{more['rank_audio']['mean']:.2f}",
        f"in {round(swap['mean'] * swap['count'])} of {swap['count']} clips (swap)",
        f"(error {of['ic_error']:.3f} at 1 step, {three_steps['ic_error']:.3f} at 3)",
    )
    said("docs/TASBENCH_SIM.md", f"is off by {truth['azimuth_error_deg']['mean']:.1f} degrees in the mean")


def paired(name: str, measure: str, form: str) -> str:
    """How far the shipped weights are ahead of those before, whose row has the difference the other way round."""
    found = row(name, "before")["differences"][measure]
    mean, low, high = (-found[key] for key in ("mean", "high", "low"))
    return f"{mean:+{form}} {{}}[{low:{form}}, {high:{form}}]"


def test_what_the_weights_before_had() -> None:
    sim, real = ("tasbench_sim_before", "realbench_before")
    said(
        "docs/RESULTS.md",
        f"SNR {paired(sim, 'snr_db', '.3f').format('dB ')}, "
        f"`rank_object` {paired(sim, 'rank_object', '.3f').format('')}, "
        f"`rank_audio` {paired(sim, 'rank_audio', '.3f').format('')}",
        f"azimuth error {paired(sim, 'azimuth_error_deg', '.2f').format('degrees ')}",
        f"objects on their side {paired(real, 'rank_object', '.3f').format('')}, "
        f"clips with all right {paired(real, 'rank_audio', '.3f').format('')}, "
        f"azimuth error {paired(real, 'azimuth_error_deg', '.1f').format('degrees ')}, "
        f"SNR {paired(real, 'snr_db', '.2f').format('dB ')}",
    )


# ------------------------------------------------------------------ RealBench

REAL = (
    ("mono in both ears", "mono"),
    ("whole mixture through the head", "hrtf"),
    ("**`slots`, as shipped**", "slots"),
    ("ideal masks, same direction filter", "oracle-mask"),
    ("the clip itself", "truth"),
)


@pytest.mark.parametrize(("label", "system"), REAL)
def test_the_tables_of_real_recordings(label: str, system: str) -> None:
    found = row("realbench", system)
    measures, groups = found["measures"], found["groups"]
    all_of_it = [
        *(interval(measures[name]) for name in ("snr_db", "rank_object", "rank_audio")),
        interval(measures["azimuth_error_deg"], ".1f"),
        interval(measures["swap_accuracy"]) if "swap_accuracy" in measures else "-",
    ]
    shown = cells("docs/RESULTS.md", label)
    assert all_of_it in shown
    assert [interval(groups[kind]["rank_object"]) for kind in ("voice", "music", "everyday")] in shown
    by_number = ("1 object", "2 objects", "3 objects or more", "recorded mixture")
    assert [interval(groups[group]["rank_audio"]) for group in by_number] in shown


def test_what_is_said_of_real_recordings() -> None:
    slots, head, masks, truth = (row("realbench", name) for name in ("slots", "hrtf", "oracle-mask", "truth"))
    of, ahead = slots["measures"], {k: v for k, v in head["differences"].items() if v}
    by = {name: slots["groups"][name]["rank_audio"]["mean"] for name in ("2 objects", "3 objects or more")}
    best = {name: masks["groups"][name]["rank_audio"]["mean"] for name in by}
    aims = [share * truth["groups"][name]["rank_audio"]["mean"] for share, name in zip((0.8, 0.6), by, strict=True)]
    swap = of["swap_accuracy"]
    gains = [
        f"{-ahead[name]['mean']:.2f} {{}}[{-ahead[name]['high']:.2f}, {-ahead[name]['low']:.2f}]"
        for name in ("snr_db", "rank_object", "rank_audio")
    ]
    two, three = by.values()
    said(
        "docs/RESULTS.md",
        f"Of pairs {100 * two:.0f} % are right as a whole, of three or more {100 * three:.0f} %",
        f"reach {100 * best['2 objects']:.0f} and {100 * best['3 objects or more']:.0f} %",
        f"by {gains[0].format('dB of SNR ')}, {gains[1].format('of the objects ')} and "
        f"{gains[2].format('of the clips ')}",
        f"in {round(swap['mean'] * swap['count'])} of {swap['count']} clips",
        f"{interval(of['found_present'])} of the time is found, and {interval(of['found_absent'])} of what is not",
        f"for pairs ({aims[0]:.2f}; it is {two:.2f}{', reached' * (two >= aims[0])}) and 0.60 for three or more "
        f"({aims[1]:.2f}; it is {three:.2f}{', reached' * (three >= aims[1])})",
        f"`swap_accuracy` 0.90 ({swap['mean']:.2f})",
        f"at {truth['groups']['dry']['rank_object']['mean']:.2f} and "
        f"{truth['groups']['dry']['azimuth_error_deg']['mean']:.1f} degrees",
        f"is off by {head['groups']['1 object']['azimuth_error_deg']['mean']:.1f} degrees here, by "
        f"{row('tasbench_sim_floors', 'hrtf')['groups']['1 object']['azimuth_error_deg']['mean']:.1f} on TASBench-Sim",
    )
    said(
        "README.md",
        f"`slots` has {interval(of['rank_object'])} of the objects on their side and {interval(of['rank_audio'])} of "
        f"the clips all right: of one sound all, of pairs {two:.2f}, of three or more {three:.2f}; the mixture through "
        f"the head {head['measures']['rank_audio']['mean']:.2f}, "
        f"ideal masks {masks['measures']['rank_audio']['mean']:.2f}",
    )
    said(
        "MODEL_CARD.md",
        f"{len(result('realbench')['clips'])} clips: objects on their side {of['rank_object']['mean']:.2f}, clips with "
        f"all right {of['rank_audio']['mean']:.2f}, azimuth error {of['azimuth_error_deg']['mean']:.0f} degrees",
    )


def test_what_is_said_of_confidence() -> None:
    found = row("realbench_confidence", "slots")
    of, bins = found["measures"], found["reliability"]
    shown = {
        "AUC": "confidence_auc",
        "right and not warned of": "trusted_right",
        "wrong and not warned of": "trusted_wrong",
        "not there and not warned of": "trusted_absent",
    }
    for label, measure in shown.items():
        ((first, *_),) = cells("docs/RESULTS.md", label)
        assert first.replace("*", "") == interval(of[measure])
    for label, measure in (("Brier score", "confidence_brier"), ("ECE", "confidence_ece")):
        ((first, *_),) = cells("docs/RESULTS.md", label)
        assert first == interval(of[measure], ".3f")
    for item in bins:
        expected = [str(item["count"]), f"{item['mean_confidence']:.2f}", f"{item['right_share']:.2f}"]
        assert cells("docs/RESULTS.md", f"{item['low']:.1f} to {item['high']:.1f}") == [expected]
    right, wrong, absent = (100 * (1 - of[f"trusted_{name}"]["mean"]) for name in ("right", "wrong", "absent"))
    said(
        "docs/RESULTS.md",
        f"{sum(item['count'] for item in bins):,} objects and stretches of time",
        f"Of what it got right it warns of {right:.0f} %, of what it got wrong of {wrong:.0f} %, "
        f"of what is not there of {absent:.0f} %",
    )
    said("README.md", f"warns of {right:.0f} % of what is right")


def test_what_confidence_was_fitted_on() -> None:
    fitted = json.loads((WEIGHTS / "slots" / "calibration.json").read_text(encoding="utf-8"))
    sets = fitted["provenance"]["sets"]
    number = f"was fitted on {sum(sets.values()):,} objects of"
    bench = {name.split(", ")[1]: count for name, count in sets.items() if name.startswith("bench-val")}
    composed = {name.split(", ")[1]: count for name, count in sets.items() if not name.startswith("bench-val")}
    said("docs/RESULTS.md", number, f"below which people are warned ({fitted['low']:.3f})")
    said(
        "MODEL_CARD.md",
        f"{number} validation scenes: {sum(bench.values())} of TASBench-Sim's ({bench['own']} under own prompts, "
        f"{bench['extended']} with a name too many, {bench['replaced']} with a name replaced), "
        f"{composed['*']} of composed scenes, and {composed['flare-game/*']} of scenes of recordings of flare-game",
    )


# ------------------------------------------------------------------ the weights, and what they learned from


def test_what_the_pages_say_of_the_shipped_weights() -> None:
    slots, small = model_info("slots"), model_info("paper-small")
    config = json.loads((WEIGHTS / "slots" / "config.json").read_text(encoding="utf-8"))
    assert config["config"]["networks"] == 1
    learned = config["provenance"]
    size = (WEIGHTS / "slots" / "model.safetensors").stat().st_size
    said(
        "docs/MODELS.md",
        "The shipped model has one,",
        f"to the power of {config['config']['balance']} (trial 37)",
        f"| `paper` | 6.1 M | {small.parameters / 1e6:.1f} M |",
    )
    said(
        "MODEL_CARD.md",
        f"{slots.parameters / 1e6:.1f} million parameters",
        f"{size / 1e6:.1f} MB",
        f"{small.parameters / 1e6:.2f} M parameters where the paper's",
        f"| {learned['steps']} | {learned['training']['seed']} | 1e-3, falling to zero by the clock | "
        f"{learned['hours']:.2f} h of an H200 |",
        f"{len(learned['sources']):,} sources",
        "Shipped are the weights of run 10",
    )
    said("docs/MODELS.md", f"raised to the power of {config['config']['directness_power']} (`directness_power`")
    assert (learned["training"]["learning_rate"], learned["device"]) == (1e-3, "cuda")
    assert [len(parts) for parts in learned["made_of"]] == [1]


def test_what_the_model_card_says_of_the_papers_network() -> None:
    config = json.loads((WEIGHTS / "paper" / "config.json").read_text(encoding="utf-8"))
    assert config["provenance"]["steps"] == 3000
    size = (WEIGHTS / "paper" / "model.safetensors").stat().st_size
    rows = {r["name"]: r for r in result("quality-cuda-v")["rows"]}
    saf, mono = (rows[name]["measures"]["snr_db"] for name in ("TAS + SAF", "Mono-Mono"))
    gain = rows["TAS + SAF"]["differences"]["snr_db"]
    said(
        "MODEL_CARD.md",
        f"in {60 * config['provenance']['hours']:.1f} minutes of an H200",
        f"Stored in 8 bits, {size / 1e6:.1f} MB",
        f"it is {gain['mean']:.2f} dB over mono (SNR {saf['mean']:.2f} and {mono['mean']:.2f} dB)",
    )
    said(
        "docs/RESULTS.md",
        f"SAF is {gain['mean']:.2f} dB of SNR [{gain['low']:.2f}, {gain['high']:.2f}] over Mono-Mono",
        *(
            f"{rows[name]['measures']['snr_db']['mean'] - saf['mean']:.2f} dB ({name.split(',')[0]})"
            for name in ("MONO2BINAURAL, text", "APNet, text")
        ),
    )


def test_what_is_said_of_training_on_a_graphics_processor() -> None:
    rows = result("training_gpu")["rows"]
    eager, compiled = (rows[f"whole step, {kind}"] for kind in ("eager", "compiled"))
    said(
        "docs/TRAINING.md",
        f"| {eager['seconds']:.3f}: {eager['scenes_per_second']:.0f} scenes a second | "
        f"{compiled['seconds']:.3f}: {compiled['scenes_per_second']:,.0f} scenes a second |",
        f"| {rows['forward, eager']['seconds']:.3f} | {rows['forward, compiled']['seconds']:.3f} |",
        f"| {rows['backward, eager']['seconds']:.3f} | {rows['backward, compiled']['seconds']:.3f} |",
        f"| optimiser, clipping, average | {rows['optimiser, eager']['seconds']:.3f} | "
        f"{rows['optimiser, compiled']['seconds']:.3f} |",
        f"| draw, 8 processes | {rows['draw, 8 processes']['seconds']:.3f} |",
        f"| compose | {rows['compose']['seconds']:.3f} |",
        f"| first step | {rows['first step, eager']['seconds']:.1f} | {rows['first step, compiled']['seconds']:.0f} |",
    )


def test_the_model_card_has_every_package_with_its_licence() -> None:
    """Of those that the shipped weights have heard, or are kept for validation and test."""
    heard = {
        source.split("/")[0]
        for source in json.loads((WEIGHTS / "slots" / "config.json").read_text())["provenance"]["sources"]
    }
    part = {"train": "training", "val": "validation", "test": "test"}
    card = {package.name: cells("MODEL_CARD.md", package.name) for package in PACKAGES}
    for package in PACKAGES:
        expected = [[package.licence, part[package.split]]]
        assert card[package.name] == (expected if package.split != "train" or package.name in heard else []), (
            package.name
        )


def words_of(count: int) -> str:
    """A small number in words."""
    return dict(enumerate("zero one two three four five six seven eight nine ten".split()))[count]


def test_what_the_pages_say_of_the_catalogue() -> None:
    categories = load_categories()
    recorded = [c for c in categories if c.recorded]
    everyday = [c for c in categories if c.kind == "recording"]
    new = [c for c in recorded if c.kind == "recording"]
    repositories = {"esc-10"} | {v.argument for v in PACKAGED_VOICES if v.crowd}
    packages = [p.name for p in PACKAGES if p.name not in repositories]
    several = [c for c in everyday if len({p for p, _ in c.recorded} - repositories) + bool(c.samples) > 1]
    speakers = [v for v in PACKAGED_VOICES if not v.crowd]
    said(
        "docs/TASBENCH_SIM.md",
        f"files of {len(packages)} packages and of ESC-10 for {len(recorded)} of the {len(categories)} categories",
        f"everyday sounds of {len(new)} kinds",
        f"with what was there before {len(everyday)}, {len(several)} of them from several packages",
        f"{words_of(len(PACKAGED_KITS))} whole kits",
        f"{len(speakers)} more speakers",
        f"recordings of {len(packages)} packages and {words_of(len(repositories))} repositories",
    )
    said(
        "README.md",
        f"dogs, rain, cars, doors and {len(new) - 4} more everyday sounds from recordings of {len(packages)} packages "
        f"and {words_of(len(repositories))} repositories",
    )
    words = [len(c.training_words) for c in categories]
    said("docs/PROMPTS.md", f"there are {len(categories)} categories with {min(words)} to {max(words)} names each")
    script = (ROOT / "scripts" / "install-training-material.sh").read_text(encoding="utf-8")
    fetched = script.split("packages=(")[1].split(")")[0].split()
    assert set(packages) <= set(fetched)
    cloned = re.findall(r"^repository ", script, re.MULTILINE)
    said(
        "docs/TASBENCH_SIM.md",
        f"the sounds of {len(fetched)} packages and {words_of(len(cloned))} repositories",
    )


def test_what_the_pages_say_of_the_voices_and_soundfonts() -> None:
    train = [v for v in VOICES if v.split == "train" and v.in_benchmark]
    engines = {engine: sum(v.engine == engine for v in train) for engine in ("espeak", "flite")}
    announcers = [v for v in train if v.argument.startswith("/usr/share/asterisk")]
    recorded = [v for v in train if v.engine == "files" and v not in announcers]
    languages = {v.name.split()[1] for v in recorded}
    said(
        "docs/TASBENCH_SIM.md",
        f"{engines['espeak']} of eSpeak NG, {engines['flite']} of flite, "
        f"{words_of(len(announcers))} recorded announcer, "
        f"{len(recorded)} recorded speakers of {len(languages)} languages",
    )
    (general,) = (font for font in SOUNDFONTS if font.name == "GeneralUser")
    said("MODEL_CARD.md", f"{128 - len(general.without_programs)} of its instruments")


def test_the_readme_says_how_many_families_there_are() -> None:
    said("README.md", f"has all {words_of(len(FAMILIES))} model families")


# ------------------------------------------------------------------ all around

TWIN = (
    ("mono in both ears", "mono", None),
    ("true sounds, true places, on the plane (`sources-plane`)", "sources-plane", "true sounds, on the plane"),
    ("**`slots`, as shipped**", "slots", "`slots`, from the mix and the words"),
    (
        "true sounds at the places that were said (`sources-asked`)",
        "sources-asked",
        "true sounds at the places that were said",
    ),
    ("true sounds at their true places (`sources`)", "sources", "true sounds at their true places"),
    ("the clip itself", "truth", "the clip itself"),
)


@pytest.mark.parametrize(("label", "system", "short"), TWIN)
def test_the_tables_of_the_twin(label: str, system: str, short: str | None) -> None:
    found = row("sphere_twin", system)
    places = [interval(found["groups"][group]["great_circle_deg"], ".1f") for group in ("dry", "reverberant")]
    places += [interval(found["measures"][name]) for name in ("front_back_confused", "up_down_confused")]
    errors = [found["measures"][name] for name in ("level_error_db", "spectral_error_db")]
    levels = [interval(error, ".1f") if error["mean"] else "0" for error in errors]
    sides = interval(found["measures"]["rank_object"])
    assert [*places, *levels, sides] in cells("docs/RESULTS.md", label)
    if short:
        assert places in cells("docs/SPHERE.md", short)


def moving(words: str, name: str) -> list[tuple[dict[str, float], dict[str, float]]]:
    """Where a sound of the example was asked for and heard while it moved."""
    rows = [r for r in result("around")["rows"] if words in r["text"] and r["object"] == name and r["moving"]]
    return [(r["asked"], r["heard"]) for r in rows]


def listed(values: Sequence[float], form: str = ".0f") -> str:
    return ", ".join(f"{value:{form if value < 13.5 else '.0f'}}" for value in values)


def test_the_table_of_what_moves() -> None:
    circle = moving("circle around", "drums")
    over = moving("passes overhead", "helicopter")
    closer, away = moving("coming closer", "dog barks"), moving("flies away", "helicopter")
    turns = [[place["azimuth_deg"] for place in side] for side in zip(*circle, strict=True)]
    front = [asked["elevation_deg"] for asked, _ in over if abs(asked["azimuth_deg"]) < 90]
    behind = [asked["elevation_deg"] for asked, _ in over if abs(asked["azimuth_deg"]) > 90]
    metres = [[[place["distance_m"] for place in side] for side in zip(*way, strict=True)] for way in (closer, away)]
    said(
        "docs/SPHERE.md",
        f"| {listed(turns[0])} | {listed(turns[1])} |",
        f"| elevation {listed(front)} in front; {listed(behind)} behind |",
        f"| 55, 0; {listed(metres[0][0], '.1f')} m | 55, 0, once 45, 0, and four times 55, 0; "
        f"{listed(metres[0][1], '.1f')} m |",
        f"| 0, 0; {listed(metres[1][0], '.1f')} m | 0, 0; {listed(metres[1][1], '.1f')} m |",
        f"front and back are confused in {result('around_mixed')['front_back_confused']} places",
        f"in {result('around_estimated')['front_back_confused']} places",
    )


# ------------------------------------------------------------------ times, and what else was counted


def test_the_table_of_times() -> None:
    found = result("speed")
    files, slots, cold = found["whole_files"], found["slots"], found["process_of_10_s"]
    steps = {number: f"{value['real_time_factor']:.3f}" for number, value in slots["steps"].items()}
    loaded = [f"{file['real_time_factor_after_loading']:.3f}" for file in files]
    said(
        "docs/RESULTS.md",
        f"| {steps['1']}; {steps['2']} with two steps, {steps['3']} with three, {steps['6']} with six |",
        f"| {cold['seconds']:.1f} s, {cold['peak_memory_gb']:.2f} GB |",
        f"| {files[0]['seconds']:.1f}, {files[1]['seconds']:.0f}, {files[2]['seconds']:.0f} s "
        f"(after loading {min(loaded)} to {max(loaded)} of real time); at most ",
        f"| a further object in the prompt | {100 * slots['cost_of_a_further_clause']:.1f} % |",
        f"| {slots['steps']['1']['gflop_per_s_of_sound']:.1f} GFLOP; the paper's procedure "
        f"{found['paper']['gflop_per_s_of_sound']:,.0f}",
        f"({slots['network']['real_time_factor']:.3f} of real time) | "
        f"{100 * slots['network']['share_of_fp32_matrix_product_rate']:.0f} %",
        f"{found['machine']['gflop_per_s']['fp32']:.0f} GFLOP/s",
    )
    shown = re.search(r"of real time\); at most (.*?), (.*?), (.*?) GB", page("docs/RESULTS.md"))
    assert shown
    gigabytes = [float(number) for number in shown.groups()]
    assert gigabytes == pytest.approx([file["peak_memory_gb"] for file in files], abs=0.0051)
    said("README.md", f"10 s of audio in {cold['seconds']:.1f} s")
    said("docs/SERVE.md", f"of the {cold['seconds']:.1f} s that 10 s of sound take in a process of their own")


def test_the_table_of_a_server() -> None:
    found = result("serve")
    for name in ("one client", "as many as places", "twice as many"):
        of = found[name]
        made = " / ".join(f"{seconds:.2f} s" for seconds in of["made_s_p50_p99"])
        refused = " / ".join(f"{1000 * seconds:.0f} ms" for seconds in of["refused_s_p50_p99"] or ()) or "-"
        shown = [
            str(found["places"]),
            str(of["made"]),
            f"{of['made_per_second']:.1f}",
            made,
            str(of["refused"]),
            refused,
        ]
        assert shown in cells("docs/SERVE.md", str(of["clients"]))


def test_the_statistics_of_the_benchmark() -> None:
    found, speed = result("tasbench_sim"), result("simulation")
    objects = ", ".join(f"{number}: {100 * share:.1f} %" for number, share in found["objects_per_clip_shares"].items())
    sides = " / ".join(f"{100 * share:.1f}" for share in found["direction_shares"].values())
    said(
        "docs/TASBENCH_SIM.md",
        f"| 190,625 | {found['annotations']:,} |",
        f"| 1 to 4 | {objects} |",
        f"| {sides} % |",
        f"| not said | {100 * found['silent_frame_share']:.1f} % |",
        f"| not said | {100 * found['moving_clip_share']:.1f} % |",
        f"hence {len(found['categories'])} bars for {sum(c['known'] for c in found['categories'])} categories",
        f"{speed['real_time_factor_per_core']} times real time on one core at 48 kHz, stems written "
        f"(median {speed['median_s_per_clip']:.2f} s",
    )


def test_the_tables_of_the_band_above_and_of_packed_material() -> None:
    rows, packed = result("full_band")["rows"], result("packed")["rows"]
    labels = {f"{hz}": f"{hz / 1000:g} kHz" for hz in (4000, 5000, 6300, 10_000, 12_500, 16_000)}
    labels |= {"below": "all below 8 kHz", "above": "all above"}
    for band, label in labels.items():
        objects, *others = (rows[name][band] for name in ("objects", "side signal alone", "one value"))
        shown = [f"{objects['truth_mean_db']:.1f} dB", f"{objects['mean_db']:.1f} dB", f"{objects['width']:.2f}",
                 f"{objects['slope']:.2f}", f"{objects['error_db']:.1f} dB",
                 *(f"{other['width']:.2f}, {other['slope']:.2f}" for other in others)]  # fmt: skip
        assert cells("docs/MODELS.md", label) == [shown]
    kinds = ("melodic", "speech", "kit", "recording", "percussion")
    whole, segments = ([f"{packed[kind][name]:.1f}" for kind in kinds] for name in ("snr_db", "segmental_db"))
    said(
        "docs/MODELS.md",
        "melodic {}, speech {}, kits {}, recordings {}, percussion {};".format(*whole),
        f"in segments of 32 ms {', '.join(segments)}",
    )


def test_the_readme_says_what_the_program_withstood() -> None:
    """As its own page says it, which has the tables."""
    doors = re.findall(
        r"^\| `[\w-]+` \| [^|]+ \| ([\d,]+) \|", page("docs/ROBUSTNESS.md").split("<!-- doors -->")[1], re.M
    )
    fewer = [count for count in doors if count != "100,000"]
    assert len(set(fewer)) == 1
    said(
        "README.md",
        f"{len(doors)} kinds of inputs under a coverage-guided fuzzer, {len(doors) - len(fewer)} of them with 100,000 "
        f"inputs each (the {words_of(len(fewer))} that start ffmpeg for each, {fewer[0]})",
    )
    soak = re.search(
        r"([\d,]+) requests in (\d+) minutes with the shipped model .*?: \+([\d.]+) %", page("docs/ROBUSTNESS.md")
    )
    assert soak
    requests, minutes, growth = soak.groups()
    said("README.md", f"{requests} mixed requests in one process, in {minutes} minutes: memory grew by {growth} %")
    kills = {count for count in re.findall(r"^\| batch of 30 [^|]*\| (\d+), \d+ \|", page("docs/ROBUSTNESS.md"), re.M)}
    assert len(kills) == 1
    said("README.md", f"at {kills.pop()} random moments of a batch of 30 files")


def test_what_was_measured_of_the_sphere() -> None:
    found, listener = result("sphere"), result("sphere_listener")
    for head, label in (("kemar", "KEMAR"), ("person", "a person")):
        for kind, name in (("measured", "measured directions"), ("left_out", "left out")):
            of = found["spectra"][head][kind]
            who = "a person (ARI NH2)" if (head, kind) == ("person", "measured") else label
            ((count, *errors),) = cells("docs/SPHERE.md", f"{who}, {name}")
            assert int(count) == of["directions"]
            assert [float(error) for error in errors] == pytest.approx(list(of["error_db"].values()), abs=0.0051)
    for turn in (4, 2, 1, 0.5):
        beside = [r for r in found["movement"] if r["seconds_a_turn"] == turn and r["tone_hz"] > 500]
        (shown,) = re.findall(rf"^  \| {turn} s \| (.*) \|$", page("docs/SPHERE.md"), re.MULTILINE)
        assert [float(level) for level in shown.split(" | ")] == pytest.approx(
            [r["beside_the_tone_db"] for r in beside], abs=0.51
        )
    shares = [
        listener[head][kind][what]
        for what in ("front_back_confused", "up_down_confused")
        for head in ("kemar", "person")
        for kind in ("measured", "rendered", "left-out")
    ]
    text = re.search(
        r"in (\d+) % when it hears the measurement itself, in (\d+) % when it hears what is rendered there, "
        r"and in (\d+) % .*? in (\d+), (\d+) and (\d+) %. Up and down: (\d+), (\d+), (\d+) % and (\d+), (\d+), (\d+) %",
        page("docs/SPHERE.md"),
    )
    assert text
    assert [int(share) for share in text.groups()] == pytest.approx([100 * share for share in shares], abs=0.51)
    said("docs/SPHERE.md", "A renderer is prepared in a third of a second")
    assert found["speed_cpu_s_per_s"]["preparing_three_renderers_s"] / 3 == pytest.approx(1 / 3, abs=0.05)
