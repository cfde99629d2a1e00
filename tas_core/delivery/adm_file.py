"""A file of the Audio Definition Model: a track for each object, and what they are in chunks behind the samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import Final

import numpy as np
import soxr

from tas_core.audio.formats import AudioFormat, ChannelLayout
from tas_core.audio.loudness import LoudnessMeter
from tas_core.audio.resampling import resampled_length
from tas_core.audio.true_peak import PeakMeter
from tas_core.conventions import amplitude_to_db
from tas_core.delivery import adm
from tas_core.delivery.base import Delivered, WriteOptions
from tas_core.delivery.formats import Delivery
from tas_core.delivery.layouts import LAYOUTS
from tas_core.delivery.mixes import mix_delivered, mix_panner
from tas_core.delivery.panning import gain_over
from tas_core.delivery.scene import Scene, SceneBlock

_HEARD_AS: Final = "5.1"
"""Layout that objects are rendered to for their loudness: 0+5+0 of BS.2051."""
_XML_ROOM: Final = 256
"""Bytes that the XML may be longer than with silence: that of two numbers with their elements."""


class AdmWriter:
    """A BW64 file of the Audio Definition Model: a track per object and the rest, 24 bits at 48 kHz.

    Other rates are resampled while they come in. The loudness that is said, and that is requested, is that of the scene
    rendered to 0+5+0, as a renderer plays it.

    Args:
        delivery: format and file.
        form: sample encoding and tags of the file.
        scene: what is delivered.
        options: how it is written.

    Raises:
        InputError: as :func:`tas_core.delivery.adm.check_names` and the file of sound.
    """

    def __init__(self, delivery: Delivery, form: AudioFormat, scene: Scene, options: WriteOptions) -> None:
        adm.check_names((scene.title, *(place.object for place in scene.objects)))
        rate_hz = scene.sample_rate_hz
        self.paths = (delivery.path,)
        self._delivery = delivery
        self._left = resampled_length(scene.num_frames, rate_hz, adm.RATE_HZ)
        self._scene = replace(scene, sample_rate_hz=adm.RATE_HZ, num_frames=self._left)
        self._at = 0
        self._objects = len(scene.objects)
        self._tracks = self._objects + scene.rest_channels
        self._resampler = None
        if rate_hz != adm.RATE_HZ:
            self._resampler = soxr.ResampleStream(rate_hz, adm.RATE_HZ, self._tracks, dtype="float64", quality="VHQ")
        layout = LAYOUTS[_HEARD_AS]
        self._panner = mix_panner(_HEARD_AS, self._scene)
        weights = layout.channels.weights
        self._loudness = LoudnessMeter(adm.RATE_HZ, len(weights), weights)
        self._peak = PeakMeter(adm.RATE_HZ, len(weights))
        self._said: adm.Loudness | None = None
        self.num_bytes = len(self._axml(adm.Loudness(None, None))) + len(adm.chna(self._scene)) + _XML_ROOM
        tracks = replace(
            form,
            sample_rate_hz=adm.RATE_HZ,
            num_channels=self._tracks,
            num_frames=self._left,
            layout=ChannelLayout(0, weights),
        )
        self._writer = options.open(delivery.path, tracks, self)

    def write(self, block: SceneBlock) -> None:
        """Append a block."""
        for piece in block.pieces():
            self._take(np.vstack([piece.stems, piece.rest]), last=False)

    def chunks(self) -> Mapping[bytes, bytes]:
        """What stands behind the samples."""
        gain_db = amplitude_to_db(self._writer.gain)
        lufs, peak_dbtp = self._loudness.integrated_lufs(), self._peak.true_peak_dbtp
        self._said = adm.Loudness(
            lufs + gain_db if np.isfinite(lufs) else None, None if peak_dbtp is None else peak_dbtp + gain_db
        )
        return {b"chna": adm.chna(self._scene), b"axml": self._axml(self._said)}

    def delivered(self) -> Delivered:
        """What was written."""
        made = mix_delivered(self._delivery, self._writer, self._tracks)
        return replace(made, loudness_lufs=self._said.integrated_lufs if self._said else None)

    def __enter__(self) -> AdmWriter:
        self._writer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._take(np.zeros((self._tracks, 0)), last=True)
        except BaseException as problem:
            self._writer.__exit__(type(problem), problem, problem.__traceback__)
            raise
        self._writer.__exit__(kind, error, trace)

    def _axml(self, loudness: adm.Loudness) -> bytes:
        return adm.axml(self._scene, loudness)

    def _take(self, tracks: np.ndarray, *, last: bool) -> None:
        """Write tracks (track, time) of the scene's own rate; at the end, what is still to come."""
        if self._resampler is not None:
            tracks = self._resampler.resample_chunk(np.ascontiguousarray(tracks.T), last=last).T
        tracks = tracks[:, : self._left]
        if last and tracks.shape[1] < self._left:  # the resampler may end a sample early
            tracks = np.pad(tracks, ((0, 0), (0, self._left - tracks.shape[1])))
        if not tracks.shape[1]:
            return
        block = SceneBlock(self._at, tracks[: self._objects], tracks[self._objects :])
        for piece in block.pieces():
            heard = self._panner.channels(piece)
            self._loudness.add(heard)
            self._peak.add(heard)
            rest = piece.rest  # two channels are a bed, which has no blocks to say a gain in
            if len(rest) > 1:
                rest = rest * gain_over(self._scene.rest, piece, adm.RATE_HZ)
            self._writer.write(np.vstack([piece.stems, rest]), heard)
        self._at += tracks.shape[1]
        self._left -= tracks.shape[1]
