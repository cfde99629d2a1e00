"""A separator of one's own: a stand-in that filters, what it gets and gives, what is kept, what is refused."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.audio.reader import read_audio
from tas_core.errors import InputError
from tas_core.jobs.separators import Separator
from tests.conftest import Finished

Run = Callable[..., Finished]
RATE_HZ = 16000

STAND_IN = """
import json, sys
import numpy as np, soundfile
mix, rate_hz = soundfile.read(sys.argv[1], always_2d=True)
said = json.load(open(sys.argv[2]))
assert said["rate_hz"] == rate_hz
for number, stem in enumerate(said["stems"], start=2):
    soundfile.write(stem["file"], mix / number ** 2, rate_hz, subtype="FLOAT")
open("runs.txt", "a").write(",".join(stem["name"] for stem in said["stems"]) + "\\n")
"""


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A command that gives a quarter of the sound to the first name and a ninth to the second."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Path("stand_in.py").write_text(STAND_IN)
    return f"{shlex.quote(sys.executable)} stand_in.py {{mix}} {{names}}"


def write(name: str, channels: int = 1, seconds: float = 0.5) -> np.ndarray:
    samples = 0.1 * np.random.default_rng(channels).standard_normal((channels, round(seconds * RATE_HZ)))
    soundfile.write(name, samples.T, RATE_HZ, subtype="FLOAT")
    return read_audio(name).samples.astype(float)


def ears_of(name: str) -> np.ndarray:
    return read_audio(name).samples.astype(float)


def runs() -> list[str]:
    return Path("runs.txt").read_text().splitlines() if Path("runs.txt").exists() else []


def test_its_stems_are_placed_and_the_rest_is_what_they_leave(tas: Run, command: str) -> None:
    x = write("in.wav")[0]
    done = tas("spatialize", "in.wav", "-p", "dog in the center 20 dB louder, remove the cat", "--separator", command,
               "-o", "out.wav", "--stems", "stems", "--json")  # fmt: skip
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert (report["model"], report["sources"]) == (command, [])
    np.testing.assert_allclose(ears_of("out.wav").mean(axis=0), x * (10 / 4 + 1 - 1 / 4 - 1 / 9), atol=1e-6)
    np.testing.assert_allclose(ears_of("stems/2-cat.wav")[0], x / 9, atol=1e-6)
    np.testing.assert_allclose(sum(ears_of(str(path))[0] for path in Path("stems").iterdir()), x, atol=1e-6)


def test_stems_are_kept_by_content(tas: Run, command: str) -> None:
    write("in.wav")
    request = ("spatialize", "in.wav", "--separator", command, "--force", "-o", "out.wav", "-p")
    for prompt in ("dog left, cat right", "dog right, cat left"):
        assert tas(*request, prompt).code == 0
    assert runs() == ["dog,cat"]
    assert tas(*request, "dog left").code == 0  # another name list
    write("in.wav", seconds=0.6)
    assert tas(*request, "dog left").code == 0  # another sound
    Path("stand_in.py").write_text(STAND_IN + "# another\n")
    assert tas(*request, "dog left").code == 0  # another script
    assert runs() == ["dog,cat", "dog", "dog", "dog"]


def test_beside_given_sounds_it_gets_what_they_leave(tas: Run, command: str) -> None:
    cello, rest = write("cello.wav"), write("rest.wav", seconds=0.5) * 0 + np.roll(write("r.wav")[0], 4000)
    soundfile.write("in.wav", (cello + rest).T, RATE_HZ, subtype="FLOAT")
    done = tas("spatialize", "in.wav", "--object", "cello.wav", "-p", "remove the cello, remove the dog",
               "--separator", command, "-o", "out.wav")  # fmt: skip
    assert done.code == 0, done.err
    assert runs() == ["dog"]
    np.testing.assert_allclose(ears_of("out.wav")[0], rest[0] * (1 - 1 / 4), atol=1e-6)


def test_where_stereo_stays_it_gets_both_channels(tas: Run, command: str) -> None:
    both = write("in.wav", channels=2)
    done = tas(
        "spatialize", "in.wav", "-p", "dog 20 dB louder", "--stereo", "keep", "--separator", command, "-o", "o.wav"
    )
    assert done.code == 0, done.err
    np.testing.assert_allclose(ears_of("o.wav"), both * (1 + 9 / 4), atol=1e-6)


@pytest.mark.parametrize(
    ("script", "what"),
    [
        ("import sys; print('no weights'); sys.exit(3)", "failed with exit code 3; it said: no weights"),
        ("pass", "separator: it ended well but wrote nothing for 'dog', expected 1-dog.wav"),
        (STAND_IN.replace("mix / number ** 2", "mix[:100]"), r"the stem of 'dog' is 0\.006 s long, expected 0\.500"),
        (STAND_IN.replace("soundfile.write(stem", "open(stem['file'], 'w').write('x'); (lambda *a, **b: 0)(stem"),
         "separator: the stem of 'dog' cannot be read"),
        (STAND_IN.replace("mix / number ** 2", "mix / (mix != mix[9])"),
         "separator: the stem of 'dog' cannot be read: sample (nan|inf|-inf) at 0.0005625 s in channel 1"),
    ],
)  # fmt: skip
def test_a_program_that_fails_leaves_nothing(tas: Run, command: str, script: str, what: str) -> None:
    write("in.wav")
    Path("stand_in.py").write_text(script)
    done = tas("spatialize", "in.wav", "-p", "dog left", "--separator", command, "-o", "out.wav")
    assert done.code == 2
    assert re.search(what, done.err), done.err
    assert not Path("out.wav").exists()
    assert not any(Path("cache").rglob("*.wav")) if Path("cache").exists() else True


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("nothing-such {mix} {names}", "no program 'nothing-such'"),
        ("python {mix}", r"no \{names\} in it; expected \{mix\} and \{names\}"),
        ("python {mix} {names} {out}", r"unknown \{out\}"),
        ("python '{mix} {names}", "quotes or a backslash"),
    ],
)
def test_a_command_that_cannot_be_is_refused(text: str, what: str) -> None:
    with pytest.raises(InputError, match=f"separator: {what}"):
        Separator.read(text)


@pytest.mark.parametrize(
    ("more", "what"),
    [
        (["--model", "slots"], "--model and --separator were given"),
        (["--steps", "2"], "a number of steps and a separator were given"),
        (["--object", "dog=in.wav"], "a separator was given, and the sounds of all objects are"),
    ],
)
def test_options_without_effect_are_refused(tas: Run, command: str, more: list[str], what: str) -> None:
    write("in.wav")
    done = tas("spatialize", "in.wav", "-p", "dog left", "--separator", command, "-o", "out.wav", *more)
    assert done.code == 2
    assert what in done.err
