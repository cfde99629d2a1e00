from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.delivery.stems import StemWriter, check_stem_folder, stem_paths
from tas_core.errors import InputError, TasError
from tas_core.timeline.segments import Segment, Timeline, stem_names

NAMES = ("cello", "a man talking", "rest")


def _write(folder: Path, stems: np.ndarray, **options: bool) -> tuple[Path, ...]:
    with StemWriter(folder, NAMES, 44100, stems.shape[1], **options) as writer:
        for block in np.array_split(stems, 3, axis=1):
            writer.write(dict(enumerate(block)), block.shape[1])
    return writer.paths


def test_files_sum_to_the_input_and_are_named_by_their_objects(tmp_path: Path) -> None:
    stems = np.random.default_rng(0).uniform(-1.4, 1.4, (3, 5000))
    paths = _write(tmp_path / "stems", stems)
    assert [p.name for p in paths] == ["1-cello.wav", "2-a-man-talking.wav", "rest.wav"]
    assert sorted(p.name for p in (tmp_path / "stems").iterdir()) == sorted(p.name for p in paths)
    for path, stem in zip(paths, stems, strict=True):
        samples, rate_hz = soundfile.read(path, dtype="float64")
        assert rate_hz == 44100
        # Single precision; louder than full scale is kept.
        np.testing.assert_allclose(samples, stem, rtol=2**-24, atol=0)


def test_names_are_in_the_order_of_the_first_mention() -> None:
    later = Segment.from_prompt(2, None, "piano left, cello right")
    first = Segment.from_prompt(0, 1, "cello left, dog right")
    assert stem_names(Timeline((later, first))) == ("cello", "dog", "piano", "rest")


def test_what_is_not_given_is_silent(tmp_path: Path) -> None:
    with StemWriter(tmp_path / "stems", NAMES, 44100, 300) as writer:
        writer.write({1: np.full(100, 0.5), 2: np.full(100, 0.25)}, 100)
        writer.write({2: np.full(200, 0.125)}, 200)
    cello, man, rest = (soundfile.read(path)[0] for path in writer.paths)
    np.testing.assert_array_equal(cello, np.zeros(300))
    np.testing.assert_array_equal(man, [0.5] * 100 + [0.0] * 200)
    np.testing.assert_array_equal(rest, [0.25] * 100 + [0.125] * 200)


def test_more_stems_than_files_may_be_open_are_refused(tmp_path: Path) -> None:
    """And as many as are allowed can in fact be open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        names = [f"object {number}" for number in range(95)]
        with StemWriter(tmp_path / "stems", [*names, "rest"], 44100, 10) as writer:
            writer.write({}, 10)
        with pytest.raises(
            InputError, match=r"more: 97 stems, expected at most 96, .* 256 files .*ulimit -n 258 allow"
        ):
            check_stem_folder(tmp_path / "more", [*names, "another", "rest"])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(writer.paths) == len(list((tmp_path / "stems").iterdir())) == 96


def test_names_that_are_no_file_names() -> None:
    names = ("../up", "rest", "Öl & Wasser", "???", "x" * 300, "rest")
    found = [p.name for p in stem_paths("f", names)]
    assert found == ["1-up.wav", "2-rest.wav", "3-öl-wasser.wav", "4-object.wav", f"5-{'x' * 60}.wav", "rest.wav"]
    assert all(p.parent == Path("f") for p in stem_paths("f", names))


@pytest.mark.parametrize(("count", "first", "last"), [(1, "1-a", "1-a"), (9, "1-a", "9-a"), (10, "01-a", "10-a")])
def test_stems_sort_by_their_numbers(count: int, first: str, last: str) -> None:
    found = [path.name for path in stem_paths("f", ["a"] * count + ["rest"])]
    assert (found[0], found[-2], found[-1]) == (f"{first}.wav", f"{last}.wav", "rest.wav")
    assert sorted(found) == found
    assert [path.name for path in stem_paths("f", ["a"] * 100 + ["rest"])][1] == "002-a.wav"


def test_existing_files_are_kept_unless_told_otherwise(tmp_path: Path) -> None:
    stems = np.zeros((3, 100))
    (tmp_path / "rest.wav").write_text("mine")
    with pytest.raises(InputError, match="rest.wav: the file exists"):
        _write(tmp_path, stems)
    assert [p.name for p in tmp_path.iterdir()] == ["rest.wav"]
    _write(tmp_path, stems, overwrite=True)
    assert len(soundfile.read(tmp_path / "rest.wav")[0]) == 100


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_link_in_the_folder_leads_nothing_out_of_it(tmp_path: Path, overwrite: bool) -> None:
    stems, elsewhere = tmp_path / "stems", tmp_path / "elsewhere.wav"
    stems.mkdir()
    (stems / "1-cello.wav").symlink_to(elsewhere)
    with pytest.raises(
        InputError, match=r"1-cello\.wav: it leads to .*elsewhere\.wav, out of .*stems; expected a name"
    ):
        _write(stems, np.zeros((3, 100)), overwrite=overwrite)
    assert not elsewhere.exists()
    assert [path.name for path in stems.iterdir()] == ["1-cello.wav"]


def test_folders_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder, message in ((tmp_path / "file", "not a folder"), (tmp_path / "none" / "stems", "does not exist")):
        with pytest.raises(InputError, match=message):
            check_stem_folder(folder, NAMES)
        with pytest.raises(InputError, match=message):
            StemWriter(folder, NAMES, 44100, 10)


def test_nothing_is_left_of_a_run_that_fails(tmp_path: Path) -> None:
    folder = tmp_path / "stems"

    def interrupted() -> None:
        with StemWriter(folder, NAMES, 44100, 100) as writer:
            writer.write({}, 50)
            raise KeyboardInterrupt

    def short() -> None:
        with StemWriter(folder, NAMES, 44100, 100) as writer:
            writer.write({}, 50)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not folder.exists()
    with pytest.raises(TasError, match="50 samples written, expected 100"):
        short()
    assert not folder.exists()
