"""Make the inputs in examples/ from material with clean licences; needs scripts/install-material.sh.

duet.flac   trumpet and drums, CsoundGM soundfont (public domain), music drawn by tas_core.datasets.sources.melodies
voice.wav   flite's voice awb (CMU, BSD-style licence), 16 kHz
tabla.flac  loop_tabla of Sonic Pi (CC0), a real recording
crow.flac   misc_crow of Sonic Pi (CC0), a real recording of a sound that is in no training category

stems/      the two instruments of the duet by themselves, its first 7 s at 16 kHz: no input, but what a test
            needs to tell in which time-frequency bins of the duet which instrument sounds
scenes/around/  six sounds of CsoundGM (public domain) at 24 kHz, each where scenes/around.yaml names it
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile as sf

from tas_core.audio.resampling import resample
from tas_core.datasets.sources.catalogue import SOUNDFONTS
from tas_core.datasets.sources.instruments import FontSynth
from tas_core.datasets.sources.melodies import Note, kit_pattern, melody
from tas_core.timeline.files import load_timeline

OUT = Path("examples")
STEM_RATE_HZ, STEM_S = 16000, 7.0
AROUND_RATE_HZ, AROUND_S = 24000, 36.0
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


def around():
    """Six sounds, faded in and out with the prompts that name them; dog and rain are in banks of their own."""
    timeline, length_s, rate_hz = load_timeline(OUT / "scenes" / "around.yaml"), AROUND_S, AROUND_RATE_HZ
    synth = FontSynth(next(f for f in SOUNDFONTS if f.name == "CsoundGM"))
    held = [Note(0.0, length_s, pitch, 100) for pitch in (52, 60, 67)]
    barks = [Note(at, 0.3, 62 + k % 2, 127) for k, at in enumerate(np.arange(0.1, length_s, 0.45))]
    parts = {
        "dog": synth.render(barks, length_s, program=123, bank=1),
        "rain": synth.render(held, length_s, program=122, bank=1),
        "helicopter": synth.render([Note(0.0, length_s, 79, 100)], length_s, program=125),
        "drums": synth.render(kit_pattern(length_s, np.random.default_rng(6)), length_s),
        "piano": synth.render(melody(0, length_s, np.random.default_rng(7), style="chords"), length_s, program=0),
        "violin": synth.render(melody(40, length_s, np.random.default_rng(8), style="line"), length_s, program=40),
    }
    (OUT / "scenes" / "around").mkdir(exist_ok=True)
    for name, part in parts.items():
        sound = resample(scaled(part, 0.25), 44100, rate_hz)
        named = np.zeros(len(sound))
        for segment in timeline.segments:
            if any(clause.object.split()[0] == name for clause in segment.clauses):
                named[round(segment.start_s * rate_hz) : round((segment.end_s - 0.1) * rate_hz)] = 1
        ramp = np.hanning(round(0.02 * rate_hz))
        sound = sound * np.convolve(named, ramp / ramp.sum(), mode="same")
        sf.write(OUT / "scenes" / "around" / f"{name}.ogg", sound, rate_hz, subtype="VORBIS", compression_level=0.7)


if sys.argv[1:] == ["around"]:
    around()
    sys.exit()
duet()
voice()
around()
sample("loop_tabla", "tabla.flac", 1, 0.0)
sample("misc_crow", "crow.flac", 4, 0.6)
for path in sorted(OUT.glob("*.[wf]*")):
    print(path, sf.info(path).duration, sf.info(path).samplerate, path.stat().st_size)
