"""The page of a study in a real browser: it plays, takes answers by keyboard, and asks no network for anything."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tas_core.reporting.study.page import make_study, question, render_page
from tas_core.reporting.study.records import read_answers, read_key
from tests.conftest import Finished
from tests.support.accessibility import barriers
from tests.support.browser import ATTENTION_S, Browser, needs_chromium

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    needs_chromium,
]

RATE = 16_000
SIDES = {"left": (1.0, 0.1), "center": (1.0, 1.0), "right": (0.1, 1.0)}
EVIL = "</script><img src=x onerror=\"window.pwned=1\"><!--<script> & \u2028 'cello'"

# The listener of these tests: keeps the sounds that the page makes players of, so that it can decode them.
KEEP_SOUNDS = """
const make = URL.createObjectURL;
window.sounds = [];
URL.createObjectURL = (blob) => { window.sounds.push(blob); return make.call(URL, blob); };
"""
# Level of left over right, dB, in as many equal parts as there are objects, of the sound that is on now.
LISTEN = """
const [parts, done] = arguments;
(async () => {
  const blob = window.sounds.filter((each) => each.type === 'audio/flac').at(-1);
  const sound = await new OfflineAudioContext(2, 1, 16000).decodeAudioData(await blob.arrayBuffer());
  const size = Math.floor(sound.length / parts);
  const power = (ear, part) =>
    sound.getChannelData(ear).slice(part * size, (part + 1) * size).reduce((sum, x) => sum + x * x, 1e-9);
  done(Array.from({ length: parts }, (_, part) => 10 * Math.log10(power(0, part) / power(1, part))));
})();
"""


class Listener(Browser):
    """Chromium with a page open, used by keyboard only."""

    def __init__(self, downloads: Path) -> None:
        self.downloads = downloads
        downloads.mkdir(exist_ok=True)
        wanted = {"download.default_directory": str(downloads), "download.prompt_for_download": False}
        super().__init__(KEEP_SOUNDS, "window-size=900,900", preferences=wanted)
        self.asked_for: list[str] = []
        self.heard_of: list[str] = []

    def open(self, page: Path) -> None:
        self.driver.get(page.as_uri())

    @property
    def title(self) -> str:
        """The heading of what is shown."""
        return self.js("return document.querySelector('h1').textContent")

    def text(self, selector: str) -> list[str]:
        return self.js("return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector)

    def wait(self, code: str, *arguments: object) -> Any:
        """Until some JavaScript is true."""
        until = time.monotonic() + ATTENTION_S
        while not (found := self.js(f"return {code}", *arguments)):
            assert time.monotonic() < until, f"never true: {code}; {self.title}; {self.text('#status')}"
            time.sleep(0.02)
        return found

    def wait_for_title(self, pattern: str) -> str:
        self.wait("new RegExp(arguments[0]).test(document.querySelector('h1').textContent)", pattern)
        return self.title

    def hear(self, parts: int = 1) -> list[str]:
        """Where each object of the sound is, by ear."""
        levels = self.driver.execute_async_script(LISTEN, parts)
        return ["center" if abs(level) < 3 else "left" if level > 0 else "right" for level in levels]

    def pass_check(self, lie: bool = False) -> None:
        """The headphone check, answered by ear."""
        for number in range(1, 5):
            self.wait_for_title(f"tone {number} of 4")
            self.press(" ")
            self.wait("document.getElementById('audio').currentTime > 0")
            (side,) = self.hear()
            self.press({"left": "l", "right": "r"}[side] if not lie else {"left": "r", "right": "l"}[side])

    def play_to_the_end(self) -> None:
        self.press(" ")
        self.wait("document.getElementById('audio').ended")

    def downloaded(self, count: int = 1) -> list[Path]:
        """Answers that were saved as a whole: a browser makes an empty file first, and replaces it."""
        until = time.monotonic() + ATTENTION_S
        while True:
            found = [path for path in sorted(self.downloads.glob("answers-*.json")) if path.stat().st_size]
            if len(found) >= count and not list(self.downloads.glob("*.crdownload")):
                return found
            assert time.monotonic() < until, list(self.downloads.iterdir())
            time.sleep(0.02)

    def read_logs(self) -> None:
        """Every request and every complaint so far."""
        self.asked_for += self.requests()
        self.heard_of += self.complaints()


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    made = Listener(tmp_path / "downloads")
    try:
        yield made
        made.read_logs()
        assert made.heard_of == []
        assert made.asked_for
        assert {url.split(":")[0] for url in made.asked_for} <= {"file", "blob"}
        assert sum(url.startswith("file:") for url in made.asked_for) == sum(
            url.endswith(".html") for url in made.asked_for
        )
    finally:
        made.driver.quit()


def burst(side: str, seconds: float = 0.3) -> np.ndarray:
    """(time, ear): noise on a side."""
    noise = 0.2 * np.random.default_rng(4).standard_normal(round(seconds * RATE))
    return noise[:, None] * np.array(SIDES[side])


SCENES = {
    "duet": ("cello on the left, drums on the right", ("left", "right")),
    "trio": ("rain in the center; a dog far left; man talking on the right", ("center", "left", "right")),
    "solo": ("a rooster in the center", ("center",)),
}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study of two systems: "placed" puts every object where it belongs, "plain" all in the center."""
    for folder in ("placed", "plain", "timelines"):
        (tmp_path / folder).mkdir()
    for clip, (text, sides) in SCENES.items():
        (tmp_path / "timelines" / f"{clip}.yaml").write_text(f"prompts:\n  - {{start: 0, text: '{text}'}}\n")
        placed = np.concatenate([burst(side) for side in sides])
        soundfile.write(tmp_path / "placed" / f"{clip}.wav", placed, RATE)
        soundfile.write(tmp_path / "plain" / f"{clip}.wav", placed.mean(axis=1), RATE)
    systems = {"placed": tmp_path / "placed", "plain": tmp_path / "plain"}
    make_study(tmp_path / "study", systems, tmp_path / "timelines", seed=5)
    return tmp_path / "study"


