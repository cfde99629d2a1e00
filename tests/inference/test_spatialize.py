"""The package's one call: what it takes, what it shares, what it refuses and says; and what importing it costs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tas_core
from tas_core.acoustics.sofa import read_sofa
from tas_core.errors import CheckpointError, InputError, PromptError
from tas_core.inference import spatialize
from tas_core.inference.engine import load_model
from tas_core.inference.result import Spatialized
from tas_core.inference.settings import RenderSettings
from tas_core.inference.stream import render
from tas_core.models.registry import load_network
from tas_core.models.slots.model import SlotsModel
from tas_core.timeline.files import parse_timeline
from tas_core.timeline.segments import Timeline, TimelineWarning
from tests.conftest import tone
from tests.support.sofa_files import FULL_CIRCLE, on_the_plane, spherical_hrir, write_sofa

RATE_HZ = 16_000
PROMPT = "cello on the left, piano on the right"
AUDIO = tone(seconds=1.0, rate_hz=RATE_HZ)[0]


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Folders that models are loaded from, as they are; nothing is kept from before."""
    spatialize._kept_model.cache_clear()
    loaded: list[str] = []

    def counted(name: str, device: str) -> Any:
        loaded.append(name)
        return load_model(name, device)

    monkeypatch.setattr(spatialize, "load_model", counted)
    return loaded


def call(tiny_model: Path, **changes: Any) -> Spatialized:
    given = {"audio": AUDIO, "sample_rate_hz": RATE_HZ, "timeline": PROMPT, "model": tiny_model, **changes}
    return tas_core.spatialize(**given)


def refused(tiny_model: Path, **changes: Any) -> str:
    """The one line that says why."""
    with pytest.raises(InputError) as caught:
        call(tiny_model, **changes)
    return str(caught.value)


# ------------------------------------------------------------------ the result


def test_it_is_the_spatialization_of_the_loaded_model(tiny_model: Path) -> None:
    """The long way, without this module, gives the same to the last bit, with every option set."""
    model, timeline = load_model(str(tiny_model)), Timeline.from_prompt(PROMPT)
    options: dict[str, Any] = {"steps": 2, "seed": 3, "width": 0.5, "stems": True}
    expected = render(AUDIO, RATE_HZ, timeline, model, RenderSettings(**options))
    result = call(tiny_model, **options)
    assert isinstance(result, Spatialized)
    np.testing.assert_array_equal(result.ears, expected.ears)
    assert result.segments == expected.segments
    assert result.detections == expected.detections
    assert [name for name, _ in result.stems] == ["cello", "piano", "rest"]
    for (_, stem), (_, other) in zip(result.stems, expected.stems, strict=True):
        np.testing.assert_array_equal(stem, other)


def test_the_mean_of_the_ears_is_the_input(tiny_model: Path) -> None:
    """Up to the rounding of one addition and one subtraction of float64."""
    ears = call(tiny_model).ears
    assert ears.shape == (2, len(AUDIO))
    np.testing.assert_allclose(ears.mean(axis=0), AUDIO, rtol=0, atol=1e-15)
    assert np.abs(ears[0] - ears[1]).max() > 0


@pytest.mark.parametrize("option", [{"seed": 1}, {"steps": 1}, {"width": 1.5}, {"head": "own"}])
def test_every_option_does_something(tiny_model: Path, tmp_path: Path, option: dict[str, Any]) -> None:
    if "head" in option:
        option = {"head": _head_file(tmp_path)}
    usual = {"steps": 2, "seed": 0}  # with one step there is no noise
    assert np.abs(call(tiny_model, **usual).ears - call(tiny_model, **usual | option).ears).max() > 1e-4


def test_a_head_is_a_file_or_what_was_read(tiny_model: Path, tmp_path: Path) -> None:
    path = _head_file(tmp_path)
    by_path = call(tiny_model, head=path).ears
    np.testing.assert_array_equal(by_path, call(tiny_model, head=str(path)).ears)
    np.testing.assert_array_equal(by_path, call(tiny_model, head=read_sofa(path)).ears)


def _head_file(folder: Path) -> Path:
    return write_sofa(folder / "own.sofa", spherical_hrir(FULL_CIRCLE, 44_100), on_the_plane(FULL_CIRCLE))


