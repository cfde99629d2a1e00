"""Headers that lie, and files that are several: what is in a file counts, and what was wrong is said."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.audio.mpeg import find_frames
from tas_core.audio.reader import Audio, AudioReader, read_audio
from tas_core.errors import AudioError

RATE = 44_100
FRAME = 1152
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")


def tone(seconds: float, rate_hz: int = RATE, channels: int = 1) -> np.ndarray:
    """(time, channel): loud and quiet by turns, so that bit rates vary."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    loud = 0.4 * (0.05 + (np.sin(2 * np.pi * t) > 0))
    noise = np.random.default_rng(3).standard_normal(len(t))
    return np.repeat((loud * (np.sin(2 * np.pi * 440 * t) + 0.5 * noise) / 2)[:, None], channels, axis=1)


def mp3(path: Path, seconds: float = 3.0, rate_hz: int = RATE, channels: int = 1, *, mode: str = "VARIABLE") -> Path:
    soundfile.write(path, tone(seconds, rate_hz, channels), rate_hz, format="MP3", bitrate_mode=mode)
    return path


def bare(path: Path) -> bytes:
    """The frames of an MP3 without one that informs, loud ones first: a guess by the first says too little."""
    data = path.read_bytes()
    with open(path, "rb") as file:
        stream = find_frames(file)
    assert stream is not None
    return b"".join(data[piece.start : piece.stop] for piece in stream.parts[0].ranges)


