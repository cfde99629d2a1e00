"""TASBench-Sim: what the annotations say is what the stems hold, left is left, and clips come whole or not at all.

Fast tests render synthetic sounds in place of soundfonts and voices; the slow ones use the real material.
"""

from __future__ import annotations

import errno
import hashlib
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors.numpy import load_file

from tas_core.acoustics import hrtf
from tas_core.acoustics.rooms import Room
from tas_core.audio.writer import write_audio
from tas_core.datasets.sources.catalogue import SOUNDFONTS, Split
from tas_core.datasets.tasbench import simulation
from tas_core.datasets.tasbench.checking import check_dataset
from tas_core.datasets.tasbench.layout import TasBench
from tas_core.datasets.tasbench.scenes import SceneObject, draw_scene
from tas_core.datasets.tasbench.simulation import render_object, render_scene, simulate
from tas_core.errors import TasError
from tests.conftest import Finished
from tests.support.installed import needs_material

KEMAR = Path(hrtf.__file__).with_name("kemar.safetensors")


def bursts(item: SceneObject, split: Split, rate_hz: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """In place of real material: bursts of noise with silence between, in the object's own time."""
    del split
    rng = np.random.default_rng(item.seed)
    time_s = np.arange(round(10 * rate_hz)) / rate_hz
    gate = (np.sin(2 * np.pi * time_s * rng.uniform(0.2, 0.6) + rng.uniform(0, 6)) > 0).astype(float)
    gate *= (time_s >= item.start_s) & (time_s < item.stop_s)
    return rng.standard_normal(len(time_s)) * gate, ()


@pytest.fixture
def synthetic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "_dry", bursts)


