"""``tools/real_validation.py`` and ``tools/composed_losses.py``: what checkpoints are compared on before RealBench."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tas_core.datasets.mixing.bank import StemBank
from tas_core.datasets.mixing.draws import CompositionConfig
from tas_core.datasets.tasbench.checking import check_dataset
from tas_core.models.checkpoints import save_checkpoint
from tas_core.models.slots.model import SlotsModel
from tests.support.real_recordings import LIST, write_recordings
from tests.support.scripts import load_script
from tests.support.tiny import TINY_SLOTS, tone_bank, write_material

REAL = ("a package/rain", "a package/violin", "flite awb", "TimGM6mb/church organ", "espeak en-us+m1")
"""Of the validation clips: three sources that are recorded (flite's voices are, in pieces), two that are not."""
CATEGORIES = ("rain", "violin", "man talking", "church organ", "woman talking")


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bank")
    tones = tone_bank(clips=1)
    sources = (*tones.sources[:5], *REAL, *tones.sources[10:])
    replace(tones, categories=CATEGORIES, sources=sources).save(folder / "bank.safetensors")
    return folder


def test_recordings_without_the_head_are_refused_before_any_sound_is_written(bank: Path, tmp_path: Path) -> None:
    tool = load_script("tools/real_validation.py")
    (tmp_path / "recordings").mkdir()
    with pytest.raises(SystemExit, match=r"^error: .*: no such file; expected a folder of install-realbench\.sh$"):
        tool.real_validation(bank, tmp_path / "recordings", tmp_path / "made", clips=1, seed=5)
    assert [path.name for path in tmp_path.iterdir()] == ["recordings"]


def test_only_what_is_recorded_and_kept_for_validation_is_in_it(
    bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = load_script("tools/real_validation.py")
    monkeypatch.setattr(tool, "load_real_list", lambda: LIST)
    recordings = write_recordings(tmp_path / "recordings")
    made = tool.real_validation(bank, recordings, tmp_path / "made", clips=4, seed=5)
    assert check_dataset(made) == []
    assert made.description()["kind"] != "RealBench"
    objects = [item for clip in made.clips() for item in made.scene(clip)["objects"]]
    kinds = {"rain": "everyday", "violin": "music", "man talking": "voice"}
    assert {(item["category"], item["kind"]) for item in objects} <= set(kinds.items())
    assert len({item["category"] for item in objects}) > 1
    # The bank has a tone of its own for each source: what sounds is of the validation part.
    tones = tone_bank(clips=1)
    for source in range(5, 8):
        (clip,) = torch.nonzero(tones.source == source)[:, 0].tolist()
        category = CATEGORIES[source - 5].replace(" ", "-")
        sound, rate_hz = soundfile.read(
            tmp_path / "made-sounds" / REAL[source - 5].partition("/")[0] / category / "0.wav"
        )
        assert rate_hz == tones.sample_rate_hz
        np.testing.assert_allclose(sound, tones.clip(clip).numpy(), atol=2 / 32768)  # 16 bits
    assert len(list((tmp_path / "made-sounds").glob("*/*/*.wav"))) == 3
    sounds = tool.write_sounds(StemBank.load(bank / "bank.safetensors", "val"), tmp_path / "more", instruments=True)
    assert [sound.also for sound in sounds if sound.category == "man talking"] == [("person talking",)]
    assert len(list((tmp_path / "more").glob("*/*/*.wav"))) == 4


@pytest.mark.parametrize(
    ("talkers", "objects", "shares", "pairs"),
    [
        (False, [], tuple(CompositionConfig().object_shares), CompositionConfig().talkers_share),
        (True, [], (0.0, 1.0), 1.0),
        (True, [3, 4], (0.0, 0.0, 0.5, 0.5), 1.0),
        (False, [1], (1.0,), CompositionConfig().talkers_share),
    ],
)
def test_scenes_have_the_objects_that_were_asked_for(
    talkers: bool, objects: list[int], shares: tuple[float, ...], pairs: float
) -> None:
    drawn = load_script("tools/composed_losses.py").chosen_scenes(talkers, objects)
    assert (drawn.object_shares, drawn.talkers_share) == (shares, pairs)
    assert (drawn.augment, drawn.absent_share, drawn.odd_name_share) == (False, 0.0, 0.0)


def test_losses_are_of_the_clips_that_were_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tool = load_script("tools/composed_losses.py")
    chosen = tool.some_clips(tone_bank(), ["cello"], ["val"])
    assert {chosen.categories[c] for c in chosen.category.tolist()} == {"cello"}
    assert {chosen.sources[s] for s in chosen.source.tolist()} == {"val font/cello"}
    folder = write_material(tmp_path / "bank")
    scenes = tool.composer(folder, chosen, TINY_SLOTS.text_encoder, tool.chosen_scenes(False, []), 7)
    assert scenes.source_names() == ["val font/cello"]
    with pytest.raises(SystemExit, match="no clips of dog are kept for validation"):
        tool.some_clips(tone_bank(), ["dog"], [])
    torch.manual_seed(0)
    save_checkpoint(tmp_path / "one", "slots", asdict(TINY_SLOTS), SlotsModel(TINY_SLOTS).state_dict(), {})
    said = []
    for _ in range(2):
        monkeypatch.setattr(sys, "argv", ["composed_losses.py", str(folder), str(tmp_path / "one"), "--scenes", "8"])
        tool.main()
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert said[0].startswith(f"{tmp_path / 'one'}: separation_db -")
