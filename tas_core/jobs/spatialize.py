"""The main job on files, in constant memory: check, load, render, write, report.

:func:`tas_core.jobs.request.prepare_file` checks a request, :func:`tas_core.inference.engine.load_model` loads a model,
and :func:`tas_core.jobs.process_file.process_file` uses it for any number of prepared files. A :class:`FileWorker` is
the three in that order, for one file (:func:`spatialize_file`) and for many (:mod:`tas_core.jobs.batch`).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, TypedDict, Unpack

from tas_core.audio.ear_meter import Reach
from tas_core.delivery.formats import read_formats
from tas_core.errors import InputError
from tas_core.inference.engine import LoadedModel, load_model
from tas_core.jobs.process_file import measure_file, process_file
from tas_core.jobs.request import FileOptions, FileRequest, PreparedFile, prepare_file, read_head
from tas_core.jobs.result import FileResult
from tas_core.jobs.separators import Separator, separated
from tas_core.models.pretrained import DEFAULT_MODEL
from tas_core.system.progress import Progress, ignore
from tas_core.timeline.sources import SourceFile


@dataclass(frozen=True)
class JobSettings:
    """What holds for all files of a job; can be sent to a process.

    Args:
        options: for each file.
        model_name: shipped name or checkpoint folder.
        device: auto, cpu or cuda.
        command: words of the command line, for the sidecars beside outputs.
    """

    options: FileOptions = FileOptions()
    model_name: str = DEFAULT_MODEL
    device: str = "auto"
    command: tuple[str, ...] = ()

    def with_head(self) -> JobSettings:
        """The same with the head of the options' SOFA file, read once for all files and processes.

        Raises:
            InputError: as :func:`tas_core.jobs.request.read_head`.
        """
        head = self.options.render.head or read_head(self.options.hrtf)
        return replace(self, options=replace(self.options, render=replace(self.options.render, head=head)))

    def sharing(self, gain_db: float) -> JobSettings:
        """The same, where all files get a gain besides their own, dB, 0 or less."""
        levels = replace(self.options.levels, shared_gain_db=gain_db)
        return replace(self, options=replace(self.options, levels=levels))


class FileWorker:
    """Makes files binaural, one after another, with one model: loaded when it is first needed, and once.

    Args:
        settings: what holds for all files.
        load: gives the model of the settings, where it is loaded elsewhere; None loads it here.
    """

    def __init__(self, settings: JobSettings, load: Callable[[], LoadedModel] | None = None) -> None:
        self._settings, self._load = settings, load
        self._model: LoadedModel | None = None

    @property
    def model(self) -> LoadedModel:
        """The model.

        Raises:
            InputError: as :func:`tas_core.inference.engine.load_model`.
        """
        if self._model is None:
            name, device = self._settings.model_name, self._settings.device
            self._model = load_model(name, device) if self._load is None else self._load()
        return self._model

    @property
    def may_need_model(self) -> bool:
        """Whether inputs go to a model, rather than to a separator of one's own."""
        return self._settings.options.separator is None

    @property
    def writes_sidecars(self) -> bool:
        """Whether each output gets a sidecar beside it."""
        return self._settings.options.sidecar

    def sharing(self, gain_db: float) -> FileWorker:
        """One with the same model whose files all get a gain besides their own, dB, 0 or less."""
        return self._under(self._settings.sharing(gain_db))

    def with_options(self, options: FileOptions) -> FileWorker:
        """One with the same model, for a file under options of its own."""
        return self._under(replace(self._settings, options=options))

    def _under(self, settings: JobSettings) -> FileWorker:
        other = FileWorker(settings)
        other._model = self._model
        return other

    def make(self, request: FileRequest, *, overwrite: bool = False, progress: Progress = ignore) -> FileResult:
        """Make one file; what is wrong with the request is found before a model is loaded.

        Args:
            request: the file.
            overwrite: whether its existing outputs may be replaced, whatever the options say.
            progress: told the fraction done, 0 to 1.

        Raises:
            InputError: as :func:`tas_core.jobs.request.prepare_file`, :attr:`model` and :func:`process_file`.
            TasError: writing failed.
        """
        began = time.perf_counter()
        with self._prepared(request, overwrite) as prepared:
            prepared = separated(prepared)
            model = None if prepared.separated is None else self.model
            return process_file(
                prepared,
                model,
                progress=progress,
                command=self._settings.command,
                began=began,
                requested=self._settings.options,
            )

    def measure(self, request: FileRequest, progress: Progress = ignore) -> Reach:
        """How far the ears of a file go at its own gain or loudness; nothing is written, be there outputs or not.

        Raises:
            InputError: as :meth:`make`; or a pipe, since the file is read again when it is made.
        """
        if request.source.exists() and not request.source.is_file():
            raise InputError(
                f"{request.source}: not a regular file, and one gain for all files takes reading each twice; "
                "expected a file"
            )
        with self._prepared(request, overwrite=True) as prepared:
            prepared = separated(prepared)
            model = None if prepared.separated is None else self.model
            return measure_file(prepared, model, progress=progress)

    @contextlib.contextmanager
    def _prepared(self, request: FileRequest, overwrite: bool) -> Iterator[PreparedFile]:
        options = self._settings.options
        options = replace(options, overwrite=options.overwrite or overwrite)
        if options.separator is not None:
            Separator.read(options.separator)
        with prepare_file(request, options) as prepared:
            yield prepared


