"""Files of the Audio Definition Model, read by a reader of its own and held against the timeline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile

from tas_core.audio.wave_chunks import append_chunks, set_channel_mask
from tas_core.delivery import adm
from tas_core.delivery.mixes import mix_panner
from tas_core.delivery.scene import Scene
from tas_core.errors import InputError
from tas_core.timeline.segments import Segment, Timeline
from tests.delivery.conftest import RATE_HZ, SECONDS, TIMELINE, Deliver, scene_of, sounds_of, still
from tests.support.wave_files import NAMESPACE, AdmObject, read_adm, read_wave


def heard_at(item: AdmObject, times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Azimuth and gain at given times, as BS.2127 reads blocks: from the end of one straight to that of the next."""
    knots: list[tuple[float, float, float]] = []
    for block in item.blocks:
        arrives_s = block.start_s + (block.duration_s if block.jump_s is None else block.jump_s)
        arrives_s = block.start_s if not knots else arrives_s
        knots += [(arrives_s, block.azimuth_deg, block.gain)]
        knots += [(block.start_s + block.duration_s, block.azimuth_deg, block.gain)]
    at_s, azimuth, gain = np.array(knots).T
    return np.interp(times_s, at_s, azimuth), np.interp(times_s, at_s, gain)


def away_from_jumps(times_s: np.ndarray, *jumps_s: float) -> np.ndarray:
    return np.all([np.abs(times_s - jump_s - 0.005) > 0.0052 for jump_s in jumps_s], axis=0)


def test_samples_are_the_objects_and_the_rest_in_24_bits_at_48_khz(deliver: Deliver) -> None:
    scene = scene_of()
    sounds = sounds_of(scene)
    made = deliver("adm", scene, sounds)
    wave = read_wave(made.path)
    assert (wave.letters, wave.tag, wave.rate_hz, wave.bits, wave.channels) == ("RIFF", 1, 48_000, 24, 3)
    samples = soundfile.read(made.path, dtype="float64")[0].T
    expected = np.vstack([sounds.stems, sounds.rest])
    np.testing.assert_allclose(samples, expected, rtol=0, atol=1.5 * 2.0**-23)  # dithered
    assert (made.sample_rate_hz, made.subtype, made.channels) == (48_000, "PCM_24", 3)


@pytest.mark.parametrize("transition_s", [0.0, 0.2])
def test_blocks_follow_the_timeline(deliver: Deliver, transition_s: float) -> None:
    from tas_core.delivery.trajectory import trajectories

    *objects, rest = trajectories(TIMELINE, SECONDS, (0.0, SECONDS), transition_s=transition_s)
    scene = replace(scene_of(), objects=tuple(objects), rest=rest)
    found, _ = read_adm(deliver("adm", scene).path)
    assert [(item.name, item.track, item.kind) for item in found] == [
        ("cello", 1, "Objects"),
        ("piano", 2, "Objects"),
        ("rest", 3, "Objects"),
    ]
    times_s = np.linspace(0, SECONDS, 5000, endpoint=False)
    tracks = TIMELINE.tracks(times_s, SECONDS, transition_s=transition_s)
    for item, track in zip(found, tracks, strict=False):
        starts = np.array([block.start_s for block in item.blocks])
        ends = starts + [block.duration_s for block in item.blocks]
        assert starts[0] == 0
        np.testing.assert_allclose(starts[1:], ends[:-1], atol=1e-9)
        assert ends[-1] == pytest.approx(SECONDS, abs=1e-9)
        settled = away_from_jumps(times_s, *(() if transition_s else (0.0, 0.4, 0.5, 0.9)))
        azimuth, gain = heard_at(item, times_s)
        np.testing.assert_allclose(azimuth[settled], track.azimuth_deg[settled], atol=0.02 if not transition_s else 4)
        assert (gain == 1).all()
        assert max(abs(np.diff([block.azimuth_deg for block in item.blocks if block.jump_s is None])), default=0) < 120
    still_there = found[2].blocks
    assert [(block.azimuth_deg, block.gain, block.duration_s) for block in still_there] == [(0.0, 1.0, SECONDS)]


def test_movements_are_cut_where_they_go_two_degrees() -> None:
    moving = replace(still(), azimuth_deg=np.array([-60.0, 60.0]))
    blocks = adm.block_formats(moving, 100_000, 1.0)
    azimuth = np.array([block.azimuth_deg for block in blocks])
    assert 0 < np.diff(azimuth).max() <= 2.0 + 1e-9
    assert azimuth[-1] == pytest.approx(60)
    assert sum(block.end - block.start for block in blocks) == 100_000
    assert not any(block.jumps for block in blocks)


