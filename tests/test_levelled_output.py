"""Writing two ears of unknown loudness: one gain for the whole file, and never half a file."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.errors import InputError, TasError
from tas_core.levelled_output import LevelledWriter

RATE = 8000


def _ears(level: float, samples: int = 5000) -> np.ndarray:
    ears = np.random.default_rng(0).uniform(-1, 1, (2, samples))
    return level * ears / np.abs(ears).max()


def _write(path: Path, ears: np.ndarray, subtype: str, size: int = 700) -> LevelledWriter:
    with LevelledWriter(path, RATE, ears.shape[1], subtype) as writer:
        for at in range(0, ears.shape[1], size):
            writer.write(ears[:, at : at + size])
    return writer


@pytest.mark.parametrize(("ending", "subtype"), [("wav", "PCM_16"), ("flac", "PCM_24"), ("wav", "PCM_32")])
def test_what_fits_is_written_as_it_is(tmp_path: Path, ending: str, subtype: str) -> None:
    ears = _ears(0.9)
    writer = _write(tmp_path / f"a.{ending}", ears, subtype)
    assert writer.gain == 1
    assert writer.peak == pytest.approx(0.9)
    found, _ = soundfile.read(tmp_path / f"a.{ending}", always_2d=True)
    step = 2.0 ** -(int(subtype[4:]) - 1)
    # Half a step of rounding; with 16 bits, what waits for the end of the file has single precision.
    assert np.abs(found.T - ears).max() <= step / 2 + (2.0**-25 if subtype == "PCM_16" else 1e-12)
    assert os.listdir(tmp_path) == [f"a.{ending}"]


def test_one_gain_for_the_whole_file(tmp_path: Path) -> None:
    ears = _ears(0.5)
    ears[1, 4321] = -1.6  # late, when most is written
    with pytest.warns(UserWarning, match=r"\+4\.08 dBFS at 0\.540 s; the whole file was turned down by 4\.08 dB"):
        writer = _write(tmp_path / "a.wav", ears, "PCM_16")
    assert writer.peak == pytest.approx(1 - 2**-15)
    found, _ = soundfile.read(tmp_path / "a.wav")
    np.testing.assert_allclose(found.T, ears * writer.gain, rtol=0, atol=2.0**-16 + 1e-7)
    assert np.abs(found).max() == pytest.approx(1 - 2**-15)


def test_floating_point_keeps_what_is_above_full_scale(tmp_path: Path) -> None:
    ears = _ears(1.7)
    writer = _write(tmp_path / "a.wav", ears, "FLOAT")
    assert writer.gain == 1
    assert writer.peak == pytest.approx(1.7)
    found, _ = soundfile.read(tmp_path / "a.wav")
    np.testing.assert_allclose(found.T, ears, rtol=0, atol=2e-7)


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_an_error_leaves_nothing_behind(tmp_path: Path, subtype: str) -> None:
    def stop() -> None:
        with LevelledWriter(tmp_path / "a.wav", RATE, 100, subtype) as writer:
            writer.write(_ears(0.5, 50))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        stop()
    assert os.listdir(tmp_path) == []


def test_too_few_samples_are_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(TasError, match="60 samples written, expected 100"),
        LevelledWriter(tmp_path / "a.wav", RATE, 100, "PCM_16") as writer,
    ):
        writer.write(_ears(0.5, 60))
    assert os.listdir(tmp_path) == []


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"mine")
    with pytest.raises(InputError, match="exists"):
        LevelledWriter(tmp_path / "a.wav", RATE, 100, "PCM_16")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with LevelledWriter(tmp_path / "a.wav", RATE, 100, "PCM_16", overwrite=True) as writer:
            assert (tmp_path / "a.wav").read_bytes() == b"mine"  # until all is there
            writer.write(_ears(0.5, 100))
    assert soundfile.info(tmp_path / "a.wav").frames == 100
