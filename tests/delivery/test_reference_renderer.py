"""Our files of the Audio Definition Model, rendered by the EBU's reference renderer, against our own loudspeakers.

The renderer (PyPI ``ear``) needs an older NumPy, so it gets an environment of its own; so do a reader of projects
(``rpp``) and a newer ffmpeg (``imageio-ffmpeg``).
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.audio.resampling import resample
from tas_core.conventions import REFERENCE_M
from tas_core.delivery.formats import FORMATS, check_encoder_of
from tas_core.delivery.layouts import LAYOUTS
from tas_core.delivery.mixes import mix_panner
from tas_core.delivery.scene import Scene, SceneBlock
from tas_core.errors import InputError
from tests.conftest import TAS
from tests.delivery.conftest import RATE_HZ, Deliver, scene_of, sounds_of, still
from tests.delivery.test_all_around import SCENE as AROUND
from tests.delivery.test_all_around import SECONDS

pytestmark = pytest.mark.slow

PACKAGES = ("ear==2.1.0", "rpp==0.5", "imageio-ffmpeg>=0.6")

ROOT = Path(__file__).resolve().parents[2]
ITU_ORDER = {"5.1": range(6), "5.1.4": range(10), "7.1.4": [0, 1, 2, 3, 6, 7, 4, 5, 8, 9, 10, 11]}
"""Channels of our files in the order of BS.2051, which has the sides before the back."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("other") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=300)
    done = subprocess.run([folder / "bin" / "pip", "install", "-q", *PACKAGES], timeout=600, check=False)
    if done.returncode:
        pytest.skip(f"needs the packages {', '.join(PACKAGES)}")
    return folder / "bin"


def both(environment: Path, made: Path, name: str, scene: Scene, sounds: SceneBlock) -> tuple[np.ndarray, np.ndarray]:
    """What the reference renders of an ADM file for a layout, and what we do, (channel, time) in its order."""
    out = made.with_name("rendered.wav")
    command = [environment / "ear-render", "--strict", "-s", LAYOUTS[name].itu_name, made, out]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return soundfile.read(out)[0].T, mix_panner(name, scene).channels(sounds)[list(ITU_ORDER[name])]


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_reference_renderer_hears_what_we_render(environment: Path, deliver: Deliver, name: str) -> None:
    """To rounding where nothing moves, to -45 dB where it does; where it jumps, both fade for 10 ms."""
    scene = scene_of()
    scene = replace(scene, objects=(*scene.objects, still(-100.0, name="dog", gain_db=-6.0)))
    sounds = sounds_of(scene)
    theirs, ours = both(environment, Path(deliver("adm", scene, sounds).path), name, scene, sounds)
    parts = {"moves": (0.02, 0.39, -45), "gap": (0.42, 0.49, -90), "stays": (0.52, 0.89, -90), "end": (0.92, 1, -90)}
    for what, (start_s, end_s, most_db) in parts.items():
        part = slice(round(start_s * RATE_HZ), round(end_s * RATE_HZ))
        off = 10 * np.log10(((theirs - ours)[:, part] ** 2).mean() / (ours[:, part] ** 2).mean())
        assert off < most_db, what


@pytest.mark.parametrize("name", ["5.1.4", "7.1.4"])
def test_the_reference_renderer_hears_scenes_all_around(environment: Path, deliver: Deliver, name: str) -> None:
    """Circles, overhead, behind, near and far: as good as in front, but for what jumps at borders of prompts."""
    scene = replace(scene_of(AROUND, RATE_HZ, SECONDS), loud_m=REFERENCE_M)
    sounds = sounds_of(scene)
    theirs, ours = both(environment, Path(deliver("adm", scene, sounds).path), name, scene, sounds)
    for second in range(round(SECONDS)):
        part = slice(round((second + 0.05) * RATE_HZ), round((second + 0.95) * RATE_HZ))
        off = 10 * np.log10(((theirs - ours)[:, part] ** 2).mean() / (ours[:, part] ** 2).mean())
        # Below, loudspeakers are imagined otherwise.
        assert off < (-10 if second == 2 else -30), second