def heard(path: Path) -> tuple[Audio, list[str]]:
    """A whole file, and what is said of it without its name."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        audio = read_audio(path)
        with AudioReader(path) as reader:
            assert reader.count_frames() == audio.num_frames
            reader.seek(audio.num_frames - 700)
            np.testing.assert_allclose(reader.read(9999), audio.samples[:, -700:], atol=1e-5)
    said = [str(warning.message).removeprefix(f"{path}: ") for warning in caught]
    assert said[: len(said) // 2] == said[len(said) // 2 :]
    return audio, said[: len(said) // 2]


# ------------------------------------------------------------------ MP3


@pytest.mark.parametrize("mode", ["VARIABLE", "AVERAGE", "CONSTANT"])
@pytest.mark.parametrize("rate_hz", [44_100, 22_050, 8_000])
def test_an_mp3_whose_header_is_right_keeps_its_length(tmp_path: Path, mode: str, rate_hz: int) -> None:
    audio, said = heard(mp3(tmp_path / "a.mp3", 3.0, rate_hz, mode=mode))
    assert audio.num_frames == 3 * rate_hz
    assert said == []
    assert np.abs(audio.samples[0] - tone(3.0, rate_hz)[:, 0]).mean() < 0.1


@pytest.mark.parametrize("rate_hz", [44_100, 22_050])
def test_all_frames_of_an_mp3_without_a_header_are_read(tmp_path: Path, rate_hz: int) -> None:
    frames = bare(mp3(tmp_path / "whole.mp3", 4.3, rate_hz))
    (tmp_path / "a.mp3").write_bytes(frames)
    guessed = soundfile.info(tmp_path / "a.mp3").frames
    audio, said = heard(tmp_path / "a.mp3")
    samples = FRAME if rate_hz == 44_100 else FRAME // 2
    assert audio.num_frames % samples == 0
    assert 4.3 <= audio.duration_s < 4.3 + 4 * samples / rate_hz
    assert abs(guessed - audio.num_frames) > rate_hz  # else this proves nothing
    assert said == []


def test_an_mp3_whose_header_says_that_it_has_no_frames_is_read(tmp_path: Path) -> None:
    data = bytearray(mp3(tmp_path / "whole.mp3", 3.0).read_bytes())
    at = data.index(b"Xing") + 8
    data[at : at + 4] = bytes(4)
    (tmp_path / "a.mp3").write_bytes(data)
    audio, said = heard(tmp_path / "a.mp3")
    assert 3.0 <= audio.duration_s < 3.0 + 2 * FRAME / RATE
    (whole,) = read_audio(tmp_path / "whole.mp3").samples
    np.testing.assert_allclose(audio.samples[0, : len(whole)], whole, atol=1e-5)
    assert [line.startswith("its header says 0.00 s, but its frames last 3.") for line in said] == [True]


def test_mp3_files_joined_by_cat_are_read_to_the_end(tmp_path: Path) -> None:
    parts = [
        mp3(tmp_path / f"{n}.mp3", seconds, mode=mode)
        for n, seconds, mode in ((1, 2.0, "VARIABLE"), (2, 3.5, "CONSTANT"))
    ]
    (tmp_path / "a.mp3").write_bytes(b"".join(part.read_bytes() for part in parts))
    audio, said = heard(tmp_path / "a.mp3")
    expected = np.concatenate([read_audio(part).samples for part in parts], axis=1)
    np.testing.assert_allclose(audio.samples, expected, atol=1e-5)
    assert said == ["2 MP3 files one behind the other; all of them are read"]
    (tmp_path / "b.mp3").write_bytes(b"".join(map(bare, parts)))
    audio, said = heard(tmp_path / "b.mp3")
    assert audio.duration_s == pytest.approx(5.5, abs=8 * FRAME / RATE)
    assert audio.duration_s > 5.5
    assert said == []


def test_frames_of_a_free_bit_rate_are_counted(tmp_path: Path) -> None:
    constant = {"bitrate_mode": "CONSTANT", "compression_level": 0.5}
    soundfile.write(tmp_path / "a.mp3", tone(3.0, 48_000), 48_000, format="MP3", **constant)
    data = bytearray(bare(tmp_path / "a.mp3"))
    expected = heard_of(tmp_path, bytes(data))
    size = data.index(data[:3], 4)  # no padding at 48 kHz
    assert len(data) % size == 0
    for at in range(0, len(data), size):
        data[at + 2] &= 0x0F
    picture = b"ID3\x04\0\0\0\x02\0\0" + bytes(2 * 2**14)
    free = heard_of(tmp_path, picture + bytes(data))
    np.testing.assert_allclose(free.samples, expected.samples, atol=1e-6)
    (tmp_path / "cut.mp3").write_bytes(data[:-20])
    assert heard(tmp_path / "cut.mp3")[1] == ["its last frame is not whole; the file may be cut off"]


def heard_of(folder: Path, data: bytes) -> Audio:
    """A whole MP3 of which there is nothing to say."""
    (folder / "heard.mp3").write_bytes(data)
    audio, said = heard(folder / "heard.mp3")
    assert said == []
    return audio


def test_tags_behind_the_sound_are_no_bytes_that_were_left_out(tmp_path: Path) -> None:
    data = bare(mp3(tmp_path / "a.mp3", 1.0))
    lyrics = b"LYRICSBEGININD0000210LYR00011hello there000041LYRICS200"
    items = b"\5\0\0\0\0\0\0\0Title\0hello"
    ape = items + b"APETAGEX" + b"".join(n.to_bytes(4, "little") for n in (1000, len(items) + 32, 1, 0)) + bytes(8)
    old = b"TAG" + b"title".ljust(125, b"\0")
    lengths = {heard_of(tmp_path, data + tags).num_frames for tags in (b"", lyrics + old, ape, ape + old)}
    assert len(lengths) == 1


def test_a_picture_in_the_tag_is_no_sound(tmp_path: Path) -> None:
    frames = bare(mp3(tmp_path / "whole.mp3", 2.0, mode="CONSTANT"))
    picture = b"\xff\xd8\xff\xe0" + np.random.default_rng(0).bytes(60_000)
    content = b"APIC" + struct.pack(">IH", len(picture) + 14, 0) + b"\0image/jpeg\0\3\0" + picture
    size = bytes(len(content) >> shift & 0x7F for shift in (21, 14, 7, 0))
    (tmp_path / "a.mp3").write_bytes(b"ID3\3\0\0" + size + content + frames + b"TAG" + bytes(125))
    audio, said = heard(tmp_path / "a.mp3")
    assert audio.num_frames % FRAME == 0
    assert 2.0 <= audio.duration_s < 2.0 + 4 * FRAME / RATE
    assert said == []


def test_an_mp3_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    data = mp3(tmp_path / "whole.mp3", 3.0).read_bytes()
    (tmp_path / "a.mp3").write_bytes(data[: len(data) // 2])
    with pytest.raises(
        AudioError, match=r"a\.mp3: the file is cut off: its header says 3\.\d+ s, but it holds 1\.\d+ s"
    ):
        read_audio(tmp_path / "a.mp3")


@pytest.mark.parametrize(("tail", "count"), [(bytes(5000), 0), (b"\xaa" * 5000, 5000), (b"TAG" + bytes(125), 0)])
@pytest.mark.parametrize("informed", [True, False])
def test_what_is_behind_the_last_frame_does_not_end_the_sound(
    tmp_path: Path, tail: bytes, count: int, informed: bool
) -> None:
    path = mp3(tmp_path / "whole.mp3", 2.0, mode="CONSTANT")
    frames = path.read_bytes() if informed else bare(path)
    (tmp_path / "whole.mp3").write_bytes(frames)
    (tmp_path / "a.mp3").write_bytes(frames + tail + b"TAG" + bytes(125))
    audio, said = heard(tmp_path / "a.mp3")
    np.testing.assert_allclose(audio.samples, heard(tmp_path / "whole.mp3")[0].samples, atol=1e-5)
    assert [line.split(" take")[0].split(",")[0] for line in said] == (
        ["5000 bytes behind its last frame are no MP3"] if count else []
    )


def test_an_mp3_without_a_header_that_ends_within_a_frame_is_said(tmp_path: Path) -> None:
    frames = bare(mp3(tmp_path / "whole.mp3", 2.0, mode="CONSTANT"))
    (tmp_path / "a.mp3").write_bytes(frames[: len(frames) // 2 + 57])
    audio, said = heard(tmp_path / "a.mp3")
    assert audio.duration_s == pytest.approx(1.0, abs=0.1)
    assert said == ["its last frame is not whole; the file may be cut off"]


def test_a_hole_in_an_mp3_is_said_with_its_place_and_length(tmp_path: Path) -> None:
    frames = bytearray(bare(mp3(tmp_path / "whole.mp3", 4.0, mode="CONSTANT")))
    middle = len(frames) // 2
    frames[middle : middle + 3000] = bytes(3000)
    (tmp_path / "a.mp3").write_bytes(frames)
    audio, said = heard(tmp_path / "a.mp3")
    (line,) = said
    count, place, lost = (float(word) for word in line.replace(" s", "").split() if word.replace(".", "").isdigit())
    assert 3000 <= count < 4500
    assert place == pytest.approx(2.0, abs=0.1)
    assert audio.duration_s + lost == pytest.approx(4.0, abs=0.1)


@pytest.mark.parametrize("second", [(22_050, 1), (44_100, 2)])
def test_frames_that_contradict_each_other_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, second: tuple[int, int]
) -> None:
    parts = [mp3(tmp_path / "1.mp3", 2.0), mp3(tmp_path / "2.mp3", 3.0, *second)]
    (tmp_path / "a.mp3").write_bytes(b"".join(part.read_bytes() for part in parts))
    if shutil.which("ffmpeg"):
        audio, said = heard(tmp_path / "a.mp3")
        assert audio.sample_rate_hz == RATE
        assert audio.duration_s == pytest.approx(5.0, abs=0.15)
        assert any("its frames contradict each other: 44100 Hz with 1 channel until 2.0" in line for line in said)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AudioError, match=r"a\.mp3: .*contradict each other: 44100 Hz with 1 .* ffmpeg, .* missing"):
        read_audio(tmp_path / "a.mp3")


# ------------------------------------------------------------------ files one behind the other


@pytest.mark.parametrize(
    ("name", "subtype"), [("a.flac", "PCM_16"), ("a.ogg", "VORBIS"), ("a.wav", "PCM_16"), ("a.opus", "OPUS")]
)
def test_files_joined_by_cat_are_read_to_the_end(tmp_path: Path, name: str, subtype: str) -> None:
    rate_hz, parts = 48_000, []
    for n, seconds in enumerate((1.0, 2.5, 1.5)):
        parts.append(tmp_path / f"{n}{name[1:]}")
        container = "OGG" if subtype == "OPUS" else None
        soundfile.write(parts[-1], tone(seconds, rate_hz), rate_hz, subtype=subtype, format=container)
    (tmp_path / name).write_bytes(b"".join(part.read_bytes() for part in parts))
    audio, said = heard(tmp_path / name)
    np.testing.assert_allclose(
        audio.samples, np.concatenate([read_audio(part).samples for part in parts], axis=1), atol=1e-6
    )
    assert audio.duration_s == 5.0
    assert said == ["3 files one behind the other; all of them are read"]


def test_joined_files_of_two_rates_are_refused_with_both(tmp_path: Path) -> None:
    for n, rate_hz in enumerate((16_000, 8_000)):
        soundfile.write(tmp_path / f"{n}.flac", tone(1.0, rate_hz), rate_hz)
    (tmp_path / "a.flac").write_bytes((tmp_path / "0.flac").read_bytes() + (tmp_path / "1.flac").read_bytes())
    with pytest.raises(AudioError, match=r"a\.flac: 2 files .* changes from 16000 to 8000; expected one"):
        read_audio(tmp_path / "a.flac")


# ------------------------------------------------------------------ FLAC, Ogg


@pytest.mark.parametrize("told", [0, 5000])
def test_a_flac_that_says_too_little_is_read_to_the_end(tmp_path: Path, told: int) -> None:
    soundfile.write(tmp_path / "whole.flac", tone(1.5), RATE)
    data = bytearray((tmp_path / "whole.flac").read_bytes())
    data[21:26] = (int.from_bytes(data[21:26], "big") & ~0xF_FFFF_FFFF | told).to_bytes(5, "big")
    (tmp_path / "a.flac").write_bytes(data)
    audio, said = heard(tmp_path / "a.flac")
    np.testing.assert_array_equal(audio.samples, read_audio(tmp_path / "whole.flac").samples)
    assert said == (["its header says 0.11 s of sound, but there are 1.50 s; all of them are read"] if told else [])


def test_an_ogg_that_is_cut_off_is_said(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.ogg", tone(3.0), RATE)
    data = (tmp_path / "a.ogg").read_bytes()
    (tmp_path / "a.ogg").write_bytes(data[: len(data) * 2 // 3])
    audio, said = heard(tmp_path / "a.ogg")
    assert 0.5 < audio.duration_s < 2.5
    assert said == ["the file does not end as an Ogg file does; it may be cut off"]


def ogg_pages(data: bytes) -> list[int]:
    """Where the pages of an Ogg file begin."""
    return [at for at in range(len(data)) if data[at : at + 5] == b"OggS\0"]


def test_an_ogg_that_is_cut_within_its_last_page_is_said(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.ogg", tone(3.0), RATE)
    data = (tmp_path / "a.ogg").read_bytes()
    (tmp_path / "a.ogg").write_bytes(data[:-20])
    assert heard(tmp_path / "a.ogg")[1] == ["the file does not end as an Ogg file does; it may be cut off"]


@pytest.mark.parametrize("kind", ["VORBIS", "OPUS"])
def test_an_ogg_with_a_damaged_page_is_refused(tmp_path: Path, kind: str) -> None:
    soundfile.write(tmp_path / "a.ogg", tone(3.0, 48_000), 48_000, subtype=kind)
    data = bytearray((tmp_path / "a.ogg").read_bytes())
    page = ogg_pages(data)[2]
    data[page + 200] ^= 1
    (tmp_path / "a.ogg").write_bytes(data)
    expected = rf"a\.ogg: damaged: pages with a wrong checksum: 1, the first at byte {page}; .* 'ffmpeg -i "
    with pytest.raises(AudioError, match=expected):
        read_audio(tmp_path / "a.ogg")


def test_an_ogg_that_lacks_a_page_is_refused_but_not_one_that_begins_later(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.ogg", tone(6.0), RATE)
    data = (tmp_path / "a.ogg").read_bytes()
    pages = ogg_pages(data)
    assert len(pages) > 6
    (tmp_path / "a.ogg").write_bytes(data[: pages[3]] + data[pages[4] :])
    with pytest.raises(AudioError, match=r"a\.ogg: damaged: pages that are missing: 1; "):
        read_audio(tmp_path / "a.ogg")
    (tmp_path / "a.ogg").write_bytes(data[: pages[2]] + data[pages[4] :])  # as a recording of a broadcast does
    assert 2.0 < read_audio(tmp_path / "a.ogg").duration_s < 5.5


def test_a_flac_that_says_too_much_is_refused_with_both_lengths(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", tone(1.5), RATE)
    data = bytearray((tmp_path / "a.flac").read_bytes())
    data[21:26] = (int.from_bytes(data[21:26], "big") + 50_000).to_bytes(5, "big")
    (tmp_path / "a.flac").write_bytes(data)
    with pytest.raises(AudioError, match=r"cut off: its header says 2\.63 s, but it holds 1\.50 s \(116150 and 66150"):
        read_audio(tmp_path / "a.flac")


# ------------------------------------------------------------------ WAV and its relatives


def wav(seconds: float = 1.0, subtype: str = "PCM_16") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, tone(seconds, 16_000), 16_000, format="WAV", subtype=subtype)
    return buffer.getvalue()


@pytest.mark.parametrize("extra", [b"", b"LIST\x03\0\0\0abc\0", b"LIST\x03\0\0\0abc", b"JUNK\x05\0\0\0abcde"])
@pytest.mark.parametrize("size", [None, 0])
def test_a_wav_that_says_it_is_empty_or_lacks_padding_is_read(tmp_path: Path, extra: bytes, size: int | None) -> None:
    data = bytearray(wav())
    at = data.index(b"data")
    if size is not None:
        data[at + 4 : at + 8] = size.to_bytes(4, "little")
        data[4:8] = (36).to_bytes(4, "little")
    data[at:at] = extra
    (tmp_path / "a.wav").write_bytes(data)
    (tmp_path / "whole.wav").write_bytes(wav())
    audio, said = heard(tmp_path / "a.wav")
    np.testing.assert_array_equal(audio.samples, read_audio(tmp_path / "whole.wav").samples)
    if size == 0:
        expected = ["its header says that it holds no samples, as of a recording that was interrupted; behind it are"]
    else:
        expected = [] if len(extra) % 2 == 0 else ["the chunks of its header are not padded"]
    assert [line.startswith(start) for line, start in zip(said, expected, strict=True)] == [True] * len(said)


def test_an_au_that_is_cut_off_is_refused_and_one_that_says_it_is_empty_is_read(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.au", tone(1.0), RATE)
    data = bytearray((tmp_path / "a.au").read_bytes())
    (tmp_path / "cut.au").write_bytes(data[: len(data) // 2])
    with pytest.raises(AudioError, match=r"cut\.au: the file is cut off: its header says 88200 bytes"):
        read_audio(tmp_path / "cut.au")
    data[8:12] = bytes(4)
    (tmp_path / "zero.au").write_bytes(data)
    audio, said = heard(tmp_path / "zero.au")
    np.testing.assert_array_equal(audio.samples, read_audio(tmp_path / "a.au").samples)
    assert [line.startswith("its header says that it holds no samples") for line in said] == [True]


def unfinished(data: bytes, length: int) -> bytes:
    """An AIFF, W64 or CAF file in whose header all lengths are ``length``, as a recorder leaves it that crashed."""
    head = bytearray(data)
    field = length.to_bytes(8, "little" if data[:4] == b"riff" else "big", signed=length < 0)
    if data[:4] == b"FORM":
        for at in (4, data.index(b"COMM") + 10, data.index(b"SSND") + 4):
            head[at : at + 4] = field[4:]
    else:
        at = data.index(b"data") + (16 if data[:4] == b"riff" else 4)
        head[at : at + 8] = field
        head[16:24] = field if data[:4] == b"riff" else head[16:24]
    return bytes(head)


@pytest.mark.parametrize(
    ("container", "subtype", "length"),
    [
        *(("AIFF", "PCM_24", length) for length in (0, 8, -1)),
        *(("W64", "PCM_16", length) for length in (0, 24, -1, 2**63 - 1)),
        *(("CAF", "FLOAT", length) for length in (0, 4, -1, 2**63 - 1)),
    ],
)
def test_what_a_recorder_leaves_that_crashed_is_read_to_the_end(
    tmp_path: Path, container: str, subtype: str, length: int
) -> None:
    whole, path = tmp_path / "whole", tmp_path / "a"
    soundfile.write(whole, tone(0.5, RATE, 2), RATE, subtype, format=container)
    path.write_bytes(unfinished(whole.read_bytes(), length))
    audio, said = heard(path)
    np.testing.assert_array_equal(audio.samples, read_audio(whole).samples)
    assert audio.subtype == subtype
    says_nothing = 0 <= length <= 24
    assert [line.startswith("its header says that it holds no samples") for line in said] == [True] * says_nothing


def rf64(magic: bytes, data: bytes, told: int, length: int = 2**32 - 1) -> bytes:
    """RF64 or BW64 of 16 bits at 16 kHz, whose ds64 chunk tells so many bytes."""
    sizes = b"ds64" + (28).to_bytes(4, "little") + told.to_bytes(8, "little") * 3 + bytes(4)
    form = b"fmt \x10\0\0\0\1\0\1\0\x80\x3e\0\0\0\x7d\0\0\2\0\x10\0"
    return magic + b"\xff" * 4 + b"WAVE" + sizes + form + b"data" + length.to_bytes(4, "little") + data


@pytest.mark.parametrize("magic", [b"RF64", b"BW64"])
def test_lengths_of_64_bits_are_believed_only_where_they_can_be(tmp_path: Path, magic: bytes) -> None:
    path, data = tmp_path / "a.wav", wav()[44:]
    for told, length in ((len(data), 2**32 - 1), (2**64 - 1, 2**32 - 1), (0, len(data)), (len(data), 0)):
        path.write_bytes(rf64(magic, data, told, length))
        audio, said = heard(path)
        assert (audio.num_frames, said) == (16_000, [])
    path.write_bytes(rf64(magic, data, 0))
    audio, said = heard(path)
    assert audio.num_frames == 16_000
    assert [line.startswith("its header says that it holds no samples") for line in said] == [True]
    path.write_bytes(rf64(magic, data, 16_000))
    audio, said = heard(path)
    assert audio.num_frames == 8_000
    assert said == [
        "its header says 0.50 s of sound, and behind them are 16000 bytes that belong to nothing, as many as 0.50 s"
        " take; they were left out"
    ]
    path.write_bytes(rf64(magic, data, 64_000))
    with pytest.raises(AudioError, match="cut off: its header says 64000 bytes of samples, but it holds 32000"):
        read_audio(path)


def test_a_short_rest_behind_the_samples_is_said_if_it_may_be_sound(tmp_path: Path) -> None:
    data, path = wav(), tmp_path / "a.wav"
    for rest, count in ((b"\1\xff" * 200, 1), (bytes(400), 0), (b"TAG" + b"x" * 125, 0)):
        path.write_bytes(data + rest)
        assert len(heard(path)[1]) == count
    soundfile.write(tmp_path / "a.au", tone(1.0), RATE)
    au = bytearray((tmp_path / "a.au").read_bytes())
    au[8:12] = (RATE).to_bytes(4, "big")
    (tmp_path / "a.au").write_bytes(au)
    assert "they were left out" in heard(tmp_path / "a.au")[1][0]


@needs_ffmpeg
def test_a_second_chunk_of_samples_is_not_passed_over_in_silence(tmp_path: Path) -> None:
    data = wav()
    at = data.index(b"data")
    two = data[:at] + b"data" + (8000).to_bytes(4, "little") + data[44:8044]
    (tmp_path / "a.wav").write_bytes(two + b"data" + (24_000).to_bytes(4, "little") + data[8044:])
    audio, said = heard(tmp_path / "a.wav")
    assert audio.duration_s < 1.0
    assert [f"{audio.duration_s:.2f} s of sound" in line for line in said] == [True]


def test_a_wav_without_samples_is_still_one(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros((0, 1)), 16_000, format="WAV")
    (tmp_path / "a.wav").write_bytes(buffer.getvalue() + b"LIST\4\0\0\0abcd")
    with pytest.raises(AudioError, match=r"a\.wav: no samples in the file"):
        read_audio(tmp_path / "a.wav")


def test_bytes_that_belong_to_nothing_are_said(tmp_path: Path) -> None:
    data = wav()
    (tmp_path / "a.wav").write_bytes(data + np.random.default_rng(1).bytes(16_000))
    audio, said = heard(tmp_path / "a.wav")
    assert audio.duration_s == 1.0
    assert said == [
        "its header says 1.00 s of sound, and behind them are 16000 bytes that belong to nothing, as many as 0.50 s"
        " take; they were left out"
    ]
    (tmp_path / "a.wav").write_bytes(data + b"LIST\4\0\0\0abcdid3 \3\0\0\0abc\0")
    assert heard(tmp_path / "a.wav")[1] == []


def test_the_byte_that_pads_gsm_is_no_block(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(2.0, 8_000), 8_000, subtype="GSM610")
    data = (tmp_path / "a.wav").read_bytes()
    at = data.index(b"data")
    size = int.from_bytes(data[at + 4 : at + 8], "little") // 65
    size = (size - 1 + size % 2) * 65  # an odd number of blocks of 65 bytes
    (tmp_path / "odd.wav").write_bytes(
        data[: at + 4] + size.to_bytes(4, "little") + data[at + 8 : at + 8 + size] + b"\0"
    )
    audio, said = heard(tmp_path / "odd.wav")
    assert (audio.num_frames, said) == (size // 65 * 320, [])


def test_gsm_in_wav_is_read_from_any_place(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(2.0, 8_000), 8_000, subtype="GSM610")
    whole = read_audio(tmp_path / "a.wav")
    assert whole.duration_s == 2.0
    with AudioReader(tmp_path / "a.wav") as reader:
        assert reader.count_frames() == 16_000
        reader.seek(0)
        reader.seek(5000)
        np.testing.assert_array_equal(reader.read(1000), whole.samples[:, 5000:6000])
        for frame in (100, 0, 7000):  # libsndfile finds no way back
            reader.seek(frame)
            np.testing.assert_array_equal(reader.read(1000), whole.samples[:, frame : frame + 1000])


@needs_ffmpeg
@pytest.mark.parametrize(
    ("codec", "rate_hz"), [("g722", 16_000), ("libmp3lame", 44_100), ("gsm_ms", 8_000), ("g726", 8_000)]
)
def test_codecs_of_telephones_in_wav_are_read(tmp_path: Path, codec: str, rate_hz: int) -> None:
    soundfile.write(tmp_path / "tone.wav", tone(2.0, rate_hz), rate_hz)
    command = ["ffmpeg", "-v", "error", "-i", str(tmp_path / "tone.wav"), "-c:a", codec, str(tmp_path / "a.wav")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "Unknown encoder" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    decoded = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", str(tmp_path / "a.wav"), "-f", "f32le", "-"], capture_output=True, check=True
    )
    audio, said = heard(tmp_path / "a.wav")
    assert said == []
    assert audio.num_frames == len(decoded.stdout) // 4
    assert audio.duration_s == pytest.approx(2.0, abs=0.1)


# ------------------------------------------------------------------ all formats


@needs_ffmpeg
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cbr.mp3", ("-c:a", "libmp3lame", "-b:a", "64k")),
        ("vbr.mp3", ("-c:a", "libmp3lame", "-q:a", "6")),
        ("bare.mp3", ("-c:a", "libmp3lame", "-q:a", "6", "-write_xing", "0")),
        ("a.m4a", ("-c:a", "aac", "-aac_coder", "fast")),
        ("a.ogg", ("-c:a", "libvorbis")),
        ("a.webm", ("-c:a", "libopus", "-compression_level", "0")),
    ],
)
def test_ten_minutes_keep_their_length(tmp_path: Path, name: str, options: tuple[str, ...]) -> None:
    path = tmp_path / name
    sound = "sine=frequency=440:beep_factor=7:sample_rate=16000:duration=600"
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", sound, *options, path], check=True, timeout=300)
    decoded = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", path, "-f", "f32le", "-"], capture_output=True, check=True, timeout=300
    )
    with AudioReader(path) as reader:
        assert reader.count_frames() == len(decoded.stdout) // 4
        assert reader.count_frames() / reader.sample_rate_hz == pytest.approx(600, abs=0.1)