def test_progress_rises_to_one(tiny_model: Path) -> None:
    shares: list[float] = []
    call(tiny_model, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1


# ------------------------------------------------------------------ what stands for samples, words and models


@pytest.mark.parametrize(
    ("audio", "step"),
    [
        (AUDIO.astype("f4"), 2.0**-24),
        (AUDIO.astype("f2"), 2.0**-11),
        (AUDIO.astype(">f8"), 0),
        (AUDIO.astype("longdouble"), 0),
        (AUDIO[::-1].copy()[::-1], 0),
        (AUDIO.tolist(), 0),
        (torch.from_numpy(AUDIO), 0),
    ],
    ids=["float32", "float16", "big-endian", "long double", "reversed view", "list", "tensor"],
)
def test_whatever_numpy_takes_for_floats_is_samples(tiny_model: Path, audio: Any, step: float) -> None:
    """What comes out is what went in, at the precision of what went in."""
    ears = call(tiny_model, audio=audio).ears
    np.testing.assert_allclose(ears.mean(axis=0), AUDIO, rtol=0, atol=step + 1e-15)


@pytest.mark.parametrize("rate_hz", [16_000.0, np.int64(16_000), np.float32(16_000)], ids=repr)
def test_whole_rates_of_any_type(tiny_model: Path, rate_hz: Any) -> None:
    np.testing.assert_array_equal(call(tiny_model, sample_rate_hz=rate_hz).ears, call(tiny_model).ears)


def test_a_timeline_is_a_prompt_a_file_or_a_timeline(tiny_model: Path, tmp_path: Path) -> None:
    expected = call(tiny_model).ears
    yaml, subtitles = tmp_path / "scene.yaml", tmp_path / "scene.srt"
    yaml.write_text(f'prompts: [{{start: 0, text: "{PROMPT}"}}]')
    subtitles.write_text(f"1\n00:00:00,000 --> 99:59:59,999\n{PROMPT}\n")
    for timeline in (Timeline.from_prompt(PROMPT), yaml, subtitles):
        np.testing.assert_array_equal(call(tiny_model, timeline=timeline).ears, expected)


def test_models_by_folder_name_and_loaded_give_the_same(tiny_model: Path) -> None:
    expected = call(tiny_model).ears
    for model in (str(tiny_model), load_model(str(tiny_model), "cpu"), load_network(str(tiny_model))):
        np.testing.assert_array_equal(call(tiny_model, model=model).ears, expected)


@pytest.mark.filterwarnings("ignore:confidence of only", "ignore:no 'cello' found")  # it is no cello
def test_the_default_is_the_shipped_model(loads: list[str]) -> None:
    result = tas_core.spatialize(AUDIO, RATE_HZ, "a cello 60 degrees to the left")
    assert [Path(folder).name for folder in loads] == ["slots"]
    assert result.segments[0].spl_difference_db > 2  # one object alone: well above what listeners just notice


def test_a_model_is_loaded_once(tiny_model: Path, loads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_model.parent)
    for model in (tiny_model, str(tiny_model), Path(tiny_model.name)):
        call(tiny_model, model=model, device="cpu")
    assert loads == [str(tiny_model.resolve())]


def test_a_folder_that_was_written_anew_is_loaded_anew(tiny_model: Path, tmp_path: Path, loads: list[str]) -> None:
    from tas_core.models.checkpoints import load_checkpoint, save_checkpoint

    folder = Path(shutil.copytree(tiny_model, tmp_path / "mine"))
    before = call(folder, model=folder).ears
    checkpoint = load_checkpoint(folder)
    state = {name: value * 1.5 for name, value in checkpoint.state.items()}
    shutil.rmtree(folder)
    save_checkpoint(folder, checkpoint.family, checkpoint.config, state, {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # what the other weights do not find
        after = call(folder, model=folder).ears
    assert len(loads) == 2
    assert np.abs(after - before).max() > 0


# ------------------------------------------------------------------ errors say what to do


@pytest.mark.parametrize(
    ("shape", "advice"),
    [
        ((2, 16_000), "(2, 16000), 2 channels; expected mono samples (time): mix down with audio.mean(axis=0)"),
        ((16_000, 6), "(16000, 6), 6 channels; expected mono samples (time): mix down with audio.mean(axis=1)"),
        ((1, 16_000), "(1, 16000), 1 channels; expected mono samples (time): mix down with audio.mean(axis=0)"),
    ],
)
def test_channels_are_mixed_down_by_the_caller(tiny_model: Path, shape: tuple[int, ...], advice: str) -> None:
    audio = np.resize(AUDIO, shape)
    message = refused(tiny_model, audio=audio)
    assert message.startswith(f"audio has the shape {advice}, or take one channel, audio[")
    for way in ("mean(axis=" + message.split("mean(axis=")[1][:2], message.split("one channel, audio")[1]):
        mono = eval("audio" + (f".{way}" if way.startswith("mean") else way), {"audio": audio})
        assert mono.shape == (16_000,)


@pytest.mark.parametrize("kind", ["int16", "int32", "int8", "uint8"])
def test_integers_are_scaled_by_the_caller(tiny_model: Path, kind: str) -> None:
    """The advice in the message, carried out, gives the floats that the integers stand for, to one step."""
    size = 2 ** (np.iinfo(kind).bits - 1)
    offset = size if kind == "uint8" else 0
    audio = np.round(AUDIO * (size - 1) + offset).astype(kind)
    message = refused(tiny_model, audio=audio)
    assert message.startswith(f"audio is {kind}; expected floating point with full scale 1: pass ")
    scaled = eval(message.rsplit("pass ", 1)[1], {"audio": audio})
    np.testing.assert_allclose(scaled, AUDIO, rtol=0, atol=1.5 / size)
    np.testing.assert_allclose(call(tiny_model, audio=scaled).ears.mean(axis=0), scaled, rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"audio": "talk.wav"},
            "audio is the path talk.wav; expected samples: read them (tas_core.audio.read_audio)",
        ),
        ({"audio": Path("talk.wav")}, "audio is the path talk.wav"),
        ({"audio": []}, "audio has the shape (0,); expected mono samples (time), at least one"),
        ({"audio": 48_000}, "audio has the shape (); expected mono samples (time)"),
        ({"audio": np.zeros((0, 2))}, "audio has the shape (0, 2); expected mono samples (time), at least one"),
        ({"audio": np.zeros((2, 3, 4))}, "audio has the shape (2, 3, 4); expected mono samples (time)"),
        ({"audio": [[0.0], [0.0, 1.0]]}, "audio is no array of samples: "),
        ({"audio": torch.zeros(9, requires_grad=True)}, "audio is no array of samples: Can't call numpy()"),
        ({"audio": np.zeros(9, bool)}, "audio is bool; expected floating point"),
        ({"audio": np.zeros(9, complex)}, "audio is complex128; expected floating point"),
        ({"audio": ["a", "b"]}, "audio is <U1; expected floating point"),
        ({"audio": [0.0, np.nan, np.inf]}, "sample 1 of audio is nan; expected finite samples"),
        ({"sample_rate_hz": 48}, "sample_rate_hz is 48; expected whole Hz from 8000 to 192000 (did you mean 48000?)"),
        (
            {"sample_rate_hz": 44.1},
            "sample_rate_hz is 44.1; expected whole Hz from 8000 to 192000 (did you mean 44100",
        ),
        ({"sample_rate_hz": 0}, "sample_rate_hz is 0; expected whole Hz from 8000 to 192000"),
        ({"sample_rate_hz": -44_100}, "sample_rate_hz is -44100; expected"),
        ({"sample_rate_hz": 16_000.5}, "sample_rate_hz is 16000.5; expected whole Hz"),
        ({"sample_rate_hz": np.nan}, "sample_rate_hz is nan; expected"),
        ({"sample_rate_hz": np.inf}, "sample_rate_hz is inf; expected"),
        ({"sample_rate_hz": "48000"}, "sample_rate_hz is '48000'; expected"),
        ({"sample_rate_hz": True}, "sample_rate_hz is True; expected"),
        ({"sample_rate_hz": AUDIO[:3]}, "sample_rate_hz is array("),
        ({"timeline": "scene.yaml"}, "pass Path('scene.yaml')"),
        ({"timeline": Path("no.srt")}, "no.srt: cannot read the timeline: No such file or directory"),
        ({"timeline": Path("scene.doc")}, "scene.doc: the extension .doc, expected a timeline: .yaml"),
        ({"timeline": None}, "timeline is of the type NoneType; expected a prompt, the path of a file or a Timeline"),
        ({"model": "slot"}, "unknown model 'slot'; expected one of "),
        ({"model": None}, "model is of the type NoneType; expected a name, a folder or a loaded model"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"head": "no.sofa"}, "no.sofa: no such file"),
        ({"head": 3}, "head is of the type int; expected a SOFA file or what read_sofa returns"),
        ({"width": 3}, "width is 3; expected 0 (mono) to 2"),
        ({"steps": 0}, "steps is 0; expected 1 or more"),
    ],
)
def test_what_is_wrong_and_what_was_expected(tiny_model: Path, changes: dict[str, Any], message: str) -> None:
    said = refused(tiny_model, **changes)
    assert message in said
    assert "\n" not in said