def answer_by_ear(listener: Listener, *, digits: bool) -> None:
    """One recording: play it, answer in one of the two ways, go on."""
    title = listener.title
    count = len(listener.text("legend"))
    listener.press("\ue007")  # Enter: too early
    assert listener.title == title
    assert "to its end first" in listener.text("#status")[0]
    listener.play_to_the_end()
    for row, side in enumerate(listener.hear(count)):
        column = ["left", "center", "right"].index(side)
        listener.press(str(3 * row + column + 1) if digits else side[0])
        chosen = listener.js("return [...document.querySelectorAll(':checked')].map((e) => e.value)")
        assert chosen[row] == side
    listener.press("\ue007")


def test_a_listener_with_a_keyboard_takes_part(
    listener: Listener, study: Path, tas: Callable[..., Finished], tmp_path: Path
) -> None:
    key = read_key(study / "key.json")
    listener.open(study / "study.html")
    listener.wait_for_title("Where is the sound")
    assert any("spatialiser off" in line for line in listener.text("li"))
    listener.press("\ue004", "Anna B. <1>", "\ue007")  # Tab to the field; Enter starts
    listener.pass_check(lie=True)
    listener.wait_for_title("not right")
    assert "turn your headphones round" in listener.text("main p")[0]
    listener.press("\ue007")
    listener.pass_check()
    listener.wait_for_title("headphones are fine")
    listener.press("\ue007")

    seen = []
    for position in range(6):
        title = listener.wait_for_title(r"Recording \d{4}")
        seen.append(int(title.split()[1]))
        assert listener.text(".head span")[1] == f"{position + 1} of 6"
        if position == 3:  # a reload loses nothing
            listener.driver.refresh()
            assert "3 of 6" in listener.text(".note")[0]
            listener.press("\ue007")
            assert listener.wait_for_title(r"Recording \d{4}") == title
        assert not re.search("placed|plain|duet|trio|solo", listener.js("return document.body.innerText"))
        before = listener.js("return document.getElementById('audio').currentTime")
        answer_by_ear(listener, digits=position % 2 == 0)
        assert before == 0
    assert seen == [item.item for item in key.items]

    listener.wait_for_title("Thank you")
    (file,) = listener.downloaded()
    assert file.name == "answers-Anna_B_1.json"
    answers = read_answers(file)
    assert answers.participant == "Anna B. <1>"
    assert (answers.check.passed, answers.check.attempts) == (True, 2)
    assert answers.finished
    lengths = {clip: 0.3 * len(sides) for clip, (_, sides) in SCENES.items()}
    for each, item in zip(answers.items, key.items, strict=True):
        assert each.plays == 1
        assert each.listened_s == pytest.approx(lengths[item.clip], abs=0.05)

    done = tas("study", "score", study / "key.json", file, "--save", tmp_path / "scores.json")
    assert done.code == 0, done
    scores = {each["system"]: each for each in json.loads((tmp_path / "scores.json").read_text())["systems"]}
    assert (scores["placed"]["rank_object"]["right"], scores["placed"]["rank_object"]["asked"]) == (6, 6)
    assert scores["placed"]["rank_audio"]["value"] == 1.0
    assert (scores["plain"]["rank_object"]["right"], scores["plain"]["rank_object"]["asked"]) == (2, 6)
    assert (scores["plain"]["rank_audio"]["right"], scores["plain"]["rank_audio"]["asked"]) == (1, 3)

    listener.driver.refresh()  # the answers are still there to download again
    assert listener.title == "Thank you"


