"""Writing two ears of unknown loudness: one gain for the whole file, and never half a file."""

from __future__ import annotations

import errno
import os
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile

from tas_core.audio.formats import AudioFormat, output_subtype
from tas_core.audio.normalised_writer import Levels, NormalisedWriter
from tas_core.errors import InputError, TasError

RATE = 8000


def _ears(level: float, samples: int = 5000) -> np.ndarray:
    ears = np.random.default_rng(0).uniform(-1, 1, (2, samples))
    return level * ears / np.abs(ears).max()


def _write(
    path: Path, ears: np.ndarray, subtype: str, size: int = 700, to_subtype: str | None = None, **options: object
) -> NormalisedWriter:
    form = AudioFormat(RATE, 2, ears.shape[1], to_subtype or output_subtype(path, subtype))
    with NormalisedWriter(path, form, subtype, **options) as writer:  # type: ignore[arg-type]
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
        with NormalisedWriter(tmp_path / "a.wav", AudioFormat(RATE, 2, 100, subtype), subtype) as writer:
            writer.write(_ears(0.5, 50))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        stop()
    assert os.listdir(tmp_path) == []


def test_too_few_samples_are_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(TasError, match="60 samples written, expected 100"),
        NormalisedWriter(tmp_path / "a.wav", AudioFormat(RATE, 2, 100, "PCM_16"), "PCM_16") as writer,
    ):
        writer.write(_ears(0.5, 60))
    assert os.listdir(tmp_path) == []


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"mine")
    form = AudioFormat(RATE, 2, 100, "PCM_16")
    with pytest.raises(InputError, match="exists"):
        NormalisedWriter(tmp_path / "a.wav", form, "PCM_16")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with NormalisedWriter(tmp_path / "a.wav", form, "PCM_16", overwrite=True) as writer:
            assert (tmp_path / "a.wav").read_bytes() == b"mine"  # until all is there
            writer.write(_ears(0.5, 100))
    assert soundfile.info(tmp_path / "a.wav").frames == 100


def test_a_full_folder_for_what_waits_for_standard_output_is_named_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(TasError, match=r"waits for standard output .* is the disk full\? TMPDIR in the environment"):
        NormalisedWriter("-", AudioFormat(RATE, 2, 100, "PCM_16"), "PCM_16")


# ------------------------------------------------------------------ full scale


@pytest.mark.parametrize("clip", ["rescale", "clamp", "error"])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_full_scale_itself_is_written_bit_by_bit(tmp_path: Path, clip: str, subtype: str) -> None:
    step = 2.0 ** -(int(subtype[4:]) - 1)
    ears = np.array([[1 - step, -1.0, 0.0, step], [-1.0, 1 - step, -step, 0.25]])
    writer = _write(tmp_path / "a.wav", ears, subtype, levels=Levels(clip=clip))
    assert (writer.gain, writer.clamped, writer.peak) == (1.0, 0, 1.0)
    np.testing.assert_array_equal(soundfile.read(tmp_path / "a.wav")[0].T, ears)


def test_clamping_limits_what_is_beyond_and_counts_it(tmp_path: Path) -> None:
    ears = _ears(0.9)
    ears[0, [100, 4000]] = 1.25, 2.0
    ears[1, 4999] = -1.1
    with pytest.warns(UserWarning, match=r"a\.wav: an ear would reach \+6\.02 dBFS at 0\.500 s; 3 samples beyond full"):
        writer = _write(tmp_path / "a.wav", ears, "PCM_16", levels=Levels(clip="clamp"))
    assert (writer.gain, writer.clamped, writer.peak) == (1.0, 3, 1.0)
    found = soundfile.read(tmp_path / "a.wav")[0].T
    np.testing.assert_allclose(found, np.clip(ears, -1, 1 - 2**-15), rtol=0, atol=2.0**-16)


@pytest.mark.parametrize("levels", [Levels(clip="error"), Levels(loudness_lufs=-1.0, clip="error")])
def test_beyond_full_scale_can_be_an_error_after_which_there_is_no_file(tmp_path: Path, levels: Levels) -> None:
    ears = _ears(0.9)
    ears[1, 2000] = -1.6
    with pytest.raises(
        TasError, match=r"a\.wav: an ear would reach \+\d\.\d\d dBFS at 0\.250 s, beyond .* PCM_16"
    ) as caught:
        _write(tmp_path / "a.wav", ears, "PCM_16", levels=levels)
    assert not isinstance(caught.value, InputError)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("clip", ["rescale", "clamp", "error"])
def test_floating_point_has_no_full_scale(tmp_path: Path, clip: str) -> None:
    writer = _write(tmp_path / "a.wav", _ears(1.7), "PCM_16", to_subtype="FLOAT", levels=Levels(clip=clip))
    assert (writer.subtype, writer.clamped) == ("FLOAT", 0)
    assert np.abs(soundfile.read(tmp_path / "a.wav")[0]).max() == pytest.approx(1.7)


# ------------------------------------------------------------------ gain and loudness


