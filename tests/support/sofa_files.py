"""SOFA files for tests, and heads of which a formula says everything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tas_core.acoustics.hrtf import HrirSet
from tas_core.acoustics.sofa import read_sofa

ATTRIBUTES = {"Conventions": "SOFA", "SOFAConventions": "SimpleFreeFieldHRIR", "DataType": "FIR"}
FULL_CIRCLE = np.arange(0.0, 360.0, 5.0)
RADIUS_M, SPEED_M_S = 0.0875, 343.0


def write_sofa(
    path: Path,
    hrir: np.ndarray,
    source: np.ndarray,
    rate_hz: float = 44100.0,
    *,
    attributes: dict[str, Any] | None = None,
    variables: dict[str, tuple[np.ndarray, dict[str, str]] | None] | None = None,
) -> Path:
    """Write responses (measurement, receiver, sample) from places (measurement, azimuth elevation distance).

    ``variables`` replaces or adds variables as (values, attributes), None leaves one out.
    """
    content: dict[str, Any] = {
        "Data.IR": (hrir, {}),
        "Data.SamplingRate": (np.array([rate_hz]), {"Units": "hertz"}),
        "Data.Delay": (np.zeros((1, 2)), {}),
        "SourcePosition": (source, {"Type": "spherical", "Units": "degree, degree, metre"}),
        "ListenerPosition": (np.zeros((1, 3)), {"Type": "cartesian", "Units": "metre"}),
        "ListenerView": (np.array([[1.0, 0, 0]]), {"Type": "cartesian", "Units": "metre"}),
        "ListenerUp": (np.array([[0.0, 0, 1]]), {"Type": "cartesian", "Units": "metre"}),
        "ReceiverPosition": (
            np.array([[[0.0], [0.09], [0.0]], [[0.0], [-0.09], [0.0]]]),
            {"Type": "cartesian", "Units": "metre"},
        ),
    }
    content.update(variables or {})
    with h5py.File(path, "w") as file:
        for name, value in {**ATTRIBUTES, **(attributes or {})}.items():
            if value is not None:
                file.attrs[name] = value
        for name, item in content.items():
            if item is not None:
                file[name] = item[0]
                for key, text in item[1].items():
                    file[name].attrs[key] = text
    return path


def on_the_plane(azimuth_deg: np.ndarray) -> np.ndarray:
    """Source positions (measurement, azimuth elevation distance) on the horizontal plane, 1.5 m away."""
    return np.stack([azimuth_deg, np.zeros(len(azimuth_deg)), np.full(len(azimuth_deg), 1.5)], axis=1)


def spherical_head(azimuth_deg: np.ndarray, freqs_hz: np.ndarray, shadow: tuple[float, float] = (1.0, 1.0)) -> Any:
    """A rigid sphere's transfer functions (azimuth, ear, freq), by Brown and Duda's closed form (1998).

    With the angle t between source and ear, and w0 = c / a: H = (1 + j alpha w / 2 w0) / (1 + j w / 2 w0), alpha =
    1.05 + 0.95 cos(1.2 t), and Woodworth's delay, a / c (1 - cos t) on the near side, a / c (1 + t - pi / 2) on
    the far one. ``shadow`` scales the ears' alpha, left and right.
    """
    out = []
    for ear, ear_deg in enumerate((90.0, -90.0)):
        angle = np.abs((azimuth_deg - ear_deg + 180) % 360 - 180) * np.pi / 180
        delay = RADIUS_M / SPEED_M_S * np.where(angle < np.pi / 2, 1 - np.cos(angle), 1 + angle - np.pi / 2)
        alpha = shadow[ear] * (1.05 + 0.95 * np.cos(1.2 * angle))
        turn = 1j * np.pi * freqs_hz * RADIUS_M / SPEED_M_S
        shelf = (1 + alpha[:, None] * turn) / (1 + turn)
        out.append(shelf * np.exp(-2j * np.pi * freqs_hz * delay[:, None]))
    return np.stack(out, axis=1)


def spherical_hrir(
    azimuth_deg: np.ndarray, rate_hz: int, shadow: tuple[float, float] = (1.0, 1.0), lead: float = 40.0
) -> np.ndarray:
    """Impulse responses (azimuth, ear, 512) of :func:`spherical_head`, low-passed alike, after ``lead`` samples."""
    freqs_hz = np.fft.rfftfreq(512, 1 / rate_hz)
    # So that fractional delays do not ring.
    smooth = 0.5 + 0.5 * np.cos(np.pi * np.clip((freqs_hz / rate_hz - 0.3) / 0.2, 0, 1))
    common = smooth * np.exp(-2j * np.pi * freqs_hz / rate_hz * lead)
    return np.fft.irfft(spherical_head(azimuth_deg, freqs_hz, shadow) * common, 512)


def uneven_head(folder: Path, shadow: tuple[float, float]) -> HrirSet:
    """Read from a file at 48 kHz: a sphere with ears of its own on each side, as in :func:`spherical_head`."""
    hrir = spherical_hrir(FULL_CIRCLE, 48000, shadow)
    return read_sofa(write_sofa(folder / "uneven.sofa", hrir, on_the_plane(FULL_CIRCLE), 48000))
