"""What was done with one file, for people, for ``--json`` and for the file beside the output."""

from __future__ import annotations

import json
import platform
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from typing import Any

import soundfile

from tas_core.delivery.base import Delivered
from tas_core.inference.likeness import AlikePair
from tas_core.inference.presence import Detection
from tas_core.inference.result import SegmentResult
from tas_core.timeline.segments import Timeline

_PACKAGES = ("tas", "torch", "numpy", "soundfile", "soxr")


@dataclass(frozen=True)
class StemFile:
    """The file of an object's estimated stem; None is the rest, which no prompt names."""

    object: str | None
    path: str


@dataclass(frozen=True)
class GivenSource:
    """The file of an object's sound that was given, when it begins, seconds, and its gain, dB."""

    object: str
    file: str
    start_s: float
    gain_db: float


@dataclass(frozen=True)
class FileResult:
    """What was done with one file; ``as_dict`` is what ``--json`` prints.

    Attributes:
        source: the input, ``-`` for standard input; None if all sounds are given.
        output: the output, ``-`` for standard output.
        start_s: where the output begins in the input, seconds; all other times are those of the input, too.
        duration_s: length of the output.
        track: audio track of the input, counted from 1.
        sample_rate_hz: of the output; that of the input but where it is Opus, which has a rate of its own.
        subtype: sample encoding of the output in libsndfile's words, and ``AAC``, which it does not know.
        model: name as it was given, or the command of a separator; None if none was needed.
        steps: diffusion steps, the same.
        seed: of noise and dither.
        device: ``cpu`` or ``cuda``.
        seconds: what loading, encoding, sampling and writing took.
        real_time_factor: seconds of sampling per second of sound.
        peak: largest magnitude in the output, 1 is full scale; None where it is not one file of sound.
        gain_db: what the ears were multiplied by.
        shared_gain_db: the part of that which all files of the run have, see
            :class:`tas_core.audio.normalised_writer.Levels`; None where each has its own.
        clamped_samples: how many were limited, each ear counted.
        loudness_lufs: of the output, where a loudness was requested; None in silence.
        segments: those that the output has a part of.
        objects: whether each object is in the sound; the same.
        alike: objects that the model does not tell apart, though they are to be at different places.
        stems: files of the objects' estimated stems, and last the rest, if they were requested.
        sources: sounds of objects that were given.
        outputs: every format that was written, in the order of the request; the first is what ``output`` and the other
            fields are about.
        renderer: what made the ears: ``plane``, or ``sphere`` for places all around.
        keeps_mono: whether (left + right) / 2 of the ears is the mono input, times the gain: not on the sphere, nor
            where prompts change levels.
    """

    source: str | None
    output: str
    start_s: float
    duration_s: float
    track: int
    sample_rate_hz: int
    subtype: str
    model: str | None
    steps: int | None
    seed: int
    device: str
    seconds: dict[str, float]
    real_time_factor: float
    peak: float | None
    gain_db: float
    shared_gain_db: float | None
    clamped_samples: int
    loudness_lufs: float | None
    segments: tuple[SegmentResult, ...]
    objects: tuple[Detection, ...]
    alike: tuple[AlikePair, ...]
    stems: tuple[StemFile, ...]
    outputs: tuple[Delivered, ...]
    sources: tuple[GivenSource, ...] = ()
    renderer: str = "plane"
    keeps_mono: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        listed = {
            "segments": tuple(segment.as_dict() for segment in self.segments),
            "objects": tuple(detection.as_dict() for detection in self.objects),
            "alike": tuple(pair.as_dict() for pair in self.alike),
            "stems": tuple(asdict(stem) for stem in self.stems),
            "sources": tuple(asdict(source) for source in self.sources),
            "outputs": tuple(output.as_dict() for output in self.outputs),
        }
        return {field.name: listed.get(field.name, getattr(self, field.name)) for field in fields(self)}


def sidecar_text(
    result: FileResult, timeline: Timeline, settings: dict[str, Any], digest: str | None, command: Sequence[str]
) -> str:
    """What it takes to make the file again, as JSON.

    Args:
        result: of the file.
        timeline: all of it, with the ends closed.
        settings: options that were in force, by name.
        digest: of the model; None if none was needed.
        command: words of the command line; empty where there was none.
    """
    versions = {name: version(name) for name in _PACKAGES}
    versions |= {"python": platform.python_version(), "libsndfile": soundfile.__libsndfile_version__}
    content = {
        **result.as_dict(),
        "prompts": [{"start": s.start_s, "end": s.end_s, "text": s.text} for s in timeline.segments],
        "settings": settings,
        "model_digest": digest,
        "command": shlex.join(command) or None,
        "versions": versions,
    }
    return json.dumps(content, ensure_ascii=False, indent=2, default=str) + "\n"  # paths
