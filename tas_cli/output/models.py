"""What ``tas models`` prints."""

from __future__ import annotations

from collections.abc import Iterable

from tas_cli.output.tables import print_table
from tas_core.models.info import ModelInfo


def print_models(models: Iterable[ModelInfo]) -> None:
    """Print a line for each model."""
    numbers = ("parameters", "MB", "steps trained", "hours", "default steps")
    print_table(
        ("model", "family", *numbers, "text encoder", "SHA-256 of the weights"),
        [
            (
                model.name,
                model.family,
                f"{model.parameters:,}",
                f"{model.size_bytes / 1e6:.1f}",
                _number(model.steps_trained),
                _number(model.hours_trained),
                str(model.default_steps),
                model.text_encoder or "-",
                model.weights_sha256[:16],
            )
            for model in models
        ],
        right=numbers,
    )


def print_model(model: ModelInfo) -> None:
    """Print all that is known of one model."""
    print_table(("", ""), _lines(model).items())


def _lines(model: ModelInfo) -> dict[str, str]:
    lines = {
        "model": model.name + (" (shipped)" if model.shipped else ""),
        "folder": model.folder,
        "family": model.family,
        "parameters": f"{model.parameters:,}, stored as {', '.join(model.stored_as)}",
        "size on disk": f"{model.size_bytes / 1e6:.1f} MB",
        "SHA-256 of the weights": model.weights_sha256,
        "digest": model.digest,
        "text encoder": model.text_encoder or "-",
        "steps trained, last run": _number(model.steps_trained),
        "hours, last run": _number(model.hours_trained),
        "default steps": str(model.default_steps),
        "confidence": "calibrated" if model.calibrated else "-",
        "licence": model.licence,
    }
    return lines | ({"model card": model.model_card} if model.model_card else {})


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,}"
