"""What is done on the page while its scene changes beside it: nothing is lost, and nothing else is hit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.studio.session import Session
from tas_core.timeline.sources import SourceFile
from tests.studio.pages import StudioPage
from tests.studio.served import Served, served
from tests.support.browser import Browser, needs_chromium

pytestmark = [pytest.mark.browser, needs_chromium, pytest.mark.slow]

FIRST, SECOND, THIRD = "dog on the left", "cat on the right, dog behind me", "cat behind me"
TIMES = ((0.2, 0.8, FIRST), (0.8, 1.4, SECOND), (1.4, 2.0, THIRD))
SCENE = "prompts:\n" + "".join(f'  - {{start: {start}, end: {end}, text: "{text}"}}\n' for start, end, text in TIMES)
STALE = "The scene was changed meanwhile, so this was not done"
HOLD = """
    const [name] = arguments;
    const first = window.fetch;
    let held = true;
    window.letGo = () => { held = false; window.fetch = first; for (const go of window.waiting) go(); };
    window.waiting = [];
    window.fetch = async (url, how) => {
        const answer = await first(url, how);
        if (held && url === `/api/${name}`) await new Promise((go) => window.waiting.push(go));
        return answer;
    };
"""
"""Answers of one kind come when they are let go, and not before."""


class Page(StudioPage):
    """The page of a studio on two noises that are given."""

    def __init__(self, browser: Browser, there: Served) -> None:
        super().__init__(browser, there.address)
        self.session: Session = there.studio.session
        self.exporter = there.studio.exporter

    @property
    def texts(self) -> list[str]:
        """What the studio has."""
        timeline = self.session.document.timeline
        return [segment.text for segment in timeline.segments] if timeline else []

    @property
    def notice(self) -> str:
        return str(self.browser.js("const n = document.querySelector('#notice'); return n.hidden ? '' : n.innerText"))

    def others(self, old: str, new: str) -> None:
        """Somebody else changes the scene, and the page has not heard of it."""
        self.session.write(self.session.document.text.replace(old, new), self.session.revision)

    def do(self, command: str) -> None:
        """Do something of the store, and wait for its end."""
        self.browser.js(f"return tasStudio.store.{command}")

    def hold(self, name: str) -> None:
        self.browser.js(HOLD, name)

    def let_go(self) -> None:
        self.browser.js("window.letGo()")

    def held(self) -> None:
        self.until("return window.waiting.length")

    def write(self, key: str, words: str) -> None:
        self.browser.js(
            "const f = document.querySelector(`[data-key='${arguments[0]}']`); f.scrollIntoView({block: 'center'});"
            "f.focus(); f.select()",
            key,
        )
        self.browser.press(words)

    def mouse(self, kind: str, key: str) -> None:
        """Press, or lift, over what has a key."""
        middle = "const b = document.querySelector(`[data-key='${arguments[0]}']`);"
        if kind == "mousePressed":
            middle += "b.scrollIntoView({block: 'center'});"
        middle += "const {x, y, width, height} = b.getBoundingClientRect(); return [x + width / 2, y + height / 2]"
        x, y = self.browser.js(middle, key)
        buttons = 1 if kind == "mousePressed" else 0
        self.browser.cdp("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=buttons, clickCount=1)


@pytest.fixture(scope="module")
def there(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("races")
    rng = np.random.default_rng(0)
    for name in ("dog", "cat"):
        soundfile.write(folder / f"{name}.wav", 0.1 * rng.standard_normal(32_000), 16_000)
    (folder / "dog.yaml").write_text(SCENE)
    given = tuple(SourceFile(name, folder / f"{name}.wav") for name in ("dog", "cat"))
    with served(None, tiny_model, objects=given) as found:
        yield found


@pytest.fixture(scope="module")
def opened(browser: Browser, there: Served) -> Iterator[Page]:
    page = Page(browser, there)
    page.open()
    yield page
    browser.driver.get("about:blank")
    browser.complaints()


@pytest.fixture
def page(opened: Page) -> Iterator[Page]:
    """The page of the scene, as it was at first."""
    if opened.session.document.text != SCENE:
        opened.session.write(SCENE, opened.session.revision)
    if not opened.session.is_saved:
        opened.session.save(overwrite=True)
    opened.browser.js("document.activeElement.blur(); document.querySelector('#notice').hidden = true")
    opened.do("load()")
    opened.do("go(0.5)")
    opened.browser.complaints()
    yield opened
    # Words that were refused are given up.
    opened.browser.js(
        "for (const [number, {text}] of tasStudio.store.segments.entries()) {"
        "const area = document.querySelector(`[data-key=segment-${number}]`);"
        "area.value = text; area.dispatchEvent(new Event('input')); }"
    )


# ------------------------------------------------------------------ a click is a click, and what is written stays


def test_a_button_is_pressed_although_the_scene_changes_while_it_is_held(page: Page) -> None:
    page.write("segment-0", "dog behind me")
    page.mouse("mousePressed", "save")  # which takes the words
    page.until("return tasStudio.store.segments[0].text === 'dog behind me'")
    page.mouse("mouseReleased", "save")
    page.until("return document.querySelector('#saved').textContent === 'saved'")
    assert "dog behind me" in page.session.path.read_text()
    assert page.browser.js("return document.title") == "dog.yaml"


def test_a_name_is_taken_and_the_file_made_by_one_press(page: Page) -> None:
    page.write("out", "of-one-press.wav")
    page.mouse("mousePressed", "make")
    page.until("return document.querySelector('#export code').textContent.includes('of-one-press.wav')")
    page.mouse("mouseReleased", "make")
    page.until("return tasStudio.store.scene.export.state === 'done'")
    assert (page.session.path.parent / "of-one-press.wav").exists()


@pytest.mark.parametrize(("key", "words"), [("cursor", "1.25"), ("copy-name", "half.srt"), ("out", "half.wav")])
def test_a_field_that_is_half_written_stays_so_while_others_change_the_scene(page: Page, key: str, words: str) -> None:
    field = f"document.querySelector('[data-key={key}]')"
    page.write(key, words[:-1])
    page.others("on the right", "20° right")
    page.do("load()")
    assert page.browser.js("return document.querySelector('[data-key=segment-1]').value").startswith("cat 20° right")
    assert page.browser.js(f"return [document.activeElement === {field}, {field}.value]") == [True, words[:-1]]
    all_fields = "const all = [...document.querySelectorAll('input, select, button:enabled')];"
    following = page.browser.js(f"{all_fields} return all[all.indexOf({field}) + 1].dataset.key")
    page.browser.press(words[-1], "\ue004")  # which takes it, and goes on
    page.until("return document.activeElement?.dataset.key === arguments[0]", following)
    page.do("go(tasStudio.store.cursor)")
    assert page.browser.js(f"return [document.activeElement.dataset.key, {field}.value]") == [following, words]


def test_a_dot_that_is_dragged_stays_under_the_pointer_while_others_change_the_scene(page: Page) -> None:
    script = """
        const dot = document.querySelector('[data-key=dot-dog-start]'), drawing = dot.closest('svg');
        drawing.scrollIntoView({block: 'center'});
        const at = (x, y) => new DOMPoint(x, y).matrixTransform(drawing.getScreenCTM());
        const {e, f} = dot.transform.baseVal[0].matrix;
        return [at(e, f), at(0, -90)].map(({x, y}) => [x, y]);
    """
    (x, y), (to_x, to_y) = page.browser.js(script)
    move = {"type": "mouseMoved", "x": to_x, "y": to_y, "button": "left", "buttons": 1}
    page.browser.cdp("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, button="left", clickCount=1)
    page.browser.cdp("Input.dispatchMouseEvent", **move)
    page.others("cat on the right", "cat 20° right")
    page.do("load()")
    where = "const {e, f} = document.querySelector('[data-key=dot-dog-start]').transform.baseVal[0].matrix;"
    assert page.browser.js(f"{where} return Math.hypot(e, f + 90)") < 3
    page.browser.cdp("Input.dispatchMouseEvent", **(move | {"type": "mouseReleased", "buttons": 0}))
    page.until("return tasStudio.store.segments[0].text !== arguments[0]", FIRST)
    assert page.texts == ["dog in the center", "cat 20° right, dog behind me", THIRD]
    assert page.notice == ""


# ------------------------------------------------------------------ each command, while others change the scene

KEY = "dispatchEvent(new KeyboardEvent('keydown', {key: arguments[0], bubbles: true}))"
CHANGE = "dispatchEvent(new Event('change', {bubbles: true}))"
COMMANDS = {
    "split": ("document.querySelector('[data-key=split]').click()", [FIRST, FIRST, SECOND]),
    "split by a key": (f"document.body.{KEY}".replace("arguments[0]", "'s'"), [FIRST, FIRST, SECOND]),
    "join": ("document.querySelector('[data-key=join]').click()", [FIRST]),
    "join by a key": (f"document.body.{KEY}".replace("arguments[0]", "'j'"), [FIRST]),
    "remove": ("document.querySelector('[data-key=remove]').click()", [SECOND]),
    "remove by a key": (
        f"document.querySelector('[data-key=block-0]').{KEY}".replace("arguments[0]", "'Delete'"),
        [SECOND],
    ),
    "later by a key": (
        f"document.querySelector('[data-key=block-0]').{KEY}".replace("arguments[0]", "'ArrowLeft'"),
        [FIRST, SECOND],
    ),
    "turned by a key": (
        f"document.querySelector('[data-key=dot-dog-start]').{KEY}".replace("arguments[0]", "'ArrowRight'"),
        ["dog 50° left", SECOND],
    ),
    "another way": (
        f"const s = document.querySelector('[data-key=move]'); s.value = 'closer'; s.{CHANGE}",
        ["dog comes closer on the left", SECOND],
    ),
    "height": (
        f"const h = document.querySelector('[data-key=handle-elevation_deg]'); h.value = 20; h.{CHANGE}",
        ["dog on the left, 20° up", SECOND],
    ),
    "words": (
        "const a = document.querySelector('[data-key=segment-0]'); a.value = 'cat left';"
        f"a.dispatchEvent(new Event('input')); a.{CHANGE}",
        ["cat left", SECOND],
    ),
}
"""What is done to the first segment, and what the first two are then."""


@pytest.mark.parametrize("name", COMMANDS)
def test_a_change_is_made_of_what_was_meant_or_not_at_all_which_is_said(page: Page, name: str) -> None:
    command, expected = COMMANDS[name]
    page.do("choose('dog')")
    # Others have made another segment, so that the numbers are others: both changes are there.
    page.others("prompts:", 'prompts:\n  - {start: 0, end: 0.1, text: "cat left"}')
    page.browser.js(command)
    page.do("settled()")
    assert page.texts == ["cat left", *expected, THIRD]
    assert page.notice == ""
    # Others have changed the same segment: theirs stays, and it is said.
    page.session.undo(page.session.revision)
    page.do("load()")
    page.do("go(0.5)")
    page.browser.js("document.activeElement.blur()")
    page.others(FIRST, "dog 20° left, cat left")
    before = page.session.document
    command = (
        command.replace("block-0", "block-1").replace("segment-0", "segment-1").replace("'cat left'", "'cat right'")
    )
    page.browser.js(command)
    page.do("settled()")
    assert page.session.document is before
    assert page.notice.startswith(STALE)
    assert page.browser.js("return tasStudio.store.segments[1].text") == "dog 20° left, cat left"


def test_what_takes_back_or_replaces_all_is_not_done_to_what_others_made(page: Page) -> None:
    page.do("change({kind: 'text', segment: 0, text: 'cat left'})")
    page.others("cat left", "cat right")
    for command in ("step('undo')", "send('text', {revision: tasStudio.store.scene.revision, text: ''})"):
        page.session._past.append(page.session.document)  # as if others had done something
        page.session.revision += 1
        before = page.session.document
        page.do(command)
        assert page.session.document is before
        assert page.notice.startswith(STALE)
    page.do("step('undo')")
    page.do("step('undo')")
    assert page.texts[0] == "cat right"


# ------------------------------------------------------------------ one after the other, faster than they are answered


def test_commands_follow_each_other_faster_than_they_are_answered(page: Page) -> None:
    page.browser.js(f"const n = document.querySelector('[data-key=copy-name]'); n.value = 'fast.srt'; n.{CHANGE}")
    page.hold("change")
    page.write("segment-0", "dog behind me")
    page.browser.js("document.activeElement.blur()")  # takes the words
    page.held()
    for key in ("split", "save", "copy"):
        page.browser.js("document.querySelector(`[data-key=${arguments[0]}]`).click()", key)
    page.browser.js(f"const n = document.querySelector('[data-key=out]'); n.value = 'fast.wav'; n.{CHANGE}")
    page.browser.js("document.querySelector('[data-key=make]').click()")
    page.let_go()
    page.until("return document.querySelector('#export output').textContent === 'fast.srt is written'")
    page.until("const {out, state} = tasStudio.store.scene.export; return out === 'fast.wav' && state === 'done'")
    assert page.texts == ["dog behind me", "dog behind me", SECOND, THIRD]
    assert page.session.is_saved
    assert (page.session.path.parent / "fast.srt").read_text().count("dog behind me") == 3
    assert (page.session.path.parent / "fast.wav").exists()
    assert (page.notice, page.browser.complaints()) == ("", [])


def test_a_sound_that_is_put_twice_is_where_it_was_put_last_and_what_is_removed_is_what_was_seen(page: Page) -> None:
    page.hold("change")
    put = "tasStudio.store.change({kind: 'put', segment: 0, object: 'dog', start: {azimuth_deg: arguments[0]}})"
    for azimuth_deg in (10, 20, 30):
        page.browser.js(put, azimuth_deg)
    page.browser.js("tasStudio.store.change({kind: 'split', segment: 0, at_s: 0.5})")
    page.browser.js("tasStudio.store.change({kind: 'remove', segment: 2})")
    page.browser.js("tasStudio.store.change({kind: 'remove', segment: 0})")  # which is two by then
    page.held()
    page.let_go()
    page.do("settled()")
    assert page.texts == ["dog 30° left", "dog 30° left", SECOND]
    assert page.notice.startswith(STALE)


def test_an_answer_that_comes_late_shows_no_older_scene(page: Page) -> None:
    for command in ("load()", "send('copy', {name: 'late.srt', overwrite: true})"):
        page.hold("scene" if command == "load()" else "copy")
        page.browser.js(f"tasStudio.store.{command}")
        page.held()
        if command == "load()":
            page.do("change({kind: 'text', segment: 0, text: 'cat left'})")
        else:
            page.others("cat left", "cat right")
            page.do("load()")
        page.let_go()
        page.do("settled()")
        revision = page.browser.js("return tasStudio.store.scene.revision")
        assert revision == page.session.revision


def test_words_that_are_written_on_while_they_are_taken_or_refused_are_kept(page: Page) -> None:
    area = "document.querySelector('[data-key=segment-0]')"
    for taken, more in (("dog behind me", ", cat left"), ("dog sideways", " no")):
        page.hold("change")
        page.write("segment-0", taken)
        page.browser.cdp("Input.dispatchKeyEvent", type="keyDown", key="Enter", modifiers=2)
        page.held()
        page.browser.press(more)
        page.let_go()
        page.do("settled()")
        page.until(f"return {area}.value === arguments[0]", taken + more)
        assert page.browser.js(f"return document.activeElement === {area}")
        assert page.texts[0] == ("dog behind me" if "behind" in taken else "dog behind me, cat left")
        if "behind" in taken:
            assert page.notice == ""
            page.browser.cdp("Input.dispatchKeyEvent", type="keyDown", key="Enter", modifiers=2)
            page.until("return tasStudio.store.segments[0].text === 'dog behind me, cat left'")
    # What was refused is given up meanwhile: it does not come back.
    page.hold("change")
    page.browser.cdp("Input.dispatchKeyEvent", type="keyDown", key="Enter", modifiers=2)
    page.held()
    page.browser.js(f"{area}.value = tasStudio.store.segments[0].text; {area}.dispatchEvent(new Event('input'))")
    page.let_go()
    page.do("settled()")
    page.until("return !document.querySelector('#notice').hidden")
    assert page.browser.js(f"return {area}.value") == "dog behind me, cat left"


# ------------------------------------------------------------------ what is heard, and what is asked


def test_what_is_heard_is_the_newest_scene_and_nothing_complains(page: Page) -> None:
    page.browser.js("document.querySelector('[data-key=solo-dog]').click()")
    page.press_button("play")
    page.until("return tasStudio.levelDifference() > 3")
    page.hold("scene")  # the page hears of nothing
    page.others(FIRST, "dog on the right")
    page.browser.js("document.querySelector('[data-key=mute-cat]').click()")
    page.held()
    page.let_go()
    page.until("return tasStudio.levelDifference() < -3")
    page.press_button("play")
    for key in ("mute-cat", "solo-dog"):
        page.press_button(key)
    assert (page.notice, page.browser.complaints()) == ("", [])


def test_a_question_is_asked_again_where_something_else_was_said_and_goes_when_it_is_answered(page: Page) -> None:
    page.session.left = SCENE.replace("dog", "cat")
    try:
        page.do("load()")
        page.do("send('copy', {name: ''})")
        assert "expected the name of a file" in page.notice
        page.do("change({kind: 'text', segment: 0, text: 'cat left'})")
        assert [line for line in page.notice.splitlines() if line] == [
            "A scene that was not saved is there, of a studio that ended before.",
            "Take it up",
            "Leave it",
            "Close",
        ]
        page.session.decide(take_up=False)  # in another tab
        page.do("load()")
        assert page.notice == ""
    finally:
        page.session.left = None


# ------------------------------------------------------------------ a file is dropped

HOSTILE = "../<img src=x onerror=alert(1)>‮ כינור\n.srt"
DROP = """
    const [name, text] = arguments, given = new DataTransfer();
    given.items.add(new File([text], name));
    const over = new DragEvent('dragover', {dataTransfer: given, bubbles: true, cancelable: true});
    document.body.dispatchEvent(over);
    const drop = new DragEvent('drop', {dataTransfer: given, bubbles: true, cancelable: true});
    document.body.dispatchEvent(drop);
    return [over.defaultPrevented, drop.defaultPrevented];
