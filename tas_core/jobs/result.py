"""What was done with one file, for people, for ``--json`` and for the file beside the output."""

from __future__ import annotations

import json
import math
import platform
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import soundfile

from tas_core.timeline.segments import Timeline

if TYPE_CHECKING:
    from tas_core.inference.stream import SegmentResult

_PACKAGES = ("tas", "torch", "numpy", "soundfile", "soxr")


@dataclass(frozen=True)
class ClauseReport:
    """Where one object was asked to be, degrees, positive left, and the share of the energy it was taken to be.

    The share is 0 to 1; None in silence and for models that do not tell objects apart.
    """

    object: str
    azimuth_start_deg: float
    azimuth_end_deg: float
    energy_share: float | None


@dataclass(frozen=True)
class ObjectReport:
    """An object while prompts name it without a break; a copy of :class:`tas_core.inference.presence.Finding`."""

    object: str
    start_s: float
    end_s: float
    energy_share: float | None
    presence: float | None
    found: bool


@dataclass(frozen=True)
class SegmentReport:
    """One segment and its measured level difference between the ears, dB, positive left; None in silence."""

    start_s: float
    end_s: float
    text: str
    clauses: tuple[ClauseReport, ...]
    spl_difference_db: float | None

    @classmethod
    def of(cls, result: SegmentResult) -> SegmentReport:
        """The report of a segment as it came out."""
        segment, difference = result.segment, result.spl_difference_db
        assert segment.end_s is not None
        return cls(
            start_s=segment.start_s,
            end_s=segment.end_s,
            text=segment.text,
            clauses=tuple(
                ClauseReport(c.object, c.azimuth.start_deg, c.azimuth.end_deg, share)
                for c, share in zip(segment.clauses, result.energy_shares, strict=True)
            ),
            spl_difference_db=difference if math.isfinite(difference) else None,
        )


@dataclass(frozen=True)
class StemReport:
    """The file of what an object was taken to be; None is the rest, which no prompt names."""

    object: str | None
    path: str


@dataclass(frozen=True)
class FileReport:
    """What was done with one file; ``as_dict`` is what ``--json`` prints.

    Attributes:
        source: the input, ``-`` for standard input.
        output: the output, ``-`` for standard output.
        start_s: where the output begins in the input, seconds; all other times are those of the input, too.
        duration_s: length of the output.
        sample_rate_hz: of both.
        subtype: sample encoding of the output in libsndfile's words.
        model: name as it was given.
        steps: diffusion steps.
        seed: of noise and dither.
        device: ``cpu`` or ``cuda``.
        seconds: what loading, encoding, sampling and writing took.
        real_time_factor: seconds of sampling per second of sound.
        peak: largest magnitude in the output, 1 is full scale.
        gain_db: what the ears were multiplied by.
        clamped_samples: how many were limited, each ear counted.
        loudness_lufs: of the output, where a loudness was asked for; None in silence.
        segments: those that the output has a part of.
        objects: the same.
        stems: files of what each object was taken to be, and last the rest, if they were asked for.
    """

    source: str
    output: str
    start_s: float
    duration_s: float
    sample_rate_hz: int
    subtype: str
    model: str
    steps: int
    seed: int
    device: str
    seconds: dict[str, float]
    real_time_factor: float
    peak: float
    gain_db: float
    clamped_samples: int
    loudness_lufs: float | None
    segments: tuple[SegmentReport, ...]
    objects: tuple[ObjectReport, ...]
    stems: tuple[StemReport, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def sidecar_text(
    report: FileReport, timeline: Timeline, settings: dict[str, Any], digest: str, command: Sequence[str]
) -> str:
    """What it takes to make the file again, as JSON.

    Args:
        report: of the file.
        timeline: all of it, with the ends closed.
        settings: options that were in force, by name.
        digest: of the model.
        command: words of the command line; empty where there was none.
    """
    versions = {name: version(name) for name in _PACKAGES}
    versions |= {"python": platform.python_version(), "libsndfile": soundfile.__libsndfile_version__}
    content = {
        **report.as_dict(),
        "prompts": [{"start": s.start_s, "end": s.end_s, "text": s.text} for s in timeline.segments],
        "settings": settings,
        "model_digest": digest,
        "command": shlex.join(command) or None,
        "versions": versions,
    }
    return json.dumps(content, ensure_ascii=False, indent=2, default=str) + "\n"  # paths
