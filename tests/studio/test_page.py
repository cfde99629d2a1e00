"""The page of ``tas studio`` in a real browser: a scene opened, dragged, written, split, taken back, saved and made."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from tas_core.conventions import LEFT_EAR, RIGHT_EAR
from tests.conftest import TAS, Finished
from tests.studio.pages import StudioPage
from tests.support.browser import Browser, needs_chromium

pytestmark = [pytest.mark.browser, needs_chromium, pytest.mark.slow]

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SCENE = """# the duet
prompts:
  - {start: 0, end: 5, text: "trumpet on the left, drums on the right"}   # to be dragged
"""


class Page(StudioPage):
    """A studio in a process of its own, and its page."""

    def __init__(self, browser: Browser, folder: Path, scene: str = SCENE) -> None:
        shutil.copy(EXAMPLES / "duet.flac", folder / "duet.flac")
        (folder / "duet.yaml").write_text(scene)
        words = [str(TAS), "studio", str(folder / "duet.flac"), "--no-browser"]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self.process.stdout is not None
        super().__init__(browser, self.process.stdout.readline().strip())

    def texts(self) -> list[str]:
        return [each["text"] for each in self.browser.js("return tasStudio.store.scene.segments")]

    def drag(self, name: str, azimuth_deg: float) -> None:
        """Drag the dot of an object to an angle of the drawing, at the distance that it has."""
        script = """
            const drawing = document.querySelector('#space svg');
            drawing.scrollIntoView({block: 'center'});
            const all = drawing.getBoundingClientRect();
            const circle = drawing.querySelector(`[data-object=${arguments[0]}] circle:last-of-type`);
            const dot = circle.getBoundingClientRect();
            const far = 100 * Math.min(all.width, all.height) / 320, angle = arguments[1] * Math.PI / 180;
            const middle = [all.left + all.width / 2, all.top + all.height / 2];
            return [[dot.left + dot.width / 2, dot.top + dot.height / 2],
                    [middle[0] - far * Math.sin(angle), middle[1] - far * Math.cos(angle)]];
        """
        begin, end = self.browser.js(script, name, azimuth_deg)
        for kind, (x, y), buttons in (("mousePressed", begin, 1), ("mouseMoved", end, 1), ("mouseReleased", end, 0)):
            self.browser.cdp(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=buttons, clickCount=1
            )

    def close(self) -> None:
        self.browser.driver.get("about:blank")  # or it would say that nobody answers any more
        self.browser.complaints()
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    found = Page(browser, tmp_path)
    yield found
    found.close()


def level_difference_db(path: Path) -> float:
    samples, _ = soundfile.read(path)
    power = np.square(samples[: 4 * 44_100]).mean(axis=0)
    return float(10 * np.log10(power[LEFT_EAR] / power[RIGHT_EAR]))


def test_the_duet_from_a_drag_to_its_file(page: Page, tas_process: Callable[..., Finished], tmp_path: Path) -> None:
    browser = page.browser
    page.open()
    browser.requests()
    # Hear it as it is.
    browser.js("document.querySelector('[data-key=solo-trumpet]').click()")
    page.press_button("play")
    before_db = page.until("return tasStudio.levelDifference()")
    # Drag the trumpet to the right.
    page.drag("trumpet", -50)
    page.until("return tasStudio.store.scene.segments[0].text.startsWith('trumpet 50° right')")
    assert page.texts() == ["trumpet 50° right, drums on the right"]
    assert yaml.safe_load((tmp_path / "duet.yaml.tas-autosave.yaml").read_text())["text"] == SCENE.replace(
        "trumpet on the left", "trumpet 50° right"
    )
    # It is heard there.
    page.until("return Math.abs(tasStudio.levelDifference() - arguments[0]) > 6", before_db)
    after_db = browser.js("return tasStudio.levelDifference()")
    assert before_db > 3
    assert after_db < -3
    page.press_button("play")
    # Type a third clause, first with a mistake.
    area = "document.querySelector('[data-key=segment-0]')"
    browser.js(f"{area}.focus(); {area}.setSelectionRange(999, 999)")
    browser.press(", bird")
    page.until("return document.querySelector('#segment-0-said mark')?.textContent === 'bird'")
    browser.press(" behind me")
    browser.js(f"{area}.blur()")
    page.until("return tasStudio.store.scene.objects.length === 3")
    assert page.texts() == ["trumpet 50° right, drums on the right, bird behind me"]
    # Words that are not understood stay where they were written, and the scene as it was.
    browser.js(f"{area}.focus(); {area}.setSelectionRange(999, 999)")
    browser.press(", cat")
    browser.js(f"{area}.blur()")
    page.until("return document.querySelector('#segment-0-said mark')?.textContent === 'cat'")
    assert browser.js(f"return {area}.value").endswith("bird behind me, cat")
    assert page.texts() == ["trumpet 50° right, drums on the right, bird behind me"]
    browser.js(f"{area}.focus(); {area}.value = tasStudio.store.segments[0].text")
    browser.js(f"{area}.dispatchEvent(new Event('input')); {area}.blur()")
    # Split, and take back twice.
    browser.js("tasStudio.store.go(2)")
    page.press_button("split")
    page.until("return tasStudio.store.scene.segments.length === 2")
    page.press_button("undo")
    page.until("return tasStudio.store.scene.segments.length === 1")
    page.press_button("undo")
    page.until("return tasStudio.store.scene.objects.length === 2")
    # Save, and make the file.
    page.press_button("save")
    page.until("return tasStudio.store.scene.saved")
    assert (tmp_path / "duet.yaml").read_text() == SCENE.replace("trumpet on the left", "trumpet 50° right")
    assert not (tmp_path / "duet.yaml.tas-autosave.yaml").exists()
    page.press_button("copy")
    page.until("return document.querySelector('#export output').textContent === 'duet.srt is written'")
    assert "trumpet 50° right, drums on the right" in (tmp_path / "duet.srt").read_text()
    page.press_button("make")
    page.until("return tasStudio.store.scene.export.state === 'done'")
    command = browser.js("return document.querySelector('#export code').textContent").split()
    assert (
        command
        == f"tas spatialize {tmp_path}/duet.flac -t {tmp_path}/duet.yaml -o {tmp_path}/duet.binaural.wav".split()
    )
    finished = tas_process(*command[1:-1], tmp_path / "again.wav")
    assert finished.code == 0
    assert (tmp_path / "again.wav").read_bytes() == (tmp_path / "duet.binaural.wav").read_bytes()
    assert level_difference_db(tmp_path / "again.wav") < -3
    # Nobody else was asked, and nothing complained.
    base = page.address.partition("/?")[0]
    assert {url for url in browser.requests() if not url.startswith(base + "/")} == set()
    assert [said for said in browser.complaints() if "422" not in said] == []  # the words that were not understood


def test_the_keyboard_alone_drags_splits_and_takes_back(page: Page) -> None:
    browser = page.browser
    page.open()
    browser.js("document.querySelector('[data-object=trumpet]').focus()")
    browser.press("\ue014")  # right
    page.until("return tasStudio.store.scene.segments[0].text.startsWith('trumpet 50° left')")
    assert browser.js("return document.activeElement.dataset.object") == "trumpet"
    browser.press("\ue013")  # up
    page.until("return tasStudio.store.scene.segments[0].text.startsWith('trumpet 50° left, 5° up')")
    browser.js("document.activeElement.blur(); tasStudio.store.go(1)")
    browser.press("s")
    page.until("return tasStudio.store.scene.segments.length === 2")
    for count in (2, 1, 0):
        browser.js("document.activeElement.blur()")
        browser.cdp("Input.dispatchKeyEvent", type="keyDown", key="z", modifiers=2)
        page.until("return tasStudio.store.scene.undo === arguments[0]", count)
    assert page.texts() == ["trumpet on the left, drums on the right"]
    # The caret of who writes stays where it is while the page shows something else.
    area = "document.querySelector('[data-key=segment-0]')"
    browser.js(f"{area}.focus(); {area}.setSelectionRange(3, 3); tasStudio.store.go(3)")
    assert browser.js("return document.activeElement.selectionStart") == 3
    browser.press("X")
    assert browser.js(f"return {area}.value.slice(0, 8)") == "truXmpet"
    browser.js(f"{area}.value = tasStudio.store.segments[0].text; {area}.dispatchEvent(new Event('input'))")
    assert browser.complaints() == []


HOSTILE = """prompts:
  - {start: 0, end: 0.4, text: '"<img src=x onerror=alert(1)>" on the left, "כינור" 30° right'}
  - {start: 0.4, text: '"a name that nobody would say because it is much too long" from behind me to the left'}