"""


def test_a_file_with_a_hostile_name_is_dropped_and_taken_or_refused_in_a_line(page: Page) -> None:
    files = sorted(page.session.path.parent.iterdir())
    assert page.browser.js(DROP, HOSTILE, "1\n00:00:00,000 --> 00:00:01,500\ncat on the left\n") == [True, True]
    page.until("return tasStudio.store.segments[0].text === 'cat on the left'")
    page.do("settled()")
    assert page.notice == ""
    for name, text, said in (
        (HOSTILE, "1\n00:00:00,000 --> 00:00:01,500\ncat sideways\n", "<img src=x onerror=alert(1)>"),
        ("<script>alert(1)</script>", "cat left", "no extension"),
        ("x.srt", "", "no segments"),
    ):
        assert page.browser.js(DROP, name, text) == [True, True]
        page.until("return document.querySelector('#notice').textContent.includes(arguments[0])", said)
        page.do("settled()")
        assert page.texts == ["cat on the left"]
    assert page.browser.js("return document.querySelectorAll('img, script:not([type=module])').length") == 0
    others = {path.name for path in page.session.path.parent.iterdir()} - {path.name for path in files}
    assert others == {"dog.yaml.tas-autosave.yaml"}
    # What is no file is left to the browser.
    assert (
        page.browser.js(
            "const given = new DataTransfer(); given.setData('text/plain', 'words');"
            "const drop = new DragEvent('drop', {dataTransfer: given, bubbles: true, cancelable: true});"
            "document.body.dispatchEvent(drop); return drop.defaultPrevented"
        )
        is False
    )
