"""Reading a person's head-related impulse responses from a SOFA file (AES69), SimpleFreeFieldHRIR.

What is read is the horizontal plane, which is all that prompts can ask for, or with ``everywhere`` all directions, as
rooms need them. Sources are taken as the listener has
them: relative to ListenerPosition, ListenerView and ListenerUp, each in spherical or cartesian coordinates. Delays
(Data.Delay) are put into the responses, and the ears in the order left, right, by the receivers' positions.

Files of the first years of the format (CIPIC, LISTEN, FHK, MIT's KEMAR) put the right receiver first, and the left
ear's data. Whose ear it is can be heard: sounds from the left are louder in the left ear. Where only the order in the
file agrees with that, the positions are not believed, and a warning says so. Where neither does, the file is refused.
"""

from __future__ import annotations

import math
import os
import warnings
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np

from tas_core.acoustics.hrtf import HrirSet
from tas_core.conventions import LEFT_EAR, LEFT_SIGN, MAX_AZIMUTH_DEG, RIGHT_EAR
from tas_core.errors import InputError

CONVENTION: Final = "SimpleFreeFieldHRIR"
MIN_RATE_HZ: Final = 16_000
MAX_RATE_HZ: Final = 384_000
MAX_TAPS: Final = 65_536

_PLANE_DEG = 0.5
_SAME_DEG = 0.01
_LAST_DEG = 75.0
_WIDEST_GAP_DEG = 30.0
_LONGEST_DELAY_S = 0.1
_RINGING = 64
_METRES = ("", "metre", "metres", "meter", "meters", "m")
_ANGLES = dict.fromkeys(("", "degree", "degrees", "deg"), "degree") | dict.fromkeys(
    ("radian", "radians", "rad"), "radian"
)
_BESIDE_M = 0.01
_FARTHEST_M = 1e6
_UNSTORED_BYTES = 2**20
_MOST_PACKED = 100
"""Times that numbers may be more than what is stored of them; packed responses are two or three times as many."""
_WHOLE_BYTES = 2**28
"""Responses up to so many are read in one piece: HDF5 takes long to find many rows."""


def read_sofa(path: str | Path, *, everywhere: bool = False) -> HrirSet:
    """The horizontal plane of a head.

    Where several distances were measured in one direction, the farthest counts. Directions to the sides that were not
    measured up to 90 degrees are taken from the last one, which may be at 75.

    Args:
        path: a file of the convention SimpleFreeFieldHRIR: two receivers, one sample rate of 16 kHz or more.
        everywhere: whether the directions above and below follow those of the plane.

    Warns:
        UserWarning: the receivers' positions exchange the ears, and were not believed.

    Raises:
        InputError: why the file is of no use, in one line: unreadable, another convention, not two receivers, data that
            are missing, misshapen or no numbers, several emitters or one beside its source, too few directions in front
            on the horizontal plane, or ears that are exchanged.
    """
    try:
        with h5py.File(path, "r") as file:
            return _read(file, str(path), everywhere)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except OSError as error:
        if os.path.isdir(path):
            raise InputError(f"{path}: a folder, expected a SOFA file") from error
        reason = error.strerror or "not HDF5, or damaged"
        raise InputError(f"{path}: not a readable SOFA file ({reason})") from error
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: not a readable SOFA file ({reason})") from error


