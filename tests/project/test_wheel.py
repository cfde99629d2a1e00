"""The built wheel, installed away from the repository, holds all that the main job needs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REPORTING = ROOT / "tas_core" / "reporting"
pytestmark = pytest.mark.slow


def run(*command: object, cwd: Path) -> str:
    """Output of a command that must succeed, in an environment that knows nothing of the repository."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    environment = {k: v for k, v in os.environ.items() if k not in hidden}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # Without --wheel: the wheel is built from the source archive, so that is seen to be whole as well.
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (path,) = folder.glob("tas-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` folder of a new environment with the wheel, and with the dependencies of this one.

    A plain line in a .pth file adds a folder without obeying the .pth files inside it, so an editable install
    of this repository does not come along.
    """
    environment = tmp_path_factory.mktemp("elsewhere") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=environment.parent)
    binaries = environment / "bin"
    pip = (sys.executable, "-m", "pip", "--python", binaries / "python", "--disable-pip-version-check")
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=environment.parent)
    (own,) = environment.glob("lib/python*/site-packages")
    (own / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return binaries


def test_the_wheel_holds_the_data_and_nothing_of_the_workshop(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    expected = [
        *(f"tas_core/timeline/words/{path.name}" for path in (ROOT / "prompts").iterdir()),
        "tas_core/acoustics/kemar.safetensors",
        *(str(path.relative_to(ROOT)) for kind in ("html", "css", "js") for path in REPORTING.rglob(f"*.{kind}")),
        *(str(path.relative_to(ROOT)) for path in (ROOT / "tas_core" / "studio" / "page").iterdir()),
        "tas_core/models/weights/slots/calibration.json",
        "tas_core/models/weights/slots/config.json",
        "tas_core/models/weights/slots/model.safetensors",
    ]
    assert {
        "directions.yaml",
        "objects.yaml",
        "sentences.txt",
        "base.html",
        "tables.html",
        "shared.css",
        "studio.css",
    } <= {Path(name).name for name in expected}
    assert set(expected) <= set(names)
    assert len(names) == len(set(names))
    assert {name.split("/")[0].split("-")[0] for name in names} == {"tas_cli", "tas_core", "tas"}
    assert not [name for name in names if "__pycache__" in name or name.endswith(".part")]


def test_the_installed_wheel_does_the_main_job_anywhere(installed: Path, tmp_path: Path) -> None:
    program = "import tas_core, tas_cli; print(tas_core.__file__, tas_cli.__file__)"
    for file in run(installed / "python", "-c", program, cwd=tmp_path).split():
        assert Path(file).is_relative_to(installed.parent)

    shutil.copy(ROOT / "examples" / "crow.flac", tmp_path / "bird.flac")
    shutil.copy(ROOT / "examples" / "crow.yaml", tmp_path / "scene.yaml")
    out = run(
        *(installed / "tas", "spatialize", "bird.flac", "--timeline", "scene.yaml", "-o", "out.wav", "--json"),
        cwd=tmp_path,
    )
    report = json.loads(out)
    left_db, right_db = (segment["spl_difference_db"] for segment in report["segments"])
    assert left_db > 0 > right_db
    assert sorted(os.listdir(tmp_path)) == ["bird.flac", "out.wav", "scene.yaml"]


def test_the_installed_wheel_reads_prompts_with_its_own_vocabulary(installed: Path, tmp_path: Path) -> None:
    program = (
        "from tas_core.timeline.prompts import parse_prompt; from tas_core.timeline.vocabulary import WORDS_FOLDER;"
        "print(WORDS_FOLDER, parse_prompt('a crow on the left')[0].azimuth.start_deg)"
    )
    folder, azimuth_deg = run(installed / "python", "-c", program, cwd=tmp_path).rsplit(maxsplit=1)
    assert Path(folder).is_relative_to(installed.parent)
    assert float(azimuth_deg) > 0
