"""Requests and answers: the same bytes as the command makes, and every refusal with its status and its line."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile

from tas_core.system.processes import ProcessEndedError
from tests.conftest import Finished, tone
from tests.serving.conftest import Scripted, Served
from tests.support.asgi import FORM, JSON, Answer, ask, form

pytestmark = pytest.mark.usefixtures("one_thread")
Build = Callable[..., Served]
PROMPT = json.dumps({"prompt": "a tone on the left"})


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "a tone.wav"
    soundfile.write(path, tone(0.5)[0], 16_000)
    return path


def posted(served: Served, *parts: Any, **headers: str) -> Answer:
    return asyncio.run(ask(served.app, body=form(*parts), headers={**FORM, **headers}))


def named(served: Served, said: dict[str, Any]) -> Answer:
    return asyncio.run(ask(served.app, body=json.dumps(said).encode(), headers=JSON))


# ------------------------------------------------------------------ what is made


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"output": "out.wav"}, []),
        ({"output": "out.flac", "loudness": -30, "width": 0.5}, ["--loudness", "-30", "--width", "0.5"]),
        ({"output": "tone.adm.wav"}, []),
        ({"output": "tone.wav", "format": "5.1"}, ["--format", "5.1"]),
        ({"output": "tone.osc"}, []),
    ],
    ids=lambda value: str(value.get("output")) if isinstance(value, dict) else "",
)
def test_the_answer_is_what_the_command_makes(
    served: Build,
    sound: Path,
    tas: Callable[..., Finished],
    tiny_model: Path,
    tmp_path: Path,
    options: dict[str, Any],
    words: list[str],
) -> None:
    """Byte for byte, in every kind of output, the title of an ADM file included."""
    timeline = tmp_path / "scene.srt"
    timeline.write_text("1\n00:00:00,000 --> 00:00:00,300\na tone 30 degrees to the left\n")
    out = tmp_path / options["output"]
    done = tas("spatialize", sound, "-t", timeline, "-o", out, "--model", tiny_model, "--device", "cpu", *words)
    assert done.code == 0, done
    here = served()
    answer = posted(
        here, ("sound", sound.name, sound), ("timeline", "scene.srt", timeline), ("options", None, json.dumps(options))
    )
    assert answer.status == 200, answer
    assert answer.body == out.read_bytes()
    assert len(answer.body) > 300
    assert f'filename="{out.name}"' in answer.headers["content-disposition"]
    assert here.left() == []


def test_an_answer_of_json_says_what_was_made_and_no_folder_of_the_server(served: Build, sound: Path) -> None:
    here = served()
    answer = posted(here, ("sound", sound.name, sound), ("options", None, PROMPT), accept="application/json")
    found = answer.json()
    assert (found["source"], found["output"], found["warnings"]) == ("a tone.wav", "out.wav", [])
    assert found["segments"][0]["text"] == "a tone on the left"
    assert str(here.temporary) not in answer.body.decode()
    assert here.left() == []


def test_warnings_come_with_the_sound(served: Build, tmp_path: Path) -> None:
    path = tmp_path / "two.wav"
    soundfile.write(path, tone(0.3, channels=2).T, 16_000)
    here = served()
    answer = posted(here, ("sound", "two.wav", path), ("options", "o.json", PROMPT))
    assert answer.status == 200
    (warning,) = json.loads(answer.headers["tas-warnings"])
    assert warning.startswith("two.wav: 2 channels mixed down to mono")


def test_files_in_granted_folders(served: Build, tmp_path: Path, sound: Path) -> None:
    (tmp_path / "out").mkdir()
    here = served(read=[sound.parent], write=[tmp_path / "out"])
    out = tmp_path / "out" / "o.wav"
    said = {"sound": str(sound), "output": str(out), "prompt": "a tone on the left"}
    found = named(here, {**said, "stems": str(tmp_path / "out" / "stems"), "sidecar": True}).json()
    assert found["output"] == str(out)
    assert sorted(path.name for path in out.parent.rglob("*")) == [
        *("1-tone.wav", "o.wav", "o.wav.tas.json", "rest.wav", "stems")
    ]
    upload = posted(here, ("sound", sound.name, sound), ("options", None, PROMPT))
    assert upload.body == out.read_bytes()
    again = named(here, said)
    assert (again.status, again.error) == (
        422,
        f'{sound}: {out}: the file exists, expected a new name or permission to overwrite it ("force": true)',
    )
    out.write_bytes(b"other")
    assert named(here, {**said, "force": True}).status == 200
    assert upload.body == out.read_bytes()
    # Without words, those beside the input.
    beside = sound.with_suffix(".yaml")
    beside.write_text("prompts:\n  - {start: 0, text: a tone on the left}\n")
    try:
        assert named(here, {"sound": str(sound), "output": str(out), "force": True}).status == 200
    finally:
        beside.unlink()


# ------------------------------------------------------------------ folders


def test_no_file_outside_of_the_folders(served: Build, tmp_path: Path, sound: Path) -> None:
    """Neither by its path, nor by a way up, nor by a link, nor by a timeline that names it."""
    read, write, private = (tmp_path / name for name in ("read", "write", "private"))
    for folder in (read, write, private):
        folder.mkdir()
    secret = private / "secret.wav"
    secret.write_bytes(sound.read_bytes())
    (read / "in.wav").write_bytes(sound.read_bytes())
    (read / "link.wav").symlink_to(secret)
    (read / "linked").symlink_to(private)
    (read / "beside.wav").write_bytes(sound.read_bytes())
    (private / "scene.yaml").write_text("prompts:\n  - {start: 0, text: a tone on the left}\n")
    (read / "beside.yaml").symlink_to(private / "scene.yaml")
    sources = f"sources: {{tone: {secret}}}\nprompts:\n  - {{start: 0, text: a tone on the left}}\n"
    (read / "naming.yaml").write_text(sources)
    (write / "linked").symlink_to(private)
    (write / "over.wav").symlink_to(secret)
    here = served(read=[read], write=[write])
    good: dict[str, Any] = {
        "sound": str(read / "in.wav"),
        "output": str(write / "o.wav"),
        "prompt": "a tone on the left",
    }
    bad: list[dict[str, Any]] = [
        {"sound": str(secret)},
        {"sound": str(read / ".." / "private" / "secret.wav")},
        {"sound": str(read / "link.wav")},
        {"sound": str(read / "linked" / "secret.wav")},
        {"sound": str(write / "o.wav")},
        {"sound": "/etc/passwd"},
        {"sound": str(read / "beside.wav"), "prompt": None},
        {"timeline": str(private / "scene.yaml"), "prompt": None},
        {"timeline": str(read / "naming.yaml"), "prompt": None},
        {"output": str(private / "o.wav")},
        {"output": str(read / "o.wav")},
        {"output": str(write / "linked" / "o.wav")},
        {"output": str(write / "over.wav"), "force": True},
        {"output": str(write / ".." / "o.wav")},
        {"stems": str(private / "stems")},
        {"report": str(private / "page.html")},
        {"output": str(write / "linked" / "o.rpp")},
    ]
    for change in bad:
        answer = named(here, {**good, **change})
        assert answer.status == 403, (change, answer)
        assert "folder" in answer.error
    assert sorted(path.name for path in private.iterdir()) == ["scene.yaml", "secret.wav"]
    assert secret.read_bytes() == sound.read_bytes()
    assert not [path for path in write.iterdir() if not path.is_symlink()]
    assert named(served(), good).status == 403  # nothing is granted by itself
    assert posted(here, ("sound", "in.wav", sound), ("timeline", "naming.yaml", sources)).status == 403
    assert named(here, good).status == 200


@pytest.mark.parametrize("name", ["../x.wav", "/tmp/x.wav", "..", "a\\b.wav", "x" * 300 + ".wav", "a\x07.wav"])
def test_names_of_files_lead_nowhere(served: Build, sound: Path, name: str) -> None:
    here = served()
    for part in (("sound", name, sound), ("timeline", name, "x")):
        others = [] if part[0] == "sound" else [("sound", "in.wav", sound)]
        answer = posted(here, part, *others)
        assert answer.status == 400
        assert "expected the name of a file, without folders" in answer.error
    answer = posted(
        here, ("sound", "in.wav", sound), ("options", None, json.dumps({"prompt": "a tone left", "output": name}))
    )
    assert answer.status == 400
    assert here.left() == []


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("options", "status", "line"),
    [
        ("{", 400, "options: not JSON: "),
        ('{"width": NaN}', 400, "options: not JSON: NaN is no number"),
        ("[" * 100_000, 400, "options: not JSON: "),
        ('{"start": 1e999}', 400, "options: not JSON: 1e999 is larger than any number"),
        ('{"seed": ' + "9" * 400 + "}", 400, "options: not JSON: 99999999999999999999... is a number of 400 digits"),
        ('{"prompt": "a tone left", "output": "a\\ud800.wav"}', 400, "'a\\ud800.wav': expected the name of a file"),
        ("[]", 400, "options: expected an object with named values, not list []"),
        ('{"promt": "x"}', 400, "options: unknown key 'promt', did you mean 'prompt'?"),
        ('{"prompt": 3}', 400, "options: prompt must be str | None, not int 3"),
        ("{}", 400, "no timeline and no prompt, expected one of them"),
        ('{"prompt": "cello lft of", "strict": true}', 422, ""),
        ('{"prompt": "a tone left", "width": 9}', 422, "width is 9; expected 0 (mono) to 2"),
        ('{"prompt": "a tone left", "output": "out.xyz"}', 422, "in.wav: out.xyz: the extension .xyz, expected one of"),
        ('{"prompt": "a tone left", "format": "objects", "output": "o"}', 400, "objects: several files"),
        ('{"prompt": "a tone left", "format": "binaural,adm"}', 400, "binaural, adm: several files"),
        ('{"prompt": "a tone left", "output": "in.rpp"}', 400, "rpp: several files"),
        ('{"prompt": "a tone left", "start": 99}', 422, "in.wav: the start is 99 s, expected less than 0.5 s"),
        ('{"prompt": "a tone left", "clip": "rescale-all"}', 400, "options: clip must be one of"),
        ('{"prompt": "a tone left", "separator": "rm -rf"}', 400, "options: unknown key 'separator'"),
        ('{"prompt": "a tone left", "force": true}', 400, "options: unknown key 'force'"),
    ],
)
def test_options_that_are_wrong(served: Build, sound: Path, options: str, status: int, line: str) -> None:
    here = served()
    answer = posted(here, ("sound", "in.wav", sound), ("options", None, options))
    assert answer.status == status
    assert answer.error.startswith(line)
    assert here.left() == []


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        ([], "no part 'sound' with a file name"),
        ([("sound", None, "x")], "no part 'sound' with a file name"),
        ([("sound", "", "x")], "no part 'sound' with a file name"),
        ([("sound", "a.wav", "x"), ("mix", "b.wav", "x")], "the part 'mix' is unknown"),
        ([("sound", "a.wav", "x"), ("sound", "b.wav", "x")], "the part 'sound' is there twice"),
        ([("sound", "a.yaml", "x"), ("timeline", "a.yaml", "x")], "'a.yaml': the sound and the timeline have one name"),
        ([("sound", "a.wav", "x"), ("timeline", "t.yaml", "x"), ("options", None, PROMPT)], "a timeline and a prompt"),
        ([("sound", f"{n}.wav", "x") for n in range(5)], "not a form: Too many files"),
        ([("sound", "a.wav", "x"), ("options", None, "x" * 2_000_000)], "not a form: Part exceeded"),
    ],
)
def test_forms_that_are_wrong(served: Build, parts: list[Any], line: str) -> None:
    here = served()
    answer = posted(here, *parts)
    assert answer.status == 400
    assert answer.error.startswith(line)
    assert here.left() == []


@pytest.mark.parametrize("body", [b"--line", b"--line\r\nx y: z\r\n\r\n", b"\xff" * 300, b"--line\r\n" * 50])
def test_who_sends_what_is_no_form_writes_nothing_to_the_server(
    served: Build, body: bytes, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    here = served()
    answer = asyncio.run(ask(here.app, body=body, headers={"content-type": "multipart/form-data; boundary=line"}))
    assert answer.status == 400
    assert "\n" not in answer.error
    assert (caplog.records, here.said, capfd.readouterr().err) == ([], [], "")


@pytest.mark.parametrize(
    ("content", "line"),
    [(b"no sound", "in.wav: "), (b"", "in.wav: the file is empty"), (b"RIFF\xff\xff\xff\xffWAVEfmt ", "in.wav: ")],
)
def test_sounds_that_are_none(served: Build, content: bytes, line: str) -> None:
    here = served()
    answer = posted(here, ("sound", "in.wav", content), ("options", None, PROMPT))
    assert answer.status == 422
    assert answer.error.startswith(line)
    assert str(here.temporary) not in answer.error


def test_other_bodies_paths_and_methods(served: Build) -> None:
    app = served().app
    for headers, status in (
        ({}, 415),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "multipart/form-data"}, 400),
        ({"content-type": "multipart/form-data; boundary=other"}, 400),
        (JSON, 400),
    ):
        answer = asyncio.run(ask(app, body=b"x", headers=headers))
        assert answer.status == status
        assert answer.error
    assert asyncio.run(ask(app, "/", method="GET")).status == 404
    wrong = asyncio.run(ask(app, method="GET"))
    assert (wrong.status, wrong.headers["allow"]) == (405, "POST")
    assert wrong.error == (
        "GET /spatialize: method not allowed, expected POST /spatialize, GET /health or GET /metrics"
    )


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "127.0.0.1:8765"}, 200),
        ({"host": "[::1]:8765"}, 200),
        ({"host": "LOCALHOST"}, 200),
        ({"host": "evil.example:8765"}, 403),
        ({"host": "127.0.0.1.evil.example"}, 403),
        ({"host": ""}, 403),
        ({"host": "localhost", "origin": "http://localhost"}, 403),
        ({"host": "localhost", "origin": "null"}, 403),
    ],
)
def test_pages_of_browsers_are_refused(served: Build, headers: dict[str, str], status: int) -> None:
    """A port of the loopback is reached by every page that a browser of this machine shows."""
    assert asyncio.run(ask(served().app, "/health", headers=headers, method="GET")).status == status
    elsewhere = served(only_local_names=False).app  # on a Unix socket, which no page reaches
    assert asyncio.run(ask(elsewhere, "/health", headers=headers, method="GET")).status == 200


# ------------------------------------------------------------------ limits


def test_a_request_that_is_too_large(served: Build) -> None:
    """Refused by the length that it says, and by what comes where it says none; nothing of it is kept."""
    here = served(request_bytes=2000)
    large = form(("sound", "in.wav", b"x" * 3000), ("options", None, PROMPT))
    for body in (large, [large[:1500], large[1500:]]):
        answer = asyncio.run(ask(here.app, body=body, headers=FORM))
        assert (answer.status, answer.error) == (413, "more than 2,000 bytes, which is all that a request may have")
    assert asyncio.run(ask(here.app, body=[b"[" * 1500] * 2, headers=JSON)).status == 413
    assert here.left() == []
    assert here.queue.waiting == 0


def test_a_sound_that_is_too_long(served: Build, sound: Path) -> None:
    answer = posted(served(sound_s=0.25), ("sound", "in.wav", sound), ("options", None, PROMPT))
    assert (answer.status, answer.error) == (422, "in.wav: 0.5 s of sound, expected 0.25 s or less")


def test_a_request_that_does_not_come(served: Build) -> None:
    here = served(upload_s=0.05)
    body = form(("sound", "in.wav", b"x" * 100))
    answer = asyncio.run(ask(here.app, body=[body[:50], body[50:]], headers=FORM, pause_s=0.04))
    assert (answer.status, answer.error) == (408, "the request did not come within 0.05 s")
    assert here.left() == []
    assert here.queue.waiting == 0


@pytest.mark.parametrize(
    ("problem", "status", "line", "lost"),
    [
        (TimeoutError(), 504, "it took longer than 600 s, which is all that a request may", 1),
        (ProcessEndedError("gone"), 500, "the process that worked on it was killed (out of memory?)", 1),
        (RuntimeError("secret\nplace"), 500, "unexpected RuntimeError", 0),
        (OSError(28, "No space left on device"), 500, "a temporary file: cannot write what came with the request", 0),
    ],
)
def test_work_that_is_lost(served: Build, sound: Path, problem: Exception, status: int, line: str, lost: int) -> None:
    hands = Scripted(raises=problem)
    hands.go.set()
    here = served(hands=hands)
    answer = posted(here, ("sound", "in.wav", sound), ("options", None, PROMPT))
    assert answer.status == status
    assert answer.error.startswith(line)
    assert "secret" not in answer.error
    assert here.left() == []
    assert here.queue.working == here.queue.waiting == 0
    text = asyncio.run(ask(here.app, "/metrics", method="GET")).body.decode()
    assert f"tas_processes_lost_total {lost:.1f}\n" in text
    assert f'tas_requests_total{{status="{status}"}} 1.0\n' in text
    assert bool(here.said) == (status == 500)


# ------------------------------------------------------------------ the row


def test_what_is_beyond_the_row_is_refused_at_once_and_nothing_is_lost(served: Build) -> None:
    """Of six at once, two are worked on, two wait, two are refused within a moment; the four get their answers."""

    async def run() -> tuple[list[Answer], float, Answer]:
        hands = Scripted()
        here = served(hands=hands, jobs=2, waiting=2)
        body = form(("sound", "in.wav", b"x"), ("options", None, PROMPT))
        tasks = [asyncio.ensure_future(ask(here.app, body=body, headers=FORM)) for _ in range(4)]
        for _ in range(2):
            assert await asyncio.to_thread(hands.begun.acquire, timeout=10)
        began = time.monotonic()
        refused = [await ask(here.app, body=body, headers=FORM) for _ in range(2)]
        took_s = time.monotonic() - began
        health = await ask(here.app, "/health", method="GET")
        hands.go.set()
        answers = await asyncio.gather(*tasks)
        assert len(hands.orders) == 4
        assert len({order.request.source for order in hands.orders}) == 4
        assert here.left() == []
        return [*answers, *refused], took_s, health

    answers, took_s, health = asyncio.run(run())
    assert [answer.status for answer in answers] == [422] * 4 + [503] * 2  # "made", by the hands of the test
    for answer in answers[4:]:
        assert answer.error.startswith("4 requests are being worked on or wait, which is all that are taken")
        assert int(answer.headers["retry-after"]) >= 1
    assert took_s < 1.0
    found = health.json()
    assert (found["status"], found["working"], found["waiting"], found["places"]) == ("ok", 2, 2, 4)


def test_stopping_lets_work_end_and_refuses_what_waits(served: Build) -> None:
    async def run() -> None:
        hands = Scripted()
        here = served(hands=hands, jobs=1, waiting=3)
        body = form(("sound", "in.wav", b"x"), ("options", None, PROMPT))
        first = asyncio.ensure_future(ask(here.app, body=body, headers=FORM))
        assert await asyncio.to_thread(hands.begun.acquire, timeout=10)
        second = asyncio.ensure_future(ask(here.app, body=body, headers=FORM))
        while here.queue.waiting == 0:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)
        here.queue.stop()
        waited, late = await second, await ask(here.app, body=body, headers=FORM)
        for answer in (waited, late):
            assert (answer.status, answer.headers["retry-after"]) == (503, "10")
            assert answer.error.startswith("the server is stopping")
        health = await ask(here.app, "/health", method="GET")
        assert (health.status, health.json()["status"]) == (503, "stopping")
        hands.go.set()
        assert (await first).error == "made"
        assert len(hands.orders) == 1
        assert here.left() == []

    asyncio.run(run())


def test_who_leaves_before_his_turn_is_not_worked_for(served: Build) -> None:
    async def run() -> None:
        hands = Scripted()
        here = served(hands=hands, jobs=1, waiting=3)
        body = form(("sound", "in.wav", b"x"), ("options", None, PROMPT))
        first = asyncio.ensure_future(ask(here.app, body=body, headers=FORM))
        assert await asyncio.to_thread(hands.begun.acquire, timeout=10)
        leave = asyncio.Event()
        second = asyncio.ensure_future(ask(here.app, body=body, headers=FORM, leave=leave))
        await asyncio.sleep(0.05)
        leave.set()
        await second
        hands.go.set()
        await first
        assert len(hands.orders) == 1
        assert here.left() == []
        assert here.queue.waiting == 0

    asyncio.run(run())


def test_the_counts_are_in_the_format_of_prometheus(served: Build, sound: Path) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    here = served(jobs=1, waiting=3)
    posted(here, ("sound", "in.wav", sound), ("options", None, PROMPT))
    posted(here, ("sound", "in.wav", b""), ("options", None, PROMPT))
    answer = asyncio.run(ask(here.app, "/metrics", method="GET"))
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {
        (sample.name, sample.labels.get("status")): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }
    assert found["tas_requests_total", "200"] == found["tas_requests_total", "422"] == 1
    assert found["tas_sound_seconds_total", None] == pytest.approx(0.5)
    assert found["tas_work_seconds_count", None] == 1
    assert (found["tas_places", None], found["tas_working", None], found["tas_waiting", None]) == (4, 0, 0)
