"""The one list of what a scene can be delivered as, and the names of its files.

Several formats can be made in one run: each has its name before the ending, ``scene.adm.wav`` and ``scene.5.1.wav``.
A file that is named so is of that format, too.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from tas_core.audio.formats import WRITABLE
from tas_core.delivery.layouts import LAYOUTS
from tas_core.errors import InputError
from tas_core.system.files import STANDARD_STREAM
from tas_core.system.programs import captured

BINAURAL: Final = "binaural"
_WAV: Final = (".wav",)


@dataclass(frozen=True)
class Format:
    """Something that a scene can be delivered as.

    Args:
        name: as people call it, and as its files are named.
        endings: of its files, the first where none is named; empty for any file of sound.
        has_mix: whether it is one file of sound with channels that sum all objects, or of objects (``adm``).
        has_loudness: whether its loudness is defined.
        subtypes: sample encodings that it can have; empty for any.
        reach: from where it has sounds: all around, on the circle at ear level alone, or only as far to the side.
    """

    name: str
    endings: tuple[str, ...] = ()
    has_mix: bool = True
    has_loudness: bool = True
    subtypes: tuple[str, ...] = ()
    reach: Literal["sphere", "circle", "side"] = "sphere"

    def takes(self, subtype: str) -> bool:
        """Whether it can have a sample encoding, as far as that does not depend on the ending."""
        return self.name != "osc" and (not self.subtypes or subtype in self.subtypes)

    @property
    def is_sound(self) -> bool:
        """Whether it is a file of sound whose ending says how it is written."""
        return self.has_mix and self.name != "iamf"

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of files."""
        return self.endings == ("",)


FORMATS: Final = {
    form.name: form
    for form in (
        Format(BINAURAL),
        Format("stereo", reach="side"),
        Format("5.1", (".wav", ".flac"), reach="circle"),
        Format("5.1.4", _WAV),
        Format("7.1.4", _WAV),
        Format("ambix1", _WAV, has_loudness=False),
        Format("ambix2", _WAV, has_loudness=False),
        Format("ambix3", _WAV, has_loudness=False),
        Format("adm", _WAV, subtypes=("PCM_24",)),
        Format("objects", ("",), has_mix=False, has_loudness=False, subtypes=("FLOAT",)),
        Format("rpp", (".rpp",), has_mix=False, has_loudness=False, subtypes=("FLOAT",), reach="side"),
        Format("osc", (".osc",), has_mix=False, has_loudness=False),
        Format("iamf", (".iamf",), subtypes=("PCM_24",)),
    )
}
"""By their names."""

NAMES: Final = tuple(FORMATS)
OWN_ENDINGS: Final = {".rpp": "rpp", ".osc": "osc", ".iamf": "iamf", ".objects": "objects"}
"""Endings that say the format by themselves."""
_IAMF_SINCE: Final = 7


@dataclass(frozen=True)
class Delivery:
    """A format and where it goes; for ``objects`` a folder, for ``rpp`` a file with a folder beside it."""

    format: Format
    path: Path

    @property
    def folder(self) -> Path | None:
        """The folder that its sounds lie in, if they do."""
        if self.format.is_folder:
            return self.path
        return self.path.with_name(f"{self.path.stem}-sounds") if self.format.name == "rpp" else None


def read_formats(texts: Iterable[str]) -> tuple[str, ...]:
    """Names of formats from words of people: lists with commas, in capitals or not.

    Raises:
        InputError: an unknown one, or one twice.
    """
    found: list[str] = []
    for word in (part.strip() for text in texts for part in text.split(",")):
        name = word.lower()
        if name not in FORMATS:
            raise InputError(f"unknown format '{word}'; expected one of {', '.join(NAMES)}")
        if name in found:
            raise InputError(f"the format {name} is given twice, expected it once")
        found.append(name)
    return tuple(found)