def _read(file: h5py.File, path: str, everywhere: bool) -> HrirSet:
    for name, expected in (("Conventions", "SOFA"), ("SOFAConventions", CONVENTION), ("DataType", "FIR")):
        found = _text(file.attrs.get(name))
        if found != expected:
            raise InputError(f"{path}: {name} is {found or 'missing'}, expected {expected}")
    responses = _dataset(file, "Data.IR", path)
    if responses.ndim != 3 or 0 in responses.shape:
        raise InputError(f"{path}: Data.IR has shape {responses.shape}, expected (measurement, receiver, sample)")
    count, receivers, taps = responses.shape
    if receivers != 2:
        raise InputError(f"{path}: {receivers} receiver{'s' * (receivers > 1)}, expected two, the ears")
    if taps > MAX_TAPS:
        raise InputError(f"{path}: responses of {taps} samples, expected at most {MAX_TAPS}")
    rate_hz = _rate(file, path)
    _check_emitter(file, path)
    azimuth_deg, elevation_deg, distance_m = _directions(file, count, path)
    rows = _horizontal_rows(azimuth_deg, elevation_deg, distance_m, path)
    flat = len(rows)
    if everywhere:
        others = np.flatnonzero((np.abs(elevation_deg) >= _PLANE_DEG) & (distance_m > 0))
        others = _farthest(others, azimuth_deg, elevation_deg, distance_m)
        rows = np.concatenate([rows, others])
    # HDF5 wants rows in order, each once.
    order = np.argsort(rows)
    hrir = np.empty((len(rows), 2, taps))
    if responses.nbytes <= _WHOLE_BYTES:
        hrir[:] = np.asarray(responses[()], float)[rows]
    else:
        hrir[order] = np.asarray(responses[rows[order]], float)
    if not np.isfinite(hrir).all():
        raise InputError(f"{path}: Data.IR holds samples that are no finite numbers")
    if not hrir.any(axis=2).all():
        raise InputError(f"{path}: Data.IR is silent in a direction, expected an impulse response")
    hrir = _delayed(hrir, _delays(file, count, path)[rows], rate_hz, path)
    azimuth_deg, elevation_deg = azimuth_deg[rows], elevation_deg[rows]
    ears = _left_and_right(hrir, azimuth_deg, flat, _left_receiver(file, path), path)
    plane_deg, plane = _up_to_the_sides(azimuth_deg[:flat], ears[:flat])
    return HrirSet(
        np.concatenate([plane, ears[flat:]]),
        np.concatenate([plane_deg, azimuth_deg[flat:]]),
        np.concatenate([np.zeros(len(plane_deg)), elevation_deg[flat:]]),
        rate_hz,
    )


# ---------------------------------------------------------------------------- parts of a file


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        value = value.flat[0] if value.size else ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) if value is not None else ""


def own_dataset(file: h5py.File, name: str) -> h5py.Dataset | None:
    """A data set of an HDF5 file that lies in it; None where there is none of that name.

    A file can link to others, and take numbers for there that take no room in it.

    Raises:
        ValueError: it is a link or lies in another file, or is far larger than what is stored of it.
    """
    if name not in file:
        return None
    found = file[name] if isinstance(file.get(name, getlink=True), h5py.HardLink) else None
    if found is None or isinstance(found, h5py.Dataset) and (found.is_virtual or found.external):
        raise ValueError(f"{name} is a link, or lies in another file; expected it in this one")
    if not isinstance(found, h5py.Dataset):
        return None
    stored = found.id.get_storage_size()
    if found.nbytes > _UNSTORED_BYTES + _MOST_PACKED * stored:
        raise ValueError(f"{name} would take {found.nbytes} bytes, and {stored} are stored of it")
    return found


def _dataset(file: h5py.File, name: str, path: str) -> h5py.Dataset:
    found = own_dataset(file, name)
    if found is None or found.dtype.kind not in "fiu":
        raise InputError(f"{path}: no numbers named {name} in it, expected {CONVENTION}")
    return found


def _rate(file: h5py.File, path: str) -> int:
    data = _dataset(file, "Data.SamplingRate", path)
    unit = _text(data.attrs.get("Units", "hertz")).lower()
    rates = np.unique(np.asarray(data, float))
    if unit not in ("hertz", "hz"):
        raise InputError(f"{path}: Data.SamplingRate is in {unit}, expected hertz")
    if len(rates) != 1 or not MIN_RATE_HZ <= rates[0] <= MAX_RATE_HZ or rates[0] != round(rates[0]):
        shown = ", ".join(f"{rate:g}" for rate in rates[:3]) or "nothing"
        raise InputError(f"{path}: Data.SamplingRate is {shown} Hz, expected one whole rate of {MIN_RATE_HZ} or more")
    return int(rates[0])


