"""Checkpoints of earlier versions, as today's network reads them: the same weights under today's names.

Up to November 2026 there was one network, whose parts had no name before theirs; for a day, configs listed the steps
between the taps of each block in place of the number of blocks; and the first of them did not say how much masks are
sharpened, which was to the power of two. All of that is format 1, since what is stored was always the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from torch import Tensor

from tas_core.models.slots.config import SlotsConfig

_SHARED: Final = ("networks.", "direction.", "diffuse.")
"""Parts that no network has for itself, and the networks."""
_FIRST_SHARPNESS: Final = 2.0
_SAID_LATER: Final = ("sharpness", "balance", "networks")


def todays(config: Mapping[str, Any], state: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Config and weights of a checkpoint of whatever version, as today's have them.

    Args:
        config: as it is stored.
        state: weights by their names.
    """
    config = dict(config)
    dilations = config.get("dilations")
    if isinstance(dilations, list) and dilations == list(SlotsConfig(blocks=len(dilations)).dilations):
        config["blocks"] = len(config.pop("dilations"))
    if "patch" in config and not any(name in config for name in _SAID_LATER):
        config["sharpness"] = _FIRST_SHARPNESS
    if any(name.startswith("networks.") for name in state):
        return config, dict(state)
    return config, {name if name.startswith(_SHARED) else f"networks.0.{name}": value for name, value in state.items()}
