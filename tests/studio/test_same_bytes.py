"""What the studio makes is what the command makes of the saved scene: in every format, byte for byte."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tas_core.delivery.formats import FORMATS, NAMES, check_encoder_of
from tas_core.errors import InputError
from tests.conftest import Finished
from tests.studio.conftest import Client

SCENE = "prompts:\n  - {start: 0, end: 0.3, text: cello on the left}\n  - {start: 0.3, text: cello behind me}\n"


def made(folder: Path, name: str) -> dict[str, bytes]:
    """All files of an output: it, or what is in it, and the sounds of a project."""
    found = [folder / name, folder / f"{Path(name).stem}-sounds"]
    paths = [path for top in found for path in (top, *sorted(top.rglob("*"))) if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def export(client: Client, **wish: object) -> None:
    """Make a file, to its end."""
    answer = client.post("export", **wish)
    assert answer.status == 200, answer.json
    while (state := client.get("state")["export"])["state"] == "running":
        time.sleep(0.005)
    assert (state["state"], state["error"]) == ("done", ""), wish


def test_every_format_is_the_same_bytes_by_hand_and_by_the_command(
    open_client: Callable[..., Client],
    make_audio: Callable[..., Path],
    tas: Callable[..., Finished],
    tiny_model: Path,
    tmp_path: Path,
) -> None:
    audio = make_audio(seconds=0.6)
    (tmp_path / "in.yaml").write_text(SCENE)
    client = open_client(audio)
    client.change(kind="put", segment=0, object="cello", start={"azimuth_deg": -35})
    client.post("save")
    names = client.get("scene")["names"]
    assert list(names) == list(NAMES)
    formats = list(NAMES)
    try:
        check_encoder_of(FORMATS["iamf"])
    except InputError:
        formats.remove("iamf")
    for name in formats:
        export(client, out=names[name], formats=[name])
    (tmp_path / "again").mkdir()
    words = ["spatialize", audio, "-t", tmp_path / "in.yaml", "--model", tiny_model, "--format", ",".join(formats)]
    finished = tas(*words, "-o", tmp_path / "again" / names["binaural"])
    assert finished.code == 0, finished.err
    for name in formats:
        by_hand, by_command = made(tmp_path, names[name]), made(tmp_path / "again", names[name])
        assert by_hand, name
        assert by_hand == by_command, name


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_films_are_the_same_bytes_by_hand_and_by_the_command(
    open_client: Callable[..., Client],
    make_audio: Callable[..., Path],
    tas: Callable[..., Finished],
    tiny_model: Path,
    tmp_path: Path,
) -> None:
    film = tmp_path / "film.mkv"  # of a picture that all three containers hold
    picture = ["-f", "lavfi", "-i", "testsrc=size=32x32:rate=10:duration=0.6", "-c:v", "libvpx-vp9", "-c:a", "flac"]
    sound = str(make_audio(seconds=0.6))
    subprocess.run(["ffmpeg", "-v", "error", "-i", sound, *picture, str(film)], check=True, timeout=60)
    (tmp_path / "film.yaml").write_text(SCENE)
    client = open_client(film)
    words = ["spatialize", film, "-t", tmp_path / "film.yaml", "--model", tiny_model, "-o"]
    for ending in (".mkv", ".webm", ".mp4"):
        export(client, out=f"by-hand{ending}")
        finished = tas(*words, tmp_path / f"by-command{ending}")
        assert finished.code == 0, finished.err
        by_hand, by_command = (tmp_path / f"by-{who}{ending}" for who in ("hand", "command"))
        assert by_hand.read_bytes() == by_command.read_bytes(), ending
