"""Make the pictures of docs/PLOTS.md: the duet of examples/ under three prompts, beside a rendered truth, and others.

The truth is each stem through the measured head at the place that the first prompt names; the mono input is the
mean of its ears, as for recordings.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile as sf
from PIL import Image

from tas_core.acoustics.rooms import direct_response

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs" / "figures"
PROMPTS = {
    "as recorded": "trumpet on the left, drums on the right",
    "in the center": "trumpet and drums in the center",
    "moving": "trumpet and drums move from the far right to the far left",
}
PLACES_DEG = {"trumpet": 55, "drums": -55}


def tas(*words):
    subprocess.run([str(Path(sys.executable).with_name("tas")), *map(str, words)], check=True)


def shrunk(path):
    """Fewer colours: a third of the bytes, and no difference to be seen."""
    image = Image.open(path).convert("RGB").quantize(128)
    image.save(path, optimize=True)


def truth(path):
    ears = 0
    for name, azimuth_deg in PLACES_DEG.items():
        stem, rate = sf.read(ROOT / "examples" / "stems" / f"{name}.flac")
        response = direct_response(azimuth_deg, rate)
        ears = ears + np.stack([np.convolve(stem, ear)[: len(stem)] for ear in response])
    sf.write(path, 0.5 * ears.T / np.abs(ears).max(), rate, subtype="PCM_16")


def main():
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        truth(work / "truth.wav")
        ears, rate = sf.read(work / "truth.wav")
        sf.write(work / "mono.wav", ears.mean(axis=1), rate, subtype="PCM_16")
        takes, options = [], []
        for i, (label, prompt) in enumerate(PROMPTS.items()):
            timeline, take = work / f"{i}.yaml", work / f"{i}.wav"
            timeline.write_text(f'prompts:\n  - {{start: 0, text: "{prompt}"}}\n')
            tas("spatialize", work / "mono.wav", "-t", timeline, "-o", take)
            takes.append(take)
            options += ["-t", timeline, "--label", label]
        compared = ("--reference", work / "truth.wav", "--force")
        tas("plot", *takes, *options, *compared, "--kind", "spl", "-o", OUT / "spl.png")
        shrunk(OUT / "spl.png")
        source, timeline = ROOT / "examples" / "tabla.flac", ROOT / "examples" / "tabla.yaml"
        tas("spatialize", source, "-t", timeline, "-o", work / "tabla.wav")
        tas("plot", work / "tabla.wav", "-t", timeline, "--force", "--kind", "azimuth", "-o", OUT / "azimuth.png")
        shrunk(OUT / "azimuth.png")
        duet, rate = sf.read(ROOT / "examples" / "duet.flac", always_2d=True)
        sf.write(work / "duet.wav", np.repeat(duet.mean(axis=1, keepdims=True), 2, axis=1), rate, subtype="PCM_16")
        around = ROOT / "examples" / "scenes" / "duet_around.yaml"
        tas("plot", work / "duet.wav", "-t", around, "--force", "--kind", "places", "-o", OUT / "places.png")
        shrunk(OUT / "places.png")


if __name__ == "__main__":
    main()
