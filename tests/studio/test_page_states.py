"""The page in each of its states, in a real browser: whom it shuts out, what it says, and all of it by keyboard."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tas_core.studio.exports import ExportState
from tests.studio.pages import StudioPage
from tests.studio.served import Served, served
from tests.support.accessibility import barriers
from tests.support.browser import Browser, needs_chromium

pytestmark = [pytest.mark.browser, needs_chromium, pytest.mark.slow]

SCENE = """prompts:
  - {start: 0, end: 1, text: "trumpet on the left, drums from the right to the left"}
  - {start: 1, text: "cello behind me"}
"""


class Page(StudioPage):
    """A page that is open on a studio of this process."""

    def __init__(self, browser: Browser, there: Served) -> None:
        super().__init__(browser, there.address)
        self.studio = there.studio

    @property
    def notice(self) -> str:
        """The line that the page says, empty if it says none."""
        return str(
            self.browser.js(
                "const n = document.querySelector('#notice'); return n.hidden ? '' : n.firstChild.textContent"
            )
        )


Open = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, tiny_model: Path, make_audio: Callable[..., Path], tmp_path: Path) -> Iterator[Open]:
    """Opens the page of a studio on 2 s of sound with a scene, or none."""
    with ExitStack() as stack:

        def make(said: str = SCENE, **more: Any) -> Page:
            audio = make_audio(seconds=2.0)
            if said:
                (tmp_path / "in.yaml").write_text(said)
            page = Page(browser, stack.enter_context(served(audio, more.pop("model", tiny_model), **more)))
            page.open()
            return page

        yield make
        browser.driver.get("about:blank")
        browser.complaints()
        browser.cdp("Emulation.clearDeviceMetricsOverride")
        browser.cdp("Emulation.setEmulatedMedia", features=[])


# ------------------------------------------------------------------ whom it shuts out


def mistaken(page: Page) -> None:
    area = "document.querySelector('[data-key=segment-0]')"
    page.browser.js(f"{area}.focus(); {area}.setSelectionRange(999, 999)")
    page.browser.press(", dog sideways")
    page.browser.js(f"{area}.blur()")
    page.until("return document.querySelector('#segment-0-said mark')")
    assert page.notice


def chosen(page: Page) -> None:
    page.browser.js("document.querySelector('[data-object=drums]').focus()")
    page.until("return document.querySelector('[data-key=move]')")


def exporting_what_has_changed(page: Page) -> None:
    page.studio.exporter._state = ExportState("running", "in.wav", 0.4)
    page.studio.session.path.write_text(SCENE.replace("cello", "dog"))
    page.until("return document.querySelector('progress') && !document.querySelector('#notice').hidden")


def dark(page: Page) -> None:
    page.browser.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    chosen(page)


def narrow(page: Page) -> None:
    size = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    page.browser.cdp("Emulation.setDeviceMetricsOverride", **size)
    mistaken(page)


STATES = [mistaken, exporting_what_has_changed, dark, narrow]


@pytest.mark.parametrize("state", STATES, ids=[state.__name__ for state in STATES])
def test_no_state_of_the_page_shuts_anybody_out(open_page: Open, state: Callable[[Page], None]) -> None:
    page = open_page()
    state(page)
    assert barriers(page.browser) == []


def test_a_page_without_a_scene_shuts_nobody_out_and_what_does_is_found(open_page: Open) -> None:
    page = open_page("")
    assert barriers(page.browser) == []
    page.browser.js(
        "const field = document.createElement('input'), words = document.createElement('p');"
        "words.textContent = 'pale'; words.style.color = '#ddd'; document.querySelector('main').append(field, words)"
    )
    assert sorted({each.partition(":")[0] for each in barriers(page.browser)}) == ["color-contrast", "label"]


# ------------------------------------------------------------------ all of it by keyboard

TAB, SHIFT, CONTROL, LEFT, RIGHT, END, ENTER = (
    *("\ue004", "\ue008", "\ue009", "\ue012", "\ue014", "\ue010", "\ue007"),
)


def tab_to(page: Page, key: str) -> None:
    """Press Tab until what has a key is in focus; every stop on the way can be seen, and has a name."""
    for _ in range(80):
        page.browser.press(TAB)
        at = page.browser.js(
            "const e = document.activeElement, box = e.getBoundingClientRect();"
            "const name = e.ariaLabel || e.labels?.[0]?.textContent || e.textContent;"
            "return [e.dataset.key ?? '', e.tagName, box.width > 0 && box.height > 0, name.trim()]"
        )
        assert at[1] == "BODY" or (at[2] and at[3]), at
        if at[0] == key:
            return
    raise AssertionError(f"Tab does not reach {key}")


def chord(page: Page, key: str, *, shift: bool = False) -> None:
    modifiers = 2 + (8 if shift else 0)
    for kind in ("keyDown", "keyUp"):
        page.browser.cdp("Input.dispatchKeyEvent", type=kind, key=key, modifiers=modifiers)


def test_keys_alone_move_write_split_take_back_save_and_make(open_page: Open, tmp_path: Path) -> None:
    page = open_page('prompts:\n  - {start: 0, text: "trumpet on the left, drums on the right"}\n')
    browser, scene = page.browser, tmp_path / "in.yaml"
    texts = "return tasStudio.store.segments.map((each) => each.text).join('|') === arguments[0]"
    # The trumpet to the right, by keys that are pressed faster than they are answered.
    tab_to(page, "dot-trumpet-start")
    browser.press(*[RIGHT] * 20)
    page.until(texts, "trumpet 45° right, drums on the right")
    assert page.notice == ""
    # Hear it.
    tab_to(page, "play")
    browser.press(" ")
    page.until("return tasStudio.levelDifference() !== null")
    browser.press(" ")
    # A third clause, with a name that is completed.
    tab_to(page, "segment-0")
    browser.press(END, ", bird behind me")
    browser.press(TAB)
    page.until(texts, "trumpet 45° right, drums on the right, bird behind me")
    # Split at the cursor, and take both back and one of them again; faster than they are answered.
    tab_to(page, "cursor")
    chord(page, "a")
    browser.press("1", TAB)
    page.until("return tasStudio.store.cursor === 1")
    browser.press("s")
    page.until("return tasStudio.store.segments.length === 2")
    chord(page, "z")
    chord(page, "z")
    chord(page, "z", shift=True)
    page.until(texts, "trumpet 45° right, drums on the right, bird behind me")
    # Save, and make the file.
    chord(page, "s")
    page.until("return tasStudio.store.scene.saved")
    assert 'text: "trumpet 45° right, drums on the right, bird behind me"' in scene.read_text()
    tab_to(page, "make")
    browser.press(ENTER)
    page.until("return tasStudio.store.scene.export.state === 'done'")
    assert (tmp_path / "in.binaural.wav").stat().st_size > 100_000
    assert page.notice == ""
    assert browser.complaints() == []


# ------------------------------------------------------------------ nothing is lost, and all of it is said in a line


def write_words(page: Page, words: str) -> None:
    """Write at the end of the first segment, without taking them."""
    page.browser.js(
        "const a = document.querySelector('[data-key=segment-0]'); a.focus(); a.setSelectionRange(999, 999)"
    )
    page.browser.press(words)
    page.until("return document.querySelector('[data-key=segment-0]').value.endsWith(arguments[0])", words)


def first_text(page: Page) -> str:
    return str(page.studio.scene()["segments"][0]["text"])


def test_two_tabs_see_each_other_and_neither_writes_over_the_other(open_page: Open) -> None:
    page = open_page()
    driver = page.browser.driver
    first = driver.current_window_handle
    driver.switch_to.new_window("tab")
    try:
        page.open()
        write_words(page, ", dog left")
        driver.switch_to.window(first)
        page.browser.js("return tasStudio.store.change({kind: 'text', segment: 0, text: 'cat on the right'})")
        assert first_text(page) == "cat on the right"
        driver.close()
        (second,) = driver.window_handles
        driver.switch_to.window(second)
        # The other change is there, what is being written is still there, and taking it says so instead.
        page.until("return tasStudio.store.segments[0].text === 'cat on the right'")
        chord(page, "Enter")
        page.until("return document.querySelector('#segment-0-said').textContent.includes('cat on the right')")
        assert first_text(page) == "cat on the right"
        area = "document.querySelector('[data-key=segment-0]')"
        assert page.browser.js(f"return {area}.value").endswith(", dog left")
        assert page.browser.js(f"return document.activeElement === {area}")
        chord(page, "Enter")
        page.until("return tasStudio.store.segments[0].text.endsWith(', dog left')")
        # Words of a segment that is gone are said.
        write_words(page, ", bird left")
        page.studio.session.undo(page.studio.session.revision)
        page.studio.session.write(SCENE.replace("start: 0,", "start: 0.5,"), page.studio.session.revision)
        page.until("return tasStudio.store.segments[0].start_s === 0.5")
        assert page.browser.js(f"return {area}.value").endswith(", bird left")
        page.browser.js(f"{area}.value = tasStudio.store.segments[0].text; {area}.dispatchEvent(new Event('input'))")
    finally:
        driver.switch_to.window(driver.window_handles[-1])


def test_a_studio_that_ends_is_said_and_the_next_one_has_what_was_changed(
    open_page: Open, browser: Browser, tiny_model: Path, make_audio: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "in.yaml").write_text(SCENE)
    with served(make_audio(seconds=2.0), tiny_model) as there:
        page = Page(browser, there)
        page.open()
        browser.js("return tasStudio.store.change({kind: 'text', segment: 0, text: 'cat on the right'})")
    page.until("return !document.querySelector('#notice').hidden")
    assert page.notice.startswith("The studio does not answer")
    browser.js("return tasStudio.store.change({kind: 'text', segment: 0, text: 'lost'})")
    assert page.notice.startswith("The studio does not answer")
    browser.complaints()
    again = open_page("")
    assert again.notice.startswith("A scene that was not saved is there")
    assert first_text(again).startswith("trumpet")
    browser.js("document.querySelector('#notice button').click()")
    again.until("return tasStudio.store.segments[0].text === 'cat on the right'")
    assert again.notice == ""


def test_who_has_lost_the_token_is_told_and_what_was_written_stays(open_page: Open) -> None:
    page = open_page()
    driver = page.browser.driver
    write_words(page, ", dog left")
    driver.delete_all_cookies()
    chord(page, "Enter")
    page.until("return !document.querySelector('#notice').hidden")
    assert page.notice == "tas studio: no token, or a wrong one; expected the whole address that the program printed"
    assert page.browser.js("return document.querySelector('[data-key=segment-0]').value").endswith(", dog left")
    assert first_text(page).startswith("trumpet")
    driver.switch_to.new_window("tab")  # with the address that was printed, and the first goes on
    try:
        page.open()
        driver.close()
    finally:
        driver.switch_to.window(driver.window_handles[-1])
    chord(page, "Enter")
    page.until("return tasStudio.store.segments[0].text.endsWith(', dog left')")
    assert all("403" in said for said in page.browser.complaints())


def test_a_wrong_token_and_a_foreign_page_get_a_line_and_change_nothing(open_page: Open) -> None:
    page = open_page()
    page.browser.js("return tasStudio.store.change({kind: 'text', segment: 0, text: 'cat on the right'})")
    before = (page.studio.session.document, page.studio.session.revision, page.studio.session.is_saved)
    base = page.address.partition("/?")[0]
    page.browser.driver.get("data:text/html,<title>foreign</title>")  # where the browser still has the cookie
    ask = """
        const how = {method: 'POST', mode: 'no-cors', credentials: 'include', body: arguments[1]};
        return fetch(arguments[0], how).then(({type}) => type, () => 'refused');
    """
    for name in ("save", "undo", "cancel"):
        body = f'{{"revision": {before[1]}}}' if name == "undo" else "{}"
        assert page.browser.js(ask, f"{base}/api/{name}", body) in ("opaque", "refused")
    page.browser.driver.get(base)
    page.browser.complaints()  # of the foreign page
    page.browser.driver.delete_all_cookies()
    for address in (f"{base}/?token=wrong", f"{base}/?token=", base):
        page.browser.driver.get(address)
        said = "tas studio: no token, or a wrong one; expected the whole address that the program printed"
        assert page.browser.js("return document.body.innerText").strip() == said
    assert (page.studio.session.document, page.studio.session.revision, page.studio.session.is_saved) == before
    page.open()
    assert page.notice == ""
    assert page.browser.js("return tasStudio.store.segments[0].text") == "cat on the right"
    assert all("403" in said for said in page.browser.complaints())


def test_a_file_that_another_program_broke_is_said_and_the_scene_stays(open_page: Open, tmp_path: Path) -> None:
    page = open_page()
    (tmp_path / "in.yaml").write_text("prompts: [")
    page.until("return !document.querySelector('#notice').hidden")
    assert page.notice == "Another program has changed the file."
    page.browser.js("document.querySelector('#notice button').click()")
    page.until("return document.querySelector('#notice').textContent.includes('in.yaml:1')")
    assert first_text(page).startswith("trumpet")
    page.browser.js("return tasStudio.store.change({kind: 'text', segment: 0, text: 'cat on the right'})")
    page.press_button("save")
    page.until("return document.querySelectorAll('#notice button').length === 3")
    assert (tmp_path / "in.yaml").read_text() == "prompts: ["
    page.browser.js("document.querySelectorAll('#notice button')[1].click()")
    page.until("return tasStudio.store.scene.saved")
    assert "cat on the right" in (tmp_path / "in.yaml").read_text()


def test_a_model_that_is_missing_is_said(open_page: Open, tmp_path: Path) -> None:
    page = open_page(model=tmp_path / "no-model")
    page.press_button("play")
    page.until("return !document.querySelector('#notice').hidden")
    assert "no-model" in page.notice
    assert "\n" not in page.notice
    page.press_button("make")
    page.until("return document.querySelector('#export .failed')?.textContent.includes('no-model')")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own, of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", folder], capture_output=True).returncode:
        pytest.skip("only root can mount a disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_disk_that_is_full_is_said_and_what_was_changed_is_saved_when_there_is_room(
    open_page: Open, small_disk: Path
) -> None:
    scene = small_disk / "scene.yaml"
    scene.write_text(SCENE)
    page = open_page("", scene=scene)
    filling = small_disk / "filling"
    with contextlib.suppress(OSError), open(filling, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    page.browser.js("return tasStudio.store.change({kind: 'text', segment: 0, text: 'cat on the right'})")
    assert page.notice.startswith("the scene is changed and not kept beside its file")
    assert "No space left on device" in page.notice
    assert page.browser.js("return tasStudio.store.segments[0].text") == "cat on the right"
    page.browser.js("return tasStudio.store.send('save')")
    assert "No space left on device" in page.notice
    assert scene.read_text() == SCENE
    filling.unlink()
    page.press_button("save")
    page.until("return tasStudio.store.scene.saved")
    assert "cat on the right" in scene.read_text()
    with contextlib.suppress(OSError), open(filling, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    page.press_button("make")
    page.until("return document.querySelector('#export .failed')?.textContent.includes('No space left on device')")
    assert sorted(path.name for path in small_disk.iterdir() if path.suffix != ".lock") == ["filling", "scene.yaml"]