def _vectors(
    file: h5py.File, name: str, path: str, default: tuple[float, float, float] | None = None, like: str = ""
) -> np.ndarray:
    """Cartesian vectors (row, xyz) of a variable in either coordinate system, metres.

    Args:
        file: the file.
        name: of the variable.
        path: of the file, for messages.
        default: where there is no such variable; without one it is needed, and spherical if it does not say.
        like: the variable whose coordinate system it has where it says none.
    """
    if default is not None and name not in file:
        return np.array([default])
    data = _dataset(file, name, path)
    values = np.asarray(data, float)
    if values.ndim == 3:  # receivers: (receiver, xyz, measurement)
        values = values[..., 0]
    if values.ndim != 2 or values.shape[1] != 3 or not len(values):
        raise InputError(f"{path}: {name} has shape {data.shape}, expected three coordinates in each row")
    if not np.isfinite(values).all():
        raise InputError(f"{path}: {name} holds coordinates that are no finite numbers")
    if np.abs(values).max() > _FARTHEST_M:
        raise InputError(f"{path}: {name} holds coordinates beyond {_FARTHEST_M:g}")
    saying = (own_dataset(file, like) if like and "Type" not in data.attrs else None) or data
    kind = _text(saying.attrs.get("Type", "cartesian" if default else "spherical")).strip().lower()
    units = [unit.strip().lower() for unit in _text(saying.attrs.get("Units", "")).replace(";", ",").split(",")]
    lengths = units if kind == "cartesian" else units[2:]
    wrong = [unit for unit in lengths if unit not in _METRES]
    if wrong and kind in ("cartesian", "spherical"):
        raise InputError(f"{path}: {name} is in {wrong[0]}, expected metre")
    if kind == "cartesian":
        return values
    if kind != "spherical":
        raise InputError(f"{path}: {name} is of type {kind}, expected spherical or cartesian")
    angles = {_ANGLES.get(unit) for unit in units[:2]}
    if len(angles) != 1 or None in angles:
        raise InputError(f"{path}: {name} is in {' and '.join(units[:2])}, expected degree")
    scale = 1.0 if angles == {"radian"} else math.pi / 180
    azimuth, elevation, radius = values[:, 0] * scale, values[:, 1] * scale, values[:, 2]
    flat = radius * np.cos(elevation)
    return np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), radius * np.sin(elevation)], axis=1)


