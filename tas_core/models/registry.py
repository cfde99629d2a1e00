"""Presets by name, and models from checkpoints."""

from __future__ import annotations

import contextlib
import difflib
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from tas_core.errors import CheckpointError, InputError
from tas_core.models.base import SpatialModel
from tas_core.models.checkpoints import Checkpoint, load_checkpoint
from tas_core.models.paper import model as paper
from tas_core.models.pretrained import find_checkpoint
from tas_core.models.slots import config as slots_config
from tas_core.models.slots.earlier import todays
from tas_core.models.slots.model import SlotsModel
from tas_core.models.unets import apnet, mono2binaural, unet
from tas_core.system.configs import config_from_dict

_FAULTS: Final = (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)
"""What torch and Python say to sizes that make no layer."""
_LARGEST: Final = 2**20
_VARIANT_ENDINGS = ("-clip", "-bert", "-t5", "-small")


@dataclass(frozen=True)
class Family:
    """One kind of model.

    Attributes:
        config: class of its configs.
        model: class of its networks, built from a config.
        presets: configs by name.
        training: settings of ``TrainingConfig`` that its authors state.
        todays: turns config and weights of a checkpoint of an earlier version into today's, where they are others.
    """

    config: type[Any]
    model: type[SpatialModel]
    presets: Mapping[str, Any]
    training: Mapping[str, Any] = field(default_factory=dict)
    todays: Callable[[dict[str, Any], dict[str, Tensor]], tuple[dict[str, Any], dict[str, Tensor]]] | None = None


FAMILIES: Final[dict[str, Family]] = {
    "slots": Family(slots_config.SlotsConfig, SlotsModel, slots_config.PRESETS, todays=todays),
    "paper": Family(paper.PaperConfig, paper.PaperModel, paper.PRESETS, paper.TRAINING),
    "mono2binaural": Family(
        mono2binaural.Mono2BinauralConfig, mono2binaural.Mono2BinauralModel, mono2binaural.PRESETS, unet.TRAINING
    ),
    "apnet": Family(apnet.APNetConfig, apnet.APNetModel, apnet.PRESETS, unet.TRAINING),
}
"""All families by name."""

PRESETS: Final[dict[str, Any]] = {name: config for f in FAMILIES.values() for name, config in f.presets.items()}
"""Configs by name; the class of a config says which family it belongs to."""


def separating_families() -> tuple[str, ...]:
    """Families whose models tell objects apart."""
    return tuple(name for name, family in FAMILIES.items() if family.model.separates)


def preset_family(name: str) -> str:
    """Key of :data:`FAMILIES` that a preset belongs to.

    Raises:
        InputError: unknown name.
    """
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, n=1)
        hint = f" (did you mean '{near[0]}'?)" if near else ""
        bases = ", ".join(n for n in PRESETS if not n.endswith(_VARIANT_ENDINGS))
        raise InputError(
            f"unknown preset '{name}'{hint}; expected one of {bases}; all but slots also with another text encoder "
            "(-clip, -bert, -t5) and, after that, at a width for CPUs (-small)"
        )
    return next(family for family, f in FAMILIES.items() if type(PRESETS[name]) is f.config)


def build_preset(name: str) -> SpatialModel:
    """A freshly initialised model; weights come from torch's global random state.

    Raises:
        InputError: unknown name.
    """
    return FAMILIES[preset_family(name)].model(PRESETS[name])


def model_from_checkpoint(checkpoint: Checkpoint) -> SpatialModel:
    """The network of a checkpoint with its weights, in evaluation mode.

    Raises:
        CheckpointError: the config or the weights do not fit the family.
    """
    family = FAMILIES[checkpoint.family]
    stated, state = checkpoint.config, checkpoint.state
    if family.todays is not None:
        stated, state = family.todays(stated, state)
    config = config_from_dict(family.config, stated)
    try:
        _check_sizes(config)
        with _no_larger_than(state):
            model = family.model(config)
    except _FAULTS as error:
        reason = textwrap.shorten(str(error) or type(error).__name__, 200)
        raise CheckpointError(f"the config makes no {checkpoint.family} model: {reason}") from error
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        reason = textwrap.shorten(str(error).splitlines()[-1], 200)
        raise CheckpointError(f"the weights do not fit a {checkpoint.family} model: {reason}") from error
    return model.eval()


def _check_sizes(config: Any) -> None:
    """See that no size alone is beyond what any layer has.

    Raises:
        ValueError: one is.
    """
    for name, value in vars(config).items():
        if isinstance(value, int) and value > _LARGEST:
            raise ValueError(f"{name} must be at most {_LARGEST}, not {value}")


@contextlib.contextmanager
def _no_larger_than(state: Mapping[str, Tensor]) -> Iterator[None]:
    """Within, a model is built no further than it has parameters in a state: a few words can ask for any number.

    A layer's numbers are not touched before they are counted, so they take no memory.

    Raises:
        ValueError: it has more.
    """
    there = sum(value.numel() for value in state.values())
    asked = [0, 0]

    def count(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
        del module, name
        asked[0] += 1
        asked[1] += parameter.numel()
        if asked[0] > len(state) or asked[1] > there:
            raise ValueError(f"its sizes ask for more than the {there} numbers that its weights have")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


def load_network(name: str) -> SpatialModel:
    """The network of a shipped model by name, or of a checkpoint by path, in evaluation mode and on the CPU.

    Raises:
        InputError: neither.
        CheckpointError: the checkpoint is incomplete, damaged, or does not fit its family.
    """
    folder = find_checkpoint(name)
    return network_of(load_checkpoint(folder), folder)


def network_of(checkpoint: Checkpoint, folder: Path) -> SpatialModel:
    """As :func:`model_from_checkpoint`, with errors that name the folder."""
    try:
        return model_from_checkpoint(checkpoint)
    except CheckpointError as error:
        raise CheckpointError(f"{folder}: {error}") from error