def test_places_all_around_are_asked_for_by_keyboard(listener: Listener, tmp_path: Path) -> None:
    """Three questions for each sound, by letters and by digits, and the answers are those of the file."""
    for folder in ("ours", "timelines"):
        (tmp_path / folder).mkdir()
    text = "a dog behind me on the left, a bird 60 degrees up"
    (tmp_path / "timelines" / "duet.yaml").write_text(f"prompts:\n  - {{start: 0, text: '{text}'}}\n")
    soundfile.write(tmp_path / "ours" / "duet.wav", burst("left"), RATE)
    make_study(tmp_path / "study", {"ours": tmp_path / "ours"}, tmp_path / "timelines")
    listener.open(tmp_path / "study" / "study.html")
    listener.wait_for_title("Where is the sound")
    assert "in front or behind; and how high" in listener.text("main p")[0]
    listener.press("\ue007")
    listener.pass_check()
    listener.wait_for_title("headphones are fine")
    listener.press("\ue007")
    listener.wait_for_title(r"Recording \d{4}")
    assert listener.text("legend")[:3] == [
        "Where do you hear the dog?",
        "In front of you or behind you: the dog?",
        "How high: the dog?",
    ]
    assert listener.text("fieldset:nth-of-type(2) label span") == ["In front", "Behind"]
    listener.play_to_the_end()
    listener.press("l", "b", "e")  # the mark goes on to the next open question by itself
    listener.press("9")  # left of the second sound: its answers begin after the eight of the first
    chosen = lambda: listener.js("return [...document.querySelectorAll(':checked')].map((e) => e.value)")  # noqa: E731
    assert chosen()[:3] == ["left", "behind", "level"]
    assert chosen()[3] == "left"
    listener.press("\ue013")  # back to it by the arrow, since the mark went on
    listener.press("c", "f", "u")
    assert chosen() == ["left", "behind", "level", "center", "front", "above"]
    listener.press("\ue007")
    listener.wait_for_title("Thank you")
    (file,) = listener.downloaded()
    answers = read_answers(file)
    assert (answers.format, answers.items[0].answers) == (2, ("left", "behind", "level", "center", "front", "above"))


def test_the_sound_moves_on_and_stops_again(listener: Listener, study: Path) -> None:
    """Space plays and pauses wherever the focus is, also on a radio button; arrows choose among places and rows."""
    listener.open(study / "study.html")
    listener.press("\ue007")
    listener.pass_check()
    listener.press("\ue007")
    while len(listener.text("legend")) != 3:
        answer_by_ear(listener, digits=False)
    listener.press("\ue014")  # right
    assert listener.js("return document.activeElement.value") == "right"
    listener.press("\ue012")  # left
    assert listener.js("return document.activeElement.value") == "center"
    listener.press("\ue015", "\ue012")  # down, left
    values = "return [...document.querySelectorAll(':checked')].map((e) => e.value)"
    assert listener.js(values) == ["center", "left"]
    assert listener.js("return [...document.querySelectorAll('fieldset.current legend')].length") == 1
    assert listener.js("return getComputedStyle(document.activeElement.parentElement).outlineStyle") == "solid"

    clock = "return document.getElementById('audio').currentTime"
    listener.press(" ")
    listener.wait("document.getElementById('audio').currentTime > 0.1")
    assert listener.text("#play") == ["❚❚ Pause"]
    listener.press(" ")
    stopped = listener.js(clock)
    assert 0.1 < stopped < 0.9
    assert listener.text("#play") == ["▶ Play"]
    time.sleep(0.2)
    assert listener.js(clock) == stopped
    assert listener.js(values) == ["center", "left"], "space on a radio button plays, and chooses nothing"
    listener.press("\ue007")
    assert "to its end first" in listener.text("#status")[0]
    listener.press(" ")
    listener.wait("document.getElementById('audio').ended")
    listener.press("\ue007")
    assert "Answer each question" in listener.text("#status")[0]


