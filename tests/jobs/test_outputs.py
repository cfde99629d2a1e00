"""Formats through the main job: several from one run, all or none, and options that would act on none of them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.audio.excerpt import Excerpt
from tas_core.audio.normalised_writer import Levels
from tas_core.delivery.formats import NAMES
from tas_core.errors import InputError, TasError
from tas_core.inference.settings import RenderSettings
from tas_core.jobs.request import FileOptions
from tas_core.jobs.result import FileResult
from tas_core.jobs.spatialize import spatialize_file
from tests.conftest import TAS, Finished
from tests.support.wave_files import read_adm, read_wave

Make = Callable[..., Path]
Job = Callable[..., FileResult]
Run = Callable[..., Finished]

PROMPT = "a tone on the left, noise 30 degrees to the right"
EVERY = tuple(name for name in NAMES if name != "iamf")


@pytest.fixture
def job(tiny_model: Path, tmp_path: Path, make_audio: Make) -> Job:
    """Runs the job with a small model on a short tone; ``out`` is a name in the folder ``made``."""

    def run(out: str, formats: str = "", source: Path | None = None, **arguments: object) -> FileResult:
        (tmp_path / "made").mkdir(exist_ok=True)
        arguments = {"model": str(tiny_model), "prompt": PROMPT} | arguments
        asked = {"formats": formats} if formats else {}
        where = source or make_audio(subtype="PCM_24", rate_hz=48_000, seconds=0.5)
        return spatialize_file(where, tmp_path / "made" / out, **asked, **arguments)  # type: ignore[arg-type]

    return run


def there(tmp_path: Path) -> list[str]:
    folder = tmp_path / "made"
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_every_format_from_one_run(job: Job, tmp_path: Path) -> None:
    result = job("x.wav", ",".join(EVERY))
    assert [output.format for output in result.outputs] == list(EVERY)
    sounds = [f"{name}/{stem}.wav" for name in ("x-sounds", "x.objects") for stem in ("1-tone", "2-noise", "rest")]
    tables = [f"x.objects/{stem}" for stem in ("1-tone.csv", "2-noise.csv", "rest.csv", "scene.json")]
    mixes = [f"x.{name}.wav" for name in EVERY if name not in ("binaural", "objects", "rpp", "osc")]
    expected = [*sounds, *tables, *mixes, "x.wav", "x.rpp", "x.osc", "x-sounds", "x.objects"]
    assert there(tmp_path) == sorted(expected)
    listed = {name for output in result.outputs for name in output.files}
    assert listed == {str(tmp_path / "made" / name) for name in expected} - {
        str(tmp_path / "made" / name) for name in ("x-sounds", "x.objects")
    }
    assert result.output == str(tmp_path / "made" / "x.wav")
    assert json.loads(json.dumps(result.as_dict()))["outputs"][8]["format"] == "adm"


def test_all_formats_have_the_same_parts(job: Job, tmp_path: Path, make_audio: Make) -> None:
    """Stems sum to the input, ADM has them as tracks, and stereo folds to the input bit by bit."""
    source = make_audio(subtype="PCM_24", rate_hz=48_000, seconds=0.5)
    job("x.wav", "stereo,adm,objects,ambix1", source)
    mono = soundfile.read(source)[0]
    folder = tmp_path / "made"
    stems = [soundfile.read(folder / "x.objects" / f"{name}.wav")[0] for name in ("1-tone", "2-noise", "rest")]
    np.testing.assert_allclose(np.sum(stems, axis=0), mono, atol=1e-6)
    np.testing.assert_allclose(soundfile.read(folder / "x.adm.wav")[0].T, stems, atol=1e-6)
    np.testing.assert_allclose(soundfile.read(folder / "x.ambix1.wav")[0][:, 0], mono, atol=2.0**-23)
    left, right = soundfile.read(folder / "x.stereo.wav", dtype="int32")[0].T // 2**8
    np.testing.assert_array_equal(left + right, 2 * np.rint(mono * 2**23))


def test_the_two_ears_are_the_same_with_other_formats_beside_them(job: Job, tmp_path: Path) -> None:
    job("alone.wav")
    job("x.wav", "adm,binaural")
    folder = tmp_path / "made"
    np.testing.assert_array_equal(soundfile.read(folder / "alone.wav")[0], soundfile.read(folder / "x.wav")[0])


def test_a_name_is_enough(job: Job, tmp_path: Path) -> None:
    assert job("x.adm.wav").outputs[0].format == "adm"
    assert [item.name for item in read_adm(tmp_path / "made" / "x.adm.wav")[0]] == ["tone", "noise", "rest"]
    assert job("x.7.1.4.wav").outputs[0].channels == 12
    assert read_wave(tmp_path / "made" / "x.7.1.4.wav").mask == 0x2D63F


def test_a_rate_that_adm_does_not_have_is_resampled_and_said(job: Job, tmp_path: Path, make_audio: Make) -> None:
    source = make_audio(rate_hz=44_100, seconds=0.5)
    with pytest.warns(UserWarning, match=r"in\.wav: resampled from 44100 Hz to 48000 Hz, that of adm"):
        result = job("x.wav", "binaural,adm", source)
    assert [output.sample_rate_hz for output in result.outputs] == [44_100, 48_000]
    info = soundfile.info(tmp_path / "made" / "x.adm.wav")
    assert (info.samplerate, info.frames, info.subtype) == (48_000, 24_000, "PCM_24")


def test_an_object_that_the_passage_does_not_name_is_in_the_rest(
    job: Job, tmp_path: Path, make_audio: Make, make_timeline: Make
) -> None:
    scene = make_timeline("start: 0, end: 0.5, text: a tone on the left", "start: 0.5, text: noise far right")
    options = FileOptions(excerpt=Excerpt(start_s=0.5))
    source = make_audio(rate_hz=48_000, seconds=1.0)
    with pytest.warns(UserWarning, match=r"in\.wav: no prompt of the passage says where 'tone' is; it is a part of"):
        job("x.adm.wav", source=source, prompt=None, timeline=scene, options=options)
    found, _ = read_adm(tmp_path / "made" / "x.adm.wav")
    assert [item.name for item in found] == ["noise", "rest"]
    assert found[0].blocks[0].azimuth_deg == -75
    samples = soundfile.read(tmp_path / "made" / "x.adm.wav")[0]
    np.testing.assert_allclose(samples.sum(axis=1), soundfile.read(source)[0][24_000:], atol=1e-6)


def test_levels_in_words_are_heard_in_all_formats(job: Job, tmp_path: Path) -> None:
    """Two ears and every sum have the same mono sound; objects have their gain beside them, not in them."""
    job("x.wav", "binaural,stereo,ambix1,adm,objects", prompt="a tone 6 dB quieter on the left, remove the noise")
    folder = tmp_path / "made"
    mono = soundfile.read(folder / "x.wav")[0].mean(axis=1)
    np.testing.assert_allclose(soundfile.read(folder / "x.stereo.wav")[0].mean(axis=1), mono, atol=1e-6)
    np.testing.assert_allclose(soundfile.read(folder / "x.ambix1.wav")[0][:, 0], mono, atol=1e-6)
    found, _ = read_adm(folder / "x.adm.wav")
    gains = [{block.gain for block in item.blocks} for item in found]
    assert gains == [{0.501187}, {0.0}, {1.0}]
    tracks = soundfile.read(folder / "x.adm.wav")[0]
    np.testing.assert_allclose(tracks @ [0.501187, 0, 1], mono, atol=1e-6)
    said = json.loads((folder / "x.objects" / "scene.json").read_text("utf-8"))
    assert [item["points"][0]["gain"] for item in said["objects"]] == [0.501187, 0]


def test_levels_act_on_all_that_have_them(job: Job, tmp_path: Path) -> None:
    plain = job("a.wav", "stereo,objects,adm")
    quiet = job("b.wav", "stereo,objects,adm", options=FileOptions(levels=Levels(gain_db=-6.0)))
    assert [output.gain_db for output in quiet.outputs] == [pytest.approx(-6.0)] * 3
    for a, b in zip(plain.outputs, quiet.outputs, strict=True):
        before, after = (soundfile.read(output.files[0])[0] for output in (a, b))
        np.testing.assert_allclose(after, 10**-0.3 * before, atol=1e-6)
    assert plain.outputs[2].loudness_lufs is not None
    assert quiet.outputs[2].loudness_lufs == pytest.approx(plain.outputs[2].loudness_lufs - 6, abs=0.01)
    assert len(there(tmp_path)) == 2 * 10


# ------------------------------------------------------------------ all or none


def test_what_exists_is_refused_before_anything_is_made(job: Job, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    for name in ("x.5.1.wav", "x.rpp", "x.osc", "x-sounds/rest.wav", "x.objects/scene.json", "x.objects/rest.csv"):
        path = tmp_path / "made" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
        before = there(tmp_path)
        with pytest.raises(InputError, match=re.escape(f"{path}: the file exists")):
            job("x.wav", ",".join(EVERY))
        assert there(tmp_path) == before
        assert path.read_text() == "mine"
        path.unlink()
    job("x.wav", "5.1")
    job("x.wav", "objects,osc,5.1", options=FileOptions(overwrite=True))


def test_where_one_format_fails_none_is_left(job: Job, tmp_path: Path) -> None:
    """Two ears fit at this gain; on one side alone the sound is beyond full scale, which is said when it is known."""
    options = FileOptions(levels=Levels(gain_db=12.0, clip="error"), subtype="PCM_24")
    with pytest.raises(TasError, match=r"x\.\w+\.wav: .* beyond full scale in PCM_24"):
        job("x.wav", "osc,ambix1,stereo,adm", options=options)
    assert there(tmp_path) == []


def test_a_full_disk_leaves_nothing(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tas_core.delivery import objects

    def fail(*_: object, **__: object) -> None:
        raise TasError("no space left on device")

    monkeypatch.setattr(objects, "write_files", fail)
    for formats in ("binaural,adm,objects,rpp,5.1", "5.1,osc", "rpp,adm"):
        with pytest.raises(TasError, match="no space left"):
            job("x.wav", formats)
    assert there(tmp_path) == []


def test_an_interruption_leaves_nothing(job: Job, tmp_path: Path) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job("x.wav", ",".join(EVERY), progress=interrupt)
    assert there(tmp_path) == []


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("formats", "options", "message"),
    [
        ("adm,5.1", {"render": RenderSettings(width=1.5)}, "a width was given, and makes no difference to adm, 5.1"),
        ("stereo", {"hrtf": Path("me.sofa")}, "a head was given, and makes no difference to stereo; expected binaural"),
        ("ambix3", {"levels": Levels(loudness_lufs=-20)}, "a loudness was given, and that of ambix3 is not defined"),
        ("osc", {"levels": Levels(gain_db=3)}, "a gain was given, and osc holds no sound"),
        ("5.1", {"levels": Levels(clip="rescale-all")}, "one gain for all files is found of two ears"),
        ("adm", {"subtype": "FLOAT"}, "x.adm.wav: FLOAT was asked for, and adm has PCM_24; expected no subtype"),
        (
            "objects",
            {"subtype": "PCM_16"},
            "x.objects: PCM_16 was asked for, and objects has FLOAT; expected no subtype",
        ),
        ("osc", {"subtype": "FLOAT"}, "x.osc: FLOAT was asked for, and osc has no sound; expected no subtype"),
        ("iamf", {}, "iamf is not written by"),
    ],
)
def test_options_that_make_no_difference(
    job: Job, tmp_path: Path, formats: str, options: dict[str, object], message: str
) -> None:
    out = {"objects": "x.objects", "osc": "x.osc", "iamf": "x.iamf", "adm": "x.adm.wav"}.get(formats, "x.wav")
    with pytest.raises(InputError, match=re.escape(message)):
        job(out, formats, options=FileOptions(**options))  # type: ignore[arg-type]
    assert there(tmp_path) == []


def test_a_page_and_stems_that_do_not_go_with_formats(job: Job, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a report page plays two ears, expected binaural among the formats"):
        job("x.adm.wav", page=tmp_path / "made" / "x.html")
    with pytest.raises(InputError, match=r"1-tone\.wav: the stem is the file .*1-tone\.wav, expected another folder"):
        job("x.wav", "binaural,objects", stems=tmp_path / "made" / "x.objects")
    assert there(tmp_path) == []


def test_models_that_do_not_separate_have_no_objects(job: Job, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a paper model does not tell objects apart; only slots models give stems"):
        job("x.adm.wav", model="paper-small")
    assert there(tmp_path) == []


# ------------------------------------------------------------------ the command line


def test_json_says_what_was_written(tas: Run, make_audio: Make, tiny_model: Path, tmp_path: Path) -> None:
    source = make_audio(rate_hz=48_000, seconds=0.5)
    words = ["spatialize", source, "-p", PROMPT, "--model", tiny_model, "-o", tmp_path / "x.wav"]
    done = tas(*words, "--format", "adm,Objects", "--format", "osc", "--json")
    assert (done.code, done.err) == (0, "")
    outputs = json.loads(done.out)["outputs"]
    assert [(output["format"], output["channels"]) for output in outputs] == [("adm", 3), ("objects", 3), ("osc", 0)]
    assert all(Path(name).is_file() for output in outputs for name in output["files"])
    again = tas(*words, "--format", "adm,objects,osc")
    assert again.error_line.endswith("expected a new name or permission to overwrite it (--force)")
    assert tas(*words, "--format", "dolby").error_line.startswith("unknown format 'dolby'; expected one of binaural")
    people = tas(*words, "--format", "adm,objects,osc", "--force")
    assert f"adm: {tmp_path / 'x.adm.wav'}, 3 channels" in people.out
    assert f"objects: {tmp_path / 'x.objects'}, 7 files" in people.out


def test_many_files_in_formats(tas: Run, make_audio: Make, tiny_model: Path, tmp_path: Path) -> None:
    sources = [make_audio(name, rate_hz=48_000, seconds=0.3) for name in ("a.wav", "b.flac")]
    words = ["spatialize", *sources, "-p", PROMPT, "--model", tiny_model, "--out-dir", tmp_path / "out"]
    assert tas(*words, "--format", "adm").code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.adm.wav", "b.adm.wav"]
    several = [*words, "--format", "adm,objects,binaural"]
    assert "the file exists" in tas(*several).error_line
    done = tas(*several, "--skip-existing", "--json")
    assert done.code == 0
    names = {"a.adm.wav", "b.adm.wav", "a.objects", "b.objects", "a.binaural.wav", "b.binaural.flac"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    lines = [json.loads(line) for line in tas(*several, "--skip-existing", "--json").out.splitlines()]
    assert [line["skipped"] for line in lines] == [True, True]
    (tmp_path / "out" / "a.objects" / "scene.json").unlink()
    lines = [json.loads(line) for line in tas(*several, "--skip-existing", "--json").out.splitlines()]
    assert sorted("skipped" in line for line in lines) == [False, True]
    assert (tmp_path / "out" / "a.objects" / "scene.json").exists()


def test_a_format_on_standard_output(make_audio: Make, tiny_model: Path, tmp_path: Path) -> None:
    source = make_audio(rate_hz=48_000, seconds=0.3)
    words = [TAS, "spatialize", source, "-p", PROMPT, "--model", tiny_model, "-o", "-", "--format", "adm"]
    done = subprocess.run(list(map(str, words)), capture_output=True, timeout=120, check=True)
    (tmp_path / "piped.wav").write_bytes(done.stdout)
    assert [item.name for item in read_adm(tmp_path / "piped.wav")[0]] == ["tone", "noise", "rest"]


def test_given_sounds_are_delivered_without_a_network(make_audio: Make, tmp_path: Path) -> None:
    """A process that imports no torch; the tracks are the sounds, to rounding."""
    source = make_audio("dog.wav", subtype="PCM_24", rate_hz=48_000, seconds=0.3)
    out = tmp_path / "x.adm.wav"
    code = (
        "import sys; from tas_cli.main import main\n"
        "try: main()\n"
        "finally: print('torch' in sys.modules, file=sys.stderr)"
    )
    words = ["spatialize", "--object", f"dog={source}", "-p", "dog 3 dB quieter far left", "-o", out, "--format", "adm"]
    command = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr.split()[-1]) == (0, "False"), done.stderr
    found, _ = read_adm(out)
    assert [(item.name, item.blocks[0].azimuth_deg) for item in found] == [("dog", 75.0), ("rest", 0.0)]
    assert found[0].blocks[0].gain == pytest.approx(10**-0.15, abs=1e-6)
    samples = soundfile.read(out)[0]
    np.testing.assert_allclose(samples[:, 0], soundfile.read(source)[0], atol=2.0**-23)
    assert not samples[:, 1].any()


def test_a_sample_encoding_acts_on_formats_that_have_a_choice(job: Job, tmp_path: Path) -> None:
    made = job("x.wav", "stereo,adm,objects", options=FileOptions(subtype="PCM_16"))
    assert [output.subtype for output in made.outputs] == ["PCM_16", "PCM_24", "FLOAT"]
    assert soundfile.info(tmp_path / "made" / "x.stereo.wav").subtype == "PCM_16"


@pytest.mark.parametrize("name", ["scene.json", "1-tone.csv", "1-tone.wav"])
def test_links_in_a_folder_of_objects_lead_nothing_out_of_it(job: Job, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "made" / "x.objects"
    folder.mkdir(parents=True)
    (folder / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=rf"{name}: it leads to .*elsewhere, out of "):
        job("x.objects", "objects", options=FileOptions(overwrite=True))
    assert not (tmp_path / "elsewhere").exists()
