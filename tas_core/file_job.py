"""The main job on files: read, check, spatialize, write, report.

Everything that can be wrong with the request is checked before torch is imported and before anything is
written, so that mistakes are answered at once.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tas_core.audio import check_output_path, output_subtype, peak, read_audio, to_mono, write_audio
from tas_core.timeline import Timeline

_INTEGER_PEAK = 1.0 - 2.0**-15


@dataclass(frozen=True)
class ClauseReport:
    """Where one object was asked to be, degrees, positive left."""

    object: str
    azimuth_start_deg: float
    azimuth_end_deg: float


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
        UserWarning: more than one channel was mixed down; the level was turned down; the timeline outlasts the audio.

    Raises:
        InputError: anything about the request that cannot be carried out; nothing is written then.
        TasError: writing failed.
    """
    began = time.perf_counter()
    check_output_path(out, [source, timeline_path], overwrite=force)
    timeline = Timeline.load(timeline_path)
    audio = read_audio(source)
    if audio.samples.shape[0] > 1:
        warnings.warn(f"{source}: {audio.samples.shape[0]} channels mixed down to mono", stacklevel=2)
    mono = to_mono(audio)
    timeline = timeline.resolved(len(mono) / audio.sample_rate_hz)
    from tas_core.models.registry import find_checkpoint

    folder = find_checkpoint(model_name)
    from tas_core.encoders.registry import build_text_encoder
    from tas_core.models.registry import load_model
    from tas_core.runtime import choose_device, keep_freed_memory
    from tas_core.spatialization import encode_timeline, spatialize

    where = choose_device(device)
    keep_freed_memory()
    model = load_model(str(folder)).to(where)
    loaded = time.perf_counter()
    encoder = encode_timeline(timeline, model, build_text_encoder(model.config.text_encoder))
    encoded = time.perf_counter()
    used_steps = model.default_steps if steps is None else steps
    result = spatialize(
        mono, audio.sample_rate_hz, timeline, model, encoder, steps=used_steps, seed=seed, progress=progress
    )
    sampled = time.perf_counter()
    ears = result.ears
    highest = peak(ears)
    gain = 1.0
    if highest > _INTEGER_PEAK and output_subtype(out, audio.subtype) not in ("FLOAT", "DOUBLE"):
        gain = _INTEGER_PEAK / highest
        warnings.warn(
            f"{out}: an ear would reach {20 * math.log10(highest):+.2f} dBFS; "
            f"the whole file was turned down by {-20 * math.log10(gain):.2f} dB",
            stacklevel=2,
        )
    write_audio(out, ears * gain, audio.sample_rate_hz, audio.subtype, overwrite=force)
    written = time.perf_counter()
    duration_s = len(mono) / audio.sample_rate_hz
    return FileReport(
        output=str(out),
        duration_s=duration_s,
        sample_rate_hz=audio.sample_rate_hz,
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
        peak=highest * gain,
        gain_db=20 * math.log10(gain),
        segments=tuple(_segment_report(s) for s in result.segments),
    )


def _segment_report(result: Any) -> SegmentReport:
    segment = result.segment
    difference = result.spl_difference_db
    return SegmentReport(
        start_s=segment.start_s,
        end_s=segment.end_s,
        text=segment.text,
        clauses=tuple(ClauseReport(c.object, c.azimuth.start_deg, c.azimuth.end_deg) for c in segment.clauses),
        spl_difference_db=difference if math.isfinite(difference) else None,
    )
