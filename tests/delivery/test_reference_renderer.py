"""Our files of the Audio Definition Model, rendered by the EBU's reference renderer, against our own loudspeakers.

The renderer (PyPI ``ear``) needs an older NumPy, so it gets an environment of its own; so does PyPI ``rpp``.
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

from tas_core.delivery.layouts import LAYOUTS
from tas_core.delivery.mixes import mix_panner
from tests.delivery.conftest import RATE_HZ, Deliver, scene_of, sounds_of, still

pytestmark = pytest.mark.slow

ITU_ORDER = {"5.1": range(6), "5.1.4": range(10), "7.1.4": [0, 1, 2, 3, 6, 7, 4, 5, 8, 9, 10, 11]}
"""Channels of our files in the order of BS.2051, which has the sides before the back."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("other") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=300)
    done = subprocess.run([folder / "bin" / "pip", "install", "-q", "ear==2.1.0", "rpp==0.5"], timeout=600, check=False)
    if done.returncode:
        pytest.skip("needs the packages ear and rpp")
    return folder / "bin"


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_reference_renderer_hears_what_we_render(environment: Path, deliver: Deliver, name: str) -> None:
    """To rounding where nothing moves, to -45 dB where it does; where it jumps, both fade for 10 ms."""
    scene = scene_of()
    scene = replace(scene, objects=(*scene.objects, still(-100.0, name="dog", gain_db=-6.0)))
    sounds = sounds_of(scene)
    made = Path(deliver("adm", scene, sounds).path)
    out = made.with_name("rendered.wav")
    command = [environment / "ear-render", "--strict", "-s", LAYOUTS[name].itu_name, made, out]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    theirs = soundfile.read(out)[0].T
    ours = mix_panner(name, scene).channels(sounds)[list(ITU_ORDER[name])]
    parts = {"moves": (0.02, 0.39, -45), "gap": (0.42, 0.49, -90), "stays": (0.52, 0.89, -90), "end": (0.92, 1, -90)}
    for what, (start_s, end_s, most_db) in parts.items():
        part = slice(round(start_s * RATE_HZ), round(end_s * RATE_HZ))
        off = 10 * np.log10(((theirs - ours)[:, part] ** 2).mean() / (ours[:, part] ** 2).mean())
        assert off < most_db, what


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