def tree(root: Path) -> dict[str, str]:
    """Digest of every file below a folder."""
    files = sorted(p for p in root.rglob("*") if p.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def check_annotations(data: TasBench, clip: str) -> None:
    """Every object that sounds in a frame is in its text, and no other; from the files alone."""
    scene = data.scene(clip)
    mix, rate_hz = soundfile.read(data.audio_path(clip), always_2d=True)
    size = rate_hz // 10
    frames = len(mix) // size
    sounding: dict[str, np.ndarray] = {}
    total = np.zeros_like(mix)
    for item in scene["objects"]:
        stem, stem_rate_hz = soundfile.read(data.stem_folder(clip) / item["file"], always_2d=True)
        assert stem_rate_hz == rate_hz
        total += stem
        level = np.sqrt((stem[: frames * size] ** 2).reshape(frames, -1).mean(axis=1))
        # 50 dB below the loudest frame; levels within 0.1 dB of the limit may fall either way by rounding to 24 bit.
        db = 20 * np.log10(np.maximum(level, 1e-12) / level.max())
        sounding[item["phrase"]] = np.where(np.abs(db + 50) < 0.1, np.nan, db > -50)
    assert 10 * np.log10(max(((mix - total) ** 2).sum(), 1e-30) / (mix**2).sum()) < -80
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a segment behind the end would warn
        named = data.timeline(clip).tracks((np.arange(frames) + 0.5) / 10, len(mix) / rate_hz)
    by_name = {track.object: track.active for track in named}
    for phrase, wanted in sounding.items():
        said = by_name.get(phrase, np.zeros(frames, bool))
        known = ~np.isnan(wanted)
        np.testing.assert_array_equal(said[known], wanted[known].astype(bool), err_msg=f"{clip} {phrase}")
    assert set(by_name) <= set(sounding)


# ------------------------------------------------------------------ sound


def measured_cues(azimuth_deg: int) -> tuple[float, float]:
    """ITD in microseconds (positive: left first) and ILD in dB of a measured response, straight from the file."""
    data = load_file(KEMAR)
    row = np.flatnonzero((data["azimuth_deg"] == azimuth_deg) & (np.abs(data["elevation_deg"]) < 0.5))[0]
    return cues(data["hrir"][row].astype(float), 44100)


def cues(ears: np.ndarray, rate_hz: int) -> tuple[float, float]:
    """ITD by cross-correlation below 1.5 kHz and ILD of the whole of a pair of responses (left, right)."""
    size = 1 << 17
    spectrum = np.fft.rfft(ears, size)
    freqs_hz = np.fft.rfftfreq(size, 1 / rate_hz)
    low = (freqs_hz > 100) & (freqs_hz < 1500)
    cross = np.where(low, spectrum[0] * spectrum[1].conj(), 0)
    # Sixteen times as fine as the samples.
    correlation = np.fft.irfft(cross, 16 * size)
    reach = round(0.001 * rate_hz * 16)
    lags = np.arange(-reach, reach + 1)
    best = lags[np.argmax(correlation[lags])]
    band = (freqs_hz > 100) & (freqs_hz < 7500)
    power = (np.abs(spectrum[:, band]) ** 2).sum(axis=1)
    return -best / 16 / rate_hz * 1e6, 10 * math.log10(power[0] / power[1])


@pytest.mark.parametrize("rate_hz", [16000, 48000])
def test_direct_sound_has_the_cues_of_its_azimuth(rate_hz: int) -> None:
    """Between those of KEMAR 5 degrees to either side, for an object at rest in a reverberant room.

    The first reflection, from the floor, comes 1.9 ms or later at these distances, hence the first 1.8 ms after the
    onset are the direct sound alone, cut at its fading end. ITD between 5 degrees is some 40 us, ILD 0.3 dB or more.
    """
    room = Room((7.0, 6.0, 3.0), 0.5, (2.0, 3.0, 1.5))
    click = np.zeros(rate_hz)
    click[100] = 1.0
    item = draw_scene(0, 1, rate_hz).objects[0]
    for azimuth in (-85, -60, -35, -10, 0, 20, 45, 70):
        placed = replace(item, path=((0.0, float(azimuth)), (10.0, float(azimuth))), distance_m=1.2)
        ears = render_object(click, placed, room, rate_hz)
        dry = render_object(click, placed, replace(room, rt60_s=0.0), rate_hz)
        onset = int(np.argmax(np.abs(ears).max(axis=0) > 0.05 * np.abs(ears).max()))
        direct = slice(onset - round(0.0005 * rate_hz), onset + round(0.0018 * rate_hz))
        np.testing.assert_allclose(ears[:, direct], dry[:, direct], atol=1e-3 * np.abs(dry).max())
        itd, ild = cues(dry[:, : 100 + round(0.02 * rate_hz)], rate_hz)
        near = [measured_cues(a) for a in (max(-90, azimuth - 5), azimuth, min(90, azimuth + 5))]
        assert min(n[0] for n in near) - 12 <= itd <= max(n[0] for n in near) + 12
        assert min(n[1] for n in near) - 0.3 <= ild <= max(n[1] for n in near) + 0.3


def test_movement_passes_through_its_azimuths() -> None:
    """A long noise from 70 degrees left to 70 right: in short windows, ITDs are those of the azimuth at that time."""
    rate_hz = 16000
    item = replace(draw_scene(0, 1, rate_hz).objects[0], path=((0.0, 70.0), (1.0, 70.0), (9.0, -70.0), (10.0, -70.0)))
    dry = np.random.default_rng(0).standard_normal(10 * rate_hz)
    ears = render_object(dry, item, Room((7.0, 6.0, 3.0), 0.0, (2.0, 3.0, 1.5)), rate_hz)
    for time_s in (0.5, 2.5, 4.0, 5.0, 6.5, 9.5):
        azimuth = float(item.azimuth_deg(np.array([time_s]))[0])
        part = ears[:, round((time_s - 0.1) * rate_hz) : round((time_s + 0.1) * rate_hz)]
        itd, _ = cues(part, rate_hz)
        low, high = (measured_cues(int(5 * f(azimuth / 5)))[0] for f in (math.floor, math.ceil))
        # In 0.2 s the source moves 3.5 degrees, some 30 us.
        assert min(low, high) - 30 <= itd <= max(low, high) + 30


def test_movement_is_as_loud_as_rest_and_makes_no_clicks() -> None:
    """A steady tone on the move: its envelope changes slowly, at most 1 dB in 10 ms."""
    rate_hz = 16000
    item = replace(draw_scene(0, 1, rate_hz).objects[0], path=((0.0, 80.0), (2.0, 80.0), (4.0, -80.0), (10.0, -80.0)))
    dry = np.sin(2 * np.pi * 500 * np.arange(10 * rate_hz) / rate_hz)
    ears = render_object(dry, item, Room((7.0, 6.0, 3.0), 0.0, (2.0, 3.0, 1.5)), rate_hz)
    level = 10 * np.log10((ears[:, rate_hz:] ** 2).reshape(2, -1, 160).mean(axis=2))
    assert np.abs(np.diff(level, axis=1)).max() < 1.0


@pytest.mark.usefixtures("synthetic")
def test_left_is_left(tmp_path: Path) -> None:
    """From sound to text: where the file's first channel is much the louder, the text says left, and so for right."""
    data = simulate(tmp_path / "sim", 24, seed=2, rate_hz=16000)
    seen = {"left": 0, "right": 0}
    for clip in data.clips():
        samples, rate_hz = soundfile.read(data.audio_path(clip))
        for segment in data.timeline(clip).segments:
            if len(segment.clauses) != 1 or segment.end_s - segment.start_s < 0.3:  # type: ignore[operator]
                continue
            part = samples[round(segment.start_s * rate_hz) : round(segment.end_s * rate_hz)]  # type: ignore[operator]
            level_db = 10 * np.log10((part[:, 0] ** 2).mean() / (part[:, 1] ** 2).mean())
            if abs(level_db) > 8:
                side = "left" if level_db > 0 else "right"
                assert side in segment.text, f"{clip}: {level_db:+.1f} dB, {segment.text}"
                seen[side] += 1
    assert min(seen.values()) >= 3


# ------------------------------------------------------------------ data sets


@pytest.mark.usefixtures("synthetic")
def test_a_data_set_passes_its_check(tmp_path: Path) -> None:
    data = simulate(tmp_path / "sim", 20, rate_hz=16000)
    assert check_dataset(data) == []
    assert len(data.clips()) == 20
    assert [len(data.split_clips(s)) for s in ("train", "val", "test")] == [16, 2, 2]  # type: ignore[arg-type]
    for clip in data.clips():
        check_annotations(data, clip)
    assert not list((tmp_path / "sim").glob(".*"))


@pytest.mark.usefixtures("synthetic")
def test_same_seed_same_bytes_and_resume(tmp_path: Path) -> None:
    whole = tree(simulate(tmp_path / "a", 12, rate_hz=16000, seed=5).root)
    simulate(tmp_path / "b", 4, rate_hz=16000, seed=5)
    # An interrupted clip: files in place, but no description; and a hidden folder.
    (tmp_path / "b" / "stems" / "000005").mkdir()
    (tmp_path / "b" / "stems" / ".tas-0123456789ab.parts" / "deep").mkdir(parents=True)
    assert tree(simulate(tmp_path / "b", 12, rate_hz=16000, seed=5).root) == whole
    assert tree(simulate(tmp_path / "c", 12, rate_hz=16000, seed=6).root) != whole


@pytest.mark.usefixtures("synthetic")
def test_complete_clips_are_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(tmp_path / "a", 3, rate_hz=16000)
    made: list[str] = []
    render = simulation.render_scene
    monkeypatch.setattr(simulation, "render_scene", lambda scene: (made.append(scene.clip), render(scene))[1])
    simulate(tmp_path / "a", 5, rate_hz=16000)
    assert made == ["000004", "000005"]


@pytest.mark.usefixtures("synthetic")
def test_one_part_of_the_split(tmp_path: Path) -> None:
    data = simulate(tmp_path / "a", 40, rate_hz=16000, splits=("test",))
    assert data.clips() == ("000010", "000020", "000030", "000040") == data.split_clips("test")
    assert data.split_clips("train") == ()
    assert check_dataset(data) == []


@pytest.mark.usefixtures("synthetic")
def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0

    def failing(path: Path, *arguments: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 8:
            path.write_bytes(b"RIFF")
            raise OSError(errno.ENOSPC, "No space left on device")
        write_audio(path, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(simulation, "write_audio", failing)
    root = tmp_path / "a"
    said = r"stems/00000\d: cannot write the folder \(No space left on device\); is the disk full\?"
    with pytest.raises(TasError, match=said):
        simulate(root, 10, rate_hz=16000)
    clips = TasBench(root).clips()
    assert 1 <= len(clips) < 10
    for clip in clips:
        assert simulation.is_complete(root, clip)
        check_annotations(TasBench(root), clip)
    assert not list(root.rglob(".tas*"))
    monkeypatch.setattr(simulation, "write_audio", write_audio)
    assert len(simulate(root, 10, rate_hz=16000).clips()) == 10


def test_breaking_off_leaves_nothing_of_what_processes_had_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(root: Path, *rest: object) -> Iterator[int]:
        del rest
        (root / "stems" / ".tas-0123456789ab.parts").mkdir()
        yield 1
        raise KeyboardInterrupt

    monkeypatch.setattr(simulation, "_made", ended)
    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path, 3, jobs=2)
    assert not list(tmp_path.rglob(".tas*"))


@pytest.mark.usefixtures("synthetic")
def test_another_seed_or_a_foreign_folder_is_refused(tmp_path: Path, tas: Callable[..., Finished]) -> None:
    simulate(tmp_path / "a", 1, rate_hz=16000)
    done = tas("data", "simulate", "--out", tmp_path / "a", "--clips", 1, "--seed", 1, "--rate", 16000)
    assert done.code == 2
    assert "dataset.json: the folder was made with" in done.error_line
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.txt").write_text("important")
    done = tas("data", "simulate", "--out", tmp_path / "b", "--clips", 1)
    assert done.code == 2
    assert "not empty" in done.error_line
    assert sorted(p.name for p in (tmp_path / "b").iterdir()) == ["thesis.txt"]
    done = tas("data", "simulate", "--out", tmp_path / "c", "--split", "tset")
    assert done.code == 2
    assert "'tset' is not one of" in done.err
    assert all(f"'{part}'" in done.err for part in ("train", "val", "test", "all"))


def test_missing_material_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fonts = tuple(replace(font, path=tmp_path / "none.sf2") for font in SOUNDFONTS)
    monkeypatch.setattr(simulation, "SOUNDFONTS", fonts)
    monkeypatch.setattr(simulation, "_synth", simulation._synth.__wrapped__)
    item = replace(draw_scene(0, 1, 16000).objects[0], category="cello", source="FluidR3/cello")
    with pytest.raises(TasError, match="is not installed"):
        simulation._dry(item, "train", 16000)


@pytest.mark.slow
@needs_material
def test_real_material(tmp_path: Path) -> None:
    """Ten clips with real instruments, voices and recordings, by two processes: checked, annotated, repeatable."""
    data = simulate(tmp_path / "a", 10, rate_hz=16000, jobs=2)
    assert check_dataset(data) == []
    kinds = set()
    for clip in data.clips():
        check_annotations(data, clip)
        for item in data.scene(clip)["objects"]:
            kinds.add(item["source"].partition("/")[0])
            assert item["active"], f"{clip}: {item['phrase']} never sounds"
    assert len(kinds) >= 6
    # One after the other in this process, in another order and with other clips before them.
    again = simulate(tmp_path / "b", 10, rate_hz=16000, splits=("test", "val"))
    for clip in again.clips():
        for path in (again.audio_path(clip), again.timeline_path(clip)):
            assert path.read_bytes() == (tmp_path / "a" / path.relative_to(again.root)).read_bytes()


@pytest.mark.slow
@needs_material
def test_a_scene_sounds_the_same_whatever_was_rendered_before(tmp_path: Path) -> None:
    del tmp_path
    first = [render_scene(draw_scene(0, n, 16000))[1] for n in (6, 10)]
    second = [render_scene(draw_scene(0, n, 16000))[1] for n in (10, 6)]
    np.testing.assert_array_equal(first[0], second[1])
    np.testing.assert_array_equal(first[1], second[0])
