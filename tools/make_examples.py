"""Make the inputs in examples/ from material with clean licences; needs scripts/install-material.sh.

duet.flac   trumpet and drums, CsoundGM soundfont (public domain), music drawn by tas_core.datasets.sources.melodies
voice.wav   flite's voice awb (CMU, BSD-style licence), 16 kHz
tabla.flac  loop_tabla of Sonic Pi (CC0), a real recording
crow.flac   misc_crow of Sonic Pi (CC0), a real recording of a sound that is in no training category

stems/      the two instruments of the duet by themselves, its first 7 s at 16 kHz: no input, but what a test
            needs to tell in which time-frequency bins of the duet which instrument sounds
"""

import subprocess
from pathlib import Path

import numpy as np
import soundfile as sf

from tas_core.audio.resampling import resample
from tas_core.datasets.sources.catalogue import SOUNDFONTS
from tas_core.datasets.sources.instruments import FontSynth
from tas_core.datasets.sources.melodies import kit_pattern, melody

OUT = Path("examples")
STEM_RATE_HZ, STEM_S = 16000, 7.0
SONIC_PI = Path("/usr/share/sonic-pi/samples")


def scaled(samples, peak):
    return samples * (peak / np.abs(samples).max())


def duet():
    font = next(f for f in SOUNDFONTS if f.name == "CsoundGM")
    synth = FontSynth(font)
    trumpet = synth.render(melody(56, 10.0, np.random.default_rng(5), style="line"), 10.0, program=56)
    drums = synth.render(kit_pattern(10.0, np.random.default_rng(6)), 10.0)
    parts = [scaled(trumpet, 0.3), scaled(drums, 0.4)]
    sf.write(OUT / "duet.flac", sum(parts), 44100, subtype="PCM_16")
    (OUT / "stems").mkdir(exist_ok=True)
    for name, part in zip(("trumpet", "drums"), parts, strict=True):
        low = resample(part, 44100, STEM_RATE_HZ)[: round(STEM_S * STEM_RATE_HZ)]
        sf.write(OUT / "stems" / f"{name}.flac", low, STEM_RATE_HZ, subtype="PCM_16")


def voice():
    text = (
        "This is one voice, and nothing else. It begins on the left hand side, "
        "then it stands right in front of you, and at the end it comes from the right."
    )
    subprocess.run(["flite", "-voice", "awb", "-t", text, "-o", "/tmp/voice.wav"], check=True)
    samples, rate = sf.read("/tmp/voice.wav")
    sf.write(OUT / "voice.wav", scaled(samples, 0.5), rate, subtype="PCM_16")


def sample(name, out, repeats, gap_s):
    samples, rate = sf.read(SONIC_PI / f"{name}.flac", always_2d=True)
    mono = np.concatenate([samples.mean(axis=1), np.zeros(round(gap_s * rate))])
    sf.write(OUT / out, scaled(np.tile(mono, repeats), 0.5), rate, subtype="PCM_16")


duet()
voice()
sample("loop_tabla", "tabla.flac", 1, 0.0)
sample("misc_crow", "crow.flac", 4, 0.6)
for path in sorted(OUT.glob("*.[wf]*")):
    print(path, sf.info(path).duration, sf.info(path).samplerate, path.stat().st_size)
