"""Places all around through the whole program: what is said, passages, pipes, many files, heads, and other formats."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.acoustics.hrtf import load_kemar
from tas_core.audio.reader import read_audio
from tests.conftest import Finished
from tests.support.sofa_files import write_sofa
from tests.support.wave_files import read_adm

Run = Callable[..., Finished]
RATE_HZ = 16_000
BEHIND = "bell behind me on the left 2.8 m away, drum 30 degrees up"


@pytest.fixture
def sounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Two given sounds in the working folder, as options."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("bell", "drum")):
        sound = 0.05 * np.random.default_rng(seed).standard_normal(round(1.4 * RATE_HZ))
        soundfile.write(f"{name}.wav", sound, RATE_HZ, subtype="FLOAT")
    return "--object", "bell.wav", "--object", "drum.wav"


def ears_of(name: str) -> np.ndarray:
    return read_audio(name).samples.astype(np.float64)


def test_what_was_chosen_is_said(tas: Run, sounds: tuple[str, ...]) -> None:
    front = json.loads(tas("spatialize", *sounds, "-p", "bell left, drum right", "-o", "f.wav", "--json").out)
    assert (front["renderer"], front["keeps_mono"]) == ("plane", True)
    done = tas("spatialize", *sounds, "-p", BEHIND, "-o", "b.wav", "--json", "--sidecar")
    assert done.code == 0, done.err
    report, beside = json.loads(done.out), json.loads(Path("b.wav.tas.json").read_text("utf-8"))
    assert (report["renderer"], report["keeps_mono"], beside["renderer"]) == ("sphere", False, "sphere")
    assert beside["settings"]["renderer"] == "auto"
    assert "sphere: places all around" in tas("spatialize", *sounds, "-p", BEHIND, "-o", "c.wav").out
    forced = tas("spatialize", *sounds, "-p", "bell left", "-o", "g.wav", "--json", "--renderer", "sphere", "-p",
                 "bell left, drum right")  # fmt: skip
    assert json.loads(forced.out)["renderer"] == "sphere"
    louder = tas("spatialize", *sounds, "-p", "bell left 3 dB quieter, drum right", "-o", "l.wav", "--json")
    assert json.loads(louder.out)["keeps_mono"] is False


@pytest.mark.slow
def test_the_report_page_says_it(tas: Run, sounds: tuple[str, ...]) -> None:
    assert tas("spatialize", *sounds, "-p", f"{BEHIND}; in a car", "-o", "b.wav", "--report", "b.html").code == 0
    assert "renderer: sphere), so (L + R) / 2 of the output is not the input" in Path("b.html").read_text("utf-8")


def test_a_passage_and_stems_are_as_of_the_whole(tas: Run, sounds: tuple[str, ...]) -> None:
    scene = f"{BEHIND}, in a small room"
    asked = ("spatialize", *sounds, "-p", scene, "--subtype", "float")
    assert tas(*asked, "-o", "whole.wav", "--stems", "parts").code == 0
    assert tas(*asked, "-o", "part.wav", "--start", 0.7, "--end", 1.3).code == 0
    whole, part = ears_of("whole.wav"), ears_of("part.wav")
    assert part.shape == (2, round(0.6 * RATE_HZ))
    np.testing.assert_allclose(part, whole[:, round(0.7 * RATE_HZ) : round(1.3 * RATE_HZ)], atol=1e-6)
    np.testing.assert_array_equal(ears_of("parts/1-bell.wav"), ears_of("bell.wav"))


@pytest.mark.usefixtures("sounds")
def test_each_of_many_files_has_its_own_renderer(tas: Run) -> None:
    lines = [
        {"objects": {"bell": "bell.wav"}, "prompt": prompt, "out": out}
        for prompt, out in (("bell left", "a.wav"), ("bell behind", "b.wav"), ("bell circles around", "c.wav"))
    ]
    Path("many.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    done = tas("spatialize", "--manifest", "many.jsonl", "--out-dir", "made", "--json")
    assert done.code == 0, done.err
    assert [json.loads(line)["renderer"] for line in done.out.splitlines()] == ["plane", "sphere", "sphere"]


def test_a_head_of_one_plane_falls_back_with_a_warning_or_is_refused(tas: Run, sounds: tuple[str, ...]) -> None:
    kemar = load_kemar()
    places = np.stack([kemar.azimuth_deg, kemar.elevation_deg, np.full(len(kemar.azimuth_deg), 1.4)], axis=1)
    flat = kemar.elevation_deg == 0
    write_sofa(Path("plane.sofa"), kemar.hrir[flat], places[flat])
    write_sofa(Path("all.sofa"), kemar.hrir, places)
    asked = ("spatialize", *sounds, "-p", BEHIND, "--json")
    fell = tas(*asked, "-o", "p.wav", "--hrtf", "plane.sofa")
    assert (fell.code, json.loads(fell.out)["renderer"]) == (0, "plane")
    assert "measured at elevations of 0 to 0 degrees only" in fell.err
    assert "only as far to the side" in fell.err
    assert json.loads(tas(*asked, "-o", "s.wav", "--hrtf", "all.sofa").out)["renderer"] == "sphere"
    assert tas(*asked, "-o", "k.wav").code == 0
    np.testing.assert_allclose(ears_of("s.wav"), ears_of("k.wav"), atol=1e-4)
    circle = "bell circles around every 8 seconds, drum left"
    way = tas("spatialize", *sounds, "-p", circle, "-o", "w.wav", "--hrtf", "plane.sofa")
    assert way.code == 2
    assert "'bell' circles around, and the frontal plane has no such way" in way.error_line
    assert not Path("w.wav").exists()


def test_the_plane_on_request(tas: Run, sounds: tuple[str, ...]) -> None:
    done = tas(
        "spatialize", *sounds, "-p", BEHIND, "-o", "p.wav", "--renderer", "plane", "--subtype", "float", "--json"
    )
    assert (done.code, json.loads(done.out)["renderer"]) == (0, "plane")
    assert "the plane was asked for; places of 'bell', 'drum' are only as far to the side" in done.err
    np.testing.assert_allclose(
        ears_of("p.wav").mean(axis=0), ears_of("bell.wav")[0] + ears_of("drum.wav")[0], atol=1e-6
    )


def test_other_formats_carry_height_and_distance(tas: Run, sounds: tuple[str, ...]) -> None:
    scene = f"{BEHIND}; in a church"
    done = tas("spatialize", *sounds, "-p", scene, "-o", "x.wav", "--format", "adm,objects,osc,rpp,ambix1")
    assert done.code == 0, done.err
    assert "adm, objects, osc, rpp, ambix1: rooms cannot be said there" in done.err
    tables = (Path(f"x.objects/{name}.csv").read_text().splitlines() for name in ("1-bell", "2-drum"))
    bell, drum = (next(csv.DictReader(lines)) for lines in tables)
    asked_deg = float(bell["azimuth_deg"])
    assert asked_deg > 90
    assert (float(bell["distance_m"]), float(bell["elevation_deg"]), float(bell["gain"])) == (2.8, 0, 1)
    assert (float(drum["distance_m"]), float(drum["elevation_deg"])) == (1.4, 30)
    assert f"/adm/obj/1/aed fff {asked_deg:.6f} 0.000000 1.000000" in Path("x.osc").read_text()
    assert "/adm/obj/2/aed fff 0.000000 30.000000 0.500000" in Path("x.osc").read_text()
    objects, _ = read_adm("x.adm.wav")
    first = {item.name: item.blocks[0] for item in objects}
    assert (first["bell"].azimuth_deg, first["bell"].gain) == (pytest.approx(asked_deg), 0.5)
    assert (first["drum"].elevation_deg, first["drum"].gain, first["drum"].distance) == (30, 1, 1)
    assert first["bell"].distance == 2
    assert "PT 0.000000 0.500000 0" in Path("x.rpp").read_text()
    w, y, z, x = ears_of("x.ambix1.wav")
    sound, other = ears_of("bell.wav")[0], ears_of("drum.wav")[0]
    np.testing.assert_allclose(w, 0.5 * sound + other, atol=1e-5)
    np.testing.assert_allclose(z, 0.5 * other, atol=1e-5)
    np.testing.assert_allclose(y, 0.5 * np.sin(np.radians(asked_deg)) * sound, atol=1e-5)
    assert (x @ sound) < 0


@pytest.mark.parametrize(
    ("scene", "said"),
    [
        ("bell behind me, drum left", {"stereo, rpp: what is behind"}),
        ("bell 30 degrees up, drum left", {"stereo, rpp: what is behind", "5.1: what is above and below"}),
        ("bell passes overhead from left to right, drum left", {"stereo, rpp: what is", "5.1: what is above"}),
        ("bell circles around every 1 second, drum left", {"stereo, rpp: what is behind"}),
        ("bell moves from left to behind me, drum left", {"stereo, rpp: what is behind"}),
        ("bell 3 m away on the left, drum left", set()),
    ],
)
def test_formats_that_have_no_height_or_back_say_what_is_lost(
    tas: Run, sounds: tuple[str, ...], scene: str, said: set[str]
) -> None:
    done = tas("spatialize", *sounds, "-p", scene, "-o", "x.wav", "--format", "stereo,5.1,rpp,7.1.4,adm,binaural")
    assert done.code == 0, done.err
    lost = [line for line in done.err.splitlines() if "what is" in line]
    assert len(lost) == len(said)
    assert all(any(each in line for line in lost) for each in said)


def test_stereo_that_is_to_stay_is_refused(tas: Run, sounds: tuple[str, ...]) -> None:
    done = tas("spatialize", *sounds, "-p", BEHIND, "-o", "p.wav", "--stereo", "keep")
    assert done.code == 2
    assert "stereo stays on the frontal plane only" in done.error_line