def test_prompts_that_cannot_be_read_show_where(tiny_model: Path) -> None:
    with pytest.raises(PromptError, match="lefft"):
        call(tiny_model, timeline="cello on the lefft")


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="config.json"):
        call(tmp_path, model=tmp_path)


def test_a_loaded_model_stays_where_it_is(tiny_model: Path) -> None:
    message = refused(tiny_model, model=load_network(str(tiny_model)), device="cpu")
    assert message == "device is 'cpu', but a loaded model stays where it is; expected auto"


# ------------------------------------------------------------------ warnings


def test_what_is_not_found_is_a_warning_at_the_call(tiny_model: Path) -> None:
    model = load_network(str(tiny_model))
    assert isinstance(model, SlotsModel)
    torch.nn.init.constant_(model.networks[0].presence.out.bias, -5.0)
    with pytest.warns(UserWarning, match="found") as caught:
        result = call(tiny_model, model=model, timeline="a dog on the left")
    assert [str(item.message) for item in caught] == ["no 'dog' found from 0:00 to 0:01"]
    assert [item.filename for item in caught] == [__file__]
    assert not result.detections[0].found


def test_a_timeline_that_outlasts_the_audio_is_a_warning(tiny_model: Path) -> None:
    timeline = parse_timeline("prompts: [{start: 0, end: 5, text: cello on the left}]")
    with pytest.warns(TimelineWarning, match="after the audio of 1 s; it is cut"):
        call(tiny_model, timeline=timeline)


