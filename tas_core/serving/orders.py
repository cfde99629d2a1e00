"""What a request asks for, checked: words and numbers of JSON, files that came along or lie in granted folders.

Two ways. Files that come with a request lie in a folder of its own, and the answer is the sound. Files that a request
names by their paths have to lie in folders that were granted, and the answer says what was written.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from tas_core.audio.excerpt import Excerpt
from tas_core.audio.normalised_writer import Levels
from tas_core.delivery.formats import read_formats
from tas_core.errors import InputError
from tas_core.inference.settings import RenderSettings
from tas_core.jobs.request import FileOptions, FileRequest, find_timeline, sidecar_path
from tas_core.serving.maker import Order
from tas_core.serving.settings import Folders
from tas_core.system.configs import config_from_dict
from tas_core.timeline.files import load_timeline

IN_FOLDER: Final = "in"
OUT_FOLDER: Final = "out"
_LONGEST_NAME: Final = 200


class FolderError(InputError):
    """A file that lies in no folder that was granted."""


class AskedError(InputError):
    """A request that is not of the form that requests have."""


@dataclass(frozen=True)
class Wanted:
    """The fields that every request may have beside its files; called as the options of ``tas spatialize`` are.

    The same names, values and defaults, with ``gain`` in dB, ``loudness`` in LUFS, and times in seconds.
    """

    prompt: str | None = None
    format: str | None = None
    strict: bool = False
    stereo: Literal["mix", "keep"] = "mix"
    channel: int | None = None
    track: int | None = None
    start: float = 0.0
    duration: float | None = None
    subtype: str | None = None
    steps: int | None = None
    seed: int = 0
    width: float = 1.0
    renderer: Literal["auto", "plane", "sphere"] = "auto"
    transition: float = 0.0
    gain: float = 0.0
    loudness: float | None = None
    clip: Literal["rescale", "clamp", "error"] = "rescale"

    @property
    def formats(self) -> tuple[str, ...]:
        """Names of the formats that are asked for.

        Raises:
            InputError: an unknown one, or one twice.
        """
        return read_formats([] if self.format is None else [self.format])

    def options(self, base: FileOptions, **more: Any) -> FileOptions:
        """Options of a file.

        Args:
            base: those of the server, which has the head.
            more: further options.

        Raises:
            InputError: a value out of range.
        """
        render = RenderSettings(
            self.steps,
            self.seed,
            base.render.head,
            self.width,
            self.transition,
            stereo=self.stereo,
            renderer=self.renderer,
        )
        return replace(
            base,
            render=render,
            excerpt=Excerpt(self.channel, self.start, self.duration, self.track),
            levels=Levels(self.gain, self.loudness, self.clip),
            subtype=self.subtype,
            strict=self.strict,
            **more,
        )


@dataclass(frozen=True)
class WantedSound(Wanted):
    """What is wanted of a sound that comes with the request; ``output`` is a file name, which says the format."""

    output: str = "out.wav"


@dataclass(frozen=True)
class WantedFile(Wanted):
    """What is wanted of files in granted folders, named by whole paths; ``force`` lets an output replace a file."""

    sound: str = ""
    output: str = ""
    timeline: str | None = None
    stems: str | None = None
    report: str | None = None
    sidecar: bool = False
    force: bool = False


@dataclass(frozen=True)
class Upload:
    """A file that came with a request: the name that the client gave it, and the folder of the request."""

    folder: Path
    name: str

    @property
    def path(self) -> Path:
        """Where it lies.

        Raises:
            AskedError: its name is none for a file.
        """
        return self.folder / IN_FOLDER / file_name(self.name)


def file_name(name: str) -> str:
    """A name that a client gave, if it is that of a file and leads nowhere.

    Raises:
        AskedError: it is empty, too long, or has signs that a name has not.
    """
    if (
        name in ("", ".", "..")
        or any(sign in "/\\" or not sign.isprintable() for sign in name)
        or len(os.fsencode(name)) > _LONGEST_NAME
    ):
        raise AskedError(f"{name!r}: expected the name of a file, without folders, of at most {_LONGEST_NAME} bytes")
    return name


def sound_order(
    said: Any, sound: Upload, timeline: Upload | None, base: FileOptions, folders: Folders
) -> tuple[Order, Path]:
    """The order of a request that brought its files along, and the one file that it will make.

    Args:
        said: the other fields, as JSON has them.
        sound: what is to be spatialized.
        timeline: the prompts with times; None for a prompt among the fields.
        base: options of the server.
        folders: that were granted, for sounds that the timeline names.

    Raises:
        AskedError: fields that are none or of another type; names that are none; several files asked for.
        InputError: a value out of range.
        FolderError: the timeline names a sound elsewhere.
    """
    wanted = config_from_dict(WantedSound, said, "options", AskedError)
    if (timeline is None) == (wanted.prompt is None):
        given = "no timeline and no prompt" if timeline is None else "a timeline and a prompt"
        raise AskedError(f"{given}, expected one of them")
    out = sound.folder / OUT_FOLDER / file_name(wanted.output)
    path = None if timeline is None else timeline.path
    request = FileRequest(sound.path, out, path, wanted.prompt, formats=wanted.formats)
    made = request.deliveries
    if len(made) != 1 or made[0].folder is not None or not made[0].format.has_mix and made[0].format.name != "osc":
        names = ", ".join(delivery.format.name for delivery in made)
        raise AskedError(f"{names}: several files, and an answer is one; expected paths in a folder of outputs")
    options = wanted.options(base, overwrite=False, sidecar=False)
    if path is not None:
        _check_sources(path, folders)
    return Order(request, options), made[0].path


def file_order(said: Any, base: FileOptions, folders: Folders) -> Order:
    """The order of a request that names files.

    Args:
        said: the fields, as JSON has them.
        base: options of the server.
        folders: that were granted.

    Raises:
        AskedError: fields that are none, missing or of another type.
        InputError: a value out of range; an input that is not there.
        FolderError: a file outside of the folders.
    """
    wanted = config_from_dict(WantedFile, said, "request", AskedError)
    for name in ("sound", "output"):
        if not getattr(wanted, name):
            raise AskedError(f"request: missing key {name!r}")
    sound = _granted(wanted.sound, "sound", folders, write=False)
    out = _granted(wanted.output, "output", folders, write=True)
    timeline = None if wanted.timeline is None else _granted(wanted.timeline, "timeline", folders, write=False)
    stems = None if wanted.stems is None else _granted(wanted.stems, "stems", folders, write=True)
    page = None if wanted.report is None else _granted(wanted.report, "report", folders, write=True)
    if timeline is None and wanted.prompt is None:
        timeline = _granted(str(find_timeline(sound)), "timeline", folders, write=False)
    request = FileRequest(sound, out, timeline, wanted.prompt, stems, page, wanted.formats)
    written = [path for made in request.deliveries for path in (made.path, made.folder) if path is not None]
    if wanted.sidecar:
        written.append(sidecar_path(request.main_out))
    _check_written(written, folders)
    if timeline is not None and wanted.prompt is None:
        _check_sources(timeline, folders)
    return Order(request, wanted.options(base, overwrite=wanted.force, sidecar=wanted.sidecar))


def _granted(text: str, what: str, folders: Folders, *, write: bool) -> Path:
    """A path of a request, if it lies where it may."""
    path = Path(text)
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise AskedError(f"{what} {text!a}: the name of no file") from None
    if "\0" in text or not path.is_absolute():
        raise AskedError(f"{what} {text!r}: expected a whole path, from / on")
    if not (folders.may_write(path) if write else folders.may_read(path)):
        kind = "outputs" if write else "inputs"
        raise FolderError(f"{what} {text!r}: in no folder that was granted for {kind}")
    return path


def _check_written(paths: Iterable[Path], folders: Folders) -> None:
    for path in paths:
        if not folders.may_write(path):
            raise FolderError(f"output {str(path)!r}: in no folder that was granted for outputs")


def _check_sources(timeline: Path, folders: Folders) -> None:
    """See that all sounds that a timeline names lie where they may."""
    for source in load_timeline(timeline).sources:
        if not folders.may_read(source.file):
            raise FolderError(f"the timeline names the sound {str(source.file)!r}, in no folder granted for inputs")
