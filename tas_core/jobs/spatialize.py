"""The main job on files, in constant memory: read, check, spatialize, write, report.

:func:`tas_core.jobs.request.prepare_file` checks a request, :func:`load_engine` loads a model, and
:func:`process_file` uses it for any number of prepared files. :func:`spatialize_file` is the three for one file.
"""

from __future__ import annotations

import contextlib
import math
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tas_core.audio.normalised_writer import LevelledWriter
from tas_core.audio.reader import AudioReader
from tas_core.audio.resampling import to_mono
from tas_core.inference.engine import Engine, load_engine
from tas_core.jobs.request import FileOptions, FileRequest, PreparedFile, prepare_file
from tas_core.jobs.result import FileReport, ObjectReport, SegmentReport, StemReport, sidecar_text
from tas_core.jobs.stems import StemWriter
from tas_core.system.files import write_files
from tas_core.system.progress import Progress

if TYPE_CHECKING:
    pass

_READ_FRAMES = 2**20


def process_file(
    prepared: PreparedFile,
    engine: Engine,
    *,
    progress: Progress = lambda share: None,
    command: Sequence[str] = (),
    began: float | None = None,
) -> FileReport:
    """Spatialize one prepared file.

    The output keeps rate, length and tags, and the bit depth where its format can; (left + right) / 2 is the mono
    input times the gain. Stems are without any gain.

    Args:
        prepared: the request.
        engine: the model.
        progress: told the share done.
        command: words of the command line, for the sidecar.
        began: ``time.perf_counter()`` of the beginning, if loading counts; None is now.

    Warns:
        UserWarning: an object that the timeline names is not in the sound; as
            :class:`tas_core.audio.normalised_writer.LevelledWriter`.

    Raises:
        InputError: a file that is damaged; nothing is written then.
        TasError: writing failed, or an ear passed full scale and that was to be an error.
    """
    from tas_core.inference.stream import Spatializer, encode_timeline

    loaded = time.perf_counter()
    reader, options, (start, stop) = prepared.reader, prepared.options, prepared.passage
    rate_hz, model, timeline = reader.sample_rate_hz, engine.model, prepared.timeline
    encoder = encode_timeline(timeline, model, engine.encoder)
    encoded = time.perf_counter()
    steps = model.default_steps if options.steps is None else options.steps
    job = Spatializer(
        prepared.num_samples,
        rate_hz,
        timeline,
        model,
        encoder,
        steps=steps,
        seed=options.seed,
        passage=prepared.passage,
        head=prepared.head,
        width=options.width,
        transition_s=options.transition_s,
        stems=prepared.request.stems is not None,
    )
    with contextlib.ExitStack() as stack:
        # Entered first, so that stems are dropped too if the levels of the output turn out to be an error.
        stems = None
        if prepared.request.stems is not None:
            stems = stack.enter_context(
                StemWriter(prepared.request.stems, job.stem_names, rate_hz, stop - start, overwrite=options.overwrite)
            )
        writer = stack.enter_context(
            LevelledWriter(
                prepared.out,
                rate_hz,
                stop - start,
                reader.subtype,
                to_subtype=options.subtype,
                levels=options.levels,
                seed=options.seed,
                tags=reader.tags,
                overwrite=options.overwrite,
            )
        )
        reader.seek(job.first_sample)
        for block in job.blocks(_mono_pieces(reader, options.channel), progress):
            writer.write(block.ears)
            if stems is not None and block.stems is not None:
                stems.write(block.stems, block.ears.shape[1])
        sampled = time.perf_counter()
    written = time.perf_counter()
    findings = job.findings()
    for item in findings:
        if not item.found:
            warnings.warn(f"{reader.name}: {item.complaint}", stacklevel=2)
    duration_s = (stop - start) / rate_hz
    report = FileReport(
        source=str(reader.path),
        output=str(prepared.out),
        start_s=start / rate_hz,
        duration_s=duration_s,
        sample_rate_hz=rate_hz,
        subtype=writer.subtype,
        model=engine.name,
        steps=steps,
        seed=options.seed,
        device=engine.device.type,
        seconds={
            "load": loaded - (loaded if began is None else began),
            "encode": encoded - loaded,
            "sample": sampled - encoded,
            "write": written - sampled,
        },
        real_time_factor=(sampled - encoded) / duration_s,
        peak=writer.peak,
        gain_db=20 * math.log10(writer.gain),
        clamped_samples=writer.clamped,
        loudness_lufs=writer.loudness_lufs,
        segments=tuple(SegmentReport.of(result) for result in job.segments()),
        objects=tuple(ObjectReport(**asdict(item), found=item.found) for item in findings),
        stems=tuple(map(StemReport, (*job.stem_names[:-1], None), map(str, stems.paths))) if stems else (),
    )
    if options.sidecar:
        from tas_core.models.description import read_description

        digest = read_description(engine.folder).digest
        text = sidecar_text(report, timeline, asdict(options), digest, command)
        write_files({prepared.sidecar: text.encode("utf-8", "backslashreplace")}, overwrite=options.overwrite)
    if prepared.request.page is not None:
        from tas_core.reporting.report.page import write_report

        write_report(
            prepared.request.page,
            source=reader.path,
            output=prepared.out,
            timeline=timeline,
            provenance=report.as_dict(),
            stems={stem.object: Path(stem.path) for stem in report.stems if stem.object is not None},
            start_s=None if stop - start == prepared.num_samples else start / rate_hz,
            channel=options.channel,
            overwrite=options.overwrite,
        )
    return report


def spatialize_file(
    source: Path,
    out: Path,
    *,
    timeline_path: Path | None = None,
    prompt: str | None = None,
    stems: Path | None = None,
    page: Path | None = None,
    options: FileOptions = FileOptions(),  # noqa: B008 - frozen
    model_name: str = "slots",
    device: str = "auto",
    progress: Progress = lambda share: None,
    command: Sequence[str] = (),
) -> FileReport:
    """Spatialize one file: :func:`prepare_file`, :func:`load_engine` and :func:`process_file`.

    Arguments are those of :class:`tas_core.jobs.request.FileRequest` and of the two others.

    Raises:
        InputError: anything about the request that cannot be carried out; nothing is written then.
        TasError: writing failed.
    """
    began = time.perf_counter()
    request = FileRequest(source, out, timeline_path, prompt, stems, page)
    with prepare_file(request, options) as prepared:
        engine = load_engine(model_name, device)
        return process_file(prepared, engine, progress=progress, command=command, began=began)


def _mono_pieces(reader: AudioReader, channel: int | None) -> Iterator[np.ndarray]:
    """The file from where the reader is, block by block, (time): one channel or the mean of all."""
    while (block := reader.read(_READ_FRAMES)).shape[1]:
        yield to_mono(block) if channel is None else block[channel - 1]
