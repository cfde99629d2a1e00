"""What tests of batches share: inputs, plans and settings."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile

from tas_core.jobs.batch.inputs import find_inputs
from tas_core.jobs.batch.plan import BatchPlan, Destinations, plan_batch
from tas_core.jobs.request import FileOptions
from tas_core.jobs.spatialize import JobSettings
from tests.conftest import tone


def files(folder: Path, *names: str) -> list[Path]:
    """Empty files: a plan does not look into them."""
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return paths


def plan(sources: list[Path], folder: Path, template: str = "{stem}.binaural.{ext}", **settings: object) -> BatchPlan:
    inputs = find_inputs(sources, without=[folder])
    return plan_batch(inputs, Destinations(folder, template), **settings)  # type: ignore[arg-type]


def outs(found: BatchPlan, folder: Path) -> list[str]:
    return [str(request.out.relative_to(folder)) for request in found.requests]


PROMPT = "a tone on the left"
COUNT = 20


def write_sounds(folder: Path, count: int, seconds: float = 0.3) -> list[Path]:
    """Decaying tones at 8 kHz, v00.wav and on."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"v{number:02}.wav" for number in range(count)]
    for path in paths:
        soundfile.write(path, tone(seconds, 8000)[0], 8000)
    return paths


@pytest.fixture
def settings(tiny_model: Path) -> JobSettings:
    return JobSettings(FileOptions(subtype="FLOAT"), str(tiny_model), "cpu")
