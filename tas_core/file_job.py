"""The main job on files, in constant memory: read, check, spatialize, write, report.

Everything that can be wrong with the request is checked before torch is imported and before anything is
written, so that mistakes are answered at once.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tas_core.audio import AudioReader, check_output_path, to_mono
from tas_core.levelled_output import LevelledWriter
from tas_core.timeline import Timeline

_READ_FRAMES = 2**20


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
    """An object over a stretch in which prompts name it without a break, as :class:`tas_core.findings.Finding`."""

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


@dataclass(frozen=True)
class FileReport:
    """What was done with one file; ``as_dict`` is what ``--json`` prints."""

    output: str
    duration_s: float
    sample_rate_hz: int
    model: str
    steps: int
    seed: int
    device: str
    seconds: dict[str, float]
    real_time_factor: float
    peak: float
    gain_db: float
    segments: tuple[SegmentReport, ...]
    objects: tuple[ObjectReport, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def spatialize_file(
    source: Path,
    timeline_path: Path,
    out: Path,
    *,
    model_name: str = "slots",
    steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
    force: bool = False,
    progress: Callable[[float], None] = lambda share: None,
) -> FileReport:
    """Spatialize one file by one timeline.

    The output keeps rate and length, and the bit depth where its format can; (left + right) / 2 is the mono
    input. Should an ear pass full scale in an integer format, the whole file is turned down by one gain, with a
    warning; the report gives it.

    Warns:
        UserWarning: more than one channel was mixed down; the level was turned down; the timeline outlasts the audio;
            an object that the timeline names is not in the sound.

    Raises:
        InputError: anything about the request that cannot be carried out; nothing is written then.
        TasError: writing failed.
    """
    began = time.perf_counter()
    check_output_path(out, [source, timeline_path], overwrite=force)
    timeline = Timeline.load(timeline_path)
    with AudioReader(source) as reader:
        if reader.num_channels > 1:
            warnings.warn(f"{source}: {reader.num_channels} channels mixed down to mono", stacklevel=2)
        rate_hz = reader.sample_rate_hz
        num_samples = reader.count_frames()
        timeline = timeline.resolved(num_samples / rate_hz)
        from tas_core.models.registry import find_checkpoint

        folder = find_checkpoint(model_name)
        from tas_core.encoders.registry import build_text_encoder
        from tas_core.models.registry import load_model
        from tas_core.runtime import choose_device, keep_freed_memory
        from tas_core.spatialization import Spatializer, encode_timeline

        where = choose_device(device)
        keep_freed_memory()
        model = load_model(str(folder)).to(where)
        loaded = time.perf_counter()
        encoder = encode_timeline(timeline, model, build_text_encoder(model.config.text_encoder))
        encoded = time.perf_counter()
        used_steps = model.default_steps if steps is None else steps
        job = Spatializer(num_samples, rate_hz, timeline, model, encoder, steps=used_steps, seed=seed)
        with LevelledWriter(out, rate_hz, num_samples, reader.subtype, overwrite=force) as writer:
            for ears in job.ears(_mono_pieces(reader), progress):
                writer.write(ears)
            sampled = time.perf_counter()
    written = time.perf_counter()
    for item in job.findings():
        if not item.found:
            warnings.warn(
                f"{source}: no '{item.object}' found from {clock_time(item.start_s)} to {clock_time(item.end_s)}",
                stacklevel=2,
            )
    duration_s = num_samples / rate_hz
    return FileReport(
        output=str(out),
        duration_s=duration_s,
        sample_rate_hz=rate_hz,
        model=model_name,
        steps=used_steps,
        seed=seed,
        device=where.type,
        seconds={
            "load": loaded - began,
            "encode": encoded - loaded,
            "sample": sampled - encoded,
            "write": written - sampled,
        },
        real_time_factor=(sampled - encoded) / duration_s,
        peak=writer.peak * writer.gain,
        gain_db=20 * math.log10(writer.gain),
        segments=tuple(_segment_report(s) for s in job.segments()),
        objects=tuple(ObjectReport(**asdict(item), found=item.found) for item in job.findings()),
    )


def _mono_pieces(reader: AudioReader) -> Iterator[np.ndarray]:
    """The file, block by block, mixed down, (time)."""
    while (block := reader.read(_READ_FRAMES)).shape[1]:
        yield to_mono(block)


def clock_time(seconds: float) -> str:
    """Minutes and seconds, "1:02" or "1:02.5"."""
    minutes, rest = divmod(round(seconds, 1), 60)
    return f"{int(minutes)}:{rest:04.1f}".removesuffix(".0")


def _segment_report(result: Any) -> SegmentReport:
    segment = result.segment
    difference = result.spl_difference_db
    return SegmentReport(
        start_s=segment.start_s,
        end_s=segment.end_s,
        text=segment.text,
        clauses=tuple(
            ClauseReport(c.object, c.azimuth.start_deg, c.azimuth.end_deg, share)
            for c, share in zip(segment.clauses, result.energy_shares, strict=True)
        ),
        spl_difference_db=difference if math.isfinite(difference) else None,
    )
