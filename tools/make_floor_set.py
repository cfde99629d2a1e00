"""Make the small test set that shipped weights are checked against, from a simulated data set.

    tas data simulate --out runs/tasbench --clips 1871 --rate 16000 --split test
    python tools/make_floor_set.py runs/tasbench tests/data/floor

The first test clips, in their order, that hold nothing but the public-domain soundfont: two with one object, nine with
two, three with three; the first five seconds of each, 16 bit. The mixtures are the sums of the stems and are not kept.
"""

import json
import sys
from pathlib import Path

import soundfile

SOURCE = "CsoundGM/"
WANTED = {1: 2, 2: 9, 3: 3}
SECONDS = 5.0
FRAMES_PER_S = 10

data, target = Path(sys.argv[1]), Path(sys.argv[2])
left = dict(WANTED)
for folder in sorted((data / "stems").iterdir()):
    scene = json.loads((folder / "scene.json").read_text(encoding="utf-8"))
    objects = scene["objects"]
    frames = round(SECONDS * FRAMES_PER_S)
    for item in objects:
        item["active"] = [[a, min(b, frames)] for a, b in item["active"] if a < frames]
    usable = all(item["source"].startswith(SOURCE) and item["active"] for item in objects)
    if scene["split"] != "test" or not usable or not left.get(len(objects)):
        continue
    left[len(objects)] -= 1
    scene["length_s"] = SECONDS
    out = target / "stems" / folder.name
    out.mkdir(parents=True, exist_ok=True)
    for item in objects:
        samples, rate_hz = soundfile.read(folder / item["file"], always_2d=True)
        soundfile.write(out / item["file"], samples[: round(SECONDS * rate_hz)], rate_hz, subtype="PCM_16")
    (out / "scene.json").write_text(json.dumps(scene, indent=1) + "\n", encoding="utf-8")
    print(folder.name, [item["source"] for item in objects])
