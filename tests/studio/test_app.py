"""What a studio answers: who is let in, changes as JSON, what is heard and what is made."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import tas_core
from tas_core.audio.excerpt import Excerpt
from tas_core.conventions import LEFT_EAR, RIGHT_EAR
from tas_core.errors import InputError
from tas_core.jobs.request import FileOptions
from tas_core.studio.exports import export_path
from tas_core.studio.server import StudioRequest
from tas_core.studio.sounds import Passage
from tas_core.timeline.files import load_timeline
from tas_core.timeline.sources import SourceFile
from tests.studio.conftest import HOST, PAGE, PORT, TOKEN, Answer, Client

ONE = "prompts:\n  - {start: 0, text: cello on the left}\n"
Open = Callable[..., Client]


@pytest.fixture
def client(open_client: Open, make_audio: Callable[..., Path], tmp_path: Path) -> Client:
    (tmp_path / "in.yaml").write_text(ONE)
    return open_client(make_audio(seconds=2.0))


def heard(answer: Answer) -> np.ndarray:
    assert answer.status == 200, answer.body
    samples, _ = soundfile.read(io.BytesIO(answer.body), always_2d=True)
    return np.asarray(samples.T)


def finished(client: Client, *, within_s: float = 60.0) -> dict[str, Any]:
    until = time.monotonic() + within_s
    while (state := client.get("scene")["export"])["state"] == "running":
        assert time.monotonic() < until
        time.sleep(0.01)
    return dict(state)


# ------------------------------------------------------------------ who is let in


def test_the_address_is_exchanged_for_a_cookie_and_the_page_asks_nobody_else(client: Client) -> None:
    first = client.ask("GET", f"/?token={TOKEN}", headers={"host": HOST})
    assert (first.status, first.headers["location"]) == (303, "/")
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    page = client.ask("GET", "/", headers={"host": HOST, "cookie": cookie.partition(";")[0]})
    assert page.status == 200
    assert b"/page/main.js" in page.body
    for answer in (first, page, client.ask("GET", "/api/scene", headers={"host": HOST})):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("method", "target", "changes"),
    [
        ("GET", "/", {"cookie": None}),
        ("GET", "/?token=wrong", {"cookie": None}),
        ("GET", f"/?token={TOKEN}&token={TOKEN}", {"cookie": None}),
        ("GET", f"/api/scene?token={TOKEN}", {"cookie": None}),
        ("GET", "/api/scene", {"cookie": f"tas-studio-{PORT}=wrong"}),
        ("GET", "/api/scene", {"cookie": f"tas-studio-1={TOKEN}"}),
        ("GET", "/api/scene", {"cookie": ";;=\x7f"}),
        ("GET", "/api/scene", {"host": "evil.example"}),
        ("GET", "/api/scene", {"host": f"127.0.0.1.evil.example:{PORT}"}),
        ("GET", "/api/scene", {"host": "127.0.0.1:80"}),
        ("GET", "/api/scene", {"host": None}),
        ("GET", f"/?token={TOKEN}", {"host": "evil.example"}),
        ("GET", "/api/scene", {"origin": "http://evil.example"}),
        ("GET", "/api/scene", {"origin": "null"}),
        ("GET", "/api/scene", {"origin": f"https://{HOST}"}),
        ("POST", "/api/save", {"origin": None}),
        ("POST", "/api/save", {"origin": "http://127.0.0.1:80"}),
        ("GET", "/page/main.js", {"sec-fetch-site": "cross-site"}),
        ("GET", "/", {"sec-fetch-site": "same-site"}),
        ("POST", f"/?token={TOKEN}", {"cookie": None}),
    ],
)
def test_who_is_not_the_page_is_refused(
    client: Client, method: str, target: str, changes: dict[str, str | None]
) -> None:
    headers = {name: value for name, value in (PAGE | changes).items() if value is not None}
    answer = client.ask(method, target, b"{}", headers)
    assert answer.status == 403
    assert answer.body.startswith(b"tas studio: ")
    assert TOKEN.encode() not in answer.body


@pytest.mark.parametrize(
    "target", ["/page/../app.py", "/page/app.py", "/page/", "/etc/passwd", "/api/x", "/page/%2e%2e"]
)
def test_no_other_file_is_served(client: Client, target: str) -> None:
    answer = client.ask("GET", target)
    assert (answer.status, list(answer.json)) == (404, ["error"])


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"NaN", b'{"revision": NaN, "change": {}}', b"[" * 100_000, b"\xff", b"3"]
)
def test_what_is_no_change_is_refused_in_a_line(client: Client, body: bytes) -> None:
    answer = client.ask("POST", "/api/change", body)
    assert answer.status == 422
    assert "\n" not in answer.json["error"]
    assert client.ask("POST", "/api/text", b" " * 3_000_000).status == 422


# ------------------------------------------------------------------ the scene


def test_the_page_changes_saves_and_undoes(client: Client, tmp_path: Path) -> None:
    scene = client.change(kind="put", segment=0, object="cello", start={"azimuth_deg": -35}).json
    assert scene["segments"][0]["text"] == "cello 35° right"
    assert not scene["saved"]
    assert client.post("save").json["saved"]
    assert (tmp_path / "in.yaml").read_text() == ONE.replace("cello on the left", '"cello 35° right"')
    scene = client.post("undo", revision=scene["revision"] + 1).json
    assert (scene["segments"][0]["text"], scene["undo"], scene["redo"]) == ("cello on the left", 0, 1)


def test_a_page_that_asks_again_and_again_gets_little(client: Client) -> None:
    client.change(kind="text", segment=0, text="dog left")
    state, scene = client.get("state"), client.get("scene")
    assert state.items() <= scene.items()
    assert "segments" not in state
    assert client.studio.scene()["segments"] is client.studio.scene()["segments"]


def test_two_tabs_do_not_overwrite_each_other(client: Client) -> None:
    first = client.change(kind="text", segment=0, text="dog left").json
    late = client.post("change", revision=0, change={"kind": "text", "segment": 0, "text": "cat left"})
    assert (late.status, late.json["kind"]) == (409, "StaleError")
    assert client.get("scene")["segments"][0]["text"] == "dog left"
    assert client.get("scene")["revision"] == first["revision"]


def test_an_error_in_the_words_says_where(client: Client) -> None:
    answer = client.change(kind="text", segment=0, text="cello left, dog sideways")
    assert answer.status == 422
    said = answer.json
    assert said["text"][slice(*said["span"])] == "dog sideways"
    assert client.post("read", text="cello left, dog").json["span"] == [12, 15]
    assert client.post("read", text="dog behind me").json["clauses"][0]["way"][0][0] == 180.0


def test_a_file_that_another_program_changed_is_a_decision(client: Client, tmp_path: Path) -> None:
    client.change(kind="text", segment=0, text="dog left")
    (tmp_path / "in.yaml").write_text(ONE.replace("left", "right"))
    assert client.get("scene")["changed_by_another"]
    answer = client.post("save")
    assert (answer.status, answer.json["kind"]) == (409, "ChangedFileError")
    assert client.post("save", overwrite=True).json["saved"]
    assert "dog left" in (tmp_path / "in.yaml").read_text()


@pytest.mark.parametrize("name", ["copy.srt", "copy.vtt", "copy.txt", "copy.yaml"])
def test_a_copy_says_the_same_in_another_format(client: Client, tmp_path: Path, name: str) -> None:
    client.change(kind="text", segment=0, text="dog 20° left")
    client.change(kind="times", segment=0, start_s=0.5, end_s=1.5)
    assert client.post("copy", name=name).status == 200
    (segment,) = load_timeline(tmp_path / name).segments
    assert (segment.start_s, segment.end_s, segment.text) == (0.5, 1.5, "dog 20° left")
    assert (tmp_path / "in.yaml").read_text() == ONE
    assert "the file exists" in client.post("copy", name=name).json["error"]
    assert client.post("copy", name=name, overwrite=True).status == 200


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("in.yaml", "the output is the input"),
        ("in.yaml.tas-autosave.yaml", "the output is the input"),
        ("x.wav", "expected a timeline"),
        ("../x.srt", "expected the name of a file"),
        ("", "expected the name of a file"),
    ],
)
def test_a_copy_goes_over_nothing_else(client: Client, tmp_path: Path, name: str, said: str) -> None:
    client.change(kind="text", segment=0, text="dog left")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    answer = client.post("copy", name=name, overwrite=True)
    assert answer.status == 422
    assert said in answer.json["error"]
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_words_complete_prompts(client: Client) -> None:
    words = client.get("words")
    assert "trumpet" in words["objects"]
    assert {"far left", "behind me"} <= set(words["places"])
    for place in words["places"]:
        assert "clauses" in client.post("read", text=f"trumpet {place}").json, place


def test_the_waveform_is_that_of_the_sound(client: Client, tmp_path: Path) -> None:
    found = client.get("waveform")
    assert (found["parts"], found["done"]) == (4000, True)
    drawn = np.array(found["peaks"])
    samples, _ = soundfile.read(tmp_path / "in.wav")
    np.testing.assert_allclose(
        drawn[:, 1], [max(0, each.max()) for each in np.array_split(samples, len(drawn))], atol=1e-4
    )
    assert drawn[:, 0].min() == pytest.approx(samples.min(), abs=1e-4)


def test_a_new_scene_begins_with_nothing(open_client: Open, make_audio: Callable[..., Path], tmp_path: Path) -> None:
    client = open_client(make_audio(seconds=1.0))
    assert client.get("scene")["segments"] == []
    assert client.post("hear", revision=0, start_s=0, duration_s=1).json["error"].startswith("the scene says nothing")
    client.change(kind="add", start_s=0, end_s=None, text="cello left")
    client.post("save")
    assert (tmp_path / "in.yaml").read_text() == 'prompts:\n  - {start: 0.0, text: "cello left"}\n'


def test_lyrics_beside_a_sound_are_no_scene(open_client: Open, make_audio: Callable[..., Path], tmp_path: Path) -> None:
    audio = make_audio(seconds=1.0)
    (tmp_path / "in.txt").write_text("la la la\n")
    assert open_client(audio).get("scene")["file"] == "in.yaml"
    (tmp_path / "in.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\ncello left\n")
    (tmp_path / "in.vtt").write_text("WEBVTT\n\n00:00.000 --> 00:01.000\ncello left\n")
    with pytest.raises(InputError, match="more than one timeline"):
        open_client(audio)
    with pytest.raises(InputError, match="expected a file"):
        open_client(Path("-"))
    with pytest.raises(InputError, match="no sound"):
        open_client(None)


# ------------------------------------------------------------------ what is heard


def test_what_is_heard_is_what_the_command_makes(client: Client, tmp_path: Path) -> None:
    ears = heard(client.post("hear", revision=0, start_s=0.5, duration_s=1.0))
    options = FileOptions(excerpt=Excerpt(start_s=0.5, duration_s=1.0))
    model = client.studio.exporter._settings.model_name
    tas_core.spatialize_file(tmp_path / "in.wav", tmp_path / "out.wav", model=model, options=options)
    expected, _ = soundfile.read(tmp_path / "out.wav")
    np.testing.assert_allclose(ears, expected.T, atol=2 / 32768)  # dither
    separations = client.studio.listening.load().separations
    assert separations is not None
    before = separations.hits
    client.change(kind="put", segment=0, object="cello", start={"azimuth_deg": -80})
    moved = heard(client.post("hear", revision=1, start_s=0.5, duration_s=1.0))
    assert separations.hits == before + 1  # nothing was separated anew
    assert not np.allclose(moved, ears, atol=1e-3)


def test_input_and_plain_head_are_as_loud_as_the_scene(client: Client) -> None:
    sounds = [
        heard(client.post("hear", revision=0, start_s=0, duration_s=2.0, what=what))
        for what in ("output", "input", "head")
    ]
    power = [10 * np.log10(np.square(each).mean()) for each in sounds]
    np.testing.assert_allclose(power, power[0], atol=1.0)
    assert np.array_equal(*sounds[1])
    sides = [np.square(each).mean(axis=1) for each in sounds]
    assert sides[2][LEFT_EAR] > 2 * sides[2][RIGHT_EAR]  # all of it on the left


def test_what_cannot_be_heard_is_said(client: Client) -> None:
    for wish, said in [
        ({"start_s": 9, "duration_s": 1}, "the sound ends at 2 s"),
        ({"start_s": 0, "duration_s": 31}, "expected one of 0.05 to 30 s"),
        ({"start_s": -1, "duration_s": 1}, "expected one of"),
        ({"start_s": 0, "duration_s": 1, "what": "all"}, "expected output, input or head"),
    ]:
        answer = client.post("hear", revision=0, **wish)
        assert answer.status == 422
        assert said in answer.json["error"]
    stale = client.post("hear", revision=7, start_s=0, duration_s=1)  # of a scene that is no more
    assert (stale.status, stale.body) == (204, b"")


@pytest.fixture
def given(open_client: Open, tmp_path: Path) -> Client:
    """Two tones that are given, one after the other."""
    t = np.arange(16_000) / 16_000
    for name, hz in (("flute", 3000), ("bass", 4000)):
        soundfile.write(tmp_path / f"{name}.wav", 0.2 * np.sin(2 * np.pi * hz * t), 16_000)
    (tmp_path / "duo.yaml").write_text('prompts: [{start: 0, text: "flute hard left, bass hard right"}]\n')
    objects = tuple(SourceFile(name, tmp_path / f"{name}.wav") for name in ("flute", "bass"))
    return open_client(None, tmp_path / "duo.yaml", objects=objects)


def loudest_hz(ears: np.ndarray, ear: int) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(ears[ear])))) * 16_000 / ears.shape[1]


def test_given_sounds_are_put_where_they_are_dragged_without_a_model(given: Client) -> None:
    ears = heard(given.post("hear", revision=0, start_s=0, duration_s=1))
    assert (loudest_hz(ears, LEFT_EAR), loudest_hz(ears, RIGHT_EAR)) == (3000, 4000)
    given.change(kind="put", segment=0, object="flute", start={"azimuth_deg": -90})
    given.change(kind="put", segment=0, object="bass", start={"azimuth_deg": 90})
    ears = heard(given.post("hear", revision=2, start_s=0, duration_s=1))
    assert (loudest_hz(ears, LEFT_EAR), loudest_hz(ears, RIGHT_EAR)) == (4000, 3000)
    assert given.studio.listening._model is None


def test_sounds_are_heard_alone_or_not_at_all(given: Client) -> None:
    alone = heard(given.post("hear", revision=0, start_s=0, duration_s=1, solo=["flute"]))
    without = heard(given.post("hear", revision=0, start_s=0, duration_s=1, muted=["bass"]))
    for ears in (alone, without):
        spectrum = np.abs(np.fft.rfft(ears.sum(axis=0)))
        assert spectrum[3000] > 1000 * spectrum[4000]
    nothing = heard(given.post("hear", revision=0, start_s=0, duration_s=1, solo=["rest"]))
    assert np.abs(nothing).max() < 1e-3


def test_a_place_without_a_sound_is_said(given: Client) -> None:
    given.change(kind="text", segment=0, text="flute left, bass right, dog left")
    answer = given.post("hear", revision=1, start_s=0, duration_s=1)
    assert answer.json["error"] == "'dog' has a place and no sound, expected a name of one that is given"
    given.change(kind="text", segment=0, text="flute left")
    answer = given.post("hear", revision=2, start_s=0, duration_s=1)
    assert answer.json["error"] == "source 'bass' is named by no prompt; expected one of 'flute'"


def test_places_all_around_are_heard(given: Client) -> None:
    given.change(kind="put", segment=0, object="flute", start={"azimuth_deg": 120, "elevation_deg": 30})
    ears = heard(given.post("hear", revision=1, start_s=0, duration_s=1))
    assert loudest_hz(ears, LEFT_EAR) == 3000


# ------------------------------------------------------------------ what is made


def test_the_file_is_that_of_the_command(client: Client, tmp_path: Path) -> None:
    client.change(kind="put", segment=0, object="cello", start={"azimuth_deg": -35})
    answer = client.post("export", out="made.wav")
    assert "not saved" in answer.json["error"]
    client.post("save")
    assert client.post("command", out="made.wav", formats=["binaural"]).json == {
        "command": "make made.wav of in.yaml as binaural"
    }
    client.post("export", out="made.wav")
    assert finished(client) == {"state": "done", "out": "made.wav", "fraction": 1.0, "error": "", "warnings": []}
    model = client.studio.exporter._settings.model_name
    tas_core.spatialize_file(tmp_path / "in.wav", tmp_path / "other.wav", model=model)
    assert (tmp_path / "made.wav").read_bytes() == (tmp_path / "other.wav").read_bytes()
    client.post("export", out="made.wav")
    failed = finished(client)
    assert failed["state"] == "failed"
    assert "made.wav: the file exists" in failed["error"]
    client.post("export", out="made.wav", overwrite=True)
    assert finished(client)["state"] == "done"


def test_a_cancelled_file_is_not_there(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = client.studio.exporter
    tell = type(exporter)._progress

    def cancelled(self: Any, fraction: float) -> None:
        self._cancelled.set()
        tell(self, fraction)

    monkeypatch.setattr(type(exporter), "_progress", cancelled)
    before = sorted(tmp_path.iterdir())
    client.post("export", out="made.wav")
    assert finished(client)["state"] == "cancelled"
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["", " ", ".", "..", "-", "../x.wav", "/tmp/x.wav", "a/b.wav", "a\\b.wav", "a\0.wav"])
def test_a_file_goes_to_the_folder_of_the_scene_alone(client: Client, tmp_path: Path, name: str) -> None:
    answer = client.post("export", out=name)
    assert answer.status == 422
    assert "expected the name of a file" in answer.json["error"]
    assert client.get("scene")["export"]["state"] == "none"
    assert export_path(tmp_path, "ok.wav") == tmp_path / "ok.wav"


def test_an_unexpected_error_is_a_line(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(client.studio.session), "state", lambda self: 1 / 0)
    answer = client.ask("GET", "/api/scene")
    assert (answer.status, answer.json) == (500, {"error": "unexpected ZeroDivisionError: division by zero"})


def test_passages_are_checked(client: Client) -> None:
    with pytest.raises(InputError):
        Passage(float("nan"), 1.0)
    for start_s in (2.0, 1e9, 1e308):
        answer = client.post("hear", revision=0, start_s=start_s, duration_s=1.0)
        assert answer.status == 422
        assert answer.json["error"] == f"a passage from {start_s:g} s on, and the sound ends at 2 s"
    assert json.loads(json.dumps(StudioRequest(None).port)) == 0


@pytest.mark.parametrize("what", [InputError("the model is bent\nand more"), RuntimeError("out of memory"), OSError(5)])
def test_a_model_that_cannot_be_used_is_a_file_that_failed(
    client: Client, monkeypatch: pytest.MonkeyPatch, what: Exception
) -> None:
    def load() -> None:
        raise what

    monkeypatch.setattr(client.studio.exporter, "_load", load)
    client.post("export", out="o.wav")
    state = finished(client)
    assert state["state"] == "failed"
    assert str(what).splitlines()[0] in state["error"]
    assert "\n" not in state["error"]
    assert client.post("export", out="o.wav").status == 200  # the next one begins
    finished(client)


# ------------------------------------------------------------------ the head is turned, and places are measured


@pytest.fixture
def noises(open_client: Open, tmp_path: Path) -> Client:
    """A studio on two noises that are given, so that no model takes part."""
    rng = np.random.default_rng(0)
    for name in ("dog", "cat"):
        soundfile.write(tmp_path / f"{name}.wav", 0.1 * rng.standard_normal(16_000), 16_000)
    (tmp_path / "dog.yaml").write_text('prompts: [{start: 0, text: "dog 150° left, cat behind me"}]\n')
    return open_client(None, objects=tuple(SourceFile(name, tmp_path / f"{name}.wav") for name in ("dog", "cat")))


def test_a_turned_head_hears_all_sounds_turned_the_other_way_and_no_file_knows(noises: Client, tmp_path: Path) -> None:
    files = {path: path.read_bytes() for path in tmp_path.iterdir()}
    span = {"start_s": 0.0, "duration_s": 1.0}
    turned = heard(noises.post("hear", revision=0, turned_deg=30, **span))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == files
    assert not np.array_equal(turned, heard(noises.post("hear", revision=0, **span)))
    noises.change(kind="text", segment=0, text="dog 120° left, cat 150° left")
    np.testing.assert_allclose(turned, heard(noises.post("hear", revision=1, **span)), atol=2 / 32768)
    for wrong in (181, -1e9, "left", None):
        answer = noises.post("hear", revision=1, turned_deg=wrong, **span)
        assert answer.status == 422


def test_measured_places_lie_beside_those_that_were_asked_for(noises: Client) -> None:
    span = {"start_s": 0.0, "duration_s": 1.0}
    places = noises.post("measure", revision=0, **span).json
    assert [(p["object"], p["asked"], p["reason"]) for p in places] == [
        ("dog", "150° left", ""),
        ("cat", "behind me", ""),
    ]
    for place, azimuth_deg in zip(places, (150, 180), strict=True):
        off_deg = (place["azimuth_deg"] - azimuth_deg + 180) % 360 - 180
        assert abs(off_deg) <= 10
        assert abs(place["elevation_deg"]) <= 10
    noises.change(kind="text", segment=0, text="dog 40° left, cat from 50° right to 10° left")
    places = noises.post("measure", revision=1, **span).json
    assert [(p["part"], p["elevation_deg"]) for p in places] == [
        ("", None),
        ("first quarter", None),
        ("last quarter", None),
    ]
    np.testing.assert_allclose([p["azimuth_deg"] for p in places], [40, -42.5, 2.5], atol=6)
    noises.change(kind="text", segment=0, text="dog wide behind me, cat circles around every 1 second")
    places = noises.post("measure", revision=2, **span).json
    assert [p["reason"] for p in places] == ["wide, and in no direction", *["too fast to be measured"] * 2]
    assert [p["measured"] for p in places] == [None] * 3
    assert noises.post("measure", revision=1, **span).json == []  # of a scene that is no more
    assert "expected one of 0.05 to 30 s" in noises.post("measure", revision=2, start_s=0, duration_s=31).json["error"]


def test_a_file_is_taken_in_as_the_command_reads_it(client: Client) -> None:
    label = base64.b64encode(b"0.5\t1.5\tdog left\n").decode()
    assert client.post("import", name="l.txt", data=label, revision=0).json["segments"][0]["text"] == "dog left"
    for fields, said in (
        ({"name": "l.txt", "data": "?", "revision": 1}, "no base64"),
        ({"name": "l.json", "data": label, "revision": 1}, "expected a timeline"),
        ({"name": "l.txt", "data": label, "revision": 0}, "changed meanwhile"),
    ):
        assert said in client.post("import", **fields).json["error"]
