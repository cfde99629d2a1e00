"""Dither, tags and standard streams of audio files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.audio.formats import AudioFormat
from tas_core.audio.reader import AudioReader, read_audio
from tas_core.audio.writer import AudioWriter, check_output_path, write_audio
from tas_core.errors import AudioError, InputError
from tests.conftest import tone

RATE = 16_000
TAGS = {"title": "Zwei Töne", "artist": "Somebody", "comment": "for tests", "date": "2026", "software": "another"}


def write(path: Path, ears: np.ndarray, subtype: str, seed: int | None = 0, size: int = 10**9) -> np.ndarray:
    """What was written, in steps of the encoding, (ear, time)."""
    form = AudioFormat(RATE, len(ears), ears.shape[1], subtype)
    with AudioWriter(path, form, dither_seed=seed, overwrite=True) as writer:
        for at in range(0, ears.shape[1], size):
            writer.write(ears[:, at : at + size])
    bits = int(subtype.removeprefix("PCM_"))
    return soundfile.read(path, always_2d=True)[0].T * 2.0 ** (bits - 1)


# ------------------------------------------------------------------ dither


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_the_error_of_dithered_rounding_does_not_depend_on_the_sound(tmp_path: Path, subtype: str) -> None:
    """Triangular noise of two steps makes its mean 0 and its power 1/4 of a step squared for any sample.

    1/12 for rounding and twice 1/12 for the two rectangular noises that make the triangle.
    """
    step = 2.0 ** (1 - int(subtype.removeprefix("PCM_")))
    count = 100_000
    for part in (0.1, 0.25, 0.5, 0.75):
        error = write(tmp_path / "a.wav", np.full((2, count), (7 + part) * step), subtype) - (7 + part)
        # Four standard errors of the mean, and of the power, whose spread over samples is below 0.4.
        assert np.abs(error.mean(axis=1)).max() < 4 * 0.5 / count**0.5
        assert np.abs((error**2).mean(axis=1) - 0.25).max() < 4 * 0.4 / count**0.5
        assert abs(np.corrcoef(error)[0, 1]) < 4 / count**0.5


def test_the_noise_is_triangular(tmp_path: Path) -> None:
    """Rounding a step number n + 1/2 gives n - 1 ... n + 2 with the probabilities of a triangle cut into steps."""
    found = write(tmp_path / "a.wav", np.full((2, 200_000), 5.5 * 2.0**-15), "PCM_16")
    values, counts = np.unique(found, return_counts=True)
    np.testing.assert_array_equal(values, [5, 6])
    assert counts[0] / counts.sum() == pytest.approx(0.5, abs=4 * 0.5 / 400_000**0.5)
    found = write(tmp_path / "a.wav", np.full((2, 200_000), 5.0 * 2.0**-15), "PCM_16")
    values, counts = np.unique(found, return_counts=True)
    np.testing.assert_array_equal(values, [4, 5, 6])
    # The triangle over -1 to 1 has 1/8 of its area beyond each half.
    assert counts / counts.sum() == pytest.approx([1 / 8, 3 / 4, 1 / 8], abs=4 * 0.5 / 400_000**0.5)


def test_a_tone_below_one_step_survives_and_has_no_overtones(tmp_path: Path) -> None:
    """What dither is for: without it, the tone vanishes."""
    t = np.arange(2**16) / RATE
    hz = RATE * 4000 / 2**16
    tone_ = 0.45 * 2.0**-15 * np.sin(2 * np.pi * hz * t)
    assert not write(tmp_path / "a.wav", tone_[None], "PCM_16", seed=None).any()
    spectrum = np.abs(np.fft.rfft(write(tmp_path / "a.wav", tone_[None], "PCM_16")[0])) / 2**15
    noise = (0.5 / 2**16) ** 0.5 * 2  # of one bin, for a power of 1/4 in 2^15 bins
    assert spectrum[4000] == pytest.approx(0.45, abs=4 * noise)
    assert spectrum[[8000, 12_000, 20_000]].max() < 4 * noise


def test_the_same_seed_gives_the_same_noise_however_the_samples_are_cut(tmp_path: Path) -> None:
    ears = 0.3 * np.random.default_rng(5).uniform(-1, 1, (2, 150_000))
    whole = write(tmp_path / "a.wav", ears, "PCM_16", seed=3)
    np.testing.assert_array_equal(write(tmp_path / "a.wav", ears, "PCM_16", seed=3, size=777), whole)
    assert (write(tmp_path / "a.wav", ears, "PCM_16", seed=4) != whole).any()


def test_digital_silence_stays_digital_silence(tmp_path: Path) -> None:
    ears = np.zeros((2, 3000))
    ears[:, :1000] = 0.1
    ears[0, 2000:] = 1e-8  # what is left of a filter where the mono input was silent
    ears[1, 2000:] = -1e-8
    found = write(tmp_path / "a.wav", ears, "PCM_16")
    assert (found[:, :1000] != found[0, 0]).any()
    assert not found[:, 1000:].any()


def test_dither_at_full_scale_does_not_wrap_around(tmp_path: Path) -> None:
    ears = np.concatenate([np.full((2, 500), 1 - 2.0**-15), np.full((2, 500), -1.0)], axis=1)
    found = write(tmp_path / "a.wav", ears, "PCM_16")
    assert found[:, :500].min() >= 2**15 - 3
    assert found[:, 500:].max() <= -(2**15) + 2


# ------------------------------------------------------------------ tags


@pytest.mark.parametrize(
    ("name", "subtype", "kept"),
    [
        ("a.wav", "PCM_16", "title artist comment date"),
        ("a.flac", "PCM_16", "title artist comment date"),
        ("a.ogg", "VORBIS", "title artist comment date"),
        ("a.caf", "PCM_16", "title artist comment date"),
        ("a.rf64", "PCM_16", "title artist comment date"),
        ("a.aiff", "PCM_16", "title artist comment"),
        ("a.w64", "PCM_16", ""),
    ],
)
def test_tags_are_kept_where_the_format_can(tmp_path: Path, name: str, subtype: str, kept: str) -> None:
    """All but the program that wrote the input, which did not write the output."""
    with AudioWriter(tmp_path / name, AudioFormat(RATE, 2, 100, subtype, TAGS)) as writer:
        writer.write(np.zeros((2, 100)))
    with AudioReader(tmp_path / name) as reader:
        assert reader.num_frames == 100
        assert reader.tags == {key: TAGS[key] for key in kept.split()}


# ------------------------------------------------------------------ seeking


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.aiff", "a.mp3"])
def test_reading_goes_on_at_any_sample(tmp_path: Path, name: str) -> None:
    soundfile.write(tmp_path / name, 0.5 * tone(3.0, channels=2).T, RATE)
    whole = read_audio(tmp_path / name).samples
    with AudioReader(tmp_path / name) as reader:
        for at in (30_001, 12_345, 0):
            reader.seek(at)
            # Decoders round in single precision.
            np.testing.assert_allclose(reader.read(2000), whole[:, at : at + 2000], rtol=0, atol=1e-6)


def test_an_mp3_is_the_same_however_it_is_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Its frames depend on those before them; the rate, noise and places are such that decoders forget them."""
    soundfile.write(tmp_path / "a.mp3", tone(14.0, 22_050)[0], 22_050)
    whole = soundfile.read(tmp_path / "a.mp3", dtype="float32")[0]
    with AudioReader(tmp_path / "a.mp3") as reader:
        for at in (4771, 210_605, 210_651):
            reader.seek(at)
            np.testing.assert_allclose(reader.read(2000)[0], whole[at : at + 2000], rtol=0, atol=1e-6)
        reader.seek(0)
        blocks = [reader.read(4771) for _ in range(60)]
    np.testing.assert_allclose(np.concatenate(blocks, axis=1)[0], whole[: 60 * 4771], rtol=0, atol=1e-6)
    assert capfd.readouterr().err == ""  # the decoder's own complaints