@pytest.mark.parametrize(("subtype", "atol"), [("PCM_16", 2.0**-16 + 1e-7), ("FLOAT", 1e-7)])
def test_a_gain_is_applied_to_both_ears(tmp_path: Path, subtype: str, atol: float) -> None:
    writer = _write(tmp_path / "a.wav", _ears(0.4), subtype, levels=Levels(gain_db=6.0))
    assert 20 * np.log10(writer.gain) == pytest.approx(6.0)
    found = soundfile.read(tmp_path / "a.wav")[0].T
    np.testing.assert_allclose(found, _ears(0.4) * 10 ** (6 / 20), rtol=0, atol=atol)


def test_a_gain_that_does_not_fit_is_taken_back(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"an ear would reach \+5\.08 dBFS at .* turned down by 5\.0[89] dB"):
        writer = _write(tmp_path / "a.wav", _ears(0.9), "PCM_16", levels=Levels(gain_db=6.0))
    assert writer.peak == pytest.approx(1 - 2**-15)
    assert writer.gain == pytest.approx(1 / 0.9, rel=1e-4)


@pytest.mark.parametrize(
    ("ending", "subtype"), [("wav", "PCM_16"), ("wav", "FLOAT"), ("wav", "DOUBLE"), ("flac", "FLOAT")]
)
def test_the_loudness_of_the_file_is_the_one_asked_for(tmp_path: Path, ending: str, subtype: str) -> None:
    ears = _ears(0.2, 4 * RATE) * np.linspace(0.05, 1, 4 * RATE)
    path = tmp_path / f"a.{ending}"
    writer = _write(path, ears, subtype, levels=Levels(loudness_lufs=-23.0))
    assert writer.loudness_lufs == pytest.approx(-23.0)
    found = pyloudnorm.Meter(RATE, filter_class="DeMan").integrated_loudness(soundfile.read(path)[0])
    assert found == pytest.approx(-23.0, abs=0.01)  # rounding to 16 bits adds noise


def test_a_loudness_that_does_not_fit_is_said(tmp_path: Path) -> None:
    ears = _ears(0.2, 2 * RATE)
    ears[0, 100] = 0.9
    with pytest.warns(UserWarning, match="turned down by"):
        writer = _write(tmp_path / "a.wav", ears, "PCM_16", levels=Levels(loudness_lufs=-6.0))
    assert writer.loudness_lufs is not None
    assert writer.loudness_lufs < -8
    found = pyloudnorm.Meter(RATE, filter_class="DeMan").integrated_loudness(soundfile.read(tmp_path / "a.wav")[0])
    assert writer.loudness_lufs == pytest.approx(found, abs=0.01)


def test_silence_keeps_its_level(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"a\.wav: silence has no loudness; the level was kept"):
        writer = _write(tmp_path / "a.wav", np.zeros((2, RATE)), "FLOAT", levels=Levels(loudness_lufs=-23.0))
    assert (writer.gain, writer.loudness_lufs, writer.peak) == (1.0, None, 0.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"clip": "wrap"}, "unknown clip mode 'wrap'; expected one of rescale, rescale-all, clamp, error"),
        ({"gain_db": float("nan")}, "the gain is nan dB, expected -100 to 100 dB"),
        ({"gain_db": 101.0}, "the gain is 101.0 dB"),
        ({"loudness_lufs": 3.0}, "the loudness is 3.0 LUFS, expected -70 to 0 LUFS"),
        ({"loudness_lufs": float("nan")}, "the loudness is nan LUFS"),
        ({"gain_db": 1.0, "loudness_lufs": -23.0}, "a gain and a loudness were given, expected one of them"),
    ],
)
def test_impossible_levels_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Levels(**values)  # type: ignore[arg-type]


# ------------------------------------------------------------------ dither


@pytest.mark.parametrize(
    ("subtype", "to_subtype", "dithered"),
    [("PCM_16", None, False), ("PCM_24", None, False), ("PCM_24", "PCM_16", True), ("FLOAT", "PCM_16", True)],
)
def test_dither_comes_with_fewer_bits(tmp_path: Path, subtype: str, to_subtype: str | None, dithered: bool) -> None:
    ears = np.full((2, 4000), 100 * 2.0**-15)
    writer = _write(tmp_path / "a.wav", ears, subtype, to_subtype=to_subtype, seed=1)
    found = soundfile.read(tmp_path / "a.wav")[0].T
    assert writer.subtype == (to_subtype or subtype)
    assert (found != ears).any() == dithered
    assert np.abs(found - ears).max() <= 2.0**-15 * dithered
    _write(tmp_path / "b.wav", ears, subtype, to_subtype=to_subtype, seed=2)
    assert ((tmp_path / "a.wav").read_bytes() != (tmp_path / "b.wav").read_bytes()) == dithered


def test_long_files_become_rf64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tas_core.audio.writer.MAX_CHUNK_BYTES", 20_000)
    _write(tmp_path / "a.wav", _ears(0.5, 5001), "PCM_16")
    assert (tmp_path / "a.wav").read_bytes().startswith(b"RF64")
    assert soundfile.info(tmp_path / "a.wav").frames == 5001
