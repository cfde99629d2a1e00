"""What a batch will write, checked as a whole before anything is computed or written."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from tas_core.delivery.formats import renamed
from tas_core.delivery.texts import SCENE_FILE
from tas_core.errors import InputError
from tas_core.jobs.batch.inputs import BatchInput
from tas_core.jobs.batch.naming import DEFAULT_TEMPLATE, NameTemplate
from tas_core.jobs.request import FileRequest, read_prompts, sidecar_path
from tas_core.system.files import STANDARD_STREAM, check_within
from tas_core.timeline.segments import REST

if TYPE_CHECKING:
    from tas_core.jobs.batch.in_stores import Stores


@dataclass(frozen=True)
class Destinations:
    """Where outputs go.

    Args:
        folder: of the outputs; None where each input names its own.
        template: name of an output, see :class:`tas_core.jobs.batch.naming.NameTemplate`: in braces the input's name
            without its extension, the extension of the output (the input's if it is one of
            :data:`tas_core.audio.formats.KEPT_ENDINGS`, else wav), the name
            of the folder that the input lies in, and its number from 1, which takes a width such as ``{index:03}``.
        stems: folder in which each file gets a folder of stems.
        pages: folder of report pages.
        formats: what is made of each, see :class:`tas_core.jobs.request.FileRequest`; where it is not binaural alone,
            outputs that do not name themselves have the names of their formats before their endings.
        stores: local names of what inputs have in object stores, if they have.
    """

    folder: Path | None = None
    template: str = DEFAULT_TEMPLATE
    stems: Path | None = None
    pages: Path | None = None
    formats: tuple[str, ...] = ()
    stores: Stores | None = None

    def all(self) -> tuple[Path, ...]:
        """The folders."""
        return tuple(path for path in (self.folder, self.stems, self.pages) if path is not None)


@dataclass(frozen=True)
class BatchPlan:
    """What is to be done; made by :func:`plan_batch` and :func:`plan_requests`.

    Attributes:
        requests: one for every input, in their order.
        skipped: numbers of those, from 0, that are complete already.
        again: numbers of those that are there in part and may be replaced.
        refused: numbers of those whose own names make none for an output, and why.
        skips_existing: whether what is complete when its turn comes is left out, too, since another run has made it.
        stores: local names of what requests have in object stores, if they have.
    """

    requests: tuple[FileRequest, ...]
    skipped: frozenset[int] = frozenset()
    again: frozenset[int] = frozenset()
    refused: Mapping[int, str] = field(default_factory=dict)
    skips_existing: bool = False
    stores: Stores | None = None

    def folders(self) -> tuple[Path, ...]:
        """Folders that have to exist, those above others first."""
        return tuple(sorted({path.parent for _, request in self.tasks() for path in _own(request)}))

    def stem_folders(self) -> tuple[Path, ...]:
        """Folders of stems, which are made when they are written to."""
        return tuple(request.stems for request in self.requests if request.stems is not None)

    def tasks(self) -> Iterator[tuple[int, FileRequest]]:
        """Numbers and requests of what is to be made."""
        out = self.skipped | self.refused.keys()
        return ((number, request) for number, request in enumerate(self.requests) if number not in out)


def plan_batch(
    inputs: Sequence[BatchInput],
    destinations: Destinations,
    *,
    timeline_path: Path | None = None,
    prompt: str | None = None,
    sidecar: bool = False,
    overwrite: bool = False,
    skip_existing: bool = False,
) -> BatchPlan:
    """Give every input its output.

    What is wrong with one input is found when its turn comes.

    Args:
        inputs: see :func:`tas_core.jobs.batch.inputs.find_inputs`.
        destinations: where outputs go.
        timeline_path: for all inputs that name neither a timeline nor a prompt.
        prompt: the same.
        sidecar: whether each output gets a sidecar beside it.
        overwrite: whether existing outputs may be replaced.
        skip_existing: whether inputs whose output is there are left out; where something that belongs to an output is
            missing beside it, all of it is made again.

    Raises:
        InputError: a timeline or prompt for all that cannot be read, a template that cannot be filled in or leads out
            of the folder, a name in a manifest or a link that does, two inputs with one output, an output that is an
            input, or one that exists; a store that cannot be asked, or what cannot go to one.
    """
    if timeline_path is not None and prompt is not None:
        raise InputError("a timeline and a prompt were given, expected one of them")
    if timeline_path is not None or prompt is not None:
        read_prompts(timeline_path, prompt)
    template = NameTemplate(destinations.template)
    found = [
        _request(number, item, destinations, template, timeline_path, prompt) for number, item in enumerate(inputs, 1)
    ]
    refused = {number: complaint for number, (_, complaint) in enumerate(found) if complaint}
    requests = [request for request, _ in found]
    for number, request in enumerate(requests):
        if number not in refused:
            with contextlib.nullcontext() if destinations.stores is None else destinations.stores.in_messages():
                _check_within(request, inputs[number], destinations, sidecar)
    stores = destinations.stores
    with contextlib.nullcontext() if stores is None else stores.in_messages():
        _check_apart(requests, refused, sidecar)
        if stores is not None:
            stores.look(requests, sidecar=sidecar)
        made = plan_requests(
            requests, refused=refused, sidecar=sidecar, overwrite=overwrite, skip_existing=skip_existing
        )
    return replace(made, stores=stores)


def plan_requests(
    requests: Sequence[FileRequest],
    *,
    refused: Mapping[int, str] | None = None,
    sidecar: bool = False,
    overwrite: bool = False,
    skip_existing: bool = False,
) -> BatchPlan:
    """Look at what there is already of what requests make.

    An input that is missing is not left out, so that its turn says so.

    Args:
        requests: what is requested.
        refused: see :class:`BatchPlan`.
        sidecar: as the others, see :func:`plan_batch`.

    Raises:
        InputError: an output that exists.
    """
    nothing = BatchPlan(tuple(requests), refused=refused or {})
    complete, partial = set(), set()
    for number, request in nothing.tasks():
        if is_complete(request, sidecar):
            complete.add(number)
        elif _existing(request, sidecar):
            partial.add(number)
    if skip_existing:
        again = frozenset() if overwrite else frozenset(partial)
        return replace(nothing, skipped=frozenset(complete), again=again, skips_existing=True)
    if (complete or partial) and not overwrite:
        first = _existing(requests[min(complete | partial)], sidecar)[0]
        more = len(complete | partial) - 1
        also = f" (and those of {more} more input{'s' * (more > 1)})" if more else ""
        raise InputError(
            f"{first}: the file exists{also}, expected another folder, or permission to skip or to overwrite it",
            remedy="skip_existing",
        )
    return nothing


def is_complete(request: FileRequest, sidecar: bool) -> bool:
    """Whether all that a request makes is there, and its input, so that it can be left out.

    Args:
        request: the request.
        sidecar: whether its output gets a sidecar beside it.
    """
    all_there = len(_existing(request, sidecar)) == len(list(_products(request, sidecar)))
    return all_there and _has_all_stems(request) and _has_input(request)


def _request(
    number: int,
    item: BatchInput,
    destinations: Destinations,
    template: NameTemplate,
    timeline_path: Path | None,
    prompt: str | None,
) -> tuple[FileRequest, str]:
    """What an input asks for, and why nothing can be made of it, if so."""
    complaint = ""
    if item.out is not None:
        name: Path | PurePosixPath = PurePosixPath(item.out.name)
        out = item.out
    else:
        if destinations.folder is None:
            where = f"{item.where}: no 'out', " if item.where else ""
            raise InputError(f"{where}expected a folder for the outputs", remedy="out_dir")
        below, complaint = template.fill(item.source, number)
        name = item.folder / below
        out = destinations.folder / name
        if len(destinations.formats) == 1:
            out = renamed(out, destinations.formats[0])
    own = item.timeline_path is not None or item.prompt is not None
    request = FileRequest(
        item.source,
        out,
        timeline_path=item.timeline_path if own else timeline_path,
        prompt=item.prompt if own else prompt,
        stems=None if destinations.stems is None else destinations.stems / name.with_suffix(""),
        page=None if destinations.pages is None else destinations.pages / name.with_suffix(".html"),
        formats=destinations.formats,
        objects=item.objects,
        has_input=item.has_input,
    )
    return request, complaint


def _check_within(request: FileRequest, item: BatchInput, destinations: Destinations, sidecar: bool) -> None:
    """See that nothing of a request is written outside of the folders that were named, nor through a link in them.

    Raises:
        InputError: something would be.
    """
    if item.out is not None and item.out_folder is None:  # whoever calls named it
        return
    named = [] if item.out is None or item.out_folder is None else [item.out_folder]
    folders = [*named, *([] if destinations.folder is None else [destinations.folder])]
    outputs = [delivery.path for delivery in request.deliveries]
    for path in (*outputs, *([sidecar_path(outputs[0])] if sidecar else [])):
        try:
            check_within(path, folders, "out_dir" if named else None)
        except InputError as error:
            raise InputError(f"{item.where}: {error}" if item.where else str(error), remedy=error.remedy) from error
    for other, within in ((request.stems, destinations.stems), (request.page, destinations.pages)):
        if other is not None and within is not None:
            check_within(other, [within])


def _own(request: FileRequest) -> tuple[Path, ...]:
    """What a request names itself."""
    outputs = (delivery.path for delivery in request.deliveries)
    return tuple(path for path in (*outputs, request.page, request.stems) if path is not None)


def _products(request: FileRequest, sidecar: bool) -> Iterator[Path]:
    """Everything that a request makes."""
    folders = [delivery.path for delivery in request.deliveries if delivery.format.is_folder]
    for path in _own(request):
        yield path / SCENE_FILE if path in folders else path  # which is written last
    if sidecar:
        yield sidecar_path(request.main_out)


def _existing(request: FileRequest, sidecar: bool) -> list[Path]:
    """What is there already of what a request makes; a folder for stems only with something in it."""
    made = (path for path in _products(request, sidecar) if str(path) != STANDARD_STREAM)
    found = [path for path in made if os.path.lexists(path)]
    return [path for path in found if path != request.stems or not path.is_dir() or any(path.glob("*.wav"))]


def _has_all_stems(request: FileRequest) -> bool:
    """Whether no run was killed while it put the stems of a request in their places, one after the other."""
    folder = request.stems
    if folder is None:
        return True
    first = (path for path in folder.glob("*-*.wav") if path.name.lstrip("0").startswith("1-"))
    return any(first) and (folder / f"{REST}.wav").exists()


def _has_input(request: FileRequest) -> bool:
    return str(request.source) == STANDARD_STREAM or os.path.exists(request.source)


def _check_apart(requests: Sequence[FileRequest], refused: Collection[int], sidecar: bool) -> None:
    """See that nothing is written twice, and that nothing is written over an input, be it that of a refused request."""
    inputs: dict[object, Path] = {}
    for request in requests:
        for path in (request.source, request.timeline_path, *(item.file for item in request.objects)):
            if path is not None:
                inputs.setdefault(_identity(path), path)
    owners: dict[object, tuple[Path, FileRequest]] = {}
    for request in (request for number, request in enumerate(requests) if number not in refused):
        for path in _products(request, sidecar):
            key = _identity(path)
            if key in inputs:
                raise InputError(
                    f"{path}: the output for {request.source} is the input {inputs[key]}, expected another name"
                )
            if key in owners:
                other = owners[key][1].source
                raise InputError(
                    f"{path}: the output for both {other} and {request.source}; expected names apart, such as by"
                    " {parent} or {index} in the template of their names",
                    remedy="output_template",
                )
            owners[key] = (path, request)


def _identity(path: Path) -> object:
    """The same for two paths exactly if they lead to one file, also through links, and whether or not it exists."""
    try:
        status = os.stat(path)
    except OSError:
        return os.path.realpath(path)
    return status.st_dev, status.st_ino
