"""Writing two ears of which nobody knows yet how loud they get, in constant memory."""

from __future__ import annotations

import math
import tempfile
import warnings
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final

import numpy as np

from tas_core.audio_output import AudioWriter, output_subtype, peak
from tas_core.errors import TasError

_INTEGER_PEAK: Final = 1.0 - 2.0**-15
_BLOCK_FRAMES: Final = 2**18


class LevelledWriter:
    """A file of two ears that is turned down by one gain, as a whole, if its format would clip; a context manager.

    Floating-point formats are written as they come. For the others, samples wait in a nameless file in the output's
    folder until the loudest is known. Nothing appears under the name before all is written.

    Args:
        path: the output; its extension chooses the format.
        sample_rate_hz: sample rate.
        num_frames: samples per ear that will be written.
        subtype: sample encoding of the input; the output gets the nearest that its format has.
        overwrite: whether an existing file may be replaced.

    Warns:
        UserWarning: by how much the file was turned down.

    Raises:
        InputError: as :class:`tas_core.audio_output.AudioWriter`.
        TasError: writing failed.
    """

    def __init__(
        self, path: str | Path, sample_rate_hz: int, num_frames: int, subtype: str, *, overwrite: bool = False
    ) -> None:
        self.path = Path(path)
        self.peak = 0.0
        self.gain = 1.0
        kept = output_subtype(path, subtype)
        self._dtype = np.dtype("f8" if kept in ("PCM_24", "PCM_32") else "f4")
        self._writer = AudioWriter(path, sample_rate_hz, 2, num_frames, kept, overwrite=overwrite)
        self._waiting: IO[Any] | None = None
        if kept not in ("FLOAT", "DOUBLE"):
            try:
                self._waiting = tempfile.TemporaryFile(dir=self.path.resolve().parent)
            except OSError as error:
                self._writer.__exit__(type(error), error, None)
                raise self._failed(error) from error

    def write(self, ears: np.ndarray) -> None:
        """Append samples, (ear, time), 1.0 is full scale."""
        self.peak = max(self.peak, peak(ears))
        if self._waiting is None:
            self._writer.write(ears)
            return
        try:
            self._waiting.write(np.ascontiguousarray(ears.T, self._dtype).data)
        except OSError as error:
            raise self._failed(error) from error

    def __enter__(self) -> LevelledWriter:
        self._writer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._settle()
        except BaseException as problem:
            self._writer.__exit__(type(problem), problem, problem.__traceback__)
            raise
        else:
            self._writer.__exit__(kind, error, trace)
        finally:
            if self._waiting is not None:
                self._waiting.close()

    def _settle(self) -> None:
        """Write what waits, at the level that fits."""
        if self._waiting is None:
            return
        if self.peak > _INTEGER_PEAK:
            self.gain = _INTEGER_PEAK / self.peak
            warnings.warn(
                f"{self.path}: an ear would reach {20 * math.log10(self.peak):+.2f} dBFS; "
                f"the whole file was turned down by {-20 * math.log10(self.gain):.2f} dB",
                stacklevel=3,
            )
        try:
            self._waiting.seek(0)
            while data := self._waiting.read(_BLOCK_FRAMES * 2 * self._dtype.itemsize):
                samples = np.frombuffer(data, self._dtype).reshape(-1, 2).T
                # Rounding to single precision must not lift the loudest sample over the limit.
                self._writer.write(np.clip(samples * self.gain, -1.0, _INTEGER_PEAK) if self.gain < 1 else samples)
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> TasError:
        return TasError(f"{self.path}: cannot write the file ({error.strerror}); is the disk full?")
