"""Scores of files: what the measures say of them, and nothing averaged in that does not belong."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.audio.resampling import resample
from tas_core.errors import InputError
from tas_core.evaluation.files import evaluate_files
from tas_core.evaluation.metrics import LONG_STFT, ic_error, ild_error_db, itd_error_us, paper_metrics, snr_db
from tests.conftest import Finished, tone

RATE_HZ = 16_000


def pair(seed: int = 0, seconds: float = 1.0, rate_hz: int = RATE_HZ) -> tuple[np.ndarray, np.ndarray]:
    """A prediction and a reference, (ear, time)."""
    truth = tone(seconds, rate_hz, channels=2)
    return truth + 0.05 * np.random.default_rng(seed).standard_normal(truth.shape), truth


def write(path: Path, ears: np.ndarray, rate_hz: int = RATE_HZ) -> Path:
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, ears.T, rate_hz, subtype="DOUBLE")
    return path


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Three good pairs."""
    for seed, name in enumerate("abc"):
        ours, theirs = pair(seed)
        write(tmp_path / "pred" / f"{name}.wav", ours * (1 + seed))
        write(tmp_path / "ref" / f"{name}.wav", theirs)
    return tmp_path / "pred", tmp_path / "ref"


@pytest.mark.parametrize("normalise", [True, False])
def test_files_are_scored_by_the_measures(folders: tuple[Path, Path], normalise: bool) -> None:
    table = evaluate_files(*folders, normalise=normalise)
    assert table.clips == ("a", "b", "c")
    row = table.row("prediction")
    for seed, name in enumerate("abc"):
        ours, theirs = pair(seed)
        ours = ours * (1 + seed)
        expected = paper_metrics(ours, theirs, normalise=normalise)
        for measure in ("stft", "env", "wav_x1000", "amp", "pha", "snr_db"):
            assert row.values[name][measure] == pytest.approx(float(getattr(expected, measure)), rel=1e-9)
        assert row.values[name]["ic_error"] == pytest.approx(float(ic_error(ours, theirs, RATE_HZ)))
        assert row.values[name]["ild_error_db"] == pytest.approx(float(ild_error_db(ours, theirs, RATE_HZ)))
        assert row.values[name]["itd_error_us"] == pytest.approx(float(itd_error_us(ours, theirs, RATE_HZ)))
    values = [row.values[name]["snr_db"] for name in "abc"]
    found = row.measures["snr_db"]
    assert found.mean == pytest.approx(np.mean(values))
    assert found.low <= found.mean <= found.high
    assert found.count == 3


def test_the_other_transform(folders: tuple[Path, Path]) -> None:
    found = evaluate_files(*folders, stft="long").row("prediction").values["a"]
    expected = paper_metrics(*pair(0), phase_stft=LONG_STFT)
    assert found["amp"] == pytest.approx(float(expected.amp))
    assert found["pha"] == pytest.approx(float(expected.pha))
    with pytest.raises(InputError, match="unknown stft"):
        evaluate_files(*folders, stft="wide")


def test_two_files_whatever_their_names(tmp_path: Path) -> None:
    ours, theirs = pair()
    table = evaluate_files(write(tmp_path / "x.wav", ours), write(tmp_path / "y.wav", theirs), normalise=False)
    assert table.row("prediction").values["x"]["snr_db"] == pytest.approx(float(snr_db(ours, theirs)))


def test_a_file_against_a_folder(folders: tuple[Path, Path]) -> None:
    table = evaluate_files(folders[0] / "b.wav", folders[1])
    assert table.clips == ("b",)
    assert table.excluded == {}


def test_rates_are_brought_to_16_khz(tmp_path: Path) -> None:
    ours, theirs = pair(rate_hz=44_100)
    low = resample(ours, 44_100, RATE_HZ)
    paths = write(tmp_path / "pred" / "a.wav", low), write(tmp_path / "ref" / "a.wav", theirs, 44_100)
    found = evaluate_files(*paths, normalise=False).row("prediction").values["a"]
    assert found["snr_db"] == pytest.approx(float(snr_db(low, resample(theirs, 44_100, RATE_HZ))))


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_what_ffmpeg_reads_is_scored_as_what_it_decodes_to(tmp_path: Path) -> None:
    """Files that ``tas spatialize`` takes from a folder are taken here too."""
    ours, theirs = pair(seconds=2.0, rate_hz=48_000)
    for name, ending, codec in (("a", ".m4a", "alac"), ("b", ".webm", "libopus"), ("c", ".WV", "wavpack")):
        write(tmp_path / "ref" / f"{name}.wav", theirs, 48_000)
        write(tmp_path / "made" / f"{name}.wav", ours, 48_000)
        (tmp_path / "pred").mkdir(exist_ok=True)
        command = ["ffmpeg", "-v", "error", "-i", tmp_path / "made" / f"{name}.wav", "-c:a", codec]
        subprocess.run([*command, tmp_path / "pred" / f"{name}{ending}"], check=True)
    (tmp_path / "pred" / "notes.txt").write_text("not a sound")
    table, made = (evaluate_files(tmp_path / folder, tmp_path / "ref") for folder in ("pred", "made"))
    assert (table.clips, table.excluded) == (("a", "b", "c"), {})
    snr_db, made_db = (
        {clip: each["snr_db"] for clip, each in t.row("prediction").values.items()} for t in (table, made)
    )
    assert snr_db["a"] == pytest.approx(made_db["a"], abs=1e-3)  # lossless, of 32 or 24 bits
    assert snr_db["c"] == pytest.approx(made_db["c"], abs=1e-3)
    assert snr_db["b"] == pytest.approx(made_db["b"], abs=3)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_one_name_for_a_sound_and_a_film_is_refused(folders: tuple[Path, Path]) -> None:
    ours, theirs = folders
    (ours / "a.mp4").write_bytes((ours / "b.wav").read_bytes())
    with pytest.raises(InputError, match=r"pred: a\.mp4 and a\.wav have the same stem, expected one"):
        evaluate_files(ours, theirs)


