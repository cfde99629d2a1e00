"""HDF5 files: heads (SOFA), and the lists of clips of a data set."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from tas_core.acoustics.sofa import CONVENTION, read_sofa
from tas_core.datasets.tasbench.layout import read_split
from tas_core.errors import InputError
from tools.fuzz.door import Door


def head(taps: int = 8, packed: bool = False) -> bytes:
    """Measurements of a head every 15 degrees: the near ear hears twice as much."""
    azimuth_deg = np.arange(-180.0, 180.0, 15.0)
    responses = np.zeros((len(azimuth_deg), 2, taps))
    responses[:, 0, 1], responses[:, 1, 1] = (
        1.5 + np.sin(np.radians(azimuth_deg)),
        1.5 - np.sin(np.radians(azimuth_deg)),
    )
    places = np.stack([azimuth_deg, np.zeros(len(azimuth_deg)), np.full(len(azimuth_deg), 1.5)], axis=1)
    content = io.BytesIO()
    with h5py.File(content, "w", libver="latest" if packed else "earliest") as file:
        for name, value in (("Conventions", "SOFA"), ("SOFAConventions", CONVENTION), ("DataType", "FIR")):
            file.attrs[name] = np.bytes_(value)
        file.create_dataset("Data.IR", data=responses, compression="gzip" if packed else None)
        file["Data.SamplingRate"] = [44100.0]
        file["Data.Delay"] = np.zeros((1, 2))
        file["SourcePosition"] = places
        file["SourcePosition"].attrs["Type"] = np.bytes_("spherical")
    return content.getvalue()


def _sofa(data: bytes, folder: Path) -> None:
    path = folder / "in.sofa"
    path.write_bytes(data)
    refused = []
    for everywhere in (False, True):
        try:
            read_sofa(path, everywhere=everywhere)
        except InputError as error:
            refused.append(error)
    if refused:
        raise refused[0]


def _split(data: bytes, folder: Path) -> None:
    path = folder / "in.h5"
    path.write_bytes(data)
    read_split(path)


def _splits() -> Sequence[bytes]:
    found = []
    for kind in (h5py.string_dtype("ascii"), "S20"):
        content = io.BytesIO()
        with h5py.File(content, "w") as file:
            file.create_dataset("audio", data=[b"a/000001.wav", b"C:\\000002.wav"], dtype=kind)
        found.append(content.getvalue())
    return found


DOORS = (
    Door(
        "sofa", _sofa, lambda: [head(), head(packed=True)], (b"\x89HDF\r\n\x1a\n", b"TREE", b"SNOD", b"HEAP", b"OHDR")
    ),
    Door("split", _split, _splits, (b"\x89HDF\r\n\x1a\n", b"TREE", b"SNOD", b"HEAP", b"audio")),
)
