"""Loudness and peak normalisation of two ears, or of other channels, while they are written, in constant memory."""

from __future__ import annotations

import contextlib
import math
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final

import numpy as np

from tas_core.audio.ear_meter import EarMeter
from tas_core.audio.formats import AudioFormat, loses_depth, output_name
from tas_core.audio.writer import Appendix, AudioWriter
from tas_core.conventions import amplitude_to_db, db_to_amplitude
from tas_core.errors import InputError, TasError
from tas_core.system.files import STANDARD_STREAM
from tas_core.system.write_errors import temporary_file_error, write_error

CLIP_MODES: Final = ("rescale", "rescale-all", "clamp", "error")
MAX_GAIN_DB: Final = 100.0
_BLOCK_FRAMES: Final = 2**18
_ROUNDING: Final = 1e-3
"""By how much the loudest sample of a sound may differ when it is computed again, as a fraction."""


@dataclass(frozen=True)
class Levels:
    """How loud a file becomes.

    Args:
        gain_db: gain of both ears, dB, -100 to 100.
        loudness_lufs: integrated loudness of the two ears that is requested instead, LUFS, -70 to 0.
        clip: what to do if an ear would pass full scale in an integer format: ``rescale`` turns the whole file down
            by one gain, ``rescale-all`` all files of a run by the same, ``clamp`` limits the samples that do, ``error``
            writes nothing.
        shared_gain_db: with ``rescale-all``, the gain that all files of the run get besides their own, dB, 0 or less,
            as :func:`tas_core.jobs.batch.run.run_batch` finds it; None for a run of one file.

    Raises:
        InputError: a value out of range, both a gain and a loudness, or a shared gain that nothing asks for.
    """

    gain_db: float = 0.0
    loudness_lufs: float | None = None
    clip: str = "rescale"
    shared_gain_db: float | None = None

    def __post_init__(self) -> None:
        if self.clip not in CLIP_MODES:
            raise InputError(f"unknown clip mode '{self.clip}'; expected one of {', '.join(CLIP_MODES)}")
        if not abs(self.gain_db) <= MAX_GAIN_DB:
            raise InputError(f"the gain is {self.gain_db} dB, expected {-MAX_GAIN_DB:g} to {MAX_GAIN_DB:g} dB")
        if self.loudness_lufs is not None and not -70 <= self.loudness_lufs <= 0:
            raise InputError(f"the loudness is {self.loudness_lufs} LUFS, expected -70 to 0 LUFS")
        if self.loudness_lufs is not None and self.gain_db:
            raise InputError("a gain and a loudness were given, expected one of them")
        if self.shared_gain_db is not None and not (self.clip == "rescale-all" and self.shared_gain_db <= 0):
            raise InputError("a shared gain was given, expected 0 dB or less, and the clip mode rescale-all")

    def own_gain(self, measured_lufs: float | None) -> float:
        """The gain that is asked for, or that gives the loudness that is asked for; 1 in silence.

        Args:
            measured_lufs: loudness before any gain, LUFS; None where none is asked for.
        """
        if self.loudness_lufs is None:
            return db_to_amplitude(self.gain_db)
        if measured_lufs is None or measured_lufs == -math.inf:
            return 1.0
        return db_to_amplitude(self.loudness_lufs - measured_lufs)


