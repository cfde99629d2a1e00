"""Space and time under hands, in a real browser: heights, handles, drawn ways, a turned head, another file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.timeline.sources import SourceFile
from tests.studio.pages import StudioPage
from tests.studio.served import served
from tests.support.accessibility import barriers
from tests.support.browser import Browser, needs_chromium

pytestmark = [pytest.mark.browser, needs_chromium, pytest.mark.slow]

SCENE = (
    'prompts:\n  - {start: 0, end: 1, text: "dog on the left, cat 20° right"}\n  - {start: 1, text: "cat behind me"}\n'
)
UP, DOWN, ALT, SHIFT, ENTER, END = "\ue013", "\ue015", "\ue00a", "\ue008", "\ue007", "\ue010"


class Page(StudioPage):
    """The page of a studio on two noises that are given."""

    def says(self, text: str) -> None:
        """Wait until the first segment says something."""
        self.until("return tasStudio.store.segments[0].text === arguments[0]", text)

    def focus(self, key: str) -> None:
        self.until('return document.querySelector(`[data-key="${arguments[0]}"]`)', key)
        self.browser.js('document.querySelector(`[data-key="${arguments[0]}"]`).focus()', key)

    def pointer(self, view: int, points: list[tuple[float, float]]) -> None:
        """Press, move along points and lift, in the units of a drawing: 90 is the ring, x to the right, y down."""
        self.browser.js("document.querySelectorAll('#space svg')[arguments[0]].scrollIntoView({block: 'center'})", view)
        script = """
            const drawing = document.querySelectorAll('#space svg')[arguments[0]], matrix = drawing.getScreenCTM();
            return arguments[1].map(([x, y]) => new DOMPoint(x, y).matrixTransform(matrix)).map(({x, y}) => [x, y]);
        """
        places = self.browser.js(script, view, points)
        for number, (x, y) in enumerate([*places, places[-1]]):
            kind = "mousePressed" if number == 0 else "mouseReleased" if number == len(places) else "mouseMoved"
            buttons = 0 if kind == "mouseReleased" else 1
            self.browser.cdp(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=buttons, clickCount=1
            )

    def chord(self, key: str, *held: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        actions = ActionChains(self.browser.driver)
        for each in held:
            actions.key_down(each)
        actions.send_keys(key)
        for each in held:
            actions.key_up(each)
        actions.perform()


@pytest.fixture(scope="module")
def page(browser: Browser, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("space")
    rng = np.random.default_rng(0)
    for name in ("dog", "cat"):
        soundfile.write(folder / f"{name}.wav", 0.1 * rng.standard_normal(32_000), 16_000)
    (folder / "dog.yaml").write_text(SCENE)
    (folder / "other.srt").write_text("1\n00:00:00,000 --> 00:00:01,500\ncat on the left\n")
    given = tuple(SourceFile(name, folder / f"{name}.wav") for name in ("dog", "cat"))
    with served(None, tiny_model, objects=given) as there:
        found = Page(browser, there.address)
        found.open()
        found.folder = folder  # type: ignore[attr-defined]
        yield found
        browser.driver.get("about:blank")


@pytest.fixture(autouse=True)
def as_at_first(page: Page) -> Iterator[None]:
    yield
    assert page.browser.complaints() == []
    page.browser.js("document.activeElement.blur(); tasStudio.store.go(0)")
    while page.browser.js("return tasStudio.store.scene.undo"):
        before = page.browser.js("return tasStudio.store.scene.revision")
        page.browser.js("tasStudio.store.step('undo')")
        page.until("return tasStudio.store.scene.revision !== arguments[0]", before)


def test_keys_lift_move_away_and_widen(page: Page) -> None:
    assert page.browser.js("return document.querySelectorAll('#space svg').length") == 1
    page.focus("dot-dog-start")
    page.browser.press(UP, UP)
    page.says("dog on the left, 10° up, cat 20° right")
    assert page.browser.js("return document.querySelectorAll('#space svg').length") == 2  # the side is shown
    page.chord(UP, ALT)
    page.says("dog on the left, 10° up, 2 m away, cat 20° right")
    page.chord(UP, ALT, SHIFT)
    page.says("dog on the left, 10° up, 2 m away, spread 0.1, cat 20° right")
    page.focus("grip-dog-spread")
    page.browser.press(END)
    page.says("dog on the left, 10° up, 2 m away, all around, cat 20° right")
    page.focus("grip-dog-distance")
    page.browser.press(DOWN)
    page.says("dog on the left, 10° up, all around, cat 20° right")
    assert barriers(page.browser) == []


def test_a_dot_is_lifted_from_the_side_and_its_distance_dragged_from_above(page: Page) -> None:
    page.browser.js("tasStudio.store.choose('dog'); document.querySelector('[data-key=side]').click()")
    page.pointer(1, [(51.6, 0), (51.6, -20), (51.6, -45)])
    page.says("dog on the left, 30° up, cat 20° right")
    place = "const t = document.querySelector('.grip.distance').transform.baseVal[0].matrix; return [t.e, t.f]"
    x, y = page.browser.js(place)
    page.pointer(0, [(x, y), (1.1 * x, 1.1 * y), (1.25 * x, 1.25 * y)])
    page.until(
        "return /^dog on the left, 30° up, [\\d.]+ m away, cat 20° right$/.test(tasStudio.store.segments[0].text)"
    )
    assert page.browser.js("return tasStudio.store.segments[0].clauses[0].way[0][2]") > 1.4


def test_a_drawn_line_and_a_chosen_way_become_sentences(page: Page) -> None:
    page.browser.js("tasStudio.store.choose('dog'); document.querySelector('[data-key=draw]').click()")
    angle = np.radians(np.linspace(60, -50, 12))
    page.pointer(0, [(-90 * float(np.sin(a)), -90 * float(np.cos(a))) for a in angle])
    page.says("dog moves from the left to the right, cat 20° right")
    assert page.browser.js("return document.querySelector('#space svg').querySelectorAll('.way').length") == 1
    choice = "const s = document.querySelector('[data-key=move]'); s.value = arguments[0];"
    page.browser.js(f"{choice} s.dispatchEvent(new Event('change'))", "clockwise")
    page.says("dog circles around clockwise every 8 seconds, starting on the left, cat 20° right")
    at = "const t = document.querySelector('#space .now').transform.baseVal[0].matrix; return Math.hypot(t.e, t.f)"
    assert page.browser.js(at) == pytest.approx(90, abs=0.5)
    page.browser.js("tasStudio.store.go(0.5)")
    turned = (
        "const t = document.querySelector('#space .now').transform.baseVal[0].matrix; return Math.atan2(-t.e, -t.f)"
    )
    assert np.degrees(page.browser.js(turned)) == pytest.approx(55 - 22.5, abs=0.5)


def test_the_head_is_turned_in_the_preview_alone_and_places_are_measured(page: Page) -> None:
    before = (page.folder / "dog.yaml").read_bytes()  # type: ignore[attr-defined]
    page.browser.js("tasStudio.store.choose('dog'); document.querySelector('[data-key=solo-dog]').click()")
    page.browser.js("document.querySelector('[data-key=length]')?.blur()")
    page.browser.js("document.querySelector('[data-key=play]').click()")
    page.until("return tasStudio.levelDifference() > 3")
    page.until("return document.querySelector('#space .ghost')")
    assert "dog: " in page.browser.js("return document.querySelector('.measured').innerText")
    slider = "const s = document.querySelector('[data-key=turn]'); s.value = arguments[0];"
    slider += "s.dispatchEvent(new Event('input'))"
    page.browser.js(slider, -110)  # to the left, beyond the dog
    page.until("return tasStudio.levelDifference() < -3")
    assert page.browser.js("return document.querySelector('.turning output').textContent").startswith("Preview: ")
    assert barriers(page.browser) == []
    page.browser.js(slider, 0)
    page.until("return tasStudio.levelDifference() > 3")
    page.browser.cdp("Input.dispatchKeyEvent", type="keyDown", key="h")
    page.browser.cdp("Input.dispatchKeyEvent", type="keyDown", key="ArrowLeft")
    assert page.browser.js("return tasStudio.turned()") == 15
    page.browser.cdp("Input.dispatchKeyEvent", type="keyUp", key="h")
    assert page.browser.js("return tasStudio.turned()") == 0
    page.browser.js("document.querySelector('[data-key=play]').click()")
    page.browser.js("document.querySelector('[data-key=solo-dog]').click()")
    page.focus("dot-dog-start")
    page.browser.press(UP)
    page.says("dog on the left, 5° up, cat 20° right")
    assert page.browser.js("return document.querySelectorAll('.ghost').length") == 0  # they are of another scene
    assert (page.folder / "dog.yaml").read_bytes() == before  # type: ignore[attr-defined]


def test_segments_are_joined_by_a_key_and_another_file_is_taken(page: Page) -> None:
    page.focus("block-0")
    page.browser.press("j")
    page.until("return tasStudio.store.segments.length === 1")
    page.says("dog on the left, cat 20° right")
    other = str(page.folder / "other.srt")  # type: ignore[attr-defined]
    page.browser.driver.find_element("css selector", "[data-key=import]").send_keys(other)
    page.says("cat on the left")
    assert page.browser.js("return tasStudio.store.segments[0].end_s") == 1.5


def test_names_and_places_are_completed_by_keys(page: Page) -> None:
    area = "document.querySelector('[data-key=segment-1]')"
    page.browser.js(f"{area}.focus(); {area}.setSelectionRange(999, 999)")
    page.browser.press(", trum")
    page.until(f"return {area}.getAttribute('aria-controls') && document.querySelectorAll('[role=option]').length")
    page.browser.press(DOWN, ENTER)
    assert page.browser.js(f"return {area}.value") == "cat behind me, trumpet"
    page.browser.press(" on the ri", DOWN, ENTER)
    assert page.browser.js(f"return {area}.value") == "cat behind me, trumpet on the right"
    assert page.browser.js(f"return document.activeElement === {area}")
    page.browser.js(f"{area}.value = tasStudio.store.segments[1].text; {area}.dispatchEvent(new Event('input'))")
