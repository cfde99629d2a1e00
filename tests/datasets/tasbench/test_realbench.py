"""RealBench: what is said of a clip is what sounds in it, with the ears of its own head, whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.acoustics.sofa import read_sofa
from tas_core.datasets.sources.catalogue import SOUND_KINDS
from tas_core.datasets.tasbench import simulation
from tas_core.datasets.tasbench.checking import check_dataset
from tas_core.datasets.tasbench.layout import TasBench
from tas_core.datasets.tasbench.realbench import MIXTURE_EVERY, RealClips, draw_sounds, realbench
from tas_core.errors import InputError, TasError
from tests.datasets.tasbench.test_simulation import check_annotations, tree
from tests.support import real_recordings
from tests.support.real_recordings import PART_RATIO_DB, RATE_HZ, SOUNDS, TONES_HZ

CLIPS = 7


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = real_recordings.write_recordings(tmp_path_factory.mktemp("recordings"))
    with pytest.MonkeyPatch.context() as patch:
        real_recordings.use(patch)
        yield root
    real_recordings.forget()


@pytest.fixture(scope="module")
def data(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> TasBench:
    return realbench(tmp_path_factory.mktemp("made") / "real", recordings, CLIPS, seed=3, rate_hz=RATE_HZ)


def test_clips_are_as_they_are_described_and_all_for_testing(data: TasBench) -> None:
    assert check_dataset(data) == []
    assert len(data.clips()) == CLIPS
    assert data.split_clips("test") == data.clips()
    assert data.split_clips("train") == data.split_clips("val") == ()
    for clip in data.clips():
        check_annotations(data, clip)
    assert not list(data.root.glob("**/.*"))


def test_objects_sound_as_their_recordings_at_their_own_pitch(data: TasBench) -> None:
    heard = 0
    for clip in data.clips():
        for item in data.scene(clip)["objects"]:
            name = item["source"].partition("/")[2]
            if name not in TONES_HZ:
                continue
            stem, _ = soundfile.read(data.stem_folder(clip) / item["file"])
            spectrum = np.abs(np.fft.rfft(stem.mean(axis=1)))
            loudest_hz = np.argmax(spectrum) * RATE_HZ / len(stem)
            assert loudest_hz == pytest.approx(TONES_HZ[name], abs=8), name
            heard += 1
    assert heard > CLIPS / 2


def test_parts_of_a_mixture_keep_their_levels(data: TasBench) -> None:
    scene = data.scene(f"{MIXTURE_EVERY:06d}")
    levels = {}
    for item in scene["objects"]:
        stem, _ = soundfile.read(data.stem_folder(scene["clip"]) / item["file"])
        levels[item["phrase"]] = 10 * np.log10(np.square(stem).mean())
    assert levels.keys() == {"guitar", "rock band"}
    assert levels["rock band"] - levels["guitar"] == pytest.approx(PART_RATIO_DB, abs=0.3)
    begins = {item["material"][0].rpartition(" ")[2] for item in scene["objects"]}
    assert len(begins) == 1


def test_the_same_seed_gives_the_same_bytes_and_goes_on(data: TasBench, recordings: Path, tmp_path: Path) -> None:
    part = tmp_path / "part"
    realbench(part, recordings, 2, seed=3, rate_hz=RATE_HZ)
    # A clip that was interrupted: files in place, but no description.
    (part / "stems" / "000003").mkdir()
    (part / "head.sofa").unlink()
    assert tree(realbench(part, recordings, CLIPS, seed=3, rate_hz=RATE_HZ).root) == tree(data.root)
    with pytest.raises(InputError, match=r"made with .*'seed': 3.*choose another"):
        realbench(part, recordings, CLIPS, seed=4, rate_hz=RATE_HZ)
    recipes = [RealClips(recordings, seed, RATE_HZ, real_recordings.LIST) for seed in (3, 4)]
    assert recipes[0].scene(1) != recipes[1].scene(1)


def test_the_head_goes_with_the_data(data: TasBench, recordings: Path) -> None:
    head = data.head()
    assert head is not None
    np.testing.assert_array_equal(head.hrir, read_sofa(recordings / "ears" / "head.sofa").hrir)
    assert data.description()["head_name"] == "a sphere"


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such file"), (b"spoilt", "not a readable SOFA file"), ("../head.sofa", "expected a file in")],
)
def test_a_head_that_is_not_there_is_found(
    data: TasBench, tmp_path: Path, content: bytes | str | None, message: str
) -> None:
    own = TasBench(Path(shutil.copytree(data.root, tmp_path / "own")))
    if isinstance(content, str):
        path = own.root / "dataset.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"head": content}))
    elif content is None:
        (own.root / "head.sofa").unlink()
    else:
        (own.root / "head.sofa").write_bytes(content)
    problems = check_dataset(own)
    assert [problem.severity for problem in problems] == ["error"]
    assert message in problems[0].message


def test_what_is_missing_is_said_before_anything_is_written(recordings: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(recordings, tmp_path / "own"))
    (own / "two" / "duo" / "song.wav").unlink()
    real_recordings.forget()
    with pytest.raises(TasError, match=r"no recordings 'duo/song\.wav'"):
        realbench(tmp_path / "out", own, 1)
    shutil.rmtree(own / "two")
    with pytest.raises(TasError, match=r"holds no recordings of two; .*install-realbench\.sh"):
        realbench(tmp_path / "out", own, 1)
    real_recordings.forget()
    with pytest.raises(TasError, match=r"install-realbench\.sh"):
        realbench(tmp_path / "out", tmp_path / "nowhere", 1)
    assert not (tmp_path / "out").exists()


def test_an_interruption_leaves_nothing_half_written(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, calls = simulation.write_audio, []

    def failing(path: Path, *arguments: object) -> None:
        calls.append(path)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        write(path, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(simulation, "write_audio", failing)
    with pytest.raises(TasError, match="disk full"):
        realbench(tmp_path / "out", recordings, 4, rate_hz=RATE_HZ)
    made = {path.parent.name for path in (tmp_path / "out").glob("stems/*/scene.json")}
    assert {path.name for path in (tmp_path / "out" / "stems").iterdir()} == made


@pytest.mark.usefixtures("recordings")
def test_no_two_objects_of_a_scene_go_by_one_name() -> None:
    rng = np.random.default_rng(0)
    kinds = set()
    for _ in range(50):
        chosen = draw_sounds(SOUNDS, 4, rng)
        assert len({sound.category for sound in chosen}) == 4
        words = [word for sound in chosen for word in sound.words]
        assert len(set(words)) == len(words)
        kinds |= {sound.kind for sound in chosen}
    assert kinds == set(SOUND_KINDS)
    assert {sound.name for sound in SOUNDS} == set(TONES_HZ)
