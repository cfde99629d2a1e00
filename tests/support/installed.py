"""What tests need that is installed beside Python, and the marks that skip them where it is not."""

from __future__ import annotations

import ctypes.util
import importlib.util
import shutil
from pathlib import Path

import pytest

from tas_core.datasets.sources.catalogue import SOUNDFONTS, VOICES

TIM = next(font for font in SOUNDFONTS if font.name == "TimGM6mb")
needs_fluidsynth = pytest.mark.skipif(
    importlib.util.find_spec("fluidsynth") is None
    or not TIM.path.exists()
    or ctypes.util.find_library("fluidsynth") is None,
    reason="needs pyfluidsynth, libfluidsynth and TimGM6mb.sf2, see scripts/install-material.sh",
)
needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")
_has_material = (
    all(font.path.exists() for font in SOUNDFONTS if font.in_benchmark)
    and shutil.which("espeak-ng")
    and shutil.which("flite")
    and shutil.which("ffmpeg")
    and ctypes.util.find_library("fluidsynth")
    and all(Path(v.argument).is_dir() for v in VOICES if v.engine == "files" and v.in_benchmark)
)
needs_material = pytest.mark.skipif(not _has_material, reason="needs the material of scripts/install-material.sh")
