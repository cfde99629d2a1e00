"""What all writers of a scene take and say."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from tas_core.audio.formats import AudioFormat
from tas_core.audio.normalised_writer import Levels, NormalisedWriter
from tas_core.audio.writer import Appendix
from tas_core.delivery.scene import SceneBlock


@dataclass(frozen=True)
class WriteOptions:
    """How files are written, whatever is in them.

    Args:
        source_subtype: sample encoding of the input; integers of fewer bits than it had are dithered.
        levels: gain, loudness, and what to do beyond full scale.
        seed: of the dither.
        overwrite: whether existing files may be replaced.
    """

    source_subtype: str
    levels: Levels = field(default_factory=Levels)
    seed: int = 0
    overwrite: bool = False

    def open(self, path: Path, form: AudioFormat, appendix: Appendix | None = None) -> NormalisedWriter:
        """A file of sound that is written so; errors as :class:`tas_core.audio.normalised_writer.NormalisedWriter`."""
        return NormalisedWriter(
            path,
            form,
            self.source_subtype,
            levels=self.levels,
            seed=self.seed,
            overwrite=self.overwrite,
            appendix=appendix,
        )


@dataclass(frozen=True)
class Delivered:
    """A format that was written.

    Attributes:
        format: its name.
        path: its file or folder.
        files: all its files.
        channels: of its sound; of several files, how many there are.
        sample_rate_hz: of its sound.
        subtype: sample encoding.
        gain_db: what all sounds were multiplied by.
        peak: largest magnitude; None where it is not one file of sound.
        clamped_samples: how many were limited.
        loudness_lufs: integrated loudness, if one was requested or the format says it; None in silence.
    """

    format: str
    path: str
    files: tuple[str, ...]
    channels: int
    sample_rate_hz: int
    subtype: str
    gain_db: float
    peak: float | None = None
    clamped_samples: int = 0
    loudness_lufs: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


class SceneWriter(Protocol):
    """Writes a scene; a context manager."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files that it makes."""

    def write(self, block: SceneBlock) -> None:
        """Append a block."""

    def delivered(self) -> Delivered:
        """What was written, once the context is left."""

    def __enter__(self) -> SceneWriter: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
