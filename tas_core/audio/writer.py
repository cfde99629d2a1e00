"""Writing audio files: checks before any work, and never half a file.

Samples are ``(ear, time)`` arrays in which 1.0 is full scale. Nothing is rescaled, and
nothing is clipped without permission. The path ``-`` is standard output, as WAV.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, NoReturn, Protocol

import numpy as np
import soundfile

from tas_core.audio.encoder import check_film, encode, sound_form
from tas_core.audio.formats import (
    PCM_BITS,
    TAGS,
    UNBOUNDED,
    AudioFormat,
    check_output_path,
    output_container,
    output_encoding,
    output_name,
    output_rate_hz,
    output_subtype,
)
from tas_core.audio.ogg_pages import set_stream_number
from tas_core.audio.wave_chunks import append_chunks, clear_peak_time, set_channel_mask
from tas_core.errors import InputError, TasError
from tas_core.system.files import STANDARD_STREAM, file_exists, partial_file
from tas_core.system.partial_files import PartialFile
from tas_core.system.write_errors import flush_to_disk, temporary_file_error, write_error

MAX_CHUNK_BYTES: Final = 2**32 - 2**16
"""WAV and AIFF count bytes in 32 bits; the rest is room for headers."""


class Appendix(Protocol):
    """What stands behind the samples of a WAVE file, and is known when they are written."""

    @property
    def num_bytes(self) -> int:
        """How many bytes it takes at most, known before."""

    def chunks(self) -> Mapping[bytes, bytes]:
        """Contents by the four letters of their chunks."""


_BEST_MP3: Final = {"bitrate_mode": "VARIABLE", "compression_level": 0.0}
"""What LAME calls V0, some 245 kb/s for music."""
_BLOCK_FRAMES: Final = 2**16
_OGG: Final = (".ogg", ".opus")
_OGG_STREAM: Final = 1
_PROBE_BYTES: Final = 2**20
_SYSTEM_ERROR: Final = 2
"""What libsndfile calls all that the system refuses."""


def peak(samples: np.ndarray) -> float:
    """Largest magnitude; above 1.0 an integer format clips. 0 for no samples."""
    return max(float(samples.max()), -float(samples.min())) if samples.size else 0.0


class AudioWriter:
    """A file in the making, which appears under its name complete or not at all; a context manager.

    Samples go to a hidden file in the same folder. Leaving the context without an exception puts it
    in place; any exception, an interrupt included, removes it. WAV files above 4 GiB become RF64. What ffmpeg is to
    encode (:data:`tas_core.audio.formats.BY_FFMPEG`) waits in such a file until it is whole. What goes to
    standard output is put together in a temporary file, so that its header is right, and leaves it when complete.

    Dither is noise of triangular distribution, two steps wide, that makes the error of rounding independent of the
    sound (Lipshitz, Wannamaker and Vanderkooy, J. Audio Eng. Soc. 40, 1992). It does not depend on how the samples
    are cut into blocks. Where the ears cancel to nothing, hence where a mono input was silent, and would be rounded
    to zero, none is added: digital silence stays what it is.

    Args:
        path: the output; its extension chooses the format.
        form: rate, channels, samples, encoding and tags; the container has to have the encoding.
        overwrite: whether an existing file may be replaced.
        allow_clipping: whether samples beyond full scale may be limited in integer formats.
            They are never limited silently: look at :func:`peak` first, and scale or choose ``FLOAT``.
        dither_seed: seed of the dither for integer formats; None for plain rounding.
        appendix: chunks behind the samples, for WAV; with it a file above 4 GiB is BW64 (ITU-R BS.2088), not RF64.

    Attributes:
        sample_rate_hz: of the file: that of the samples, but for Opus.

    Raises:
        TasError: the file cannot be opened.
        InputError: as :func:`tas_core.audio.formats.check_output_path`, or the format has no such subtype, rate or
            length; when the context is left, a file that has appeared under the name and may not be replaced.
    """

    def __init__(
        self,
        path: str | Path,
        form: AudioFormat,
        *,
        overwrite: bool = False,
        allow_clipping: bool = False,
        dither_seed: int | None = None,
        appendix: Appendix | None = None,
    ) -> None:
        check_output_path(path, overwrite=overwrite, subtype=form.subtype)
        check_film(path, form.film)
        self.sample_rate_hz = output_rate_hz(path, form.sample_rate_hz)
        self.path = Path(path)
        self.name = output_name(path)
        self.form = form
        self.allow_clipping = allow_clipping
        self._overwrite = overwrite
        self._appendix = appendix
        self._written = 0
        self._dither = None if dither_seed is None else np.random.default_rng(dither_seed)
        self._encoding = output_encoding(path)
        container, subtype = output_container(path), form.subtype
        if self._encoding is not None:
            container, subtype = sound_form(self._encoding, form)
        sample_bytes = {"FLOAT": 32, "DOUBLE": 64, **PCM_BITS}.get(form.subtype, 16) // 8
        more = 0 if appendix is None else appendix.num_bytes
        if form.num_frames * form.num_channels * sample_bytes + more > MAX_CHUNK_BYTES:
            if container == "AIFF":
                raise InputError(f"{path}: AIFF holds at most 4 GiB, expected wav, flac, caf or w64")
            container = "RF64" if container == "WAV" else container
        elif container == "WAV" and form.layout is not None and appendix is None:
            container = "WAVEX"
        self._target = None if str(path) == STANDARD_STREAM else Path(os.path.realpath(path))
        folder = Path(tempfile.gettempdir()) if self._target is None else self._target.parent
        self._partial = partial_file(path, folder)
        try:
            self._file = soundfile.SoundFile(
                os.fsencode(self._partial.path),
                "w",
                form.sample_rate_hz,
                form.num_channels,
                subtype,
                format=container,
                **(_BEST_MP3 if container == "MP3" else {}),
            )
            for name in sorted(TAGS & form.tags.keys()):
                with contextlib.suppress(soundfile.LibsndfileError):  # a format without tags
                    setattr(self._file, name, form.tags[name])
        except soundfile.LibsndfileError as error:
            self._partial.remove()
            if error.code == _SYSTEM_ERROR:  # it could not be opened, whatever it is to hold
                self._fail(error)
            raise InputError(
                f"{path}: {container} {form.subtype} cannot hold {form.num_channels} channels at"
                f" {form.sample_rate_hz} Hz"
                f" ({error.error_string})"
            ) from error
        except BaseException:
            self._partial.remove()
            raise

    def write(self, samples: np.ndarray) -> None:
        """Append samples, (ear, time), float, 1.0 is full scale.

        Raises:
            TasError: a sample is not finite, or beyond full scale in an integer format; or the disk is full.
        """
        for start in range(0, samples.shape[1], _BLOCK_FRAMES):  # long Vorbis blocks overflow libsndfile's stack
            block = samples[:, start : start + _BLOCK_FRAMES].T
            self._check(block)
            try:
                self._file.write(self._quantized(block))
            except (soundfile.LibsndfileError, AssertionError, OSError) as error:
                self._fail(error)
            self._written += len(block)

    def __enter__(self) -> AudioWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            try:
                self._file.close()
                if kind is None:
                    self._finish()
            except BrokenPipeError:  # whoever read standard output has left
                raise
            except (soundfile.LibsndfileError, OSError) as problem:
                if kind is None:
                    self._fail(problem)
        finally:
            self._partial.remove()

    def _finish(self) -> None:
        if self._written != self.form.num_frames:
            raise TasError(f"{self.name}: {self._written} samples written, expected {self.form.num_frames}")
        with soundfile.SoundFile(os.fsencode(self._partial.path)) as check:
            if check.frames != self.form.num_frames:  # libsndfile does not report each failed write
                self._fail(None)
            check.seek(max(0, check.frames - 1))
            if check.frames and not len(check.read(1)):
                self._fail(None)
        if self.form.subtype in ("FLOAT", "DOUBLE"):
            clear_peak_time(self._partial.path)
        if self.form.layout is not None:
            set_channel_mask(self._partial.path, self.form.layout.mask)
        if self._appendix is not None:
            append_chunks(self._partial.path, self._appendix.chunks())
        if self._encoding is not None and self._target is not None:
            encoded = partial_file(self.path, self._target.parent)
            try:
                encode(self._partial.path, encoded.path, self.name, self.form, self._encoding)
                self._take_out_chance(encoded.path)
                self._place(encoded, self._target)
            finally:
                encoded.remove()
        elif self._target is not None:
            self._take_out_chance(self._partial.path)
            self._place(self._partial, self._target)
        else:
            with open(self._partial.path, "rb") as file:
                sys.stdout.flush()
                try:
                    with open(sys.stdout.fileno(), "wb", closefd=False) as out:
                        shutil.copyfileobj(file, out, 2**20)
                except BrokenPipeError:
                    raise
                except OSError as error:  # not of the folder that the sound waited in
                    raise write_error(self.name, error, "the sound") from error

    def _take_out_chance(self, path: Path) -> None:
        """The number that a stream of Ogg is given by lot: the same sound is the same bytes."""
        if self.path.suffix.lower() in _OGG:
            set_stream_number(path, _OGG_STREAM)

    def _place(self, partial: PartialFile, target: Path) -> None:
        """Give a complete file its name."""
        with open(partial.path, "rb+") as file:
            flush_to_disk(file.fileno())
        try:
            partial.move(target, overwrite=self._overwrite)
        except FileExistsError as error:  # it appeared while this one was made
            raise file_exists(self.name) from error

    def _check(self, block: np.ndarray) -> None:
        level = peak(block)  # NaN where a sample is
        if not level < np.inf:
            raise TasError(f"{self.name}: the samples to write are not finite numbers")
        bounded = self.form.subtype not in UNBOUNDED
        if bounded and level > 1.0 and not self.allow_clipping:
            raise TasError(
                f"{self.name}: the output peaks at {level:.3f} near {self._written / self.form.sample_rate_hz:.3f} s,"
                f" expected at most 1 in {self.form.subtype}; lower the level, allow clipping, or choose FLOAT"
            )

    def _quantized(self, block: np.ndarray) -> np.ndarray:
        """Integers rounded to the nearest, so that without dither what was read from PCM is written back bit by bit."""
        if (bits := PCM_BITS.get(self.form.subtype)) is None:
            return block
        scale = 2.0 ** (bits - 1)
        steps = block.astype(np.float64) * scale
        if self._dither is not None:
            noise = self._dither.random((*steps.shape, 2)).sum(axis=-1) - 1
            silent = (steps.sum(axis=1) == 0) & (np.abs(steps).max(axis=1) < 0.5)
            steps = np.where(silent[:, None], 0.0, steps + noise)
        steps = np.clip(np.rint(steps), -scale, scale - 1)
        return (steps * 2.0 ** (32 - bits)).astype(np.int32)

    def _fail(self, error: BaseException | None) -> NoReturn:
        """Say why the file could not be written; libsndfile does not always know."""
        folder = self._partial.path.parent
        if not isinstance(error, OSError) or error.errno is None:
            error = self._system_error(folder, error)
        if self._target is None:
            raise temporary_file_error(folder, f"what waits for {self.name}", error) from error
        raise write_error(self.name, error) from error

    def _system_error(self, folder: Path, error: BaseException | None) -> OSError:
        """What the system would have said; a full disk is one where a little more cannot be written either."""
        try:
            with tempfile.TemporaryFile(dir=folder) as probe:
                probe.write(bytes(_PROBE_BYTES))
                probe.flush()
        except OSError as found:
            return found
        said = (getattr(error, "error_string", None) or "incomplete write").rstrip(".")
        return OSError(errno.EFBIG if "large" in said else errno.EIO, said)


def write_audio(
    path: str | Path,
    samples: np.ndarray,
    sample_rate_hz: int,
    subtype: str,
    overwrite: bool = False,
    allow_clipping: bool = False,
) -> None:
    """Write a whole file, complete or not at all.

    Args:
        path: the output; its extension chooses the format.
        samples: (ear, time), float, 1.0 is full scale; nothing is rescaled.
        sample_rate_hz: sample rate.
        subtype: sample encoding, or the nearest that the format has, see :func:`output_subtype`.
        overwrite: whether an existing file may be replaced.
        allow_clipping: as in :class:`AudioWriter`.

    Raises:
        InputError: as :class:`AudioWriter`.
        TasError: as :meth:`AudioWriter.write`.
    """
    num_channels, num_frames = samples.shape
    with AudioWriter(
        path,
        AudioFormat(sample_rate_hz, num_channels, num_frames, output_subtype(path, subtype)),
        overwrite=overwrite,
        allow_clipping=allow_clipping,
    ) as writer:
        writer.write(samples)
