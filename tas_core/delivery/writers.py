"""Which writer makes which format."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tas_core.audio.formats import AudioFormat
from tas_core.delivery.adm_file import AdmWriter
from tas_core.delivery.base import SceneWriter, WriteOptions
from tas_core.delivery.formats import Delivery
from tas_core.delivery.iamf import IamfWriter
from tas_core.delivery.mixes import MixWriter
from tas_core.delivery.objects import StemsAndTexts
from tas_core.delivery.scene import Scene

_WRITERS: Final[dict[str, Callable[[Delivery, AudioFormat, Scene, WriteOptions], SceneWriter]]] = {
    "adm": AdmWriter,
    "iamf": IamfWriter,
}


def open_writer(delivery: Delivery, form: AudioFormat | None, scene: Scene, options: WriteOptions) -> SceneWriter:
    """The writer of a format, but for binaural, which is no sum of objects.

    Args:
        delivery: format and file or folder.
        form: what the file holds, where it is one of sound, as :func:`tas_core.delivery.mixes.mix_format`.
        scene: what is delivered.
        options: how it is written.

    Raises:
        InputError: what the files cannot hold, or files that exist.
    """
    if form is None:
        return StemsAndTexts(delivery, scene, options)
    return _WRITERS.get(delivery.format.name, MixWriter)(delivery, form, scene, options)