def named_format(path: Path) -> str | None:
    """The format that a file's name says, as in ``scene.adm.wav`` or ``scene.rpp``; None where it says none."""
    if (own := OWN_ENDINGS.get(path.suffix.lower())) is not None:
        return own
    stem = path.stem.lower()
    longest = sorted(NAMES, key=len, reverse=True)
    return next((name for name in longest if stem.endswith(f".{name}") and path.suffix.lower() in WRITABLE), None)


def deliveries(out: Path, formats: Sequence[str] = ()) -> tuple[Delivery, ...]:
    """What is made under a name.

    Args:
        out: the name that was given.
        formats: that were asked for; none leaves it to the name, and binaural to a name that says none.

    Returns:
        One format goes to ``out`` as it is. Of several, binaural does, and the others have their own names before the
        ending.

    Raises:
        InputError: a name that says another format than the one that was asked for, an ending that the format does not
            have, or several formats for standard output.
    """
    if str(out) == STANDARD_STREAM:
        if len(formats) > 1:
            raise InputError(f"standard output holds one format, expected a file name for {', '.join(formats)}")
        form = FORMATS[formats[0] if formats else BINAURAL]
        if not form.is_sound:
            raise InputError(f"standard output is WAV, which {form.name} is not; expected a file name")
        return (Delivery(form, out),)
    named = named_format(out)
    if len(formats) < 2:
        name = formats[0] if formats else named or BINAURAL
        if formats and named is not None and named != name:
            raise InputError(f"{out}: the name says {named}, and the format {name} was asked for; expected them alike")
        return (_checked(Delivery(FORMATS[name], out)),)
    if out.suffix.lower() not in (*WRITABLE, *OWN_ENDINGS):
        shown = f"the extension {out.suffix}" if out.suffix else "no extension"
        raise InputError(f"{out}: {shown}, expected one of {', '.join(WRITABLE)}")
    return tuple(Delivery(FORMATS[name], renamed(out, name)) for name in formats)


def renamed(out: Path, name: str) -> Path:
    """The name of a format beside ``out``: ``scene.wav`` itself for binaural, ``scene.adm.wav``, ``scene.rpp``."""
    named = named_format(out)
    if name == BINAURAL and named in (None, BINAURAL):
        return out
    form = FORMATS[name]
    stem = out.stem
    if named is not None and stem.lower().endswith(f".{named}"):
        stem = stem[: -len(named) - 1]
    if name in OWN_ENDINGS.values():
        return out.with_name(f"{stem}.{name}")
    ending = out.suffix.lower()
    fits = ending in (form.endings or WRITABLE)
    return out.with_name(f"{stem}.{name}{out.suffix if fits else '.wav'}")


def _checked(delivery: Delivery) -> Delivery:
    """Raises :class:`InputError` where a file cannot have its ending; that of sound is checked with the file."""
    form, path = delivery.format, delivery.path
    if form.endings and not form.is_folder and path.suffix.lower() not in form.endings:
        shown = f"the extension {path.suffix}" if path.suffix else "no extension"
        raise InputError(f"{path}: {shown}, and {form.name} is {' or '.join(form.endings)}; expected that")
    if form.is_folder and path.suffix.lower() in WRITABLE:
        raise InputError(f"{path}: the name of a file, and {form.name} is a folder; expected a name without an ending")
    return delivery


def check_encoder_of(form: Format) -> None:
    """See that there is a program that writes a format.

    Raises:
        InputError: there is none, and which there would have to be.
    """
    if form.name != "iamf":
        return
    expected = f"expected ffmpeg {_IAMF_SINCE} or later, or another format such as adm or 7.1.4"
    program = shutil.which("ffmpeg")
    if program is None:
        raise InputError(f"iamf is written by ffmpeg, which is not installed; {expected}")
    said = captured([program, "-hide_banner", "-muxers"]).stdout.decode(errors="replace")
    if not re.search(r"^\s*E\s+iamf\b", said, re.MULTILINE):
        raise InputError(f"iamf is not written by {program}, which has no such container; {expected}")


def layout_names() -> tuple[str, ...]:
    """Formats that are loudspeakers."""
    return tuple(LAYOUTS)
