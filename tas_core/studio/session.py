"""One scene being worked on: every change can be taken back, none is lost, and no file is replaced unasked.

After each change the scene is kept beside its file, as ``NAME.tas-autosave.yaml``; saving removes it again. One that is
there at the beginning is of a program that was killed, or of another that is at work: it is taken up or left, before
anything else is changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import yaml

from tas_core.errors import InputError, TasError
from tas_core.studio.document import Document
from tas_core.studio.operations import Operation
from tas_core.system.files import check_new_file, file_exists, write_files
from tas_core.timeline.files import check_extension, parse_timeline
from tas_core.timeline.formats.lines import MAX_TIMELINE_BYTES, read_timeline_text, timeline_text

AUTOSAVE_ENDING: Final = ".tas-autosave.yaml"
_LARGEST_AUTOSAVE: Final = 4 * MAX_TIMELINE_BYTES
_KEPT: Final = ("file", "text")
"""What is said of a scene that was not saved."""


class StaleError(InputError):
    """A change was made of a scene that has been changed meanwhile, as in another tab."""


class ChangedFileError(InputError):
    """Another program has changed the file since it was read or saved."""


class UndecidedError(InputError):
    """A scene that was not saved is there, and nobody has said whether to take it up."""


@dataclass(frozen=True)
class OnDisk:
    """A file as it was last seen: its digest and when it was changed; nothing of either where it is not there."""

    digest: str = ""
    changed_ns: int = 0

    @classmethod
    def of(cls, path: Path) -> OnDisk:
        """How a file is now."""
        try:
            changed_ns = path.stat().st_mtime_ns
            return cls(hashlib.sha256(path.read_bytes()).hexdigest(), changed_ns)
        except OSError:
            return cls()


def autosave_path(path: Path) -> Path:
    """Where a scene is kept until it is saved: ``NAME.tas-autosave.yaml``."""
    return path.with_name(path.name + AUTOSAVE_ENDING)


class Session:
    """A scene, its past and its future; calls from several threads wait for each other.

    Args:
        path: the timeline file, which need not be there yet.
        duration_s: length of the sound, seconds.

    Raises:
        InputError: the file is there and cannot be read; without a file, another ending than that of a timeline.
    """

    def __init__(self, path: Path, duration_s: float) -> None:
        check_extension(path)
        self.path, self.duration_s = path, duration_s
        self._lock = threading.RLock()
        self._seen = OnDisk.of(path)
        text = read_timeline_text(path) if self._seen.digest else ""
        first = self._read(text)
        self._saved = first.text
        self._past: list[Document] = [first]
        self._future: list[Document] = []
        self.revision = 0
        self.left = _read_autosave(autosave_path(path))
        if self.left is not None and self.left == first.text:
            self.left = None

    @property
    def document(self) -> Document:
        """The scene as it is."""
        return self._past[-1]

    def document_of(self, revision: int) -> Document | None:
        """The scene of a revision; None if it is another by now."""
        with self._lock:
            return self.document if revision == self.revision else None

    @property
    def is_saved(self) -> bool:
        """Whether the file says what the scene does, as far as this program has written and read it."""
        return self.document.text == self._saved

    def change(self, operation: Operation, revision: int) -> None:
        """Change the scene.

        Args:
            operation: what to do.
            revision: of the scene that whoever asks has seen.

        Raises:
            StaleError: that is not the scene as it is.
            UndecidedError: as :meth:`decide` has not been called.
            InputError: it cannot be changed so, and is as it was.
            TasError: it cannot be kept; it is changed all the same.
        """
        with self._lock:
            self._check(revision)
            before = self.document
            timeline = operation.on(before.timeline, self.duration_s)
            timeline.resolved(self.duration_s)
            self._put(before.saying(timeline))

    def write(self, text: str, revision: int) -> None:
        """Change all of the text of the file; arguments and errors as for :meth:`change`."""
        with self._lock:
            self._check(revision)
            document = self._read(text)
            if document.timeline is None:
                raise InputError(f"{self.path.name}: nothing is left, expected at least one segment")
            self._put(document)

    def take_in(self, name: str, data: bytes, revision: int) -> None:
        """Take all segments of another timeline file in any format, in place of those that are there.

        Sounds that the scene names stay where the other names none.

        Args:
            name: of the other file, whose ending says its format.
            data: its bytes.
            revision: as for :meth:`change`.

        Raises:
            InputError: it cannot be read, does not fit the sound, or the scene's own format cannot hold it.
            TasError: as for :meth:`change`.
        """
        with self._lock:
            self._check(revision)
            where = self.path.with_name(Path(name).name or "timeline")
            check_extension(where)
            found = parse_timeline(timeline_text(data, where), where)
            found.resolved(self.duration_s)
            before = self.document
            if before.timeline is not None and found.sources in ((), before.timeline.sources):
                self._put(before.saying(replace(found, sources=before.timeline.sources)))
            else:
                self._put(before.written_anew(found))

    def undo(self, revision: int) -> None:
        """Take back the latest change; errors as for :meth:`change`."""
        self._step(self._past, self._future, revision, keep=1, what="undo")

    def redo(self, revision: int) -> None:
        """Make again what was taken back; errors as for :meth:`change`."""
        self._step(self._future, self._past, revision, keep=0, what="redo")

    def decide(self, *, take_up: bool) -> None:
        """Take up the scene that was not saved, as a change that can be undone; or leave it, and it is gone.

        Raises:
            InputError: there is none; or it cannot be read, and it is still there.
        """
        with self._lock:
            left = self.left
            if left is None:
                raise InputError("no scene is there that was not saved")
            if take_up:
                document = self._read(left)
                self.left = None
                self._put(document)
                return
            self.left = None
            self.revision += 1
            _remove(autosave_path(self.path))

    def changed_by_another(self) -> bool:
        """Whether the file is no longer as it was read or saved here."""
        with self._lock:
            with contextlib.suppress(OSError):
                if self._seen.digest and self.path.stat().st_mtime_ns == self._seen.changed_ns:
                    return False
            return OnDisk.of(self.path).digest != self._seen.digest

    def save(self, *, overwrite: bool = False) -> None:
        """Write the file, whole or not at all.

        Args:
            overwrite: whether it is replaced although another program has changed it.

        Raises:
            ChangedFileError: another program has.
            UndecidedError: as for :meth:`change`.
            InputError: there is nothing to write, or a folder takes no files.
            TasError: writing failed; the scene is kept as it was.
        """
        with self._lock:
            self._check(self.revision)
            if self.document.timeline is None:
                raise InputError(f"{self.path.name}: the scene says nothing yet, expected at least one segment")
            if not overwrite and self.changed_by_another():
                raise ChangedFileError(
                    f"{self.path.name}: another program has changed the file since; expected a decision: load it, or"
                    " replace it"
                )
            try:
                write_files({self.path: self.document.text.encode()}, overwrite=overwrite or bool(self._seen.digest))
            except InputError as error:
                if str(error) == str(file_exists(os.path.realpath(self.path))):
                    raise ChangedFileError(str(error)) from error
                raise
            self._saved, self._seen = self.document.text, OnDisk.of(self.path)
            self.revision += 1
            _remove(autosave_path(self.path))

    def copy(self, path: Path, *, overwrite: bool = False) -> None:
        """Write the scene to another file of the same folder, in the format that its name has; it stays as it is here.

        Args:
            path: the other file.
            overwrite: whether it may be replaced.

        Raises:
            InputError: it is the scene's own file; the format cannot hold the scene, or the file is there.
            TasError: writing failed.
        """
        with self._lock:
            check_new_file(path, [self.path, autosave_path(self.path)], overwrite=overwrite)
            write_files({path: self.document.written_as(path).encode()}, overwrite=overwrite)

    def load(self) -> None:
        """Take the file as another program has left it, as a change that can be undone.

        Raises:
            InputError: it cannot be read, and the scene is as it was.
        """
        with self._lock:
            self._check(self.revision)
            seen = OnDisk.of(self.path)
            document = self._read(read_timeline_text(self.path))
            self._saved, self._seen = document.text, seen
            self._put(document)

    def state(self) -> dict[str, Any]:
        """What there is to say of it, plain values for JSON, but for what the scene says."""
        with self._lock:
            return {
                "revision": self.revision,
                "file": self.path.name,
                "exists": bool(self._seen.digest),
                "saved": self.is_saved,
                "undo": len(self._past) - 1,
                "redo": len(self._future),
                "left": self.left is not None,
                "changed_by_another": self.changed_by_another(),
                "note": self.document.note,
                "duration_s": self.duration_s,
            }

    def _read(self, text: str) -> Document:
        """The document that a text is, if it fits the sound."""
        document = Document.read(self.path, text)
        if document.timeline is not None:
            document.timeline.resolved(self.duration_s)
        return document

    def _check(self, revision: int) -> None:
        if self.left is not None:
            raise UndecidedError(
                f"{self.path.name}: a scene that was not saved is there; expected a decision first: take it up, or"
                " leave it"
            )
        if revision != self.revision:
            raise StaleError(
                "the scene has been changed meanwhile, as in another tab; expected a change of what is now"
            )

    def _step(self, source: list[Document], target: list[Document], revision: int, *, keep: int, what: str) -> None:
        with self._lock:
            self._check(revision)
            if len(source) <= keep:
                raise InputError(f"there is nothing to {what}")
            target.append(source.pop())
            self._keep()

    def _put(self, document: Document) -> None:
        self._past.append(document)
        self._future.clear()
        self._keep()

    def _keep(self) -> None:
        """Note that the scene is another, and keep it beside the file until it is saved.

        Raises:
            TasError: it cannot be written; the scene is changed all the same.
        """
        self.revision += 1
        path = autosave_path(self.path)
        if self.is_saved:
            _remove(path)
            return
        said = dict(zip(_KEPT, (self.path.name, self.document.text), strict=True))
        kept = yaml.safe_dump(said, allow_unicode=True, sort_keys=True)
        try:
            write_files({path: kept.encode()})
        except TasError as error:
            raise TasError(f"the scene is changed and not kept beside its file: {error}") from error


def _read_autosave(path: Path) -> str | None:
    """The text of a scene that was not saved; None if there is none, an error if it cannot be read."""
    if not os.path.lexists(path):
        return None
    said: dict[str, str] = {}
    try:
        if path.is_file():  # nothing that is waited for, such as a pipe
            with open(path, "rb") as file:
                data = file.read(_LARGEST_AUTOSAVE + 1)
            said = _texts(data) if len(data) <= _LARGEST_AUTOSAVE else {}
    except (OSError, yaml.YAMLError, ValueError, OverflowError) as error:  # the last two: characters that are none
        raise InputError(
            f"{path}: a scene that was not saved cannot be read; expected it elsewhere, or none"
        ) from error
    if "text" not in said:
        raise InputError(f"{path}: not what was kept of a scene; expected it elsewhere, or none")
    return said["text"]


def _texts(data: bytes) -> dict[str, str]:
    """The texts of a YAML mapping of texts; nothing at the first sign that it is more than that, or something else."""
    loader = yaml.SafeLoader(data)
    expected: list[type] = [yaml.StreamStartEvent, yaml.DocumentStartEvent, yaml.MappingStartEvent]
    try:
        if any(not isinstance(loader.get_event(), kind) for kind in expected):
            return {}
        texts: list[str] = []
        while loader.check_event(yaml.ScalarEvent):
            event = loader.get_event()
            tag = loader.resolve(yaml.ScalarNode, event.value, event.implicit) if event.tag is None else event.tag
            if tag != loader.DEFAULT_SCALAR_TAG or len(texts) == 2 * len(_KEPT):
                return {}
            texts.append(event.value)
        expected = [yaml.MappingEndEvent, yaml.DocumentEndEvent, yaml.StreamEndEvent]
        if any(not isinstance(loader.get_event(), kind) for kind in expected):
            return {}
        return dict(zip(texts[::2], texts[1::2], strict=True))
    finally:
        loader.dispose()


def _remove(path: Path) -> None:
    """Remove what was kept; that of a file which is gone already is none."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
