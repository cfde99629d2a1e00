"""Files as other programs read them: libsndfile, ffprobe, readers of CSV, JSON, OSC and REAPER's projects."""

from __future__ import annotations

import csv
import json
import math
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tas_core.delivery.mixes import mix_panner
from tas_core.delivery.scene import Scene
from tests.delivery.conftest import RATE_HZ, SECONDS, TIMELINE, Deliver, scene_of, sounds_of, still
from tests.support.wave_files import read_wave

CHANNELS = {"stereo": 2, "5.1": 6, "5.1.4": 10, "7.1.4": 12, "ambix1": 4, "ambix2": 9, "ambix3": 16}
MASKS = {"5.1": 0x3F, "5.1.4": 0x2D03F, "7.1.4": 0x2D63F, "ambix1": 0, "ambix2": 0, "ambix3": 0}


@pytest.mark.parametrize("name", CHANNELS)
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_channels_are_in_the_file_as_they_were_summed(deliver: Deliver, name: str, subtype: str) -> None:
    scene = scene_of(rate_hz=16_000)
    sounds = sounds_of(scene)
    made = deliver(name, scene, sounds, subtype=subtype)
    samples, rate_hz = soundfile.read(made.path, dtype="float64")
    step = {"PCM_16": 2.0**-15, "PCM_24": 2.0**-23, "FLOAT": 2.0**-24}[subtype]
    expected = mix_panner(name, scene).channels(sounds)
    np.testing.assert_allclose(samples.T, expected, rtol=0, atol=1.5 * step)
    assert (rate_hz, made.channels, made.subtype) == (16_000, CHANNELS[name], subtype)
    assert read_wave(made.path).mask == MASKS.get(name)


def test_stereo_of_integers_folds_to_the_mono_integers(deliver: Deliver) -> None:
    """Each channel is rounded, and what is added on one side is taken away on the other."""
    scene = scene_of(rate_hz=16_000)
    rng = np.random.default_rng(3)
    stems = rng.uniform(-0.2, 0.2, (2, scene.num_frames))
    mono = np.rint(rng.uniform(-0.3, 0.3, scene.num_frames) * 2**23) / 2**23
    sounds = replace(sounds_of(scene), stems=stems, rest=(mono - stems.sum(axis=0))[None])
    made = deliver("stereo", scene, sounds, subtype="PCM_24", source_subtype="PCM_24")
    samples = soundfile.read(made.path, dtype="int32")[0] // 2**8
    np.testing.assert_array_equal(samples.sum(axis=1), np.rint(mono * 2**24))


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="needs ffprobe")
@pytest.mark.parametrize("name", [*CHANNELS, "adm"])
def test_ffprobe_reads_every_file(deliver: Deliver, name: str) -> None:
    made = deliver(name, scene_of())
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_streams", made.path]
    (stream,) = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)["streams"]
    assert (stream["channels"], int(stream["sample_rate"])) == (made.channels, RATE_HZ)
    assert float(stream["duration"]) == SECONDS
    if name == "5.1":
        assert stream["channel_layout"] == "5.1"


