"""Presets by name, and models from checkpoints."""

from __future__ import annotations

import textwrap
from pathlib import Path

from tas_core.checkpoints import Checkpoint, load_checkpoint
from tas_core.configs import config_from_dict
from tas_core.errors import CheckpointError, InputError
from tas_core.models.paper import PRESETS as PAPER_PRESETS
from tas_core.models.paper import PaperConfig, PaperModel
from tas_core.models.slots import SlotsConfig, SlotsModel

_WEIGHTS = Path(__file__).resolve().parent / "weights"
DEFAULT_MODEL = "slots"

PRESETS: dict[str, PaperConfig | SlotsConfig] = {"slots": SlotsConfig(), **PAPER_PRESETS}
"""Configs by name; the class of a config says which family it belongs to."""


def preset_family(name: str) -> str:
    """``slots`` or ``paper``.

    Raises:
        InputError: unknown name.
    """
    if name not in PRESETS:
        raise InputError(f"unknown preset '{name}'; expected one of {', '.join(PRESETS)}")
    return "slots" if isinstance(PRESETS[name], SlotsConfig) else "paper"


def build_preset(name: str) -> SlotsModel | PaperModel:
    """A freshly initialised model; weights come from torch's global random state.

    Raises:
        InputError: unknown name.
    """
    preset_family(name)
    return _build(PRESETS[name])


def _build(config: PaperConfig | SlotsConfig) -> SlotsModel | PaperModel:
    return SlotsModel(config) if isinstance(config, SlotsConfig) else PaperModel(config)


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


def model_from_checkpoint(checkpoint: Checkpoint) -> SlotsModel | PaperModel:
    """The network of a checkpoint with its weights, in evaluation mode.

    Raises:
        CheckpointError: the config or the weights do not fit the family.
    """
    kind: type[SlotsConfig] | type[PaperConfig] = SlotsConfig if checkpoint.family == "slots" else PaperConfig
    try:
        model = _build(config_from_dict(kind, checkpoint.config))
    except ValueError as error:
        raise CheckpointError(f"the config makes no {checkpoint.family} model: {error}") from error
    try:
        model.load_state_dict(checkpoint.state)
    except RuntimeError as error:
        reason = textwrap.shorten(str(error).splitlines()[-1], 200)
        raise CheckpointError(f"the weights do not fit a {checkpoint.family} model: {reason}") from error
    return model.eval()


def load_model(name: str) -> SlotsModel | PaperModel:
    """A model by shipped name or checkpoint folder, in evaluation mode."""
    folder = find_checkpoint(name)
    checkpoint = load_checkpoint(folder)
    try:
        return model_from_checkpoint(checkpoint)
    except CheckpointError as error:
        raise CheckpointError(f"{folder}: {error}") from error
