"""One file of sound whose channels sum all objects: two, ambisonics, or loudspeakers."""

from __future__ import annotations

from dataclasses import replace
from types import TracebackType

import numpy as np

from tas_core.audio.formats import AudioFormat, ChannelLayout
from tas_core.audio.normalised_writer import NormalisedWriter
from tas_core.conventions import amplitude_to_db
from tas_core.delivery.base import Delivered, WriteOptions
from tas_core.delivery.formats import Delivery
from tas_core.delivery.layouts import LAYOUTS
from tas_core.delivery.panning import Panner, Vbap, ambisonic_law, ambisonic_rest, stereo_gains
from tas_core.delivery.scene import Scene, SceneBlock


def mix_format(delivery: Delivery, form: AudioFormat) -> AudioFormat:
    """What a file of sound holds in a format: ``form`` with its channels, and which they are."""
    name = delivery.format.name if delivery.format.name != "iamf" else "7.1.4"
    if name in LAYOUTS:
        return replace(form, num_channels=len(LAYOUTS[name].labels), layout=LAYOUTS[name].channels)
    if name.startswith("ambix"):
        return replace(form, num_channels=(_order(name) + 1) ** 2, layout=ChannelLayout(0))
    return form


def _order(name: str) -> int:
    return int(name.removeprefix("ambix"))


class MixWriter:
    """One file of channels that sum all objects: two, ambisonics, or loudspeakers.

    Args:
        delivery: format and file.
        form: what the file holds.
        scene: what is delivered.
        options: how it is written.
    """

    def __init__(self, delivery: Delivery, form: AudioFormat, scene: Scene, options: WriteOptions) -> None:
        self.paths = (delivery.path,)
        self._delivery, self._form = delivery, form
        self._panner = mix_panner(delivery.format.name, scene)
        self._writer = options.open(delivery.path, form)

    def write(self, block: SceneBlock) -> None:
        """Append a block."""
        for piece in block.pieces():
            self._writer.write(self._panner.channels(piece))

    def delivered(self) -> Delivered:
        """What was written."""
        return mix_delivered(self._delivery, self._writer, self._form.num_channels)

    def __enter__(self) -> MixWriter:
        self._writer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.__exit__(kind, error, trace)


def mix_panner(name: str, scene: Scene) -> Panner:
    """What sums the sounds of a scene into the channels of a format.

    Two channels of the rest are left and right of ``stereo`` as they are; one is in both, so that the mean is its.
    """
    if name in LAYOUTS:
        return Panner(scene, Vbap(LAYOUTS[name]))
    if name == "stereo":
        return Panner(scene, stereo_gains, np.ones((1, 2)) if scene.rest_channels == 1 else np.eye(2))
    return Panner(scene, ambisonic_law(_order(name)), ambisonic_rest(_order(name), scene.rest_deg))


def mix_delivered(delivery: Delivery, writer: NormalisedWriter, channels: int) -> Delivered:
    """What a writer of one file of sound has written."""
    return Delivered(
        delivery.format.name,
        str(delivery.path),
        (str(delivery.path),),
        channels,
        writer.sample_rate_hz,
        writer.subtype,
        amplitude_to_db(writer.gain),
        writer.peak,
        writer.clamped,
        writer.loudness_lufs,
    )