def test_gains_are_in_the_blocks(deliver: Deliver) -> None:
    ends, ones = np.array([0.0, 0.5, 0.5, 1.0]), np.ones(4)
    from tas_core.delivery.trajectory import Trajectory

    dog = Trajectory("dog", ends, 30 * ones, 0 * ones, ones, np.array([1.0, 0.25, 0.0, 0.0]), ones > 0)
    found, _ = read_adm(deliver("adm", Scene("s", (dog,), still(gain_db=-6.0), RATE_HZ, RATE_HZ)).path)
    _, gain = heard_at(found[0], np.array([0.02, 0.25, 0.499, 0.52, 0.99]))
    np.testing.assert_allclose(gain, [0.97, 0.625, 0.2515, 0, 0], atol=1e-5)
    assert found[1].blocks[0].gain == pytest.approx(10**-0.3, abs=1e-6)


def test_distances_are_of_the_nearest_since_renderers_widen_what_is_nearer_than_one() -> None:
    scene = Scene("s", (still(name="dog", distance_m=4.0),), still(), RATE_HZ, RATE_HZ)
    text = adm.axml(scene, adm.Loudness(None, None)).decode()
    assert "absoluteDistance" not in text  # 1 m
    assert '<position coordinate="distance">1.000000</position>' in text
    assert '<position coordinate="distance">4.000000</position>' in text
    near = replace(scene, objects=(still(name="fly", distance_m=0.5), *scene.objects))
    text = adm.axml(near, adm.Loudness(None, None)).decode()
    assert text.count("<absoluteDistance>0.500000</absoluteDistance>") == 3
    assert '<position coordinate="distance">8.000000</position>' in text


def test_the_loudness_is_that_of_five_loudspeakers(deliver: Deliver) -> None:
    """Held against pyloudnorm, whose channels are left, right, centre and the two surrounds with their weights."""
    scene = scene_of()
    sounds = sounds_of(scene)
    made = deliver("adm", scene, sounds)
    heard = mix_panner("5.1", scene).channels(sounds)[[0, 1, 2, 4, 5]].T
    expected = pyloudnorm.Meter(RATE_HZ).integrated_loudness(heard)
    _, programme = read_adm(made.path)
    said = programme.find(NAMESPACE + "loudnessMetadata")
    assert said is not None
    assert float(said.findtext(NAMESPACE + "integratedLoudness") or "") == pytest.approx(expected, abs=0.1)
    assert made.loudness_lufs == pytest.approx(expected, abs=0.1)
    peak_db = 20 * np.log10(np.abs(heard).max())
    assert peak_db - 0.01 <= float(said.findtext(NAMESPACE + "maxTruePeak") or "") < peak_db + 3
    louder = deliver("adm", scene, sounds, loudness_lufs=-30.0)
    assert louder.loudness_lufs == pytest.approx(-30, abs=0.01)
    assert louder.gain_db == pytest.approx(-30 - expected, abs=0.1)


def test_silence_has_no_loudness(deliver: Deliver) -> None:
    scene = scene_of()
    sounds = replace(sounds_of(scene), stems=np.zeros((2, RATE_HZ)), rest=np.zeros((1, RATE_HZ)))
    _, programme = read_adm(deliver("adm", scene, sounds).path)
    assert programme.find(NAMESPACE + "loudnessMetadata") is None


@pytest.mark.parametrize("rate_hz", [8000, 44_100, 96_000])
def test_other_rates_are_resampled_to_the_sample(deliver: Deliver, rate_hz: int) -> None:
    scene = scene_of(rate_hz=rate_hz)
    time_s = np.arange(rate_hz) / rate_hz
    tone = 0.25 * np.sin(2 * np.pi * 1000 * time_s)
    sounds = replace(sounds_of(scene), stems=np.stack([tone, 0 * tone]), rest=0 * tone[None])
    samples = soundfile.read(deliver("adm", scene, sounds).path)[0].T
    assert samples.shape == (3, 48_000)
    expected = 0.25 * np.sin(2 * np.pi * 1000 * np.arange(48_000) / 48_000)
    np.testing.assert_allclose(samples[0, 2000:-2000], expected[2000:-2000], atol=1e-5)


def test_a_rest_of_two_channels_is_a_bed(deliver: Deliver) -> None:
    scene = replace(scene_of(), rest_channels=2, rest=still(gain_db=-6.0))
    sounds = sounds_of(scene)
    made = deliver("adm", scene, sounds)
    found, _ = read_adm(made.path)
    assert [(item.name, item.kind) for item in found[2:]] == [("rest", "DirectSpeakers")] * 2
    samples = soundfile.read(made.path)[0].T
    np.testing.assert_allclose(samples[2:], 10**-0.3 * sounds.rest, atol=1e-6)