def test_words_are_doubted_as_those_of_files_are(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.warns(TimelineWarning, match=r"^.trumpt. is no known sound: did you mean 'trumpet'") as caught:
        call(tiny_model, timeline="trumpt on the left")
    assert {said.filename for said in caught} == {__file__}
    with pytest.warns(TimelineWarning, match="^.stage left. is seen from the stage"):
        call(tiny_model, timeline="piano stage left")
    path = tmp_path / "scene.srt"
    path.write_text("00:00:00,000 --> 00:00:00,540\ncello left\n\n00:00:00,500 --> 00:00:01,000\npiano left\n")
    with pytest.warns(TimelineWarning, match=r"scene.srt:4:1: the one before .* overlaps by 40 ms"):
        call(tiny_model, timeline=path)


# ------------------------------------------------------------------ the package


def test_importing_the_package_imports_nothing_else() -> None:
    program = (
        "import sys, json, typing, importlib; before = set(sys.modules); import tas_core; dir(tas_core)\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))\n"
        "tas_core.parse_prompt('cello on the left'); tas_core.Timeline; tas_core.InputError\n"
        "print(json.dumps('torch' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    new, torch_for_words = (json.loads(line) for line in done.stdout.splitlines())
    assert new == ["tas_core"]
    assert torch_for_words is False


def test_every_public_name_is_there_and_lives_where_it_says() -> None:
    assert set(tas_core.__all__) == set(tas_core._HOMES) <= set(dir(tas_core))
    assert sorted(tas_core.__all__) == tas_core.__all__
    for name, home in tas_core._HOMES.items():
        value = getattr(tas_core, name)
        if name == "metrics":
            assert value is import_module(home)
        else:
            assert value is getattr(import_module(home), name)
            assert value.__module__ == home


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'tas_core' has no attribute 'spatialise'"):
        tas_core.spatialise  # noqa: B018 # type: ignore[attr-defined]


@pytest.mark.slow
def test_type_checkers_see_the_call(tmp_path: Path) -> None:
    """The package says that it is typed, a right use passes, and each wrong one is seen."""
    program = tmp_path / "use.py"
    program.write_text(
        "import numpy as np\n"
        "import tas_core\n"
        "result = tas_core.spatialize(np.zeros(16000), 16000, 'cello on the left', seed=1, head='me.sofa')\n"
        "reveal_type(result.ears)\n"
        "reveal_type(tas_core.parse_prompt('cello on the left'))\n"
        "tas_core.spatialize(np.zeros(16000), '16000', 'cello on the left')\n"
        "tas_core.spatialize(np.zeros(16000), 16000, 'cello on the left', stem=True)\n"
        "tas_core.spatialise\n"
    )
    config = tmp_path / "mypy.ini"  # torch's own types are no part of it, and take most of the time
    config.write_text("[mypy]\nfollow_imports = silent\n[mypy-torch.*]\nfollow_imports = skip\n")
    command = [sys.executable, "-m", "mypy", "--config-file", str(config), str(program)]
    command += ["--ignore-missing-imports", "--cache-dir", str(tmp_path / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=600, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("use.py") and "defined in" not in line]
    assert (Path(tas_core.__file__).parent / "py.typed").is_file()
    assert len(lines) == 5, done.stdout
    for number, line, expected in zip(
        (4, 5, 6, 7, 8),
        lines,
        ("numpy.ndarray", "tuple[tas_core.timeline.prompts.Clause", "[arg-type]", "[call-arg]", "[attr-defined]"),
        strict=True,
    ):
        assert line.startswith(f"use.py:{number}:")
        assert expected in line