# ------------------------------------------------------------------ standard streams


def test_standard_input_is_read_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_audio(tmp_path / "a.wav", tone(0.1), RATE, "PCM_16")
    with open(tmp_path / "a.wav") as file:
        monkeypatch.setattr(sys, "stdin", file)
        audio = read_audio("-")
    np.testing.assert_array_equal(audio.samples, read_audio(tmp_path / "a.wav").samples)


def test_standard_input_that_is_no_audio_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").touch()
    with open(tmp_path / "empty") as file:
        monkeypatch.setattr(sys, "stdin", file)
        with pytest.raises(AudioError, match="^standard input: the file is empty"):
            read_audio("-")
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(AudioError, match="^standard input: a terminal, expected"):
        read_audio("-")


def test_a_file_on_standard_output_is_the_one_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output is a pipe here, which cannot go back to its header."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    program = (
        "import numpy as np\n"
        "from tas_core.audio.writer import write_audio\n"
        "from tests.conftest import tone\n"
        "print('before')\n"
        f"write_audio('-', tone(0.5, channels=2), {RATE}, 'PCM_24')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=True)
    write_audio(tmp_path / "a.wav", tone(0.5, channels=2), RATE, "PCM_24")
    assert done.stdout == b"before\n" + (tmp_path / "a.wav").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_a_terminal_is_no_place_for_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    with pytest.raises(InputError, match="standard output is a terminal"):
        check_output_path("-")


def test_the_encoding_asked_for_is_checked_before_any_work(tmp_path: Path) -> None:
    check_output_path(tmp_path / "a.flac", subtype="PCM_24")
    with pytest.raises(InputError, match=r"a\.flac: FLAC has no FLOAT, expected one of PCM_S8"):
        check_output_path(tmp_path / "a.flac", subtype="FLOAT")