@pytest.mark.parametrize("name", ["5.1", "7.1.4", "ambix3"])
def test_above_four_gibibytes_channels_keep_their_mask(
    deliver: Deliver, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tas_core.audio.writer.MAX_CHUNK_BYTES", 100_000)
    wave = read_wave(deliver(name, scene_of()).path)
    assert (wave.letters, wave.channels, wave.mask) == ("RF64", CHANNELS[name], MASKS[name])


def test_five_one_goes_into_flac_too(tmp_path: Path) -> None:
    from tas_core.audio.formats import AudioFormat
    from tas_core.delivery.base import WriteOptions
    from tas_core.delivery.formats import FORMATS, Delivery
    from tas_core.delivery.mixes import MixWriter, mix_format

    scene = scene_of()
    delivery = Delivery(FORMATS["5.1"], tmp_path / "x.5.1.flac")
    form = mix_format(delivery, AudioFormat(RATE_HZ, 2, scene.num_frames, "PCM_24"))
    with MixWriter(delivery, form, scene, WriteOptions("PCM_24")) as writer:
        writer.write(sounds_of(scene))
    samples = soundfile.read(delivery.path)[0].T
    np.testing.assert_allclose(samples, mix_panner("5.1", scene).channels(sounds_of(scene)), atol=2.0**-23)


def test_loudness_of_a_bed_is_that_which_was_asked_for(deliver: Deliver) -> None:
    import pyloudnorm

    made = deliver("5.1", scene_of(), loudness_lufs=-27.0)
    samples = soundfile.read(made.path)[0][:, [0, 1, 2, 4, 5]]
    assert pyloudnorm.Meter(RATE_HZ).integrated_loudness(samples) == pytest.approx(-27, abs=0.1)
    assert made.loudness_lufs == pytest.approx(-27, abs=0.01)


def test_channels_beyond_full_scale_are_turned_down_together(deliver: Deliver) -> None:
    scene = scene_of()
    sounds = sounds_of(scene)
    with pytest.warns(UserWarning, match=r"scene\.7\.1\.4\.wav: a channel would reach .* turned down by"):
        made = deliver("7.1.4", scene, sounds, subtype="PCM_16", gain_db=30.0)
    samples = soundfile.read(made.path)[0].T
    expected = mix_panner("7.1.4", scene).channels(sounds)
    np.testing.assert_allclose(samples, expected * 10 ** (made.gain_db / 20), atol=2.0**-14)
    assert np.abs(samples).max() == pytest.approx(1, abs=1e-4)


# ------------------------------------------------------------------ objects


def test_the_folder_has_sounds_and_places_in_two_forms(deliver: Deliver) -> None:
    scene = scene_of()
    sounds = sounds_of(scene)
    made = deliver("objects", scene, sounds)
    folder = Path(made.path)
    assert sorted(map(str, folder.iterdir())) == sorted(made.files)
    said = json.loads((folder / "scene.json").read_text("utf-8"))
    assert [item["object"] for item in said["objects"]] == ["cello", "piano"]
    assert (said["duration_s"], said["sample_rate_hz"]) == (SECONDS, RATE_HZ)
    times_s = np.linspace(0, SECONDS, 2000, endpoint=False)
    tracks = TIMELINE.tracks(times_s, SECONDS)
    for item, track, stem in zip(said["objects"], tracks, sounds.stems, strict=True):
        np.testing.assert_allclose(soundfile.read(folder / item["sound"])[0], stem, atol=2.0**-24)
        with open(folder / item["table"], newline="") as file:
            rows = list(csv.DictReader(file))
        assert list(rows[0]) == ["time_s", "azimuth_deg", "elevation_deg", "distance_m", "gain"]
        points = [{name: float(value) for name, value in row.items()} for row in rows]
        assert points == item["points"]
        np.testing.assert_allclose(lines_of(points, "azimuth_deg", times_s), track.azimuth_deg, atol=1e-4)
        assert {(point["elevation_deg"], point["distance_m"], point["gain"]) for point in points} == {(0, 1, 1)}
    np.testing.assert_allclose(soundfile.read(folder / said["rest"]["sound"])[0], sounds.rest[0], atol=2.0**-24)
    assert said["rest"]["channels_azimuth_deg"] == [0.0]


def lines_of(points: list[dict[str, float]], name: str, times_s: np.ndarray) -> np.ndarray:
    """Values between rows as the documentation says: straight, and of two rows of one time the second counts."""
    at = [max(n for n, point in enumerate(points) if point["time_s"] <= time_s) for time_s in times_s.tolist()]
    found = []
    for n, time_s in zip(at, times_s.tolist(), strict=True):
        a, b = points[n], points[min(n + 1, len(points) - 1)]
        part = (time_s - a["time_s"]) / (b["time_s"] - a["time_s"]) if b["time_s"] > a["time_s"] else 0
        found.append(a[name] + part * (b[name] - a[name]))
    return np.array(found)


def test_gains_of_prompts_are_in_the_tables_and_not_in_the_sounds(deliver: Deliver) -> None:
    scene = Scene("s", (still(name="dog", gain_db=-6.0),), still(gain_db=-math.inf), RATE_HZ, RATE_HZ)
    sounds = sounds_of(scene)
    folder = Path(deliver("objects", scene, sounds).path)
    said = json.loads((folder / "scene.json").read_text("utf-8"))
    assert [point["gain"] for point in said["objects"][0]["points"]] == [0.501187, 0.501187]
    assert [line.split(",")[-1] for line in (folder / "rest.csv").read_text().split()] == ["gain"] + ["0.000000"] * 2
    np.testing.assert_allclose(soundfile.read(folder / "rest.wav")[0], sounds.rest[0], atol=2.0**-24)


def test_a_gain_is_in_the_sounds(deliver: Deliver) -> None:
    scene = scene_of()
    sounds = sounds_of(scene)
    made = deliver("objects", scene, sounds, gain_db=-6.0)
    stem = soundfile.read(made.files[0])[0]
    np.testing.assert_allclose(stem, 10**-0.3 * sounds.stems[0], atol=1e-7)
    assert made.gain_db == -6


def test_names_with_commas_and_quotes_do_not_break_anything(deliver: Deliver) -> None:
    names = ('a "loud", low = dog', "b\\c", "d`e'f\"g", "Flöte")
    scene = Scene("s", tuple(still(name=name) for name in names), still(), RATE_HZ, RATE_HZ)
    folder = Path(deliver("objects", scene).path)
    said = json.loads((folder / "scene.json").read_text("utf-8"))
    assert [item["object"] for item in said["objects"]] == list(names)
    assert all((folder / item["table"]).exists() for item in said["objects"])
    project = project_of(Path(deliver("rpp", scene).path))
    assert [track["NAME"] for track in project] == [names[0], names[1], "d'e'f\"g", names[3], "rest"]
    words = {m[3] for m in messages_of(Path(deliver("osc", scene).path)) if m[1].endswith("/name")}
    assert words == {("a-loud-low-dog",), ("b-c",), ("d-e-f-g",), ("Fl-te",), ("rest",)}


# ------------------------------------------------------------------ OSC


def messages_of(path: Path) -> list[tuple[float, str, str, tuple[Any, ...]]]:
    """Time, address, types and values of each line, as ``oscsendfile`` of liblo takes it apart."""
    found = []
    for line in path.read_text("ascii").splitlines():
        tag, address, types, *values = line.split(" ")
        whole, fraction = (int(part, 16) for part in tag.split("."))
        assert len(types) == len(values)
        numbers = tuple(float(v) if t == "f" else v for t, v in zip(types, values, strict=True))
        found.append((whole + fraction / 2**32, address, types, numbers))
    return found


def packet(address: str, types: str, values: tuple[Any, ...]) -> bytes:
    """A message of OSC 1.0, which shows that it can be one."""
    padded = lambda text: text.encode("ascii") + b"\0" * (4 - len(text) % 4)  # noqa: E731
    content = b"".join(struct.pack(">f", v) if t == "f" else padded(v) for t, v in zip(types, values, strict=True))
    return padded(address) + padded("," + types) + content


def test_messages_say_where_objects_are(deliver: Deliver) -> None:
    found = messages_of(Path(deliver("osc", scene_of()).path))
    assert [message[0] for message in found] == sorted(message[0] for message in found)
    assert all(len(packet(*message[1:])) % 4 == 0 for message in found)
    assert not any(character in message[1] for message in found for character in " #*,?[]{}")
    names = {message[1]: message[3][0] for message in found if message[1].endswith("/name")}
    assert names == {"/adm/obj/1/name": "cello", "/adm/obj/2/name": "piano", "/adm/obj/3/name": "rest"}
    piano = [(round(m[0], 6), m[3]) for m in found if m[1] == "/adm/obj/2/aed"]
    assert piano == [(0, (40, 0, 1)), (0.4, (0, 0, 1)), (0.5, (-20, 0, 1)), (0.9, (0, 0, 1))]
    cello = [(m[0], m[3][0]) for m in found if m[1] == "/adm/obj/1/aed" and m[0] < 0.4 - 1e-6]
    assert len(cello) == 20
    np.testing.assert_allclose([a for _, a in cello], [55 - 110 * time_s / 0.4 for time_s, _ in cello], atol=1e-4)
    assert [m[3] for m in found if m[1].endswith("/gain")] == [(1.0,)] * 3


def test_two_channels_of_the_rest_are_two_objects_at_their_sides(deliver: Deliver) -> None:
    found = messages_of(Path(deliver("osc", replace(scene_of(), rest_channels=2)).path))
    beside = {m[1]: m[3][0] for m in found if m[1] in ("/adm/obj/3/aed", "/adm/obj/4/aed")}
    assert beside == {"/adm/obj/3/aed": 30.0, "/adm/obj/4/aed": -30.0}


# ------------------------------------------------------------------ REAPER


def project_of(path: Path) -> list[dict[str, Any]]:
    """Tracks of a project: name, file, and points of its envelopes; fails where brackets do not close."""
    tracks: list[dict[str, Any]] = []
    stack: list[str] = []
    for line in path.read_text("utf-8").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word.startswith("<"):
            stack.append(word[1:])
            if word == "<TRACK":
                tracks.append({})
        elif word == ">":
            stack.pop()
        elif word == "NAME" and stack[-1] == "TRACK":
            assert rest[0] == rest[-1]
            assert rest[0] in "\"'`"
            assert rest[0] not in rest[1:-1]
            tracks[-1]["NAME"] = rest[1:-1]
        elif word == "FILE":
            tracks[-1]["FILE"] = rest[1:-1]
        elif word == "PT":
            tracks[-1].setdefault(stack[-1], []).append(tuple(map(float, rest.split()))[:2])
    assert stack == []
    return tracks


def test_a_project_has_a_track_for_each_sound(deliver: Deliver) -> None:
    scene = scene_of()
    sounds = sounds_of(scene)
    path = Path(deliver("rpp", scene, sounds).path)
    cello, piano, rest = project_of(path)
    assert [track["NAME"] for track in (cello, piano, rest)] == ["cello", "piano", "rest"]
    for track, sound in zip((cello, piano, rest), [*sounds.stems, sounds.rest[0]], strict=True):
        np.testing.assert_allclose(soundfile.read(path.parent / track["FILE"])[0], sound, atol=2.0**-24)
    left = [(time_s, pan) for time_s, pan in piano["PANENV2"] if time_s < 0.4]
    assert left == [(0.0, pytest.approx(math.sin(math.radians(40)), abs=1e-6))]
    assert piano["PANENV2"][-3][1] == pytest.approx(-math.sin(math.radians(20)), abs=1e-6)
    assert "VOLENV2" not in piano
    assert "PANENV2" not in rest


def test_gains_are_automation_of_volume(deliver: Deliver) -> None:
    scene = Scene("s", (still(name="dog", gain_db=-6.0),), still(gain_db=-math.inf), RATE_HZ, RATE_HZ)
    dog, rest = project_of(Path(deliver("rpp", scene).path))
    assert dog["VOLENV2"] == [(0.0, 0.501187), (1.0, 0.501187)]
    assert rest["VOLENV2"] == [(0.0, 0.0), (1.0, 0.0)]
