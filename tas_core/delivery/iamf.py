"""Immersive Audio Model and Formats: loudspeakers 7.1.4 in FLAC, put together by ffmpeg (7 and later).

Channels go in pairs, as the model codes them; the loudness that it says is that of the loudspeakers (BS.1770-4) and of
two channels that the others are added to at -3 dB.
"""

from __future__ import annotations

import errno
import math
import os
import shutil
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Final

import numpy as np

from tas_core.audio.ffmpeg import complaints, run_ffmpeg
from tas_core.audio.formats import AudioFormat
from tas_core.audio.loudness import LoudnessMeter
from tas_core.audio.normalised_writer import NormalisedWriter
from tas_core.audio.tracks import address
from tas_core.conventions import amplitude_to_db
from tas_core.delivery.base import Delivered, WriteOptions
from tas_core.delivery.formats import Delivery
from tas_core.delivery.layouts import LAYOUTS
from tas_core.delivery.mixes import mix_delivered, mix_panner
from tas_core.delivery.scene import Scene, SceneBlock
from tas_core.errors import InputError, TasError
from tas_core.system.files import file_exists, partial_file
from tas_core.system.partial_files import PartialFolder
from tas_core.system.write_errors import flush_to_disk, write_error

LAYOUT: Final = "7.1.4"
_STREAMS: Final = (
    ("M+030", "M-030"),
    ("M+090", "M-090"),
    ("M+135", "M-135"),
    ("U+045", "U-045"),
    ("U+135", "U-135"),
    ("M+000",),
    ("LFE1",),
)
"""Loudspeakers of each stream, in the order of the model."""
_QUIETEST_LUFS: Final = -100.0
"""What is said of silence, which the model has no word for."""


class IamfWriter:
    """Loudspeakers that wait in a hidden file, and are encoded when all is written; a context manager.

    Args:
        delivery: format and file.
        form: of the loudspeakers.
        scene: what is delivered.
        options: how it is written.

    Raises:
        InputError: the folder takes no files.
    """

    def __init__(self, delivery: Delivery, form: AudioFormat, scene: Scene, options: WriteOptions) -> None:
        self.paths = (delivery.path,)
        self._delivery, self._form, self._overwrite = delivery, form, options.overwrite
        self._target = Path(os.path.realpath(delivery.path))
        self._panner = mix_panner(LAYOUT, scene)
        weights = LAYOUTS[LAYOUT].channels.weights
        self._loudness = {
            LAYOUT: LoudnessMeter(form.sample_rate_hz, len(weights), weights),
            "stereo": LoudnessMeter(form.sample_rate_hz),
        }
        try:
            self._folder = PartialFolder(self._target.parent)
        except OSError as error:
            raise InputError(f"{delivery.path}: no file can be made beside it ({error.strerror})") from error
        try:
            self._sound = self._folder.path / "sound.wav"
            self._writer = NormalisedWriter(
                self._sound, form, options.source_subtype, levels=options.levels, seed=options.seed
            )
            self._writer.name = str(delivery.path)
        except BaseException:
            self._folder.remove()
            raise

    def write(self, block: SceneBlock) -> None:
        """Append a block."""
        for piece in block.pieces():
            channels = self._panner.channels(piece)
            self._writer.write(channels)
            self._loudness[LAYOUT].add(channels)
            self._loudness["stereo"].add(_to_two(channels))

    def delivered(self) -> Delivered:
        """What was written."""
        return mix_delivered(self._delivery, self._writer, self._form.num_channels)

    def __enter__(self) -> IamfWriter:
        self._writer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._writer.__exit__(kind, error, trace)
            if kind is None:
                self._encode()
        finally:
            self._folder.remove()

    def _encode(self) -> None:
        """Have ffmpeg put the file together, and put it in its place."""
        gain_db = amplitude_to_db(self._writer.gain)
        levels = {name: meter.integrated_lufs() + gain_db for name, meter in self._loudness.items()}
        partial = partial_file(self._delivery.path, self._target.parent)
        try:
            command = _command(self._sound, partial.path, levels, amplitude_to_db(self._writer.peak))
            status, said, problem = run_ffmpeg(command, self._sound, BytesIO())
            if problem is not None:
                raise problem
            complaint = complaints(said, str(partial.path))
            if os.strerror(errno.ENOSPC) in complaint:
                raise write_error(self._delivery.path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
            if status:
                raise TasError(
                    f"{self._delivery.path}: ffmpeg could not write it: {complaint or f'exit code {status}'}"
                )
            with open(partial.path, "rb+") as file:
                flush_to_disk(file.fileno())
            partial.move(self._target, overwrite=self._overwrite)
        except FileExistsError as error:
            raise file_exists(self._delivery.path) from error
        except OSError as error:
            raise write_error(self._delivery.path, error) from error
        finally:
            partial.remove()


def _to_two(channels: np.ndarray) -> np.ndarray:
    """Left and right (2, time) of loudspeakers (channel, time): all others are added at -3 dB."""
    labels = LAYOUTS[LAYOUT].labels
    sides = [channels[labels.index(label)].copy() for label in ("M+030", "M-030")]
    for label, channel in zip(labels, channels, strict=True):
        for number, side in enumerate("+-"):
            if label == "M+000" or (label[1] == side and label not in ("M+030", "M-030", "LFE1")):
                sides[number] += math.sqrt(0.5) * channel
    return np.array(sides)


def _command(sound: Path, target: Path, levels: Mapping[str, float], peak_db: float) -> list[str]:
    """What ffmpeg is called with: streams of one or two channels, one element of them, one way to mix it."""
    labels = LAYOUTS[LAYOUT].labels
    parts = [f"[0:a]asplit={len(_STREAMS)}" + "".join(f"[in{n}]" for n in range(len(_STREAMS)))]
    command = [shutil.which("ffmpeg") or "ffmpeg", "-nostdin", "-nostats", "-hide_banner", "-v", "level+error", "-y"]
    command += ["-protocol_whitelist", "file", "-i", address(sound)]
    maps: list[str] = []
    for n, stream in enumerate(_STREAMS):
        taken = "|".join(f"c{k}=c{labels.index(label)}" for k, label in enumerate(stream))
        parts.append(f"[in{n}]pan={'stereo' if len(stream) == 2 else 'mono'}|{taken}[out{n}]")
        maps += ["-map", f"[out{n}]", "-streamid", f"{n}:{n}"]
    said = "".join(
        f"|layout=layout_type=loudspeakers:sound_system={name}"
        f":integrated_loudness={max(lufs, _QUIETEST_LUFS):.2f}:digital_peak={max(peak_db, _QUIETEST_LUFS):.2f}"
        for name, lufs in reversed(list(levels.items()))
    )
    streams = ":".join(f"st={n}" for n in range(len(_STREAMS)))
    element = f"type=iamf_audio_element:id=1:{streams}:audio_element_type=channel,layer=ch_layout={LAYOUT}"
    mix = "parameter_id=100:parameter_rate=48000:default_mix_gain=0.0"
    part = "stg=0:parameter_id=101:parameter_rate=48000:default_mix_gain=0.0:annotations=en-us=scene"
    presentation = f"type=iamf_mix_presentation:id=2:stg=0:annotations=en-us=scene,submix={mix}|element={part}{said}"
    command += ["-filter_complex", ";".join(parts), *maps, "-c:a", "flac", "-sample_fmt", "s32"]
    return [*command, "-stream_group", element, "-stream_group", presentation, "-f", "iamf", address(target)]
