"""Other people's programs as systems: a command line with places for files, run once for every clip.

A source is ``command:WORDS`` or ``command@VERSION:WORDS``. WORDS are split as a shell splits them (quotes and
backslashes), but no shell runs them, so pipes and variables mean nothing; then, within words,

``{mono}``      is the input: the clip's (L + R) / 2, a mono WAV file of 32-bit floats
``{out}``       is where the program writes two channels, left first, of the input's rate and length
``{timeline}``  is what is requested, a timeline in YAML as ``tas spatialize`` reads it
``{places}``    is the same as JSON, with each object's azimuth at both ends of its segment
``{rate}``      is the rate of input and output, 16000
``{seed}``      is a number for whatever is drawn at random
``{clip}``      is the name of the clip

A program that is given neither ``{timeline}`` nor ``{places}`` does not follow text. Files lie in a temporary folder of
the run; the program runs in the folder that the evaluation was started in, on one thread as far as it heeds
OMP_NUM_THREADS, for so all rows do. Its standard input is empty, what it prints is kept back, and its last line is
quoted if it fails.

Kept results are known again by the words, the version, and the content of files that the words name: of at most 1 MB,
such as a script, or of any size with ``{clip}`` in their names. What those load in turn is not seen, for that is the
version.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from tas_core.audio.reader import AudioReader
from tas_core.audio.resampling import require_ears
from tas_core.audio.writer import write_audio
from tas_core.errors import AudioError, InputError
from tas_core.evaluation.clips import RATE_HZ, EvalClip, OutputError
from tas_core.inference.presence import Detection
from tas_core.system.programs import file_digest, run_program, temporary_folder
from tas_core.system.write_errors import write_error
from tas_core.timeline.files import format_timeline
from tas_core.timeline.segments import Timeline

COMMAND: Final = "command"
"""What a source that is a command begins with."""

PLACEHOLDERS: Final = ("mono", "out", "timeline", "places", "rate", "seed", "clip")
"""What words of a command may hold, in braces."""

TIMEOUT_S: Final = 600.0
"""How long a command may take for one clip, unless told otherwise."""

_SOURCE: Final = re.compile(rf"{COMMAND}(?:@(?P<version>[^:]*))?:(?P<words>.*)", re.DOTALL)
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
_LARGEST_SCRIPT: Final = 1_000_000


def is_command(source: str) -> bool:
    """Whether the source of a row is a command."""
    return _SOURCE.fullmatch(source) is not None


@dataclass(frozen=True)
class Command:
    """A command line as it was written, with its placeholders.

    Attributes:
        words: the program and its arguments.
        version: what a person calls this state of the program; may be empty.
    """

    words: tuple[str, ...]
    version: str = ""

    @classmethod
    def read(cls, source: str) -> Command:
        """Read ``command[@VERSION]:WORDS``.

        Raises:
            InputError: another form, open quotes, no words, an unknown placeholder, or neither input nor output.
        """
        found = _SOURCE.fullmatch(source)
        if found is None:
            raise InputError(f"{source!r}: expected {COMMAND}:WORDS or {COMMAND}@VERSION:WORDS")
        try:
            words = tuple(shlex.split(found["words"]))
        except ValueError as error:
            raise InputError(f"{COMMAND}: quotes or a backslash that lead nowhere ({error})") from error
        used = {name for word in words for name in _PLACEHOLDER.findall(word)}
        if unknown := sorted(used - set(PLACEHOLDERS)):
            known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
            raise InputError(f"{COMMAND}: unknown {{{unknown[0]}}}; expected one of {known}")
        missing = [f"{{{name}}}" for name in ("mono", "out") if name not in used]
        # A copy of what was made elsewhere needs no input.
        if missing == ["{mono}"] and "clip" in used:
            missing = []
        if missing:
            raise InputError(f"{COMMAND}: no {' and no '.join(missing)} in it, where the program reads and writes")
        return cls(words, found["version"] or "")

    def uses(self, *names: str) -> bool:
        """Whether any of some placeholders is in it."""
        return any(f"{{{name}}}" in word for word in self.words for name in names)

    def filled(self, values: dict[str, str]) -> list[str]:
        """The words with values in place of placeholders; what a value holds is never read again."""
        return [_PLACEHOLDER.sub(lambda match: values[match[1]], word) for word in self.words]

    def scripts(self) -> list[str]:
        """SHA-256 of files of at most 1 MB that the words name, in their order."""
        return list(filter(None, (file_digest(word, _LARGEST_SCRIPT) for word in self.words)))

    def files_of(self, clip: str) -> list[str | None]:
        """SHA-256 of what the words with a clip's name in them name, if they are files; in their order."""
        values = {name: f"{{{name}}}" for name in PLACEHOLDERS} | {"clip": clip}
        return [
            file_digest(filled)
            for word, filled in zip(self.words, self.filled(values), strict=True)
            if "{clip}" in word
        ]


