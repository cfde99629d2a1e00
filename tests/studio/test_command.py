"""``tas studio`` as a process: its address, a change that a kill does not lose, and its end."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TAS, Finished

Start = Callable[..., tuple[subprocess.Popen[str], str]]


@pytest.fixture
def start(tiny_model: Path) -> Iterator[Start]:
    """Starts a studio; gives the process and the address that it prints."""
    started = []

    def run(*words: object) -> tuple[subprocess.Popen[str], str]:
        command = [str(TAS), "studio", *map(str, words), "--no-browser", "--model", str(tiny_model)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    yield run
    for process in started:
        process.kill()
        process.communicate()


def page_of(address: str) -> Callable[..., Any]:
    """What asks as the page does: with the cookie that the address is exchanged for."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    with opener.open(address) as answer:
        assert b"main.js" in answer.read()
    base = address.partition("/?")[0]

    def ask(name: str, **fields: Any) -> Any:
        request = urllib.request.Request(f"{base}/api/{name}", json.dumps(fields).encode(), {"Origin": base})
        with opener.open(request) as answer:
            return json.loads(answer.read())

    return ask


def test_a_studio_from_its_start_over_a_kill_to_its_end(start: Start, make_audio: Callable[..., Path]) -> None:
    audio = make_audio(seconds=1.0)
    scene = audio.with_name("scene.yaml")
    scene.write_text("prompts:\n  - {start: 0, text: cello on the left}\n")
    process, address = start(audio, "-t", scene)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{43}", address)
    ask = page_of(address)
    ask("change", revision=0, change={"kind": "put", "segment": 0, "object": "cello", "start": {"azimuth_deg": 7}})
    command = ask("command", out="o.wav", formats=["binaural"])["command"]
    assert command.startswith(f"tas spatialize {audio} -t {scene} --format binaural --model ")
    assert command.endswith(f" -o {scene.parent}/o.wav")
    process.kill()
    process.communicate()
    process, address = start(audio, "-t", scene)
    ask = page_of(address)
    assert ask("decide", take_up=True)["segments"][0]["text"] == "cello 7° left"
    assert ask("save")["saved"]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "tas: interrupted\n")
    assert scene.read_text() == 'prompts:\n  - {start: 0, text: "cello 7° left"}\n'


def test_what_cannot_be_opened_is_said(
    tas: Callable[..., Finished], make_audio: Callable[..., Path], tmp_path: Path
) -> None:
    assert tas("studio").error_line.startswith("no sound, expected an input or sounds of objects")
    assert "no such file" in tas("studio", tmp_path / "x.wav").error_line
    audio = make_audio(seconds=0.5)
    (tmp_path / "in.yaml").write_text("prompts: [")
    assert "in.yaml:1:" in tas("studio", audio).error_line
    (tmp_path / "late.yaml").write_text("prompts: [{start: 7, text: dog left}]")
    assert (
        "expected a start before the end of the audio" in tas("studio", audio, "-t", tmp_path / "late.yaml").error_line
    )
    assert "expected a timeline: .yaml" in tas("studio", audio, "-t", tmp_path / "new.json").error_line
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        finished = tas("studio", audio, "-t", tmp_path / "new.yaml", "--port", port)
    assert (finished.code, "cannot listen there" in finished.error_line) == (2, True)


def test_a_second_studio_on_a_scene_is_refused_until_the_first_has_ended(
    start: Start, tas: Callable[..., Finished], make_audio: Callable[..., Path]
) -> None:
    audio = make_audio(seconds=0.5)
    scene = audio.with_name("scene.yaml")
    scene.write_text("prompts:\n  - {start: 0, text: cello on the left}\n")
    link = audio.with_name("link.yaml")
    link.symlink_to(scene)
    process, _ = start(audio, "-t", scene)
    for name in (scene, link):
        said = f"{name}: another studio (process {process.pid}) has it open, expected that one to be used"
        assert said in tas("studio", audio, "-t", name, "--no-browser").error_line
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert sorted(path.name for path in audio.parent.iterdir()) == ["in.wav", "link.yaml", "scene.yaml"]
