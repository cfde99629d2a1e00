"""Presets by name, and models from checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import nn

from tas_core.checkpoints import Checkpoint, load_checkpoint
from tas_core.configs import config_from_dict
from tas_core.errors import InputError
from tas_core.models.slots import SlotsConfig, SlotsModel

_WEIGHTS = Path(__file__).resolve().parent / "weights"
DEFAULT_MODEL = "slots"

PRESETS: dict[str, Callable[[], nn.Module]] = {
    "slots": lambda: SlotsModel(SlotsConfig()),
}


def build_preset(name: str) -> nn.Module:
    """A freshly initialised model.

    Raises:
        InputError: unknown name.
    """
    if name not in PRESETS:
        raise InputError(f"unknown preset '{name}'; expected one of {', '.join(PRESETS)}")
    return PRESETS[name]()


def shipped_models() -> tuple[str, ...]:
    """Names of the checkpoints that come with the package."""
    if not _WEIGHTS.is_dir():
        return ()
    return tuple(sorted(p.name for p in _WEIGHTS.iterdir() if (p / "config.json").is_file()))


def find_checkpoint(name: str) -> Path:
    """Folder of a shipped model by name, or of a checkpoint by path.

    Raises:
        InputError: neither.
    """
    if name in shipped_models():
        return _WEIGHTS / name
    folder = Path(name)
    if folder.is_dir():
        return folder
    raise InputError(
        f"unknown model '{name}'; expected one of {', '.join(shipped_models()) or '(none shipped)'}, "
        "or a checkpoint folder"
    )


def model_from_checkpoint(checkpoint: Checkpoint) -> nn.Module:
    """The network of a checkpoint with its weights, in evaluation mode.

    Raises:
        CheckpointError: the config or the weights do not fit the family.
    """
    from tas_core.errors import CheckpointError

    if checkpoint.family == "slots":
        model: nn.Module = SlotsModel(config_from_dict(SlotsConfig, checkpoint.config))
    else:
        raise CheckpointError(f"family {checkpoint.family} is unknown")
    try:
        model.load_state_dict(checkpoint.state)
    except RuntimeError as error:
        raise CheckpointError(
            f"the weights do not fit the config of a {checkpoint.family} model: {str(error).splitlines()[-1].strip()}"
        ) from error
    return model.eval()


def load_model(name: str) -> nn.Module:
    """A model by shipped name or checkpoint folder, in evaluation mode."""
    return model_from_checkpoint(load_checkpoint(find_checkpoint(name)))