class CommandSystem:
    """A program that is run for every clip.

    Args:
        name: of the row, for messages.
        source: ``command[@VERSION]:WORDS``.
        timeout_s: how long it may take for one clip.

    Raises:
        InputError: as :meth:`Command.read`; or there is no such program.
    """

    needs_stems = False
    separates = False

    def __init__(self, name: str, source: str, timeout_s: float = TIMEOUT_S) -> None:
        self._command = Command.read(source)
        self._timeout_s = timeout_s
        program = self._command.words[0]
        if shutil.which(program) is None:
            raise InputError(
                f"{name}: no program {program!r}; expected one that can be run, by its path or by its name"
            )
        self.follows_text = self._command.uses("timeline", "places")
        self.identity: list[Any] = [
            COMMAND, list(self._command.words), self._command.version, self._command.scripts()
        ]  # fmt: skip
        self.about: dict[str, Any] = {
            "kind": COMMAND,
            "command": list(self._command.words),
            "version": self._command.version,
        }

    def __call__(self, clip: EvalClip, timeline: Timeline | None, seed: int) -> tuple[np.ndarray, float | None]:
        """Ears (ear, time), and the seconds that the program took from its start to its end.

        Raises:
            InputError: the clip has no timeline, and the program is given one.
            OutputError: the program fails or takes too long, or its output is missing, unreadable, or of another rate,
                length or number of channels.
            TasError: the input cannot be written.
        """
        if self.follows_text and timeline is None:
            raise InputError(f"clip {clip.name}: no timeline, which the command needs")
        with temporary_folder() as folder:
            values = {name: str(folder / file) for name, file in _FILES.items()}
            values |= {"rate": str(RATE_HZ), "seed": str(seed), "clip": clip.name}
            write_audio(values["mono"], clip.mono[None], RATE_HZ, "FLOAT")
            if timeline is not None:
                _write(Path(values["timeline"]), format_timeline(timeline, values["timeline"]))
                _write(Path(values["places"]), json.dumps(places(clip, timeline), indent=1) + "\n")
            began = time.perf_counter()
            run_program(
                self._command.filled(values),
                folder / "said.txt",
                timeout_s=self._timeout_s,
                error=OutputError,
                variables={"OMP_NUM_THREADS": "1"},
            )
            seconds = time.perf_counter() - began
            return read_output(Path(values["out"]), clip), seconds

    def depends_on(self, clip: str) -> list[Any]:
        """Files that the words name for this clip alone."""
        return self._command.files_of(clip)

    def detections(self, clip: EvalClip, timeline: Timeline) -> tuple[Detection, ...]:
        """Nothing."""
        del clip, timeline
        return ()

    def heard(self, clip: EvalClip, timeline: Timeline) -> tuple[tuple[Detection, ...], Mapping[str, np.ndarray]]:
        """Nothing."""
        del clip, timeline
        return (), {}


_FILES: Final = {"mono": "mono.wav", "out": "out.wav", "timeline": "timeline.yaml", "places": "places.json"}


def places(clip: EvalClip, timeline: Timeline) -> dict[str, Any]:
    """What is requested, as plain values: segments as ``tas timeline check --json`` has them."""
    return {
        "clip": clip.name,
        "rate_hz": RATE_HZ,
        "duration_s": clip.duration_s,
        "segments": [segment.as_dict() for segment in timeline.segments],
    }


def read_output(path: Path, clip: EvalClip) -> np.ndarray:
    """What a program wrote for a clip, (ear, time) float64.

    Raises:
        OutputError: there is nothing, or nothing that can be read, or it is of another rate, length or number of
            channels.
    """
    if not path.exists():
        raise OutputError(f"the program ended well but wrote nothing to {{out}} ({path.name})")
    size = clip.truth.shape[-1]
    try:
        with AudioReader(path) as reader:
            require_ears("the output", reader.num_channels)
            if reader.sample_rate_hz != RATE_HZ:
                raise OutputError(f"the output has a rate of {reader.sample_rate_hz} Hz, expected {RATE_HZ}")
            if reader.count_frames() != size:
                raise OutputError(f"the output has {reader.num_frames} samples, expected {size} as the input has")
            return reader.read(size).astype(np.float64)
    except AudioError as error:
        raise OutputError(str(error).replace(str(path), "the output")) from error


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise write_error(path, error) from error
