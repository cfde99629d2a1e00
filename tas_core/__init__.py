"""Mono sound made binaural by following words on a timeline.

    import tas_core

    result = tas_core.spatialize(samples, 48000, "cello on the left, piano on the right")
    result.ears  # (ear, time), ear 0 is left

docs/API.md has the rest. The names below are imported when they are first used, so that ``import tas_core`` takes
no time: torch comes with the first sound.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tas_core.acoustics.sofa import read_sofa
    from tas_core.errors import InputError, TasError
    from tas_core.evaluation import metrics
    from tas_core.inference.engine import LoadedModel, load_model
    from tas_core.inference.result import Spatialized
    from tas_core.inference.settings import RenderSettings
    from tas_core.inference.spatialize import spatialize
    from tas_core.inference.stream import Spatializer
    from tas_core.jobs.spatialize import spatialize_file
    from tas_core.timeline.files import load_timeline
    from tas_core.timeline.prompts import parse_prompt
    from tas_core.timeline.segments import Segment, Timeline

__all__ = [
    "InputError",
    "LoadedModel",
    "RenderSettings",
    "Segment",
    "Spatialized",
    "Spatializer",
    "TasError",
    "Timeline",
    "load_model",
    "load_timeline",
    "metrics",
    "parse_prompt",
    "read_sofa",
    "spatialize",
    "spatialize_file",
]

_HOMES: Final = {
    "InputError": "tas_core.errors",
    "LoadedModel": "tas_core.inference.engine",
    "RenderSettings": "tas_core.inference.settings",
    "Segment": "tas_core.timeline.segments",
    "Spatialized": "tas_core.inference.result",
    "Spatializer": "tas_core.inference.stream",
    "TasError": "tas_core.errors",
    "Timeline": "tas_core.timeline.segments",
    "load_model": "tas_core.inference.engine",
    "load_timeline": "tas_core.timeline.files",
    "metrics": "tas_core.evaluation.metrics",
    "parse_prompt": "tas_core.timeline.prompts",
    "read_sofa": "tas_core.acoustics.sofa",
    "spatialize": "tas_core.inference.spatialize",
    "spatialize_file": "tas_core.jobs.spatialize",
}

if not TYPE_CHECKING:  # to type checkers it would mean that every name exists

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home = import_module(_HOMES[name])
        value = globals()[name] = home if name == "metrics" else getattr(home, name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