def test_an_example_comes_back_from_the_reference_renderer(environment: Path, tmp_path: Path) -> None:
    """The parts of a duet that is shipped, in three formats from one run."""
    folder = ROOT / "examples" / "stems"
    sources = {name: folder / f"{name}.flac" for name in ("trumpet", "drums")}
    prompt = "trumpet moves from the left to the right, drums 6 dB quieter 60 degrees to the left"
    words = [f"--object={name}={path}" for name, path in sources.items()]
    command = [TAS, "spatialize", *words, "-p", prompt, "-o", tmp_path / "x.wav", "--format", "adm,7.1.4", "--subtype"]
    subprocess.run([*map(str, command), "FLOAT"], check=True, timeout=120)
    command = [environment / "ear-render", "--strict", "-s", "4+7+0", tmp_path / "x.adm.wav", tmp_path / "theirs.wav"]
    subprocess.run(list(map(str, command)), check=True, timeout=300)
    theirs = soundfile.read(tmp_path / "theirs.wav")[0]
    ours, rate_hz = soundfile.read(tmp_path / "x.7.1.4.wav")
    ours = resample(ours.T, rate_hz, 48_000, len(theirs))[list(ITU_ORDER["7.1.4"])].T
    off_db = 10 * np.log10(((theirs - ours)[4800:] ** 2).mean() / (ours[4800:] ** 2).mean())
    assert off_db < -45


def test_the_package_for_projects_reads_ours(environment: Path, deliver: Deliver) -> None:
    path = deliver("rpp", scene_of()).path
    code = (
        "import json, rpp, sys; tracks = rpp.load(open(sys.argv[1])).findall('TRACK');"
        "print(json.dumps([[t.find('NAME')[1], t.find('ITEM/SOURCE/FILE')[1]] for t in tracks]))"
    )
    done = subprocess.run([environment / "python", "-c", code, path], capture_output=True, timeout=60, check=True)
    assert json.loads(done.stdout) == [
        ["cello", "scene-sounds/1-cello.wav"],
        ["piano", "scene-sounds/2-piano.wav"],
        ["rest", "scene-sounds/rest.wav"],
    ]


def test_a_newer_ffmpeg_writes_iamf_and_gives_the_loudspeakers_back(
    environment: Path, deliver: Deliver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())"
    done = subprocess.run([environment / "python", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    (tmp_path / "bin").mkdir()
    ffmpeg = tmp_path / "bin" / "ffmpeg"
    ffmpeg.symlink_to(done.stdout.strip())
    monkeypatch.setenv("PATH", str(ffmpeg.parent))
    check_encoder_of(FORMATS["iamf"])
    scene = scene_of()
    sounds = sounds_of(scene)
    made = deliver("iamf", scene, sounds, subtype="PCM_24")
    assert (made.channels, made.subtype, made.files) == (12, "PCM_24", (str(tmp_path / "scene.iamf"),))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "scene.iamf"]
    expected = mix_panner("7.1.4", scene).channels(sounds)
    for stream, channels in enumerate([(0, 1), (6, 7), (4, 5), (8, 9), (10, 11), (2,), (3,)]):
        out = tmp_path / "back.wav"
        command = [ffmpeg, "-v", "error", "-y", "-i", made.path, "-map", f"0:{stream}", "-c:a", "pcm_s24le", out]
        subprocess.run(command, timeout=60, check=True)
        samples = soundfile.read(out, always_2d=True)[0].T[:, : scene.num_frames]
        np.testing.assert_allclose(samples, expected[list(channels)], atol=2.5 * 2.0**-23)
    said = subprocess.run([ffmpeg, "-hide_banner", "-i", made.path], capture_output=True, text=True, check=False).stderr
    assert "IAMF Audio Element" in said
    assert "12 channels" in said
    with pytest.raises(InputError, match="the file exists"):
        deliver("iamf", scene, sounds, subtype="PCM_24", overwrite=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back.wav", "bin", "scene.iamf"]
