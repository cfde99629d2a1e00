"""Audio files that are written: samples, dither, tags, places that are refused, and nothing ever half written."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.audio import writer
from tas_core.audio.formats import AudioFormat
from tas_core.audio.reader import AudioReader, read_audio
from tas_core.audio.writer import AudioWriter, peak, write_audio
from tas_core.errors import InputError, TasError
from tests.conftest import noise, tone

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


# ------------------------------------------------------------------ standard streams


def test_a_file_on_standard_output_is_the_one_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output is a pipe here, which cannot go back to its header."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    program = (
        "import numpy as np\n"
        "from tas_core.audio.writer import write_audio\n"
        "from tests.conftest import noise, tone\n"
        "print('before')\n"
        f"write_audio('-', tone(0.5, channels=2), {RATE}, 'PCM_24')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=True)
    write_audio(tmp_path / "a.wav", tone(0.5, channels=2), RATE, "PCM_24")
    assert done.stdout == b"before\n" + (tmp_path / "a.wav").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


# ------------------------------------------------------------------ what is written is read


def left_behind(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.endswith(".part")]


@pytest.mark.parametrize(
    ("name", "subtype", "step"),
    [
        ("a.wav", "PCM_U8", 2**-7),
        ("a.wav", "PCM_16", 2**-15),
        ("a.wav", "PCM_24", 2**-23),
        ("a.wav", "PCM_32", 2**-31),
        ("a.wav", "FLOAT", 0),
        ("a.wav", "DOUBLE", 0),
        ("a.FLAC", "PCM_16", 2**-15),
        ("a.flac", "PCM_24", 2**-23),
        ("a.aiff", "PCM_S8", 2**-7),
        ("a.caf", "PCM_24", 2**-23),
        ("a.w64", "PCM_16", 2**-15),
        ("a.rf64", "PCM_16", 2**-15),
    ],
)
def test_samples_come_back_to_the_nearest_step_and_then_exactly(
    tmp_path: Path, name: str, subtype: str, step: float
) -> None:
    path = tmp_path / name
    written = noise(2, 70_001)
    write_audio(path, written, 44_100, subtype)
    audio = read_audio(path)
    assert (audio.sample_rate_hz, audio.subtype, audio.num_frames) == (44_100, subtype, 70_001)
    assert audio.duration_s == 70_001 / 44_100
    assert np.abs(audio.samples.astype(np.float64) - written).max() <= step / 2
    write_audio(path, audio.samples, 44_100, subtype, overwrite=True)
    np.testing.assert_array_equal(read_audio(path).samples, audio.samples)


def test_ears_keep_their_order(tmp_path: Path) -> None:
    samples = np.zeros((2, 100), dtype=np.float32)
    samples[0] = 0.5
    write_audio(tmp_path / "a.wav", samples, RATE, "FLOAT")
    np.testing.assert_array_equal(soundfile.read(tmp_path / "a.wav")[0][0], [0.5, 0.0])


def test_vorbis_keeps_length_and_survives_long_blocks(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.ogg", noise(2, 200_003) / 4, RATE, "VORBIS")
    assert read_audio(tmp_path / "a.ogg").samples.shape == (2, 200_003)


def test_deep_files_are_read_in_double_precision(tmp_path: Path) -> None:
    exact = np.full((1, 10), 1 / 3)
    write_audio(tmp_path / "a.wav", exact, RATE, "DOUBLE")
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav").samples, exact)


def test_blocks_make_the_same_file_as_one_piece(tmp_path: Path) -> None:
    samples = noise(2, 5000)
    write_audio(tmp_path / "whole.wav", samples, RATE, "PCM_16")
    with AudioWriter(tmp_path / "blocks.wav", AudioFormat(RATE, 2, 5000, "PCM_16")) as writer:
        for start in range(0, 5000, 777):
            writer.write(samples[:, start : start + 777])
    assert (tmp_path / "whole.wav").read_bytes() == (tmp_path / "blocks.wav").read_bytes()
    with AudioReader(tmp_path / "blocks.wav") as reader:
        blocks = [reader.read(999) for _ in range(7)]
    assert [block.shape[1] for block in blocks] == [999] * 5 + [5, 0]
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), read_audio(tmp_path / "whole.wav").samples)


def test_peak_is_the_largest_magnitude() -> None:
    assert peak(np.array([[0.5, -1.5], [0.0, 1.0]])) == 1.5
    assert peak(np.zeros((2, 0))) == 0.0


def test_a_float_input_can_be_written_as_flac(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.flac", noise(), RATE, "FLOAT")
    assert read_audio(tmp_path / "a.flac").subtype == "PCM_24"


# ------------------------------------------------------------------ writing


def test_a_symlink_stays_and_its_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link.wav").symlink_to(tmp_path / "there" / "real.wav")
    write_audio(tmp_path / "link.wav", noise(), RATE, "PCM_16")
    assert (tmp_path / "link.wav").is_symlink()
    assert read_audio(tmp_path / "there" / "real.wav").num_frames == 1000


def test_new_files_get_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    write_audio(tmp_path / "a.wav", noise(), RATE, "PCM_16")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "a.wav")]
    assert modes[0] == modes[1]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_not_written(tmp_path: Path, value: float) -> None:
    samples = noise()
    samples[1, 500] = value
    with pytest.raises(TasError, match=r"a.wav: .*not finite"):
        write_audio(tmp_path / "a.wav", samples, RATE, "FLOAT")
    assert os.listdir(tmp_path) == []


def test_clipping_needs_permission_and_float_needs_none(tmp_path: Path) -> None:
    samples = np.array([[0.5, 1.5, -2.0]])
    with pytest.raises(TasError, match=r"a.wav: the output peaks at 2.000 .* PCM_16"):
        write_audio(tmp_path / "a.wav", samples, RATE, "PCM_16")
    assert os.listdir(tmp_path) == []
    write_audio(tmp_path / "a.wav", samples, RATE, "PCM_16", allow_clipping=True)
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav").samples, [[0.5, 1.0, -1.0]], atol=1e-4)
    write_audio(tmp_path / "b.wav", samples, RATE, "FLOAT")
    np.testing.assert_array_equal(read_audio(tmp_path / "b.wav").samples, samples)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"old")

    def interrupted() -> None:
        with AudioWriter(path, AudioFormat(RATE, 2, 2000, "PCM_16"), overwrite=True) as writer:
            writer.write(noise())
            assert left_behind(tmp_path)
            raise error

    with pytest.raises(error):
        interrupted()
    assert os.listdir(tmp_path) == ["a.wav"]
    assert path.read_bytes() == b"old"


def test_a_file_that_is_too_short_does_not_appear(tmp_path: Path) -> None:
    def short() -> None:
        with AudioWriter(tmp_path / "a.wav", AudioFormat(RATE, 2, 2000, "PCM_16")) as writer:
            writer.write(noise(frames=1999))

    with pytest.raises(TasError, match="1999 samples written, expected 2000"):
        short()
    assert os.listdir(tmp_path) == []


def test_a_limit_of_the_size_is_one_clear_line_and_leaves_nothing(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    path = tmp_path / "a.wav"
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # writes beyond fail
    try:
        with pytest.raises(TasError, match=r"a.wav: cannot write .*; the file system or a limit ") as caught:
            write_audio(path, noise(2, 200_000), RATE, "PCM_16")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not isinstance(caught.value, InputError)
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_standard_output_that_is_full_is_not_the_folder_that_the_sound_waited_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(TasError, match=r"^standard output: cannot write the sound \(No space left on device\); is"):
            write_audio("-", noise(2, 2000), RATE, "PCM_16")


def test_long_wav_becomes_rf64_and_long_aiff_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MAX_CHUNK_BYTES", 4000)
    write_audio(tmp_path / "fits.wav", noise(2, 1000), RATE, "PCM_16")
    write_audio(tmp_path / "long.wav", noise(2, 1001), RATE, "PCM_16")
    assert read_audio(tmp_path / "fits.wav").format == "WAV"
    assert read_audio(tmp_path / "long.wav").format == "RF64"
    assert read_audio(tmp_path / "long.wav").num_frames == 1001
    with pytest.raises(InputError, match="AIFF holds at most 4 GiB"):
        write_audio(tmp_path / "long.aiff", noise(2, 1001), RATE, "PCM_16")


@pytest.mark.parametrize(
    ("name", "channels", "subtype", "what"),
    [
        ("a.flac", 2, "FLOAT", "FLAC has no FLOAT, expected one of"),
        ("a.wav", 2, "VORBIS", "WAV has no VORBIS"),
        ("a.flac", 9, "PCM_16", "cannot hold 9 channels"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(
    tmp_path: Path, name: str, channels: int, subtype: str, what: str
) -> None:
    with pytest.raises(InputError, match=what):
        AudioWriter(tmp_path / name, AudioFormat(RATE, channels, 1000, subtype))
    assert os.listdir(tmp_path) == []


def test_an_existing_file_is_kept_unless_overwriting_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_audio(path, noise(), RATE, "PCM_16")
    before = path.read_bytes()
    with pytest.raises(InputError, match="the file exists"):
        write_audio(path, noise() / 2, RATE, "PCM_16")
    assert path.read_bytes() == before
    write_audio(path, noise() / 2, RATE, "PCM_16", overwrite=True)
    assert path.read_bytes() != before