class RequestKeywords(TypedDict, total=False):
    """The parts of a request as keywords, for calls by people; see :class:`tas_core.jobs.request.FileRequest`."""

    timeline: str | PathLike[str] | None
    prompt: str | None
    stems: str | PathLike[str] | None
    page: str | PathLike[str] | None
    sources: Mapping[str, str | PathLike[str]] | None
    formats: Sequence[str] | str


def spatialize_file(
    source: str | PathLike[str] | None,
    out: str | PathLike[str],
    *,
    model: str | PathLike[str] = DEFAULT_MODEL,
    device: str = "auto",
    options: FileOptions = FileOptions(),  # noqa: B008 - frozen
    progress: Progress = ignore,
    **request: Unpack[RequestKeywords],
) -> FileResult:
    """Put each named sound of a file where the words say.

    ::

        tas_core.spatialize_file("in.wav", "out.wav", timeline="scene.yaml")

    Args:
        source: any audio file; ``-`` is standard input; None if all sounds are given.
        out: the output, its extension chooses the format; ``-`` is WAV on standard output.
        model: name of a shipped model, or a checkpoint folder.
        device: auto, cpu or cuda.
        options: rendering, excerpt, levels, encoding.
        progress: told the fraction done, 0 to 1.
        request: ``timeline`` (a file; without it and a prompt, the one beside the input), ``prompt`` (one for all of
            it), ``stems`` (a folder for estimated stems), ``page`` (an HTML file for the report page), ``sources``
            (files of the sounds of objects, by their names, see :mod:`tas_core.jobs.sources`) and ``formats``
            (names of :data:`tas_core.delivery.formats.FORMATS`, or a text with commas; without them, what the name of
            the output says, such as ``out.adm.wav``, and binaural where it says none).

    Raises:
        InputError: anything about the request that cannot be carried out; nothing is written then.
        TasError: writing failed.
    """
    if unknown := sorted(request.keys() - RequestKeywords.__annotations__.keys()):
        raise TypeError(f"spatialize_file() got an unexpected keyword argument '{unknown[0]}'")
    sources = tuple(SourceFile(name, Path(file)) for name, file in (request.get("sources") or {}).items())
    formats = request.get("formats", ())
    others: dict[str, Any] = {
        "prompt": request.get("prompt"),
        "stems": _path(request.get("stems")),
        "page": _path(request.get("page")),
        "formats": read_formats([formats] if isinstance(formats, str) else formats),
    }
    timeline = _path(request.get("timeline"))
    if source is None:
        requested = FileRequest.of_objects(Path(out), sources, timeline, **others)
    else:
        requested = FileRequest(Path(source), Path(out), timeline, objects=sources, **others)
    return FileWorker(JobSettings(options, str(model), device)).make(requested, progress=progress)


def _path(given: str | PathLike[str] | None) -> Path | None:
    return None if given is None else Path(given)
