"""Audio files: what is read, refused, resampled and written, and that nothing is ever half written."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from tas_core.audio import writer as audio_output
from tas_core.audio.formats import AudioFormat, output_subtype
from tas_core.audio.reader import Audio, AudioReader, read_audio
from tas_core.audio.resampling import resample, resampled_length, to_mono
from tas_core.audio.writer import AudioWriter, check_output_path, peak, write_audio
from tas_core.errors import AudioError, InputError, TasError
from tas_core.system.files import same_file

RATE = 16_000


def noise(channels: int = 2, frames: int = 1000) -> np.ndarray:
    return np.random.default_rng(7).uniform(-0.9, 0.9, (channels, frames)).astype(np.float32)


def left_behind(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.endswith(".part")]


# ------------------------------------------------------------------ what is written is read


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


def test_mono_is_the_mean_of_the_channels() -> None:
    samples = noise(3)
    audio = Audio(samples, RATE, "PCM_16", "WAV")
    np.testing.assert_allclose(to_mono(audio.samples), samples.mean(axis=0), atol=1e-7)
    assert to_mono(audio.samples).dtype == np.float32
    np.testing.assert_array_equal(to_mono(samples[:1]), samples[0])


def test_peak_is_the_largest_magnitude() -> None:
    assert peak(np.array([[0.5, -1.5], [0.0, 1.0]])) == 1.5
    assert peak(np.zeros((2, 0))) == 0.0


# ------------------------------------------------------------------ bad inputs


def lie_about_length(path: Path, length: int) -> None:
    data = bytearray(path.read_bytes())
    i = data.index(b"data") + 4
    data[i : i + 4] = length.to_bytes(4, "little")
    path.write_bytes(data)


def test_bad_files_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("no audio " * 100)
    (tmp_path / "headless.raw").write_bytes(bytes(1000))
    soundfile.write(tmp_path / "nothing.wav", np.zeros((0, 1)), RATE)
    soundfile.write(tmp_path / "slow.wav", np.zeros(10), 4000)
    soundfile.write(tmp_path / "fast.wav", np.zeros(10), 384_000)
    cases = {
        "missing.wav": "No such file",
        "empty.wav": "the file is empty",
        "text.wav": "not an audio file",
        "headless.raw": "not an audio file",
        "nothing.wav": "no samples",
        "slow.wav": "4000 Hz, expected 8000 to 192000 Hz",
        "fast.wav": "384000 Hz",
    }
    for name, what in cases.items():
        with pytest.raises(AudioError, match=f"{name}: .*{what}"):
            read_audio(tmp_path / name)
    with pytest.raises(AudioError, match="not a regular file|Is a directory"):
        read_audio(tmp_path)
    with pytest.raises(AudioError, match="not a regular file"):
        read_audio("/dev/null")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("frame", [0, 8000])
def test_samples_that_are_no_numbers_are_refused_with_their_position(tmp_path: Path, value: float, frame: int) -> None:
    samples = noise(2, 16_000)
    samples[1, frame] = samples[0, frame + 50] = value
    soundfile.write(tmp_path / "a.wav", samples.T, RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match=rf"a.wav: sample {value} at {frame / RATE:g} s in channel 2"):
        read_audio(tmp_path / "a.wav")
    with AudioReader(tmp_path / "a.wav") as reader:
        if frame:
            reader.read(7000)
        with pytest.raises(AudioError, match=rf"at {frame / RATE:g} s"):
            reader.read(2000)


def test_names_that_are_no_utf_8_are_names(tmp_path: Path) -> None:
    """Old archives have them; Python shows such bytes as lone surrogates."""
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    path = folder / os.fsdecode(b"na\xefve.wav")
    samples = np.array([[0.25, -0.5, 0.125], [0.0, 0.5, -0.25]])
    write_audio(path, samples, 8000, "PCM_16")
    audio = read_audio(path)
    assert np.array_equal(audio.samples, samples)
    assert os.listdir(os.fsencode(folder)) == [b"na\xefve.wav"]


@pytest.mark.parametrize("name", ["a.wav", "a.aiff", "a.flac", "a.w64", "a.rf64", "a.caf"])
def test_files_that_are_cut_off_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_audio(path, noise(2, 40_000) / 2, RATE, output_subtype(path, "PCM_16"))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(AudioError, match=name):
        read_audio(path)


def test_a_header_that_promises_more_is_refused_but_one_that_does_not_know_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_audio(path, noise(2, 1000), RATE, "PCM_16")
    lie_about_length(path, 4002)
    with pytest.raises(AudioError, match="header says 4002 bytes of samples, but it holds 4000"):
        read_audio(path)
    for unknown in (0xFFFFFFFF, 0x7FFFF000):
        lie_about_length(path, unknown)
        assert read_audio(path).num_frames == 1000


def test_a_pipe_is_read(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav", noise(), RATE, "PCM_16")
    os.mkfifo(tmp_path / "pipe")

    def feed() -> None:
        (tmp_path / "pipe").write_bytes((tmp_path / "a.wav").read_bytes())

    thread = threading.Thread(target=feed)
    thread.start()
    audio = read_audio(tmp_path / "pipe")
    thread.join()
    np.testing.assert_array_equal(audio.samples, read_audio(tmp_path / "a.wav").samples)


# ------------------------------------------------------------------ resampling


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 3000),
    st.sampled_from([8000, 11_025, 16_000, 44_100, 48_000]),
    st.sampled_from([8000, 16_000, 22_050, 48_000]),
)
def test_resampling_has_the_promised_length_and_comes_back(frames: int, from_hz: int, to_hz: int) -> None:
    samples = np.ones((2, frames), dtype=np.float32)
    there = resample(samples, from_hz, to_hz)
    assert there.shape == (2, resampled_length(frames, from_hz, to_hz))
    assert abs(there.shape[1] - frames * to_hz / from_hz) <= (0.5 if frames > 10 else 1)
    assert there.dtype == np.float32
    assert resample(there, to_hz, from_hz, num_frames=frames).shape == samples.shape


@pytest.mark.parametrize(("from_hz", "to_hz"), [(48_000, 16_000), (16_000, 44_100), (44_100, 16_000)])
def test_resampling_keeps_a_tone_in_level_and_time(from_hz: int, to_hz: int) -> None:
    def tone(rate: int, frames: int) -> np.ndarray:
        return np.sin(2 * np.pi * 997 * np.arange(frames) / rate)[None]

    result = resample(tone(from_hz, from_hz // 2), from_hz, to_hz)
    middle = slice(to_hz // 8, -to_hz // 8)
    np.testing.assert_allclose(result[:, middle], tone(to_hz, to_hz // 2)[:, middle], atol=1e-5)


def test_resampling_removes_what_the_lower_rate_cannot_hold() -> None:
    high = np.sin(2 * np.pi * 12_000 * np.arange(24_000) / 48_000)
    assert peak(resample(high, 48_000, 16_000)[2000:-2000]) < 1e-5


def test_resampling_to_the_same_rate_is_a_copy() -> None:
    samples = noise()
    same = resample(samples, RATE, RATE)
    np.testing.assert_array_equal(same, samples)
    assert not np.shares_memory(same, samples)


# ------------------------------------------------------------------ output paths


def test_good_output_paths_pass(tmp_path: Path) -> None:
    check_output_path(tmp_path / "new.wav", [tmp_path / "in.wav"])
    (tmp_path / "old.flac").touch()
    check_output_path(tmp_path / "old.flac", overwrite=True)


def test_bad_output_paths_are_refused(tmp_path: Path) -> None:
    (tmp_path / "old.wav").touch()
    (tmp_path / "folder.wav").mkdir()
    cases = {
        "old.wav": "the file exists",
        "folder.wav": "a folder",
        "new.xyz": r"the extension .xyz, expected one of .wav, .flac",
        "new": "no extension",
        "new.mp3": "the extension .mp3",
        "nowhere/new.wav": "does not exist",
        "old.wav/new.wav": "does not exist",
    }
    for name, what in cases.items():
        with pytest.raises(InputError, match=f"{name}: .*{what}"):
            check_output_path(tmp_path / name)


def test_a_folder_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    with pytest.raises(InputError, match="no permission"):
        check_output_path(tmp_path / "new.wav")


def test_the_input_is_never_overwritten_through_any_name(tmp_path: Path) -> None:
    source = tmp_path / "in.wav"
    source.write_bytes(b"precious")
    (tmp_path / "soft.wav").symlink_to(source)
    (tmp_path / "hard.wav").hardlink_to(source)
    (tmp_path / "sub").mkdir()
    for name in ("in.wav", "soft.wav", "hard.wav", "sub/../in.wav"):
        assert same_file(tmp_path / name, source)
        with pytest.raises(InputError, match="the output is the input"):
            check_output_path(tmp_path / name, ["other.wav", source], overwrite=True)
    assert not same_file(tmp_path / "new.wav", source)
    assert same_file(tmp_path / "new.wav", tmp_path / "sub/../new.wav")


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


def test_a_full_disk_is_one_clear_line_and_leaves_nothing(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    path = tmp_path / "a.wav"
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # writes beyond fail as on a full disk
    try:
        with pytest.raises(TasError, match=r"a.wav: cannot write .*disk full") as caught:
            write_audio(path, noise(2, 200_000), RATE, "PCM_16")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not isinstance(caught.value, InputError)
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_long_wav_becomes_rf64_and_long_aiff_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_output, "MAX_CHUNK_BYTES", 4000)
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
