"""The list of RealBench's sounds: names that captions can have, licences, and nothing that training hears."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tas_core.datasets.sources.catalogue import RECORDING_FOLDERS, SOUND_KINDS, VOICES, load_categories
from tas_core.datasets.sources.packages import PACKAGED_KITS, PACKAGED_VOICES, PACKAGES
from tas_core.datasets.sources.real_sounds import RealSound, load_real_list
from tas_core.datasets.tasbench.captions import quoted
from tas_core.timeline.prompts import parse_prompt

ROOT = Path(__file__).resolve().parents[3]
KNOWN = load_real_list()
SOUNDS = (*KNOWN.sounds, *(part for mixture in KNOWN.mixtures for part in mixture.parts))


def listed(script: str) -> set[str]:
    """Every word of a script that could be the name of a package."""
    return set(re.findall(r"[a-z0-9][a-z0-9+.-]+", (ROOT / "scripts" / script).read_text()))


def test_no_source_is_one_of_trainings() -> None:
    """By the name of the package or repository, in the catalogue and in what the installing scripts fetch."""
    ours = {source.name for source in KNOWN.sources}
    theirs = {package.name for package in PACKAGES} | {kit.package for kit in PACKAGED_KITS}
    theirs |= {voice.argument for voice in PACKAGED_VOICES}
    folders = " ".join([*(voice.argument for voice in VOICES), *(str(folder) for folder, _ in RECORDING_FOLDERS)])
    assert not ours & theirs
    for name in ours:
        assert name not in listed("install-training-material.sh") | listed("install-material.sh"), name
        assert name not in folders, name


def test_no_person_is_one_of_trainings() -> None:
    names = " ".join(voice.name.lower() for voice in (*VOICES, *PACKAGED_VOICES)).split()
    people = {sound.person for sound in SOUNDS if sound.person and sound.kind == "voice"}
    assert len(people) >= 8
    for person in people:
        assert person.split()[-1].lower() not in names, person


@pytest.mark.parametrize("sound", SOUNDS, ids=lambda sound: sound.name)
def test_what_is_said_of_a_sound_can_be_said(sound: RealSound) -> None:
    categories = {category.name: category for category in load_categories()}
    assert sound.kind in SOUND_KINDS
    assert sound.words
    for word in sound.words:
        assert quoted(word.lower()) == word.lower(), word
        (clause,) = parse_prompt(f"{word} on the left")
        assert clause.object == word.lower()
    assert set(sound.also) <= categories.keys()
    if sound.category in categories:
        assert categories[sound.category].sound_kind == sound.kind
    else:
        assert sound.category == sound.name


def test_every_source_has_a_licence_and_is_used_and_fetched() -> None:
    used = {sound.source for sound in SOUNDS} | {KNOWN.head.source}
    assert {source.name for source in KNOWN.sources} == used
    assert all(source.licence and source.origin for source in KNOWN.sources)
    assert used <= listed("install-realbench.sh")
    assert len({f"{sound.source}/{sound.name}" for sound in SOUNDS}) == len(SOUNDS)


def test_there_are_talkers_music_and_everyday_sounds() -> None:
    counts = {kind: sum(sound.kind == kind for sound in KNOWN.sounds) for kind in SOUND_KINDS}
    assert min(counts.values()) >= 12
    assert len(KNOWN.mixtures) == 8


def test_the_script_says_how_it_is_called() -> None:
    command = ["bash", str(ROOT / "scripts" / "install-realbench.sh")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "install-realbench.sh FOLDER" in done.stderr