def test_answers_can_be_saved_early_and_a_failed_check_is_written_down(listener: Listener, study: Path) -> None:
    listener.open(study / "study.html")
    listener.press("\ue007")
    for _ in range(2):
        listener.pass_check(lie=True)
        listener.wait_for_title("not right")
        if _ == 0:
            listener.press("\ue007")
    listener.js("[...document.querySelectorAll('button')].find((b) => b.textContent === 'Go on without').click()")
    answer_by_ear(listener, digits=True)
    listener.press("l")  # marked, not confirmed
    listener.js("[...document.querySelectorAll('button')].find((b) => b.textContent.startsWith('Save')).click()")
    (file,) = listener.downloaded()
    answers = read_answers(file)
    assert file.name == f"answers-{answers.session}.json"
    assert (answers.check.passed, answers.check.attempts, answers.finished) == (False, 2, None)
    assert [None in each.answers for each in answers.items] == [False, True, True, True, True, True]


def test_markup_in_a_prompt_is_shown_as_text(listener: Listener, tmp_path: Path) -> None:
    sound = tmp_path / "sound.flac"
    soundfile.write(sound, burst("left"), RATE)
    asked = question(EVIL)
    item = {"item": 1234, "set": 1, "questions": [asked]}
    sounds = dict.fromkeys(("tone-left", "tone-right", "1234"), sound.read_bytes())
    page = tmp_path / "page.html"
    page.write_bytes(render_page({"study": "0" * 16, "sets": 1, "items": [item]}, sounds))
    listener.open(page)
    listener.press("\ue007")
    for number in range(1, 5):
        listener.wait_for_title(f"tone {number} of 4")
        listener.press(" ")
        listener.wait("document.getElementById('audio').currentTime > 0")
        listener.press("l")
    listener.press("\ue007")
    for number in range(1, 5):
        listener.wait_for_title(f"tone {number} of 4")
        listener.press(" ")
        listener.wait("document.getElementById('audio').currentTime > 0")
        listener.press("l")
    listener.js("[...document.querySelectorAll('button')].find((b) => b.textContent === 'Go on without').click()")
    listener.wait_for_title("Recording 1234")
    assert listener.text("legend") == [asked]
    assert listener.js("return document.querySelectorAll('img, legend *').length") == 0
    assert listener.js("return typeof window.pwned") == "undefined"


def test_without_storage_the_page_says_so_and_works(listener: Listener, study: Path) -> None:
    source = "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no'); } });"
    listener.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": source})
    listener.open(study / "study.html")
    assert "cannot remember" in listener.text(".note")[0]
    listener.press("\ue007")
    listener.pass_check()
    listener.press("\ue007")
    answer_by_ear(listener, digits=True)
    assert listener.text(".head span")[1] == "2 of 6"


@pytest.mark.parametrize("width", [320, 390, 900])
def test_nothing_is_wider_than_the_screen(listener: Listener, study: Path, width: int) -> None:
    listener.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 800},
    )
    listener.open(study / "study.html")
    wide = "return document.documentElement.scrollWidth"
    assert listener.js(wide) <= width
    assert width > 320 or barriers(listener) == []
    listener.press("\ue007")
    assert listener.js(wide) <= width
    assert width > 320 or barriers(listener) == []
    listener.pass_check()
    listener.press("\ue007")
    assert listener.js(wide) <= width
    assert width > 320 or barriers(listener) == []