"""


def test_nothing_hangs_over_the_edge_and_names_are_only_names(browser: Browser, tmp_path: Path) -> None:
    page = Page(browser, tmp_path, HOSTILE)
    for scheme in ("light", "dark"):
        browser.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        for width, height in ((360, 740), (1280, 900), (3840, 2160)):
            size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
            browser.cdp("Emulation.setDeviceMetricsOverride", **size)
            page.open()
            assert browser.js("return document.documentElement.scrollWidth") <= width
            buttons = "return [...document.querySelectorAll('button')]"
            assert browser.js(f"{buttons}.every((each) => each.getBoundingClientRect().height >= 24)")
            inside = "each.getBoundingClientRect().right <= each.closest('section').getBoundingClientRect().right"
            assert browser.js(f"{buttons}.every((each) => !each.closest('section') || {inside})")
            fields = "return [...document.querySelectorAll('input, select, textarea')]"
            assert browser.js(f"{fields}.every((each) => !each.closest('section') || {inside})")
            assert browser.js(f"{fields}.every((each) => each.labels?.length || each.ariaLabel)")
    assert browser.js("return document.querySelectorAll('img').length") == 0
    names = browser.js("return [...document.querySelectorAll('.dot text')].map((each) => each.textContent)")
    assert names == ["<img src=x onerror=alert(1)>", "כינור"]
    # A name from right to left stands where the sentence has it, and so does the number behind it.
    order = """
        const name = document.querySelector(`${arguments[0]} bdi`), text = name.nextSibling;
        name.parentElement.style.whiteSpace = 'nowrap';
        const left = (word) => {
            const range = document.createRange(), first = text.data.search(word);
            range.setStart(text, first);
            range.setEnd(text, first + 3);
            return range.getBoundingClientRect().left;
        };
        return [name.textContent, name.getBoundingClientRect().left, left(/30°/), left(/right/)];
    """
    for place in ("#segment-0-said", ".segment"):
        name, *places = browser.js(order, place)
        assert name == "כינור"
        assert places == sorted(places)
    assert browser.complaints() == []
    browser.cdp("Emulation.clearDeviceMetricsOverride")
    page.close()
