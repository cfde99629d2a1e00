"""Make a small test set that shipped weights are checked against, from a data set.

    tas data simulate --out runs/tasbench --clips 1871 --rate 16000 --split test
    python tools/make_floor_set.py runs/tasbench tests/data/floor CsoundGM --objects 1:2 2:9 3:3
    tas data realbench --recordings recordings --out runs/realbench --clips 120 --rate 16000
    python tools/make_floor_set.py runs/realbench tests/data/real_floor sms-tools-materials librosa-data \\
      --objects 1:2 2:4 3:1

The first test clips, in their order, that hold nothing but what the named sources have: with one object so many, with
two so many ..; the first five seconds of each, 16 bit. The mixtures are the sums of the stems and are not kept, and of
a head that is not KEMAR's only its plane is.
"""

import argparse
import json
from pathlib import Path

import h5py
import numpy as np
import soundfile

SECONDS = 5.0
FRAMES_PER_S = 10


def keep_plane(source: Path, target: Path) -> None:
    """Copy the horizontal plane of a SOFA file, in single precision and compressed."""
    with h5py.File(source, "r") as file, h5py.File(target, "w") as out:
        flat = np.abs(file["SourcePosition"][:, 1]) < 1
        count = len(flat)
        out.attrs.update(file.attrs)
        for name, data in file.items():
            kept = data[()][flat] if data.shape[:1] == (count,) else data[()]
            whole = kept.astype(np.float32) if name == "Data.IR" else kept
            options = {"compression": "gzip", "compression_opts": 9} if name == "Data.IR" else {}
            out.create_dataset(name, data=whole, track_times=False, **options).attrs.update(
                {k: v for k, v in data.attrs.items() if k not in ("DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME")}
            )


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("data", type=Path)
parser.add_argument("target", type=Path)
parser.add_argument("sources", nargs="+")
parser.add_argument("--objects", nargs="+", required=True, metavar="OBJECTS:CLIPS")
args = parser.parse_args()

left = {int(objects): int(clips) for objects, _, clips in (pair.partition(":") for pair in args.objects)}
for folder in sorted((args.data / "stems").iterdir()):
    scene = json.loads((folder / "scene.json").read_text(encoding="utf-8"))
    objects = scene["objects"]
    frames = round(SECONDS * FRAMES_PER_S)
    for item in objects:
        item["active"] = [[a, min(b, frames)] for a, b in item["active"] if a < frames]
    usable = all(item["source"].partition("/")[0] in args.sources and item["active"] for item in objects)
    if scene["split"] != "test" or not usable or not left.get(len(objects)):
        continue
    left[len(objects)] -= 1
    scene["length_s"] = SECONDS
    out = args.target / "stems" / folder.name
    out.mkdir(parents=True, exist_ok=True)
    for item in objects:
        samples, rate_hz = soundfile.read(folder / item["file"], always_2d=True)
        soundfile.write(out / item["file"], samples[: round(SECONDS * rate_hz)], rate_hz, subtype="PCM_16")
    (out / "scene.json").write_text(json.dumps(scene, indent=1) + "\n", encoding="utf-8")
    print(folder.name, [item["source"] for item in objects])

description = args.data / "dataset.json"
if description.is_file() and (head := json.loads(description.read_text(encoding="utf-8")).get("head")):
    keep_plane(args.data / head, args.target / head)
    (args.target / "dataset.json").write_text(description.read_text(encoding="utf-8"), encoding="utf-8")
