"""The 3D twin: captions say what is there, the truth is what was measured, and clips come as those of the plane do."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.acoustics.hrtf import direction_vectors, load_kemar
from tas_core.acoustics.sphere.measured import measured_head
from tas_core.datasets.recorded import PromptWindows
from tas_core.datasets.tasbench import simulation
from tas_core.datasets.tasbench.checking import check_dataset
from tas_core.datasets.tasbench.layout import TasBench
from tas_core.datasets.tasbench.scenes import BesideObject, Scene, draw_scene
from tas_core.datasets.tasbench.simulation import make_clips
from tas_core.datasets.tasbench.sphere_captions import sphere_data
from tas_core.datasets.tasbench.sphere_scenes import draw_sphere_scene
from tas_core.datasets.tasbench.sphere_simulation import KIND, SphereClips, render_placed
from tas_core.datasets.tasbench.statistics import dataset_statistics
from tas_core.errors import InputError
from tas_core.timeline.prompts import read_prompt
from tas_core.timeline.segments import Timeline
from tas_core.timeline.sphere import SpherePath, SpherePoint
from tests.conftest import Finished
from tests.datasets.tasbench.test_simulation import bursts, tree
from tests.support.around import ABOVE, BEHIND, FAR, LEFT, RATE_HZ, placed_scene, write_placed
from tests.support.sofa_files import FULL_CIRCLE, on_the_plane, spherical_hrir, write_sofa

MEASURED = load_kemar().unit_vectors()


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    """60 scenes as if everything in them sounded."""
    drawn = (draw_sphere_scene(3, number, RATE_HZ, MEASURED) for number in range(1, 61))
    return [replace(s, objects=tuple(replace(o, active=((0, 100),)) for o in s.objects)) for s in drawn]


@pytest.fixture(scope="module")
def timelines(scenes: list[Scene]) -> list[Timeline]:
    found = [scene.timeline() for scene in scenes]
    assert None not in found
    return found  # type: ignore[return-value]


# ------------------------------------------------------------------ scenes


def test_a_scene_depends_on_seed_and_number_and_has_the_sources_of_its_part(scenes: list[Scene]) -> None:
    again = draw_sphere_scene(3, 7, RATE_HZ, MEASURED)
    assert again == replace(scenes[6], objects=tuple(replace(o, active=()) for o in scenes[6].objects))
    assert draw_sphere_scene(4, 7, RATE_HZ, MEASURED) != again
    sources: dict[str, set[str]] = {"train": set(), "val": set(), "test": set()}
    for scene in scenes:
        sources[scene.split] |= {item.source for item in scene.objects}
    assert not sources["train"] & (sources["val"] | sources["test"])
    assert not sources["val"] & sources["test"]


def test_everything_that_the_plane_does_not_have_is_there(scenes: list[Scene]) -> None:
    """Shares of ``prompts/tasbench.yaml``; a binomial spread of 120 objects is at most 4.6 %."""
    points = [item.place.start for scene in scenes for item in scene.objects if item.place is not None]
    behind = np.mean([abs(point.azimuth_deg) > 90 for point in points])
    assert 0.35 < behind < 0.65
    assert 0.12 < np.mean([point.elevation_deg > 15 for point in points]) < 0.4
    assert 0.06 < np.mean([point.elevation_deg < -15 for point in points]) < 0.3
    assert 0.05 < np.mean([point.distance_m < 0.9 for point in points]) < 0.3
    assert 0.08 < np.mean([point.distance_m > 4 for point in points]) < 0.35
    assert any(point.spread == 1 for point in points)
    items = [item for scene in scenes for item in scene.objects]
    assert 0.1 < np.mean([item.is_moving for item in items]) < 0.3
    assert sum(item.beside is not None for item in items) > 3
    rooms = Counter(scene.room_name for scene in scenes)
    assert rooms[""] > 12
    assert rooms["outdoors"] > 2
    assert len(rooms) > 6
    assert all((scene.room.rt60_s > 0) == (scene.room_name not in ("", "outdoors")) for scene in scenes)


def test_what_rests_is_where_the_head_was_measured(scenes: list[Scene]) -> None:
    for scene in scenes:
        for item in scene.objects:
            if not item.is_moving and item.place is not None and not item.place.start.spread:
                point = item.place.start
                direction = direction_vectors(np.array(point.azimuth_deg), np.array(point.elevation_deg))
                assert (MEASURED @ direction).max() > np.cos(np.radians(0.01))
                assert item.path[0][1] == pytest.approx(point.lateral_deg, abs=0.06)


def test_captions_say_what_is_there(scenes: list[Scene], timelines: list[Timeline]) -> None:
    """In degrees to a degree and 6 % of the distance; in words the nearest that there are."""
    off: dict[str, list[float]] = {"coarse": [], "words": [], "degrees": []}
    said_by = Counter[str]()
    for scene, timeline in zip(scenes, timelines, strict=True):
        for segment in timeline.segments:
            assert segment.end_s is not None
            said = read_prompt(segment.text)
            assert said.clauses == segment.clauses
            assert (said.room.name if said.room else "") == scene.room_name
            there = {o.phrase: o for o in scene.objects if o.start_s <= segment.start_s and o.stop_s >= segment.end_s}
            assert {clause.object for clause in said.clauses} == set(there)
            for clause in said.clauses:
                item = there[clause.object]
                true, _ = item.path_within(segment.start_s, segment.end_s)
                relative = any(word in segment.text for word in (" of the ", "than the", "opposite the", "next to the"))
                said_by["relative" if relative else "circle" if clause.path.is_circle else "other"] += 1
                assert clause.path.turn_s == true.turn_s
                if true.start.spread:
                    assert clause.path.start.spread == 1
                    continue
                if item.beside is None:
                    off[scene.style].append(clause.path.start.angle_to_deg(true.start))
                if scene.style == "degrees" and item.beside is None and not item.is_moving:
                    assert clause.path.start.distance_m == pytest.approx(true.start.distance_m, rel=0.06)
    assert max(off["degrees"]) < 1
    assert np.mean(off["words"]) < 20
    assert np.mean(off["coarse"]) < 40
    assert min(said_by[name] for name in ("relative", "circle", "other")) >= 1


def test_words_are_words(scenes: list[Scene], timelines: list[Timeline]) -> None:
    """Captions in words fall back on degrees where a way is cut, and hardly anywhere else."""
    texts = [
        segment.text
        for scene, timeline in zip(scenes, timelines, strict=True)
        if scene.style != "degrees" and not any(item.is_moving for item in scene.objects)
        for segment in timeline.segments
    ]
    assert len(texts) > 25
    assert np.mean(["degrees" in text for text in texts]) < 0.05


def test_every_wording_is_read_as_the_others_of_its_list() -> None:
    data = sphere_data()
    for style in ("coarse", "words"):
        for wordings in data["places"][style]:
            for side in ("left", "right"):
                read = {read_prompt(f"x {wording.format(side=side)}").clauses[0].path for wording in wordings}
                assert len(read) == 1, wordings
    for wordings in data["relations"]:
        texts = [f"other 30 degrees left, x {wording.format(other='other')}" for wording in wordings]
        assert len({read_prompt(text).clauses[1].path for text in texts}) == 1, wordings


def test_a_place_beside_another_is_said_only_while_that_one_is_there() -> None:
    scene = placed_scene(1, [SpherePoint(30.0), SpherePoint(55.0)], "words")
    first, second = scene.objects
    second = replace(second, beside=BesideObject(0, 0), active=((0, 20),))
    scene = replace(scene, objects=(replace(first, start_s=1.0, active=((0, 20),)), second))
    before, after = scene.timeline().segments  # type: ignore[union-attr]
    assert f"of the {first.phrase}" not in before.text
    assert f"of the {first.phrase}" in after.text
    places = {clause.object: clause.path.start.azimuth_deg for clause in after.clauses}
    assert places[second.phrase] - places[first.phrase] == 25


def test_scene_json_round_trip_and_the_plane_as_before(scenes: list[Scene]) -> None:
    for scene in scenes[:20]:
        assert Scene.from_json(json.loads(json.dumps(scene.to_json())), "x") == scene
    plane = draw_scene(0, 1, RATE_HZ).to_json()
    assert "room_name" not in plane
    assert not {"place", "dry", "beside"} & set(plane["objects"][0])
    assert Scene.from_json(plane, "x") == draw_scene(0, 1, RATE_HZ)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"place": None}, r"x: objects\[1\] has no place"),
        ({"dry": ""}, r"x: objects\[1\] has no place or no dry sound"),
        ({"dry": "../mix.wav"}, r"x: file is '\.\./mix\.wav', expected one in the folder of the clip"),
        ({"stop_s": 0.0}, r"x: objects\[1\] stops at 0 s"),
        ({"beside": {"object": 4, "relation": 0}}, r"placed by objects\[4\], which is not there"),
        ({"beside": {"object": 1, "relation": 0}}, r"placed by objects\[1\]"),
        ({"beside": {"object": 0, "relation": 99}}, r"placed by objects\[0\]"),
    ],
)
def test_scenes_that_do_not_fit_together(change: dict[str, object], message: str) -> None:
    data = json.loads(json.dumps(placed_scene(1, [BEHIND, ABOVE]).to_json()))
    data["objects"][1] |= change
    with pytest.raises(InputError, match=message):
        Scene.from_json(data, "x")


def test_a_place_that_cannot_be_is_named() -> None:
    data = json.loads(json.dumps(placed_scene(1, [BEHIND, ABOVE]).to_json()))
    data["objects"][1]["place"]["end"]["elevation_deg"] = 100
    with pytest.raises(InputError, match="^x: elevation 100 is outside -90"):
        Scene.from_json(data, "x")


# ------------------------------------------------------------------ sound


def test_the_truth_of_what_rests_is_a_plain_convolution() -> None:
    """Of a click, the measured response itself, whatever renders spheres."""
    click = np.zeros(2000)
    click[100] = 1.0
    item = placed_scene(1, [BEHIND]).objects[0]
    room = placed_scene(1, [BEHIND]).room
    ears = render_placed(click, item, room, RATE_HZ, load_kemar())
    measured = measured_head(load_kemar(), RATE_HZ)
    row = int(measured.nearest(direction_vectors(np.array([180.0]), np.array([0.0])))[0])
    response = measured.response(row, 1.4)
    np.testing.assert_allclose(ears[:, 100 : 100 + response.shape[1]], response, atol=1e-6)


def test_what_moves_is_in_step_with_what_rests() -> None:
    """A click in front, at rest, and on a way that has hardly begun: its peaks are at most two samples apart."""
    click = np.zeros(8000)
    click[4000] = 1.0
    rest = placed_scene(1, [SpherePoint(0.0)])
    moving = placed_scene(1, [SpherePath(SpherePoint(0.0), SpherePoint(0.5))])
    ears = [render_placed(click, scene.objects[0], scene.room, RATE_HZ, load_kemar()) for scene in (rest, moving)]
    peaks = [int(np.abs(each).max(axis=0).argmax()) for each in ears]
    assert abs(peaks[0] - peaks[1]) <= 2


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TasBench:
    scenes = [placed_scene(1, [BEHIND, ABOVE]), placed_scene(2, [FAR, LEFT], "words", "hall")]
    return write_placed(tmp_path_factory.mktemp("around") / "data", scenes)


def test_stems_sum_to_the_mix_and_dry_sounds_to_the_input(data: TasBench) -> None:
    for clip in data.clips():
        scene = Scene.from_json(data.scene(clip), clip)
        folder = data.stem_folder(clip)
        read = lambda path: soundfile.read(path, always_2d=True)[0].T  # noqa: E731
        mix, mono = read(data.audio_path(clip)), read(data.mono_path(clip))
        np.testing.assert_allclose(sum(read(folder / o.file) for o in scene.objects), mix, atol=1e-6)
        np.testing.assert_allclose(sum(read(folder / o.dry) for o in scene.objects), mono, atol=1e-6)
        assert mono.shape == (1, mix.shape[1])


def test_what_is_wrong_with_dry_sounds_is_found(data: TasBench, tmp_path: Path) -> None:
    spoiled = TasBench(Path(shutil.copytree(data.root, tmp_path / "spoiled")))
    errors = lambda: [each for each in check_dataset(spoiled) if each.severity == "error"]  # noqa: E731
    problems = lambda: [str(each) for each in errors() if not each.path.startswith("splits")]  # noqa: E731
    assert problems() == []
    mono, rate_hz = soundfile.read(spoiled.mono_path("000010"))
    soundfile.write(spoiled.mono_path("000010"), 0.9 * mono, rate_hz, subtype="PCM_24")
    (found,) = problems()
    assert found.startswith("error: mono_audios/000010.wav: the dry sounds sum to the mix with an error of -19.1 dB")
    spoiled.mono_path("000010").unlink()
    assert "mono_audios/000010.wav" in problems()[0]
    shutil.copy(data.mono_path("000010"), spoiled.mono_path("000010"))
    dry = spoiled.stem_folder("000020") / Scene.from_json(data.scene("000020"), "x").objects[0].dry
    sound, _ = soundfile.read(dry)
    soundfile.write(dry, np.stack([sound, sound], axis=1), rate_hz, subtype="PCM_24")
    (found,) = problems()
    assert "2 channels of 32000 samples at 16000 Hz, expected one channel of 32000 samples" in found


def test_far_is_quieter_by_distance(data: TasBench) -> None:
    """8 m over 1.4 m is 15.1 dB, in a hall less: reverberation is as loud as it is for what is near."""
    scene = Scene.from_json(data.scene("000020"), "x")
    power = []
    for item in scene.objects:
        stem, _ = soundfile.read(data.stem_folder("000020") / item.file)
        dry, _ = soundfile.read(data.stem_folder("000020") / item.dry)
        power.append(10 * np.log10(np.square(stem).sum() / (2 * np.square(dry).sum())))
    assert 3 < power[1] - power[0] < 15.1


# ------------------------------------------------------------------ data sets


@pytest.fixture
def synthetic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "_dry", bursts)


@pytest.mark.usefixtures("synthetic")
def test_same_seed_same_bytes_and_resume(tmp_path: Path) -> None:
    recipe = SphereClips(5, 8000)
    whole = make_clips(tmp_path / "a", recipe, 2)
    make_clips(tmp_path / "b", recipe, 1)
    assert tree(make_clips(tmp_path / "b", recipe, 2).root) == tree(whole.root)
    described = json.loads((tmp_path / "a" / "dataset.json").read_text())
    assert described == {"format": 1, "kind": KIND, "seed": 5, "rate_hz": 8000, "length_s": 10.0}
    assert not [problem for problem in check_dataset(whole) if problem.severity == "error"]
    with pytest.raises(InputError, match="the folder was made with"):
        make_clips(tmp_path / "a", SphereClips(6, 8000), 1)
    counted = dataset_statistics(whole)
    assert counted.annotated_clips == 2
    assert sum(counted.sphere.values()) > 0


def test_the_command_and_a_head_of_the_plane(
    tmp_path: Path, tas: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulation, "_dry", bursts)
    hrir = spherical_hrir(FULL_CIRCLE, 48000, (1.0, 0.7))
    write_sofa(tmp_path / "plane.sofa", hrir, on_the_plane(FULL_CIRCLE), 48000)
    done = tas("data", "simulate", "--sphere", "--out", tmp_path / "a", "--hrtf", tmp_path / "plane.sofa")
    assert done.code == 2
    assert "the head was measured at elevations of 0 to 0 degrees only" in done.error_line
    assert not (tmp_path / "a").exists()
    done = tas("data", "simulate", "--sphere", "--out", tmp_path / "a", "--hrtf", tmp_path / "none.sofa")
    assert (done.code, "no such file" in done.error_line) == (2, True)


def test_models_do_not_learn_from_it(data: TasBench) -> None:
    windows = PromptWindows(data, data.clips(), 0.5)
    with pytest.raises(InputError, match="only the frontal plane is known here"):
        windows.at(0, 0)
