"""Make a data set of a bank's real recordings for validation, on which settings may be chosen, unlike on RealBench.

    python tools/real_validation.py bank --recordings sources --out validation --clips 40 --seed 5

Made as RealBench is (docs/REALBENCH.md), with the head in ``--recordings``, a folder of scripts/install-realbench.sh,
of what `tas data bank` keeps for validation: recordings, and voices but eSpeak's (flite's are made of a person's). The
bank's clips are written as files first, to ``OUT-sounds``. `tas eval data validation --split test` then compares
checkpoints.
"""

import argparse
import hashlib
from collections import defaultdict
from pathlib import Path

from tas_core.audio.writer import write_audio
from tas_core.datasets.mixing.bank import StemBank
from tas_core.datasets.sources.catalogue import SOUNDFONTS, VOICES, Category, load_categories
from tas_core.datasets.sources.real_sounds import RealList, RealSound, load_real_list
from tas_core.datasets.tasbench.layout import TasBench
from tas_core.datasets.tasbench.realbench import RealClips
from tas_core.datasets.tasbench.simulation import make_clips
from tas_core.system.files import make_folder, write_files

WORDS = 4
"""Names that a category is called by, at most."""


def is_recorded(source: str, category: Category, instruments: bool) -> bool:
    """Whether clips are of recordings: of no soundfont, but of its instruments if wanted, and of no eSpeak voice."""
    if source.partition("/")[0] in {font.name for font in SOUNDFONTS}:
        return instruments and category.sound_kind == "music"
    return source not in {voice.name for voice in VOICES if voice.engine == "espeak"}


def write_sounds(bank: StemBank, folder: Path, instruments: bool) -> list[RealSound]:
    """Write the recorded clips of a bank below ``folder/SOURCE/CATEGORY``, and say what they are."""
    known = {category.name: category for category in load_categories()}
    clips = defaultdict(list)
    for index, (number, source) in enumerate(zip(bank.category.tolist(), bank.source.tolist(), strict=True)):
        name = bank.categories[number]
        if is_recorded(bank.sources[source], known[name], instruments):
            clips[name, bank.sources[source].partition("/")[0]].append(index)
    sounds = []
    for (name, source), indices in sorted(clips.items()):
        below = name.replace(" ", "-")
        make_folder(folder / source / below)
        for number, index in enumerate(indices):
            path, sound = folder / source / below / f"{number}.wav", bank.clip(index).numpy()[None]
            write_audio(path, sound, bank.sample_rate_hz, "PCM_16", overwrite=True)
        kind, words = known[name].sound_kind, known[name].training_words[:WORDS]
        also = tuple(other for other, category in known.items() if known[name].may_mean(category))
        files = (f"{below}/*.wav",)
        sounds.append(RealSound(f"{source} {name}", kind, name, source, files, words, also=also))
    return sounds


def real_validation(
    bank: Path, recordings: Path, out: Path, *, clips: int, seed: int, instruments: bool = False
) -> TasBench:
    """Make the data set of a bank's folder, or go on with it."""
    head = load_real_list().head
    if not head.path(recordings).is_file():
        raise SystemExit(f"error: {head.path(recordings)}: no such file; expected a folder of install-realbench.sh")
    sounds_folder = out.with_name(f"{out.name}-sounds")
    found_in = StemBank.load(bank / "bank.safetensors", "val")
    found = write_sounds(found_in, sounds_folder, instruments)
    make_folder(head.path(sounds_folder).parent)
    write_files({head.path(sounds_folder): head.path(recordings).read_bytes()})
    digest = hashlib.sha256(repr(found).encode()).hexdigest()[:16]
    known = RealList("recordings of the validation part", digest, head, (), tuple(found))
    return make_clips(out, RealClips(sounds_folder, seed, found_in.sample_rate_hz, known), clips)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bank", type=Path, help="folder made by `tas data bank --recordings`")
    parser.add_argument("--recordings", type=Path, required=True, help="RealBench's recordings, for its head")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--instruments", action="store_true", help="of soundfonts, too, whose notes are recordings")
    arguments = vars(parser.parse_args())
    made = real_validation(**arguments)
    print(f"{made.root}: {len(made.clips())} clips")