def _directions(file: h5py.File, count: int, path: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Azimuth and elevation in degrees and distance in metres of each source (measurement), as the listener has it."""

    def rows(name: str, default: tuple[float, float, float] | None = None, like: str = "") -> np.ndarray:
        found = _vectors(file, name, path, default, like)
        if len(found) not in (1, count):
            raise InputError(f"{path}: {len(found)} rows of {name} for {count} measurements")
        return np.broadcast_to(found, (count, 3))

    source = rows("SourcePosition") - rows("ListenerPosition", (0.0, 0.0, 0.0))
    front = rows("ListenerView", (1.0, 0.0, 0.0))
    up = rows("ListenerUp", (0.0, 0.0, 1.0), "ListenerView")
    left = np.cross(up, front)
    if not (np.linalg.norm(left, axis=1) > 1e-9).all():
        raise InputError(f"{path}: ListenerView and ListenerUp give no direction to the left")
    up = np.cross(front, left)
    x, y, z = (np.einsum("mi,mi->m", source, axis) / np.linalg.norm(axis, axis=1) for axis in (front, left, up))
    azimuth_deg = LEFT_SIGN * np.degrees(np.arctan2(y, x))
    return azimuth_deg, np.degrees(np.arctan2(z, np.hypot(x, y))), np.sqrt(x**2 + y**2 + z**2)


def _horizontal_rows(azimuth_deg: np.ndarray, elevation_deg: np.ndarray, distance_m: np.ndarray, path: str) -> Any:
    """Measurements on the horizontal plane from right to left, one per direction.

    Raises:
        InputError: those in front are too few or too far apart.
    """
    flat = np.flatnonzero((np.abs(elevation_deg) < _PLANE_DEG) & (distance_m > 0))
    # Counted from just before the back on the right, so that -180 and 180 are one direction.
    turned = np.mod(azimuth_deg[flat] + 180 + _SAME_DEG, 360.0)
    order = np.lexsort((-distance_m[flat], np.round(turned / _SAME_DEG)))
    flat, turned = flat[order], turned[order]
    first = np.concatenate([[True], np.diff(turned) > 2 * _SAME_DEG])[: len(flat)]
    rows = flat[first]
    front = np.sort(azimuth_deg[rows][np.abs(azimuth_deg[rows]) <= MAX_AZIMUTH_DEG + _SAME_DEG])
    needed = f"expected some from {_LAST_DEG:g} degrees right to {_LAST_DEG:g} left"
    if not len(front):
        raise InputError(f"{path}: no directions in front on the horizontal plane, {needed}")
    if front[0] > -_LAST_DEG or front[-1] < _LAST_DEG:
        raise InputError(f"{path}: directions on the horizontal plane from {front[0]:g} to {front[-1]:g}, {needed}")
    gap = float(np.diff(front).max())
    if gap > _WIDEST_GAP_DEG + _SAME_DEG:
        raise InputError(
            f"{path}: {gap:g} degrees between directions on the horizontal plane, expected {_WIDEST_GAP_DEG:g} at most"
        )
    return rows


def _farthest(
    rows: np.ndarray, azimuth_deg: np.ndarray, elevation_deg: np.ndarray, distance_m: np.ndarray
) -> np.ndarray:
    """Those of the rows that are farthest away in their direction, in the same order."""
    turned = np.mod(np.round(azimuth_deg[rows] / _SAME_DEG), round(360 / _SAME_DEG))
    places = np.stack([np.round(elevation_deg[rows] / _SAME_DEG), turned])
    # By direction, the farthest first, and of equals the one that comes first in the file.
    order = np.lexsort((-distance_m[rows], *places))
    changed = (np.diff(places[:, order], axis=1) != 0).any(axis=0)
    first = np.concatenate([[True], changed])[: len(rows)]
    return rows[np.sort(order[first])]


def _delays(file: h5py.File, count: int, path: str) -> np.ndarray:
    """Delays in samples (measurement, receiver)."""
    if "Data.Delay" not in file:
        return np.zeros((count, 2))
    delays = np.asarray(_dataset(file, "Data.Delay", path), float)
    if delays.ndim != 2 or delays.shape[0] not in (1, count) or delays.shape[1] not in (1, 2):
        raise InputError(f"{path}: Data.Delay has shape {delays.shape}, expected (1 or {count}, 2)")
    if not np.isfinite(delays).all():
        raise InputError(f"{path}: Data.Delay holds delays that are no finite numbers")
    return np.broadcast_to(delays, (count, 2))


def _delayed(hrir: np.ndarray, delays: np.ndarray, rate_hz: int, path: str) -> np.ndarray:
    """Responses (direction, ear, tap) with their delays in samples (direction, ear), less the delay common to all."""
    delays = delays - np.floor(delays.min())
    if not delays.any():
        return hrir
    if delays.max() > _LONGEST_DELAY_S * rate_hz:
        raise InputError(f"{path}: delays differ by {delays.max():g} samples, expected less than {_LONGEST_DELAY_S} s")
    taps = hrir.shape[-1] + math.ceil(delays.max())
    if (delays == np.round(delays)).all():
        out = np.zeros((*hrir.shape[:2], taps))
        for row, ear in np.ndindex(delays.shape):
            at = int(delays[row, ear])
            out[row, ear, at : at + hrir.shape[-1]] = hrir[row, ear]
        return out
    # Fractional delays ring; there is room for that at the end, and what rings ahead wraps around into it.
    size = 1 << (taps + _RINGING - 1).bit_length()
    turns = np.fft.rfftfreq(size) * delays[..., None]
    return np.fft.irfft(np.fft.rfft(hrir, size) * np.exp(-2j * np.pi * turns), size)


def _left_receiver(file: h5py.File, path: str) -> int:
    """Number of the receiver on the left: by their positions, or the first where these say nothing."""
    positions = _vectors(file, "ReceiverPosition", path, (0.0, 0.0, 0.0))
    return int(len(positions) == 2 and positions[0, 1] < positions[1, 1])


def _check_emitter(file: h5py.File, path: str) -> None:
    """Refuse several emitters, and one that is not where its source is."""
    positions = _vectors(file, "EmitterPosition", path, (0.0, 0.0, 0.0))
    if len(positions) != 1:
        raise InputError(f"{path}: {len(positions)} emitters, expected one")
    beside_m = float(np.linalg.norm(positions[0]))
    if beside_m > _BESIDE_M:
        raise InputError(f"{path}: EmitterPosition is {beside_m:g} m beside the source, expected 0")


def _left_and_right(hrir: np.ndarray, azimuth_deg: np.ndarray, flat: int, left: int, path: str) -> np.ndarray:
    """Responses (direction, receiver, tap) in the order of the ears.

    Args:
        hrir: the responses.
        azimuth_deg: (direction).
        flat: how many directions, the first ones, are on the horizontal plane.
        left: number of the receiver that is on the left by its position.
        path: of the file, for messages.
    """

    def ears(first: int) -> np.ndarray:
        found = np.empty_like(hrir)
        found[:, LEFT_EAR], found[:, RIGHT_EAR] = hrir[:, first], hrir[:, 1 - first]
        return found

    quiet = _quieter_sides(ears(left)[:flat], azimuth_deg[:flat])
    if quiet and left == 1 and not _quieter_sides(ears(0)[:flat], azimuth_deg[:flat]):
        warnings.warn(
            f"{path}: ReceiverPosition puts the right ear first, but sounds from the left are louder in the first ear; "
            "that was taken for the left one",
            stacklevel=2,
        )
        return ears(0)
    if quiet:
        raise InputError(
            f"{path}: sounds from the {quiet[0]} are not louder in the {quiet[0]} ear; are ears or azimuths exchanged? "
            "Expected azimuths that are positive to the left, and receivers in the order of their positions"
        )
    return ears(left)


def _quieter_sides(ears: np.ndarray, azimuth_deg: np.ndarray) -> list[str]:
    """Sides, left or right, from which sounds are not louder in the ear of that side."""
    side = azimuth_deg * LEFT_SIGN
    energy = np.square(ears).sum(axis=2)
    found = []
    for name, there, near, far in (
        ("left", side > 20, LEFT_EAR, RIGHT_EAR),
        ("right", side < -20, RIGHT_EAR, LEFT_EAR),
    ):
        there = there & (np.abs(side) <= MAX_AZIMUTH_DEG)
        if energy[there, near].sum() <= energy[there, far].sum():
            found.append(name)
    return found


def _up_to_the_sides(azimuth_deg: np.ndarray, ears: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Directions and ears with one at 90 degrees on either side; the last one stands in where it was not measured."""
    for side_deg in (-MAX_AZIMUTH_DEG, MAX_AZIMUTH_DEG):
        beyond = azimuth_deg * np.sign(side_deg) >= MAX_AZIMUTH_DEG - _SAME_DEG
        near = beyond & (np.abs(azimuth_deg) <= MAX_AZIMUTH_DEG + _WIDEST_GAP_DEG)
        if not near.any():
            last = int(np.argmin(np.abs(azimuth_deg - side_deg)))
            azimuth_deg = np.append(azimuth_deg, side_deg)
            ears = np.concatenate([ears, ears[last : last + 1]])
    return azimuth_deg, ears