def test_what_does_not_belong_is_named_and_counted(folders: tuple[Path, Path], tas: Callable[..., Finished]) -> None:
    ours, theirs = pair()
    pred, ref = folders
    write(pred / "long.wav", ours)
    write(ref / "long.wav", theirs[:, :-400])
    write(pred / "nearly.wav", ours[:, :-300])
    write(ref / "nearly.wav", theirs)
    write(pred / "narrow.wav", ours[:1])
    write(ref / "narrow.wav", theirs)
    write(pred / "quiet.wav", ours)
    write(ref / "quiet.wav", 0 * theirs)
    spoilt = ours.copy()
    spoilt[0, 7] = np.nan
    write(pred / "nan.wav", spoilt)
    write(ref / "nan.wav", theirs)
    write(pred / "alone.wav", ours)
    write(ref / "left.wav", theirs)
    (pred / "notes.txt").write_text("no audio")
    target = pred.parent / "scores.json"
    done = tas("eval", "files", pred, ref, "--save", target)
    assert done.code == 0
    report = json.loads(target.read_text())
    assert report["clips"] == ["a", "b", "c", "nearly"]
    assert report["rows"][0]["measures"]["snr_db"]["count"] == 4
    assert report["excluded"]["count"] == 6
    reasons = report["excluded"]["clips"]
    for name, words in {
        "long": "1.000 s long, but the reference 0.975 s",
        "narrow": "1 channel, expected two",
        "quiet": "the reference is silent",
        "nan": "nan",
        "alone": "no reference",
        "left": "no prediction",
    }.items():
        assert words in reasons[name]
        assert any(line.startswith(f"tas: excluded: {name}: ") for line in done.err.splitlines())
    assert report["notes"] == ["nearly: cut to the shorter of 15700 and 16000 samples at 16 kHz"]
    assert len(done.err.splitlines()) == 7


def test_a_silent_prediction_is_scored(tmp_path: Path) -> None:
    ours, theirs = pair()
    paths = write(tmp_path / "pred" / "a.wav", 0 * ours), write(tmp_path / "ref" / "a.wav", theirs)
    found = evaluate_files(*paths).row("prediction").values["a"]
    assert found["snr_db"] == pytest.approx(0, abs=0.05)
    assert "pha" not in found


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda pred, ref: (pred / "none", ref), "no such file or folder"),
        (lambda pred, ref: (pred, ref.parent / "empty"), "no audio files in the folder"),
        (lambda pred, ref: (pred, ref.parent / "others"), "has the stem of a reference"),
        (lambda pred, ref: (pred.parent / "twice", ref), "have the same stem"),
        (lambda pred, ref: (pred.parent / "bad.wav", ref / "a.wav"), "no pair can be scored; bad: "),
        (lambda pred, ref: (pred / "a.wav", ref / "a.wav", "--save", ref / "a.wav"), "the output is the input"),
        (lambda pred, ref: (pred / "a.wav", ref / "a.wav", "--save", ref / "a.wav", "--force"), "is the input"),
        (lambda pred, ref: (pred / "a.wav", ref / "a.wav", "--save", pred / "a.wav"), "the output is the input"),
        (lambda pred, ref: (pred, ref, "--save", pred / "b.wav"), r"the file exists, .* \(--force\)"),
    ],
)
def test_bad_requests_are_one_line(
    folders: tuple[Path, Path], tas: Callable[..., Finished], spoil: Callable[..., tuple[object, ...]], message: str
) -> None:
    root = folders[0].parent
    (root / "empty").mkdir()
    write(root / "others" / "z.wav", pair()[1])
    write(root / "twice" / "a.wav", pair()[1])
    soundfile.write(root / "twice" / "a.flac", pair()[1].T, RATE_HZ)
    (root / "bad.wav").write_bytes(b"RIFF")
    done = tas("eval", "files", *spoil(*folders))
    assert done.code == 2
    assert re.search(message, done.error_line)
    assert done.out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("files", "ours"), "Missing argument 'REF'"),
        (("files", "ours", "theirs", "--model", "mono"), "No such option: --model"),
        (("data", "bench", "theirs"), "unexpected extra argument"),
        (("ours", "theirs"), "No such command 'ours'"),
    ],
)
def test_files_and_data_sets_do_not_mix(tas: Callable[..., Finished], arguments: tuple[str, ...], message: str) -> None:
    done = tas("eval", *arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err.splitlines()[-1]


def test_one_object_on_stdout_is_what_is_saved(folders: tuple[Path, Path], tas: Callable[..., Finished]) -> None:
    target = folders[0].parent / "scores.json"
    done = tas("eval", "files", *folders, "--json", "--save", target)
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out) == json.loads(target.read_text())
    assert len(done.out.splitlines()) == 1
    before = target.read_bytes()
    assert tas("eval", "files", *folders, "--save", target).error_line.endswith("(--force)")
    assert target.read_bytes() == before
    target.write_text("of an earlier run")
    assert tas("eval", "files", *folders, "--save", target, "--force").code == 0
    assert json.loads(target.read_text())["clips"] == json.loads(before)["clips"]