class NormalisedWriter:
    """A file of two ears at the requested level, or the highest that its format holds; a context manager.

    Where the gain depends on what is still to come, samples wait in a nameless file in the output's folder. Nothing
    appears under the name before all is written.

    Args:
        path: the output, as :class:`tas_core.audio.writer.AudioWriter`.
        form: what it holds: two ears, or channels with a layout.
        source_subtype: sample encoding of the input; integers of fewer bits than it had are dithered.
        levels: gain, loudness, and what to do beyond full scale.
        seed: of the dither.
        overwrite: whether an existing file may be replaced.
        appendix: what stands behind the samples, as :class:`tas_core.audio.writer.AudioWriter`.

    Attributes:
        subtype: sample encoding of the output.
        sample_rate_hz: of the output.
        gain: what the ears were multiplied by, once all is written.
        peak: largest magnitude in the file.
        clamped: samples that were limited, each ear counted.
        loudness_lufs: of the file, LUFS, if a loudness was requested; None in silence.

    Warns:
        UserWarning: by how much the file was turned down to hold the ears, or how many samples were limited; the
            requested loudness cannot be had.

    Raises:
        InputError: as :class:`tas_core.audio.writer.AudioWriter`.
        TasError: writing failed, or an ear passed full scale and ``levels`` says that this is an error.
    """

    def __init__(
        self,
        path: str | Path,
        form: AudioFormat,
        source_subtype: str,
        *,
        levels: Levels = Levels(),  # noqa: B008 - frozen
        seed: int = 0,
        overwrite: bool = False,
        appendix: Appendix | None = None,
    ) -> None:
        self.path = Path(path)
        self.name = output_name(path)
        self.subtype = form.subtype
        self.gain = db_to_amplitude(levels.gain_db + (levels.shared_gain_db or 0.0))
        self.peak = 0.0
        self.clamped = 0
        self.loudness_lufs: float | None = None
        self._levels = levels
        weights = () if form.layout is None else form.layout.weights
        wanted = levels.loudness_lufs is not None
        self._meter = EarMeter(form.sample_rate_hz, self.subtype, loudness=wanted, weights=weights)
        self._channels, self._is_ears = form.num_channels, form.layout is None
        self._limit = self._meter.limit
        self._dtype = np.dtype("f8" if self.subtype in ("PCM_24", "PCM_32", "DOUBLE") else "f4")
        self._writer = AudioWriter(
            path,
            form,
            overwrite=overwrite,
            dither_seed=seed if loses_depth(source_subtype, form.subtype) else None,
            appendix=appendix,
        )
        self.sample_rate_hz = self._writer.sample_rate_hz
        self._waiting: IO[Any] | None = None
        self._folder = tempfile.gettempdir() if str(path) == STANDARD_STREAM else str(self.path.resolve().parent)
        self._rescales = levels.clip == "rescale" or (levels.clip == "rescale-all" and levels.shared_gain_db is None)
        if levels.loudness_lufs is not None or (math.isfinite(self._limit) and self._rescales):
            try:
                self._waiting = tempfile.TemporaryFile(dir=self._folder)
            except OSError as error:
                self._writer.__exit__(type(error), error, None)
                raise self._failed(error) from error

    def write(self, ears: np.ndarray, heard: np.ndarray | None = None) -> None:
        """Append samples, (ear, time), 1.0 is full scale.

        Args:
            ears: the samples.
            heard: what they are heard as, (channel, time), where that is something else; its loudness counts.
        """
        self._meter.add(ears, heard)
        if self._waiting is None:
            self._put(ears)
            return
        try:
            self._waiting.write(np.ascontiguousarray(ears.T, self._dtype).data)
        except OSError as error:
            raise self._failed(error) from error

    def __enter__(self) -> NormalisedWriter:
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
                with contextlib.suppress(OSError):  # what did not fit once does not fit again
                    self._waiting.close()

    def _settle(self) -> None:
        """Find the gain, and write what waits."""
        measured_lufs = self._match_loudness()
        self.peak = self._meter.peak
        beyond = self._meter.excess(self.gain) > 1.0
        if beyond:
            self._hold()
        if self._waiting is not None:
            try:
                self._waiting.seek(0)
                while data := self._waiting.read(_BLOCK_FRAMES * self._channels * self._dtype.itemsize):
                    self._put(np.frombuffer(data, self._dtype).reshape(-1, self._channels).T)
            except OSError as error:
                raise self._failed(error) from error
        if self.clamped:
            self._warn(f"{self._reach}; {self.clamped} samples beyond full scale were limited")
        self.peak *= self.gain
        if beyond:
            self.peak = min(self.peak, 1.0)
        if measured_lufs is not None:
            self.loudness_lufs = measured_lufs + amplitude_to_db(self.gain)

    def _match_loudness(self) -> float | None:
        """Set the gain that gives the requested loudness; returns the loudness before it, None where there is none."""
        measured_lufs = self._meter.loudness_lufs()
        if measured_lufs is None:
            return None
        self.gain = self._levels.own_gain(measured_lufs) * db_to_amplitude(self._levels.shared_gain_db or 0.0)
        if measured_lufs == -math.inf:
            self._warn("silence has no loudness; the level was kept")
            return None
        return measured_lufs

    def _hold(self) -> None:
        """Do what was requested for ears that pass full scale."""
        if self._levels.clip == "error":
            raise TasError(
                f"{self.name}: {self._reach}, beyond full scale in {self.subtype}; "
                "lower the level, choose FLOAT, or let it be rescaled or clamped"
            )
        if self._levels.shared_gain_db is not None and self._meter.excess(self.gain) > 1.0 + _ROUNDING:
            raise TasError(
                f"{self.name}: {self._reach} at the gain that all files share; expected the sound that was measured"
            )
        if self._rescales:
            held = self._meter.held()
            self._warn(f"{self._reach}; the whole file was turned down by {amplitude_to_db(self.gain / held):.2f} dB")
            self.gain = held

    @property
    def _reach(self) -> str:
        level_db, time_s = self._meter.peak_at(self.gain)
        what = "an ear" if self._is_ears else "a channel"
        return f"{what} would reach {level_db:+.2f} dBFS at {time_s:.3f} s"

    def _put(self, ears: np.ndarray) -> None:
        """Write samples at the level that was found."""
        if self.gain != 1.0:
            ears = ears * self.gain
        if math.isfinite(self._limit):
            if self._levels.clip == "clamp":
                self.clamped += int(np.count_nonzero((ears > self._limit) | (ears < -1.0)))
            # Rounding to single precision must not lift the loudest sample over the limit either.
            ears = np.clip(ears, -1.0, self._limit)
        self._writer.write(ears)

    def _warn(self, what: str) -> None:
        warnings.warn(f"{self.name}: {what}", stacklevel=2)

    def _failed(self, error: OSError) -> TasError:
        what = f"what waits for {self.name}"
        if str(self.path) == STANDARD_STREAM:
            return temporary_file_error(self._folder, what, error)
        return write_error(self._folder, error, what)
