"""Files of a batch in object stores: they come to a temporary folder, and what is made goes back when it is whole.

In plans and requests they have local names below a folder of the run, :class:`Stores`, which say where they are:
``FOLDER/s3/bucket/key`` is ``s3://bucket/key``. What people read has the addresses in their place.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from tas_core.errors import Advice, InputError, TasError
from tas_core.jobs.batch.stores import PACKAGES, download, exists, is_there, names_in, upload, url_parts
from tas_core.jobs.batch.worker import FileOutcome, FileTask
from tas_core.jobs.request import FileRequest, sidecar_path
from tas_core.system.files import write_files
from tas_core.system.json_values import json_value
from tas_core.system.programs import temporary_folder
from tas_core.timeline.files import EXTENSIONS, load_timeline

ValueT = TypeVar("ValueT")


@dataclass(frozen=True)
class Stores:
    """Local names for what is in stores.

    Args:
        folder: of the run; what of outputs is there already has an empty file in it, so that plans see it.
    """

    folder: Path

    def local(self, url: str) -> Path:
        """The local name of an address.

        Raises:
            InputError: as :func:`tas_core.jobs.batch.stores.url_parts`.
        """
        kind, rest = url_parts(url)
        return self.folder / kind / rest

    def has(self, path: Path | None) -> bool:
        """Whether a path is the local name of an address."""
        return path is not None and path.is_relative_to(self.folder)

    def url(self, path: Path) -> str:
        """The address of a local name."""
        kind, *rest = path.relative_to(self.folder).parts
        return f"{kind}://{'/'.join(rest)}"

    def look(self, requests: Sequence[FileRequest], *, sidecar: bool) -> None:
        """Put an empty file for each output that is in its store, and for the input of one that is there, if it is.

        Args:
            requests: of a batch; those that have nothing in stores do not matter.
            sidecar: whether each output gets a sidecar beside it.

        Raises:
            InputError: outputs in stores that cannot be made there, or a store that cannot be asked.
        """
        known: dict[Path, frozenset[str]] = {}

        def there(path: Path) -> bool:
            if path.parent not in known:
                known[path.parent] = names_in(self.url(path.parent))
            return path.name in known[path.parent]

        for request in requests:
            self._check(request)
            found = [path for path in self._products(request, sidecar) if there(path)]
            for path in found:
                _touch(path)
            made = bool(found) or (not self.has(request.out) and os.path.lexists(request.main_out))
            if made and self.has(request.source) and there(request.source):
                _touch(request.source)

    def concern(self, request: FileRequest) -> bool:
        """Whether anything of a request is in a store."""
        inputs = (request.source, request.timeline_path, *(item.file for item in request.objects))
        return any(map(self.has, (*inputs, request.out)))

    def _check(self, request: FileRequest) -> None:
        """See that all that a request makes can go where it is to.

        Raises:
            InputError: it cannot.
        """
        if not self.has(request.out):
            return
        what = next((form.format.name for form in request.deliveries if not form.format.is_sound), "")
        what = what or ("a report page" if request.page else "stems" if request.stems else "")
        if what:
            raise InputError(f"{self.url(request.out)}: {what} cannot go to a store, expected files of sound alone")

    def attempt(self, task: FileTask, make: Callable[[FileTask], FileOutcome], *, sidecar: bool) -> FileOutcome:
        """Fetch what a task needs, make it in a folder of its own, and put what was made in its place.

        Args:
            task: with local names.
            make: makes it there.
            sidecar: whether its output gets a sidecar beside it.
        """
        request = task.request
        try:
            with temporary_folder() as folder:
                return replace(self._attempt(task, make, Stores(folder), sidecar), request=request)
        except TasError as error:
            if task.unless_there and error.remedy == "overwrite":  # it appeared while this one was made
                return FileOutcome(request, skipped=True)
            source, said = self.told(str(request.source)), str(error)
            said = said if source in said else f"{source}: {said}"
            return FileOutcome(request, error=said, remedy=error.remedy, code=error.exit_code)

    def _attempt(
        self, task: FileTask, make: Callable[[FileTask], FileOutcome], work: Stores, sidecar: bool
    ) -> FileOutcome:
        products = [] if task.only_measured else list(self._products(task.request, sidecar))
        made = [path for path in products if is_there(self.url(path))]
        if made and task.unless_there and len(made) == len(products):
            return FileOutcome(task.request, skipped=True)
        # What a killed run made in part is made again, as in folders.
        overwrite = task.overwrite or (bool(made) and task.unless_there)
        if made and not overwrite:
            raise exists(self.url(made[0]))
        request = self._fetch(task.request, work)
        outcome = make(replace(task, request=request))
        if outcome.result is not None:
            if sidecar:
                work._tell(sidecar_path(request.main_out))
            for path in products:
                upload(work._of(path, self), self.url(path), overwrite=overwrite)
        return work.told_outcome(outcome)

    def told(self, value: ValueT) -> ValueT:
        """The same text, or all texts in a value of JSON, with addresses in place of local names."""
        known = "|".join(map(re.escape, PACKAGES))
        names = re.compile(rf"{re.escape(str(self.folder))}/({known})/")
        return _replaced(value, lambda text: names.sub(r"\1://", text))

    def told_outcome(self, outcome: FileOutcome) -> FileOutcome:
        """An outcome that names addresses."""
        result = outcome.result
        if result is not None:
            result = replace(
                result,
                source=self.told(result.source),
                output=self.told(result.output),
                sources=tuple(replace(item, file=self.told(item.file)) for item in result.sources),
                outputs=tuple(replace(o, path=self.told(o.path), files=self.told(o.files)) for o in result.outputs),
            )
        names = outcome.names or (str(outcome.request.source), str(outcome.request.main_out))
        said = tuple(_warning(warning, self.told(str(warning))) for warning in outcome.warnings)
        return replace(outcome, result=result, error=self.told(outcome.error), warnings=said, names=self.told(names))

    @contextlib.contextmanager
    def in_messages(self) -> Iterator[None]:
        """What is raised within names addresses."""
        try:
            yield
        except TasError as error:
            error.args = self.told(error.args)
            raise

    def _products(self, request: FileRequest, sidecar: bool) -> Iterator[Path]:
        """What of a request goes to stores, the output itself first."""
        if self.has(request.out):
            yield from (delivery.path for delivery in request.deliveries)
            if sidecar:
                yield sidecar_path(request.main_out)

    def _of(self, path: Path, other: Stores) -> Path:
        """The local name here of one there."""
        return self.folder / path.relative_to(other.folder)

    def _fetch(self, request: FileRequest, work: Stores) -> FileRequest:
        """The request under names of another folder, into which its inputs come.

        Raises:
            InputError: one does not.
        """

        def fetched(path: Path) -> Path:
            if not self.has(path):
                return path
            here = work._of(path, self)
            if not here.exists():
                here.parent.mkdir(parents=True, exist_ok=True)
                download(self.url(path), here)
            return here

        objects = tuple(replace(item, file=fetched(item.file)) for item in request.objects)
        source = fetched(request.source) if request.has_input else request.source
        timeline = request.timeline_path
        if timeline is None and request.prompt is None and self.has(request.source):
            for beside in map(request.source.with_suffix, EXTENSIONS):
                if beside != request.source and is_there(self.url(beside)):
                    fetched(beside)
        elif timeline is not None and self.has(timeline):
            timeline = fetched(timeline)
            for item in load_timeline(timeline).sources:
                if work.has(item.file):
                    fetched(self._of(item.file, work))
        out = request.out
        if self.has(out):
            out = work._of(out, self)
            out.parent.mkdir(parents=True, exist_ok=True)
        if not request.has_input and self.has(source):
            source = work._of(source, self)
        return replace(request, source=source, timeline_path=timeline, objects=objects, out=out)

    def _tell(self, sidecar: Path) -> None:
        """Let a sidecar name addresses."""
        content = self.told(json_value(sidecar.read_text(encoding="utf-8")))
        text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
        write_files({sidecar: text.encode()}, overwrite=True)


class StoresOnDemand:
    """Local names for addresses, below a temporary folder that is made for the first of them.

    Args:
        stack: at whose end the folder goes.

    Attributes:
        made: the names; None where nothing was in a store.
    """

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self.made: Stores | None = None

    def local(self, url: str) -> Path:
        """As :meth:`Stores.local`."""
        url_parts(url)
        return self._stores().local(url)

    @property
    def folder(self) -> Path:
        """As of :class:`Stores`."""
        return self._stores().folder

    def _stores(self) -> Stores:
        if self.made is None:
            self.made = Stores(self._stack.enter_context(temporary_folder()))
        return self.made


def _touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def _replaced(value: Any, change: Callable[[str], str]) -> Any:
    """A value of JSON with all texts in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, tuple | list):
        return type(value)(_replaced(item, change) for item in value)
    if isinstance(value, dict):
        return {key: _replaced(item, change) for key, item in value.items()}
    return value


def _warning(warning: Warning | str, said: str) -> Warning | str:
    """A warning of the same kind that says something."""
    if isinstance(warning, Advice):
        return Advice(said, remedy=warning.remedy, value=warning.value)
    return said if isinstance(warning, str) else type(warning)(said)
