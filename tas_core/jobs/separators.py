"""Stems by a separator of one's own: a program that is run once for an input, and whose stems are kept.

A command is split as a shell splits it (quotes and backslashes), but no shell runs it. Within its words

``{mix}``    is the sound: a WAV file of 32-bit floats at the input's rate, mono, or of both channels where stereo stays
``{names}``  is a JSON file, ``{"rate_hz": .., "stems": [{"name": "cello", "file": "/tmp/../1-cello.wav"}, ..]}``

The program writes each named sound to its file, at any rate and with one channel or two, as long as the input; what it
leaves unwritten is an error. What the stems do not take of the input is the rest, so the sum stays what it was.

Stems are kept in ``tas/stems`` below ``$XDG_CACHE_HOME`` (or ``~/.cache``), under a digest of the sound, the names, the
words of the command, and the content of files that the words name (of at most 1 MB, such as a script). What those load
in turn is not seen: another model wants another word, be it a comment such as ``--version 2`` of a script of one's own.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from tas_core.audio.formats import AudioFormat
from tas_core.audio.reader import AudioReader
from tas_core.audio.writer import AudioWriter
from tas_core.delivery.stems import stem_paths
from tas_core.errors import InputError
from tas_core.jobs.request import PreparedFile, input_pieces
from tas_core.jobs.sources import GivenSources, open_sources
from tas_core.system.files import make_folder, whole_folder, write_files
from tas_core.system.programs import file_digest, run_program, temporary_folder
from tas_core.timeline.matching import REST
from tas_core.timeline.sources import SourceFile

PLACEHOLDERS: Final = ("mix", "names")
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
_LARGEST_SCRIPT: Final = 1_000_000
_TOLERANCE_S: Final = 0.1
_BLOCK_FRAMES: Final = 2**17


@dataclass(frozen=True)
class Separator:
    """A command line that separates, with its placeholders.

    Attributes:
        words: the program and its arguments.
    """

    words: tuple[str, ...]

    @classmethod
    def read(cls, command: str) -> Separator:
        """Read a command.

        Raises:
            InputError: open quotes, an unknown placeholder, one that is missing, or no such program.
        """
        try:
            words = tuple(shlex.split(command))
        except ValueError as error:
            raise InputError(f"separator: quotes or a backslash that lead nowhere ({error})") from error
        used = {name for word in words for name in _PLACEHOLDER.findall(word)}
        expected = " and ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        if unknown := sorted(used - set(PLACEHOLDERS)):
            raise InputError(f"separator: unknown {{{unknown[0]}}}; expected {expected}")
        if missing := [f"{{{name}}}" for name in PLACEHOLDERS if name not in used]:
            raise InputError(f"separator: no {' and no '.join(missing)} in it; expected {expected}")
        if shutil.which(words[0]) is None:
            raise InputError(
                f"separator: no program {words[0]!r}; expected one that can be run, by its path or its name"
            )
        return cls(words)

    def stems(self, sound: Iterable[np.ndarray], form: AudioFormat, names: Sequence[str]) -> dict[str, Path]:
        """Files of the stems of a sound, made by the program, or kept from the time before.

        Args:
            sound: (channel, time), in pieces.
            form: of the sound.
            names: what to separate.

        Raises:
            InputError: the program fails, or a stem is missing, unreadable or of another length.
            TasError: a file cannot be written.
        """
        with temporary_folder() as folder:
            mix, digest = folder / "mix.wav", hashlib.sha256(f"{form.sample_rate_hz}".encode())
            with AudioWriter(mix, form) as writer:
                for piece in sound:
                    digest.update(np.ascontiguousarray(piece.T, "<f4").tobytes())  # the header has the time of day
                    writer.write(piece)
            kept = _cache() / self._key(digest.hexdigest(), names)
            files = [path.name for path in stem_paths("", (*names, REST))[:-1]]
            if not all((kept / name).is_file() for name in files):
                made = folder / "stems"
                made.mkdir()
                self._run(mix, dict(zip(names, (made / name for name in files), strict=True)), form, folder)
                make_folder(kept.parent)
                with whole_folder(kept, overwrite=True) as partial:
                    for name in files:
                        shutil.copyfile(made / name, partial / name)
        return {name: kept / file for name, file in zip(names, files, strict=True)}

    def _key(self, sound: str, names: Sequence[str]) -> str:
        scripts = [file_digest(word, _LARGEST_SCRIPT) for word in self.words]
        known = json.dumps([sound, list(names), list(self.words), scripts])
        return hashlib.sha256(known.encode()).hexdigest()[:32]

    def _run(self, mix: Path, stems: dict[str, Path], form: AudioFormat, folder: Path) -> None:
        wanted = [{"name": name, "file": str(path)} for name, path in stems.items()]
        said = {"rate_hz": form.sample_rate_hz, "stems": wanted}
        listed = folder / "names.json"
        write_files({listed: (json.dumps(said, ensure_ascii=False, indent=1) + "\n").encode()})
        values = {"mix": str(mix), "names": str(listed)}
        words = [_PLACEHOLDER.sub(lambda match: values[match[1]], word) for word in self.words]
        run_program(words, folder / "said.txt")
        length_s = form.num_frames / form.sample_rate_hz
        for name, path in stems.items():
            if not path.exists():
                raise InputError(f"separator: it ended well but wrote nothing for '{name}', expected {path.name}")
            try:
                with AudioReader(path) as reader:
                    found_s = reader.count_frames() / reader.sample_rate_hz
                    while reader.read(reader.at_once(_BLOCK_FRAMES)).shape[
                        1
                    ]:  # a stem with a sample that is no number is not kept
                        pass
            except InputError as error:
                what = str(error).removeprefix(f"{path}: ")
                raise InputError(f"separator: the stem of '{name}' cannot be read: {what}") from error
            if abs(found_s - length_s) > _TOLERANCE_S:
                raise InputError(f"separator: the stem of '{name}' is {found_s:.3f} s long, expected {length_s:.3f} s")


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tas" / "stems"


def separated(prepared: PreparedFile) -> PreparedFile:
    """A prepared file whose objects that are not given are separated by the program that its options name.

    Without such a program, the same.

    Raises:
        InputError: as :meth:`Separator.stems`; or nothing is left to separate.
    """
    command, wanted, given = prepared.options.separator, prepared.separated, prepared.given
    if command is None:
        return prepared
    if wanted is None:
        raise InputError("a separator was given, and the sounds of all objects are; expected one of the two")
    stereo, reader = prepared.render.keeps_stereo, prepared.reader
    size, rate_hz, rows = prepared.num_samples, reader.sample_rate_hz, 2 if stereo else 1
    whole = input_pieces(prepared)
    sound = whole if given is None else (part[-rows:] for part in given.rows(0, whole, size, stereo=stereo))
    form = AudioFormat(rate_hz, rows, size, "FLOAT")
    files = Separator.read(command).stems(map(np.atleast_2d, sound), form, wanted.objects)
    reader.seek(0)
    found = open_sources({name: SourceFile(name, path) for name, path in files.items()}, rate_hz).by_object
    known = {} if given is None else given.by_object
    ordered = {name: (known | found)[name] for name in prepared.timeline.objects}
    return replace(prepared, given=GivenSources(ordered, rate_hz, frozenset(found)))