def test_names_of_any_script_and_signs_of_xml_come_back(deliver: Deliver) -> None:
    names = ("viola & <cello>", 'Flöte "laut" = 1', "拍手", "dog's")
    objects = tuple(still(10.0 * n, name=name) for n, name in enumerate(names))
    scene = Scene("Tom & Jerry's <film>", objects, still(), RATE_HZ, RATE_HZ)
    found, programme = read_adm(deliver("adm", scene).path)
    assert [item.name for item in found] == [*names, "rest"]
    assert programme.get("audioProgrammeName") == "Tom & Jerry's <film>"


@pytest.mark.parametrize("bad", ["dog\x07", "dog\ud800", "dog\uffff"])
def test_names_that_xml_does_not_hold_are_refused(deliver: Deliver, tmp_path: Path, bad: str) -> None:
    scene = Scene("s", (still(name=bad),), still(), RATE_HZ, RATE_HZ)
    with pytest.raises(InputError, match=r"XML holds no character <U\+[0-9A-F]{4}>, expected another name"):
        deliver("adm", scene)
    assert list(tmp_path.iterdir()) == []


def test_above_four_gibibytes_it_is_bw64(deliver: Deliver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tas_core.audio.writer.MAX_CHUNK_BYTES", 200_000)
    made = deliver("adm", scene_of())
    wave = read_wave(made.path)
    assert (wave.letters, wave.order[0], wave.channels, wave.bits) == ("BW64", "ds64", 3, 24)
    assert [item.name for item in read_adm(made.path)[0]] == ["cello", "piano", "rest"]


def test_xml_counts_to_the_four_gibibytes(deliver: Deliver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The samples would fit, not with what is behind them."""
    monkeypatch.setattr("tas_core.audio.writer.MAX_CHUNK_BYTES", 3 * 3 * RATE_HZ + 5000)
    assert read_wave(deliver("adm", scene_of()).path).letters == "BW64"


def test_a_file_that_is_really_larger_is_corrected(tmp_path: Path) -> None:
    """Five gibibytes with a hole in them, which take no room on the disk."""
    path = tmp_path / "large.wav"
    with soundfile.SoundFile(path, "w", 48_000, 2, "PCM_24", format="RF64") as file:
        file.write(np.zeros((48_000, 2)))
    wave = read_wave(path)
    at, _ = wave.chunks["data"]
    frames = 5 * 2**30 // 6
    with open(path, "rb+") as file:
        file.truncate(at + frames * 6)
        file.seek(wave.chunks["ds64"][0])
        file.write((at + frames * 6 - 8).to_bytes(8, "little") + (frames * 6).to_bytes(8, "little"))
        file.seek(at - 4)
        file.write(b"\xff" * 4)
    set_channel_mask(path, 3)
    append_chunks(path, {b"axml": b"<odd/>1", b"chna": b"1234"})
    wave = read_wave(path)
    assert (wave.letters, wave.mask) == ("BW64", 3)
    assert (wave.content("axml"), wave.content("chna")) == (b"<odd/>1", b"1234")
    assert wave.size > 5 * 2**30


def test_a_small_file_does_not_grow_beyond_its_header(tmp_path: Path) -> None:
    path = tmp_path / "small.wav"
    soundfile.write(path, np.zeros((10, 1)), 48_000, subtype="PCM_24")
    with open(path, "rb+") as file:
        file.truncate(2**32 + 10)
    with pytest.raises(ValueError, match="expected less than 4 GiB in RIFF"):
        append_chunks(path, {b"axml": b"1"})


def test_many_prompts_stay_in_order_however_short(deliver: Deliver) -> None:
    """Blocks of less than a step of time are left out, and those after them still jump."""
    edges = [0.0, 0.25, 0.250001, 0.250002, 0.250003, 0.5]
    segments = [
        Segment.from_prompt(a, b, f"dog {10 * n} degrees to the left")
        for n, (a, b) in enumerate(zip(edges[:-1], edges[1:], strict=True))
    ]
    found, _ = read_adm(deliver("adm", scene_of(Timeline(tuple(segments)))).path)
    blocks = found[0].blocks
    assert all(block.duration_s > 0 for block in blocks)
    assert [block.azimuth_deg for block in blocks] == [0.0, 40.0, 0.0]
    assert [block.jump_s for block in blocks] == [None, 0.01, 0.01]
