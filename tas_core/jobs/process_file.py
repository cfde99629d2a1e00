"""One file that was checked, rendered by a loaded model and written, in constant memory."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tas_core.audio.ear_meter import EarMeter, Reach
from tas_core.delivery.base import Delivered
from tas_core.delivery.formats import BINAURAL
from tas_core.delivery.stems import StemWriter
from tas_core.errors import Advice
from tas_core.inference.engine import LoadedModel
from tas_core.inference.result import complaints
from tas_core.jobs.outputs import Outputs
from tas_core.jobs.rendering import Rendering
from tas_core.jobs.request import FileOptions, PreparedFile
from tas_core.jobs.result import FileResult, GivenSource, StemFile, sidecar_text
from tas_core.system.files import write_files
from tas_core.system.progress import Progress, ignore
from tas_core.timeline.segments import TimelineWarning

if TYPE_CHECKING:
    pass

_READ_FRAMES = 2**20


def process_file(
    prepared: PreparedFile,
    model: LoadedModel | None,
    *,
    progress: Progress = ignore,
    command: Sequence[str] = (),
    began: float | None = None,
    requested: FileOptions | None = None,
) -> FileResult:
    """Render one prepared file, and write what was requested beside it.

    The output keeps rate, length and tags, the bit depth where its format can, and the picture where it is a film;
    (left + right) / 2 is the mono input times the gain, on the plane. Stems are without any gain.

    Args:
        prepared: the request.
        model: of any family; None where nothing is left for one, :attr:`PreparedFile.separated`.
        progress: told the fraction done, 0 to 1.
        command: words of the command line, for the sidecar.
        began: ``time.perf_counter()`` of the beginning, if loading counts; None is now.
        requested: options for the sidecar to tell, where what a killed run left is replaced without anybody's asking.

    Warns:
        TimelineWarning: a name has a word that the model's text encoder does not know.
        UserWarning: an object that the timeline names is not in the sound, or something else was probably taken for it;
            two that have nearly the same masks; as :class:`tas_core.audio.normalised_writer.NormalisedWriter`.

    Raises:
        InputError: a file that is damaged, or with ``strict`` a word that is not known; nothing is written then.
        TasError: writing failed, or an ear passed full scale and that was to be an error.
    """
    loaded = time.perf_counter()
    for note in _unknown_words(prepared, model):
        warnings.warn(f"{prepared.reader.name}: {note}", TimelineWarning, stacklevel=2)
    rendered = _render(prepared, model, progress)
    result = _result(prepared, model, rendered, loaded - (loaded if began is None else began))
    for complaint in complaints(result.objects, result.alike):
        warnings.warn(f"{prepared.reader.name}: {complaint}", stacklevel=2)
    if prepared.options.sidecar:
        digest = model.digest if model else None
        _write_sidecar(prepared, result, command, requested or prepared.options, digest)
    if prepared.request.page is not None:
        _write_page(prepared.request.page, prepared, result)
    return result


def measure_file(prepared: PreparedFile, model: LoadedModel | None, *, progress: Progress = ignore) -> Reach:
    """How far the ears of a prepared file go at its own gain or loudness: it is rendered, and nothing is written.

    Args:
        prepared: the request.
        model: as there.
        progress: told the fraction done, 0 to 1.

    Raises:
        InputError: as :func:`process_file`.
    """
    _unknown_words(prepared, model)  # said when it is made
    reader, levels = prepared.reader, prepared.options.levels
    job = Rendering(replace(prepared, render=replace(prepared.render, stems=False)), model)
    meter = EarMeter(reader.sample_rate_hz, prepared.subtype, loudness=levels.loudness_lufs is not None)
    for block in job.blocks(progress):
        meter.add(block.ears)
    return meter.reach(levels.own_gain(meter.loudness_lufs()))


@dataclass(frozen=True)
class _Rendered:
    """A rendered file: what rendered it, what was written, the files of stems, and seconds taken by each step."""

    job: Rendering
    outputs: tuple[Delivered, ...]
    stems: tuple[StemFile, ...]
    seconds: dict[str, float]


def _unknown_words(prepared: PreparedFile, model: LoadedModel | None) -> tuple[str, ...]:
    """What to say of names that a model does not know."""
    if model is None or prepared.separated is None:
        return ()
    from tas_core.inference.unknown_words import unknown_word_notes

    return unknown_word_notes(prepared.separated, model.encoder, strict=prepared.options.strict)


def _render(prepared: PreparedFile, model: LoadedModel | None, progress: Progress) -> _Rendered:
    """Write the output and the stems, block by block."""
    began = time.perf_counter()
    reader, options, (start, stop) = prepared.reader, prepared.options, prepared.passage
    rate_hz = reader.sample_rate_hz
    job = Rendering(prepared, model)
    encoded = time.perf_counter()
    with contextlib.ExitStack() as stack:
        # Entered first, so that stems are dropped too if the levels of the output turn out to be an error.
        stems = None
        if prepared.request.stems is not None:
            stems = stack.enter_context(
                StemWriter(
                    prepared.request.stems, job.job.stem_names, rate_hz, stop - start, overwrite=options.overwrite
                )
            )
        outputs = stack.enter_context(Outputs(prepared))
        for block in job.blocks(progress):
            outputs.write(block)
            if stems is not None and block.stems is not None:
                stems.write(block.stems, block.ears.shape[1])
        sampled = time.perf_counter()
    written = time.perf_counter()
    if options.excerpt.channel is None and (loss := job.meter.loss()) is not None:
        warnings.warn(Advice(f"{reader.name}: {loss.words()}", remedy="channel", value=loss.loudest), stacklevel=3)
    files = tuple(map(StemFile, (*job.job.stem_names[:-1], None), map(str, stems.paths))) if stems else ()
    seconds = {"encode": encoded - began, "sample": sampled - encoded, "write": written - sampled}
    return _Rendered(job, outputs.delivered(), files, seconds)


def _result(prepared: PreparedFile, model: LoadedModel | None, rendered: _Rendered, load_s: float) -> FileResult:
    """What is to be said of a rendered file."""
    start, stop = prepared.passage
    rate_hz, first = prepared.reader.sample_rate_hz, rendered.outputs[0]
    duration_s = (stop - start) / rate_hz
    return FileResult(
        source=str(prepared.reader.path) if prepared.request.has_input else None,
        output=str(prepared.out),
        start_s=start / rate_hz,
        duration_s=duration_s,
        track=prepared.reader.track,
        sample_rate_hz=first.sample_rate_hz,
        subtype=first.subtype,
        model=model.name if model else prepared.options.separator,
        steps=prepared.render.steps or model.network.default_steps if model else None,
        seed=prepared.render.seed,
        device=model.device.type if model else "cpu",
        seconds={"load": load_s, **rendered.seconds},
        real_time_factor=rendered.seconds["sample"] / duration_s,
        peak=first.peak,
        gain_db=first.gain_db,
        shared_gain_db=prepared.options.levels.shared_gain_db,
        clamped_samples=first.clamped_samples,
        loudness_lufs=first.loudness_lufs,
        segments=rendered.job.job.segments(),
        objects=rendered.job.job.detections(),
        alike=rendered.job.job.alike(),
        stems=rendered.stems,
        outputs=rendered.outputs,
        sources=tuple(
            GivenSource(name, str(item.source.file), item.source.start_s, item.source.gain_db)
            for name, item in (prepared.given.by_object.items() if prepared.given else ())
            if prepared.given is not None and name not in prepared.given.estimated
        ),
        renderer=prepared.render.renderer,
        keeps_mono=not (prepared.render.on_sphere or prepared.timeline.changes_levels),
    )


def _write_sidecar(
    prepared: PreparedFile, result: FileResult, command: Sequence[str], requested: FileOptions, digest: str | None
) -> None:
    """Write ``OUT.tas.json``, which says how the output was made."""
    text = sidecar_text(result, prepared.timeline, requested.as_dict(), digest, command)
    write_files({prepared.sidecar: text.encode("utf-8", "backslashreplace")}, overwrite=prepared.options.overwrite)


def _write_page(page: Path, prepared: PreparedFile, result: FileResult) -> None:
    """Write the report page of a rendered file."""
    from tas_core.reporting.report.page import ReportedOutput, write_report

    output = next(delivery.path for delivery in prepared.request.deliveries if delivery.format.name == BINAURAL)
    about = ReportedOutput(
        output=output,
        # Without an input, what the page compares with is the mono sum of the output.
        source=prepared.reader.path if prepared.request.has_input else output,
        stems={stem.object: Path(stem.path) for stem in result.stems if stem.object is not None},
        start_s=None
        if prepared.passage == (0, prepared.num_samples) or not prepared.request.has_input
        else result.start_s,
        channel=prepared.options.excerpt.channel,
        track=prepared.reader.track,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", category=UserWarning, module=r"tas_core\.audio\..*"
        )  # said when it was opened
        write_report(page, about, prepared.timeline, result.as_dict(), overwrite=prepared.options.overwrite)
