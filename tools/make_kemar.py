"""Make tas_core/acoustics/kemar.safetensors from MIT's measurements as Debian's libmysofa1 ships them.

    python tools/make_kemar.py /usr/share/libmysofa/MIT_KEMAR_normal_pinna.sofa

The data are Gardner and Martin's KEMAR measurements (MIT Media Lab, 1994), free with attribution. The
first 256 of 512 taps are kept, faded over the last 32: what is cut is the noise floor of the measurement.
"""

import sys

import h5py
import numpy as np
import torch
from safetensors.torch import save_file

TAPS = 256
FADE = 32

with h5py.File(sys.argv[1]) as sofa:
    impulse = sofa["Data.IR"][:, :, :TAPS]
    position = sofa["SourcePosition"][:]
    rate = float(sofa["Data.SamplingRate"][0])
fade = np.ones(TAPS)
fade[-FADE:] = 0.5 + 0.5 * np.cos(np.pi * (np.arange(FADE) + 0.5) / FADE)
impulse = impulse * fade
scale = np.abs(impulse).max() / 32767
azimuth = (position[:, 0] + 180) % 360 - 180
save_file(
    {
        "hrir": torch.from_numpy(np.round(impulse / scale).astype(np.int16)),
        "azimuth_deg": torch.from_numpy(azimuth.astype(np.float32)),
        "elevation_deg": torch.from_numpy(position[:, 1].astype(np.float32)),
    },
    "tas_core/acoustics/kemar.safetensors",
    metadata={
        "scale": repr(float(scale)),
        "sample_rate_hz": str(int(rate)),
        "source": "MIT KEMAR, normal pinna; Gardner and Martin 1994; free with attribution",
    },
)
