"""Make the shipped weights of one run's checkpoint or of several, in half precision or in 8 bits.

    python tools/ship.py slots runs/slots-8/checkpoint runs/slots-7/checkpoint,runs/slots-6/checkpoint \\
        --set sharpness=4.0 balance=0.75 directness_power=0.1 --bits 8
    python tools/ship.py slots runs/slots-8/checkpoint --specialist talkers=runs/talkers/checkpoint --rank 96 --bits 8

Every checkpoint becomes a network of its own in the shipped model, whose masks are averaged; where names are joined by
a comma, it is the mean of their weights, which makes sense where one run started from the other: `a,a,b` is two thirds
of a. The diffuse part, and what is said of training, is that of the first. A shipped model by itself is stored anew,
and still made of the same. A specialist is a network that was trained on from the first one for a kind of objects, and
is stored by differences of a rank; which names are of the kind is fitted here, to those of the catalogue.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tas_core.datasets.sources.catalogue import load_categories
from tas_core.models.calibration import CALIBRATION_FILE
from tas_core.models.checkpoints import Checkpoint, load_checkpoint, save_checkpoint, storable
from tas_core.models.description import SPECIALISTS_FILE
from tas_core.models.differences import as_differences
from tas_core.models.eight_bits import from_eight_bits, in_eight_bits
from tas_core.models.pretrained import find_checkpoint
from tas_core.models.registry import load_network
from tas_core.models.slots.specialists import Specialties
from tas_core.models.text_encoders.registry import build_text_encoder
from tas_core.timeline.vocabulary import words_data

NETWORK = "networks.0."
STORED = {8: torch.int8, 16: torch.float16}


def weights(checkpoints: str) -> dict[str, Tensor]:
    """Mean of the weights of checkpoints, joined by commas, of one network each."""
    states = [load_network(checkpoint).state_dict() for checkpoint in checkpoints.split(",")]
    return {name: torch.stack([state[name] for state in states]).mean(dim=0) for name in states[0]}


def read_back(state: Mapping[str, Tensor], bits: int) -> dict[str, Tensor]:
    """Weights as they will be after they were stored."""
    half = {name: storable(value, torch.float16) for name, value in state.items()}
    found = from_eight_bits(in_eight_bits(state) if bits == 8 else half, Path())
    return {name: value.float() if value.is_floating_point() else value for name, value in found.items()}


def without_folders(checkpoint: Checkpoint, made_of: list[list[str]]) -> dict[str, Any]:
    """What a checkpoint says of its training, without the folder of this machine that it began with."""
    provenance = checkpoint.provenance | {"made_of": made_of}
    if init := provenance.get("training", {}).get("init"):
        provenance["training"] = provenance["training"] | {"init": provenance.get("init_digest", Path(init).name)}
    return provenance


def read(checkpoints: str) -> list[Checkpoint]:
    """Checkpoints, joined by commas: folders, or names of shipped models."""
    return [load_checkpoint(find_checkpoint(checkpoint)) for checkpoint in checkpoints.split(",")]


def digests(checkpoints: str) -> list[str]:
    """Of checkpoints, joined by commas."""
    return [checkpoint.digest for checkpoint in read(checkpoints)]


def talker_names(*, held_out: bool = False) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of people who talk and, of the catalogue, of everything else: those to fit to, or those held out."""
    people: dict[str, None] = dict.fromkeys(words_data("talkers.yaml")["held_out" if held_out else "words"])
    others: dict[str, None] = {}
    for category in load_categories():
        names = category.held_out if held_out else category.training_words
        (people if category.kind == "speech" else others).update(dict.fromkeys(names))
    return tuple(people), tuple(name for name in others if name not in people)


NAMES = {"talkers": talker_names}
"""Names of each kind that a specialist may be for, and names of other things."""


def of_specialists(specialists: Mapping[str, str], config: dict[str, Any]) -> dict[str, Tensor]:
    """Networks for kinds of objects, and which names are of each kind; ``config`` gets to know of them."""
    encode = build_text_encoder(config["text_encoder"])
    names_of = Specialties(config["text_width"], len(specialists))
    general = config.get("networks", 1)
    found = {}
    for number, (kind, checkpoints) in enumerate(specialists.items()):
        for name, value in weights(checkpoints).items():
            if name.startswith(NETWORK):
                found[f"networks.{general + number}.{name.removeprefix(NETWORK)}"] = value
        names_of.fit(number, *(encode(list(names)) for names in NAMES[kind]()))
    config |= {"networks": general + len(specialists), "specialists": list(specialists)}
    return found | {f"specialties.{name}": value for name, value in names_of.state_dict().items()}


def ship(
    checkpoints: list[str],
    settings: list[str],
    target: Path,
    bits: int,
    specialists: Mapping[str, str] | None = None,
    rank: int = 96,
) -> None:
    """Make ``target`` of ``checkpoints`` and the ``settings`` of the config that change, each ``KEY=NUMBER``.

    ``specialists`` are checkpoints by kind, stored by differences of ``rank``.
    """
    first = read(checkpoints[0])[0]
    config = first.config | {key: json.loads(value) for key, _, value in (item.partition("=") for item in settings)}
    if former := config.pop("specialists", None):
        if not specialists:
            raise SystemExit(f"error: {checkpoints[0]} has networks for {', '.join(former)}; expected --specialist")
        config["networks"] -= len(former)
    left_out = ("specialties.", *(f"networks.{config.get('networks', 1) + n}." for n in range(len(former or ()))))
    if len(checkpoints) > 1:
        config["networks"] = len(checkpoints)
    state = {}
    for number, joined in enumerate(checkpoints):
        for name, value in weights(joined).items():
            if name.startswith(NETWORK):
                state[f"networks.{number}.{name.removeprefix(NETWORK)}"] = value
            elif number == 0 and not name.startswith(left_out):
                state[name] = value
    made_of = [digests(joined) for joined in checkpoints]
    if made_of == [[first.digest]]:
        made_of = first.provenance.get("made_of", made_of)
    provenance = without_folders(first, made_of)
    second = None
    if specialists:
        second = as_differences(of_specialists(specialists, config), read_back(state, bits), rank)
        provenance["specialists"] = {
            kind: without_folders(read(joined)[0], [digests(joined)]) for kind, joined in specialists.items()
        }
    save_checkpoint(target, first.family, config, state, provenance, dtype=STORED[bits], specialists=second)
    if second is None:
        (target / SPECIALISTS_FILE).unlink(missing_ok=True)
    if (stale := target / CALIBRATION_FILE).exists():
        stale.unlink()
        print(
            f"{stale}: removed, since it was fitted with other weights; fit it anew: python tools/calibrate.py {target}"
        )
    size = sum(path.stat().st_size for path in target.glob("*.safetensors"))
    print(f"{target}: step {first.provenance.get('steps')}, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("checkpoints", nargs="+")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=NUMBER", help="settings of the config to change")
    parser.add_argument("--specialist", nargs="*", default=[], metavar="KIND=CHECKPOINT", help="networks for a kind")
    parser.add_argument("--rank", type=int, default=96, help="of the differences that store specialists")
    parser.add_argument("--bits", type=int, choices=sorted(STORED), default=16, help="of each large weight")
    parser.add_argument("--out", type=Path, default=Path("tas_core/models/weights"), help="folder to make it in")
    arguments = parser.parse_args()
    kinds = dict(item.split("=", 1) for item in arguments.specialist)
    ship(
        arguments.checkpoints, arguments.set, arguments.out / arguments.name, arguments.bits, kinds, rank=arguments.rank
    )
