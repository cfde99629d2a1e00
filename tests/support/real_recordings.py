"""Made-up recordings, a head and a list of them in the form of RealBench's, for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.datasets.sources import package_clips, real_sounds
from tas_core.datasets.sources.real_sounds import RealHead, RealList, RealMixture, RealSound, RealSource
from tas_core.datasets.tasbench import realbench, simulation
from tests.support.sofa_files import FULL_CIRCLE, on_the_plane, spherical_hrir, write_sofa

RATE_HZ = 8000
TONES_HZ = {"a hum": 300.0, "a hiss": 1500.0, "a man": 500.0, "a woman": 900.0, "a fiddle": 700.0, "a pipe": 1100.0}


def _sound(name: str, kind: str, category: str, words: tuple[str, ...], also: tuple[str, ...] = ()) -> RealSound:
    return RealSound(name, kind, category, "one", (f"{name.split()[1]}*.wav",), words, also=also)  # type: ignore[arg-type]


SOUNDS = (
    _sound("a man", "voice", "man talking", ("man talking",), ("person talking",)),
    _sound("a woman", "voice", "woman talking", ("woman talking", "female voice"), ("person talking",)),
    _sound("a fiddle", "music", "violin", ("violin", "fiddle")),
    _sound("a pipe", "music", "flute", ("flute",)),
    _sound("a hum", "everyday", "a hum", ("mains hum",)),
    _sound("a hiss", "everyday", "rain", ("rain",)),
)
PARTS = (
    RealSound("duo, guitar", "music", "distortion guitar", "two", ("duo/guitar.wav",), ("guitar",)),
    RealSound("duo, band", "music", "band", "two", ("duo/song.wav",), ("rock band",), also=("drums",)),
)
LIST = RealList(
    name="RealBench",
    digest="made up",
    head=RealHead("ears", "head.sofa", "a sphere", "CC0"),
    sources=(RealSource("one", "CC0", "here"), RealSource("two", "CC0", "here"), RealSource("ears", "CC0", "here")),
    sounds=SOUNDS,
    mixtures=(RealMixture("duo", PARTS),),
)
PART_RATIO_DB = 7.0
"""By how much the band is louder than the guitar."""


def write_recordings(root: Path) -> Path:
    """Tones in bursts for sounds, noise for the parts of a mixture, and a sphere's ears."""
    rng = np.random.default_rng(4)
    (root / "one").mkdir(parents=True)
    time_s = np.arange(round(0.8 * RATE_HZ)) / RATE_HZ
    for name, hz in TONES_HZ.items():
        for number in range(2):
            burst = 0.3 * np.sin(2 * np.pi * hz * time_s) * np.hanning(len(time_s)) + 1e-3 * rng.standard_normal(
                len(time_s)
            )
            soundfile.write(root / "one" / f"{name.split()[1]}{number}.wav", burst, RATE_HZ)
    (root / "two" / "duo").mkdir(parents=True)
    for file, level in (("guitar", 0.02), ("song", 0.02 * 10 ** (PART_RATIO_DB / 20))):
        soundfile.write(root / "two" / "duo" / f"{file}.wav", level * rng.standard_normal((30 * RATE_HZ, 2)), RATE_HZ)
    (root / "ears").mkdir()
    hrir = spherical_hrir(FULL_CIRCLE, 48000, (1.0, 0.7))
    write_sofa(root / "ears" / "head.sofa", hrir, on_the_plane(FULL_CIRCLE), 48000)
    return root


def use(patch: pytest.MonkeyPatch) -> None:
    """Put the made-up list in place of RealBench's, and forget what was kept of another."""
    for module in (real_sounds, realbench):
        patch.setattr(module, "load_real_list", lambda: LIST)
    forget()


def forget() -> None:
    """Forget what was kept of files."""
    for kept in (simulation.whole_head, package_clips.packaged_files, real_sounds._seconds_db):
        kept.cache_clear()
