"""The report page in a real browser: it plays, switches, draws, obeys the keyboard, and asks for no network."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from matplotlib.image import imread

from tas_core.reporting.report.page import ReportedOutput, write_report
from tas_core.timeline.files import parse_timeline
from tas_core.timeline.segments import Timeline
from tests.support.accessibility import barriers
from tests.support.browser import ATTENTION_S, Browser, needs_chromium

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    needs_chromium,
]

RATE = 16_000
EVIL = "<img src=x onerror='window.pwned=1'> & </script>"
LEFT, RIGHT, HOME, END, TAB, SHIFT = "\ue012", "\ue014", "\ue011", "\ue010", "\ue004", "\ue008"

# The listener of these tests: hangs a meter for each ear on whatever goes to the loudspeakers.
LISTEN = """
window.meters = [];
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (target, ...rest) {
  if (target instanceof AudioDestinationNode) {
    const splitter = new ChannelSplitterNode(this.context, { numberOfOutputs: 2 });
    const meters = [0, 1].map(() => new AnalyserNode(this.context, { fftSize: 2048 }));
    const up = new GainNode(this.context, { channelCount: 2, channelCountMode: 'explicit' });
    connect.call(this, up);
    connect.call(up, splitter);
    meters.forEach((meter, ear) => connect.call(splitter, meter, ear));
    window.meters.push(meters);
  }
  return connect.call(this, target, ...rest);
};
window.heard = () => [0, 1].map((ear) => Math.sqrt(window.meters.map((pair) => {
  const samples = new Float32Array(2048);
  pair[ear].getFloatTimeDomainData(samples);
  return samples.reduce((sum, x) => sum + x * x, 0) / 2048;
}).reduce((a, b) => a + b, 0)));
"""
# Contrast of every visible text against what is behind it, by WCAG 2; returns the worst ones.
CONTRAST = """
const parse = (text) => text.match(/[\\d.]+/g).map(Number);
const over = (top, below) => top.slice(0, 3).map((c, i) => c * (top[3] ?? 1) + below[i] * (1 - (top[3] ?? 1)));
const behind = (element) => {
  if (!element) return [255, 255, 255];
  const colour = parse(getComputedStyle(element).backgroundColor);
  return (colour[3] ?? 1) === 1 ? colour.slice(0, 3) : over(colour, behind(element.parentElement));
};
const light = (colour) => {
  const [r, g, b] = colour.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || !element.getClientRects().length || element.closest('script')) continue;
  const below = behind(element);
  const [a, b] = [light(over(parse(getComputedStyle(element).color), below)), light(below)].sort((x, y) => y - x);
  found.push([(a + 0.05) / (b + 0.05), walker.currentNode.data.trim()]);
}
found.sort((x, y) => x[0] - y[0]);
return [found.length, found[0]];
"""


class Listener(Browser):
    """Chromium with a page open."""

    def __init__(self) -> None:
        super().__init__(LISTEN)

    def open(self, page: Path, width: int = 1000, *, scheme: str = "light", still: bool = False) -> None:
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 800)
        motion = "reduce" if still else "no-preference"
        features = [("prefers-color-scheme", scheme), ("prefers-reduced-motion", motion)]
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": n, "value": v} for n, v in features])
        self.driver.get(page.as_uri())
        self.wait("!document.getElementById('play').disabled")

    def click(self, selector: str) -> None:
        from selenium.webdriver.common.by import By

        self.driver.find_element(By.CSS_SELECTOR, selector).click()

    def text(self, selector: str) -> str:
        return self.js("return document.querySelector(arguments[0]).textContent", selector)

    def wait(self, code: str) -> Any:
        """Until some JavaScript is true."""
        until = time.monotonic() + ATTENTION_S
        while not (found := self.js(f"return {code}")):
            assert time.monotonic() < until, f"never true: {code}; {self.text('#status')}"
            time.sleep(0.02)
        return found

    @property
    def position_s(self) -> float:
        minutes, seconds = self.js("return document.getElementById('clock').value.split(' / ')[0].split(':')")
        return 60 * float(minutes) + float(seconds)

    @property
    def pressed(self) -> list[str]:
        """What the three switches say."""
        return self.js(
            "return [...document.querySelectorAll('[data-track][aria-pressed=true]')].map((e) => e.dataset.track)"
        )

    def hear(self) -> np.ndarray:
        """Level of each ear, dB, averaged over some looks."""
        time.sleep(0.2)  # a meter looks back by 0.13 s
        looks = []
        for _ in range(6):
            time.sleep(0.05)
            looks.append(self.js("return window.heard()"))
        return 10 * np.log10(np.mean(np.square(looks), axis=0) + 1e-12)

    def picture(self, canvas: str) -> np.ndarray:
        """Pixels of a canvas, (row, column, rgba), 0 to 1."""
        coded = self.js("return document.getElementById(arguments[0]).toDataURL()", canvas)
        return imread(io.BytesIO(base64.b64decode(coded.split(",")[1])))

    def shoot(self, path: Path) -> None:
        """A picture of the whole page."""
        size = self.cdp("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        taken = self.cdp("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(taken["data"]))


@pytest.fixture(scope="module")
def browser() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.driver.quit()


@pytest.fixture
def listener(browser: Listener) -> Iterator[Listener]:
    browser.requests()
    browser.complaints()
    yield browser
    browser.driver.get("about:blank")
    requests = browser.requests()
    assert browser.complaints() == []
    assert requests
    assert all(url == "about:blank" or (url.startswith("file:") and url.endswith(".html")) for url in requests)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Steady noise for 6 s, 12 dB to the left in the output; the prompts ask for the right, so plain HRTF is there."""
    folder = tmp_path_factory.mktemp("report")
    x = 0.1 * np.random.default_rng(4).standard_normal(6 * RATE)
    soundfile.write(folder / "in.wav", x, RATE)
    soundfile.write(folder / "out.wav", np.stack([1.6 * x, 0.4 * x], axis=1), RATE)
    prompts = ((0, "a cello far right"), (2, "rain far right, a dog hard right"), (4, "<b>thunder</b> hard right"))
    lines = [f"  - {{start: {start}, text: {json.dumps(text)}}}" for start, text in prompts]
    timeline = parse_timeline("prompts:\n" + "\n".join(lines))
    provenance = {"model": EVIL, "seconds": {"sample": 0.5}, "segments": [{"text": EVIL}]}
    about = ReportedOutput(folder / "out.wav", folder / "in.wav")
    return write_report(folder / "page.html", about, timeline, provenance)


def difference_db(ears: np.ndarray) -> float:
    return float(ears[0] - ears[1])


def test_it_plays_and_switches_by_keyboard_without_a_gap(listener: Listener, page: Path) -> None:
    listener.open(page)
    assert (listener.text("#play"), listener.pressed) == ("▶ Play", ["output"])
    listener.press(" ")
    listener.wait("document.getElementById('clock').value > '0:00.3'")
    assert listener.text("#play") == "❚❚ Pause"
    assert difference_db(listener.hear()) == pytest.approx(12.04, abs=0.5)
    levels = {}
    for key, track in (("1", "input"), ("c", "hrtf"), ("b", "output"), ("a", "input"), ("3", "hrtf"), ("2", "output")):
        before = listener.position_s
        listener.press(key)
        assert listener.pressed == [track]
        assert listener.position_s >= before, "switching does not jump"
        levels[track] = listener.hear()
        listener.press(HOME)
    assert difference_db(levels["input"]) == pytest.approx(0, abs=0.05)
    assert difference_db(levels["hrtf"]) < -4
    # Matched by loudness: white noise weighted alike in all three, but for the colour that the head gives.
    total = {track: 10 * np.log10((10 ** (ears / 10)).sum()) for track, ears in levels.items()}
    assert total["input"] == pytest.approx(total["output"], abs=0.6)
    assert total["input"] == pytest.approx(total["hrtf"], abs=2)
    listener.click("#match")
    listener.press("1")
    plain = listener.hear()
    listener.press("2")
    assert 10 * np.log10((10 ** (listener.hear() / 10)).sum() / (10 ** (plain / 10)).sum()) == pytest.approx(
        10 * np.log10((1.6**2 + 0.4**2) / 2), abs=0.6
    )
    listener.press(" ")
    stopped = listener.position_s
    time.sleep(0.3)
    assert listener.position_s == stopped
    assert listener.hear().max() < -100


def test_it_ends_seeks_and_loops(listener: Listener, page: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    listener.open(page)
    listener.press(RIGHT, RIGHT)
    assert listener.position_s == 2.0
    assert listener.text("#now").startswith("rain")
    listener.press(LEFT)
    assert listener.position_s == 1.0
    ActionChains(listener.driver).key_down(SHIFT).send_keys(RIGHT).key_up(SHIFT).perform()
    assert listener.position_s == 6.0
    listener.press(HOME, RIGHT, RIGHT, RIGHT, "i", RIGHT, "o")  # 3 to 4 s
    assert listener.text("#region-text") == "0:03.0 – 0:04.0"
    assert listener.js("return document.getElementById('loop').getAttribute('aria-pressed')") == "true"
    listener.press(HOME, " ")
    seen = []
    until = time.monotonic() + 2.5
    while time.monotonic() < until:
        seen.append(listener.position_s)
        time.sleep(0.02)
    assert min(seen[2:]) >= 3.0
    assert max(seen) <= 4.0
    assert sum(b < a for a, b in zip(seen[2:], seen[3:], strict=False)) >= 2, "it went round"
    listener.press("l")  # and on behind the loop's end
    listener.wait("document.getElementById('clock').value > '0:04.3'")
    listener.wait("document.getElementById('play').textContent.includes('Play')")
    assert listener.position_s == 6.0
    listener.press("x")
    assert listener.text("#region-text") == "all"
    listener.press(" ")
    listener.wait("document.getElementById('clock').value < '0:01'")  # from the beginning again
    listener.press(" ")


def test_a_pointer_seeks_and_chooses_a_part(listener: Listener, page: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By

    listener.open(page)
    area = listener.driver.find_element(By.CSS_SELECTOR, ".area")
    width = area.size["width"]
    inner = width - 44 - 8

    def at(seconds: float) -> int:
        return round(44 + seconds / 6 * inner - width / 2)

    ActionChains(listener.driver).move_to_element_with_offset(area, at(4.5), 0).click().perform()
    assert listener.position_s == pytest.approx(4.5, abs=0.11)
    chain = ActionChains(listener.driver).move_to_element_with_offset(area, at(1), 0).click_and_hold()
    chain.move_to_element_with_offset(area, at(2.5), 0).release().perform()
    start, end = (float(part.split(":")[1]) for part in listener.text("#region-text").split(" – "))
    assert (start, end) == pytest.approx((1.0, 2.5), abs=0.11)
    listener.click("[data-segment='2']")
    assert listener.position_s == 4.0
    # A click leaves the keyboard to the page: Space plays, it does not press the button again.
    listener.press(" ")
    listener.wait("document.getElementById('play').textContent.includes('Pause')")
    listener.press(" ")


@pytest.mark.parametrize(("tone", "sides"), [("left", (1, 0)), ("right", (0, 1)), ("both", (1, 1))])
def test_the_check_tones_are_in_the_ears_they_name(
    listener: Listener, page: Path, tone: str, sides: tuple[int, int]
) -> None:
    listener.open(page)
    listener.press(" ")
    listener.wait("document.getElementById('clock').value > '0:00.1'")
    listener.click(f"[data-tone={tone}]")
    time.sleep(0.2)
    assert listener.text("#play") == "▶ Play", "the music stops for the tone"
    ears = listener.hear()
    assert tuple((ears > -60).astype(int)) == sides


def test_every_picture_is_drawn_in_both_schemes(listener: Listener, page: Path) -> None:
    drawn = {}
    for scheme in ("light", "dark"):
        listener.open(page, scheme=scheme)
        for canvas in ("wave", "spl", "azimuth"):
            pixels = listener.picture(canvas)
            assert (pixels[..., 3] > 0).mean() > 0.02, canvas
            assert len(np.unique(pixels.reshape(-1, 4), axis=0)) > 3, canvas
            drawn[canvas, scheme] = pixels.tobytes()
        assert listener.js("return document.querySelectorAll('#lane .prompt').length") == 3
    assert len(set(drawn.values())) == 6
    listener.press("1")
    assert listener.picture("wave").tobytes() != drawn["wave", "dark"], "the waveform is that of what is heard"
    legend = listener.text("#azimuth-legend")
    assert all(name in legend for name in ("cello", "rain", "dog", "thunder"))


def test_objects_move_on_a_circle_around_the_listener(listener: Listener, tmp_path: Path) -> None:
    """One goes from the left over the front to the right, another stays; where the dots are is seen in the pixels."""
    x = 0.1 * np.random.default_rng(4).standard_normal(2 * RATE)
    soundfile.write(tmp_path / "in.wav", x, RATE)
    soundfile.write(tmp_path / "out.wav", np.stack([x, x], axis=1), RATE)
    text = "a dog moves from 90 degrees left to 90 degrees right, rain 30 degrees to the right"
    timeline = parse_timeline(f"prompts:\n  - {{start: 0, end: 1.8, text: {json.dumps(text)}}}")
    page = write_report(tmp_path / "page.html", ReportedOutput(tmp_path / "out.wav", tmp_path / "in.wav"), timeline, {})
    listener.open(page)
    colours = listener.js(
        "const of = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();"
        "return [of('--requested-0'), of('--requested-1')]"
    )

    def places_deg(at_s: float) -> list[float | None]:
        listener.js(
            "const e = document.getElementById('position'); e.value = arguments[0];"
            "e.dispatchEvent(new Event('input'));",
            at_s / 2,
        )
        pixels = listener.picture("ring")
        height, width = pixels.shape[:2]
        found: list[float | None] = []
        for colour in colours:
            rgb = np.array([int(colour[n : n + 2], 16) for n in (1, 3, 5)]) / 255
            rows, columns = np.nonzero((np.abs(pixels[..., :3] - rgb).max(axis=2) < 0.01) & (pixels[..., 3] == 1))
            if len(rows) < 50:
                found.append(None)
                continue
            angle = np.arctan2(width / 2 - columns.mean(), height / 2 - rows.mean())
            found.append(float(np.degrees(angle)))
        return found

    for at_s, dog_deg in ((0.0, 90), (0.45, 45), (0.9, 0), (1.35, -45), (1.79, -89)):
        dog, rain = places_deg(at_s)
        assert dog == pytest.approx(dog_deg, abs=2)
        assert rain == pytest.approx(-30, abs=2)
    assert places_deg(1.9) == [None, None]


def test_a_passage_shows_the_times_of_its_source(listener: Listener, tmp_path: Path) -> None:
    """From 1:35 to 1:41 of a file: the clock, the axis, the slider and the loop; eight at one place are seen."""
    x = 0.1 * np.random.default_rng(4).standard_normal(101 * 8000)
    soundfile.write(tmp_path / "in.wav", x, 8000)
    soundfile.write(tmp_path / "out.wav", np.stack([x, x], axis=1)[95 * 8000 :], 8000)
    names = ", ".join(f"thing{letter} on the left" for letter in "abcdefgh")
    timeline = parse_timeline(f"prompts:\n  - {{start: 0, text: {json.dumps(names)}}}")
    about = ReportedOutput(tmp_path / "out.wav", tmp_path / "in.wav", start_s=95.0)
    listener.driver.get("about:blank")
    listener.open(write_report(tmp_path / "page.html", about, timeline, {}))
    assert listener.js("return document.getElementById('clock').value") == "1:35.0 / 1:41.0"
    assert (
        listener.js(
            "return document.getElementById('position').ariaValueText || "
            "document.getElementById('position').getAttribute('aria-valuetext')"
        )
        == "1:35.0 of 1:41.0"
    )
    listener.press("i")
    assert listener.text("#region-text") == "1:35.0 – 1:41.0"
    drawn = listener.js(
        """
        const texts = [], pens = CanvasRenderingContext2D.prototype, fill = pens.fillText;
        pens.fillText = function (text, ...at) { texts.push(text); fill.call(this, text, ...at); };
        makePictures(readData("report")).draw("output");
        pens.fillText = fill;
        return texts;
        """
    )
    assert [text for text in drawn if ":" in text] == [f"1:{half / 2:.1f}" for half in range(70, 83)]
    pixels = listener.picture("azimuth")[..., :3]
    for number in range(8):
        name = f"--requested-{number}"
        code = listener.js("return getComputedStyle(document.body).getPropertyValue(arguments[0])", name).strip()
        colour = np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        assert (np.abs(pixels - colour).max(axis=-1) < 0.02).any(axis=0).mean() > 0.2, name


def test_names_are_text(listener: Listener, page: Path) -> None:
    listener.open(page)
    assert EVIL in listener.text("#provenance")
    assert listener.js("return document.querySelectorAll('img').length") == 0
    assert listener.js("return typeof window.pwned") == "undefined"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1000])
def test_all_text_can_be_read_and_nothing_is_wider_than_the_screen(
    listener: Listener, page: Path, tmp_path: Path, width: int, scheme: str
) -> None:
    listener.open(page, width, scheme=scheme)
    listener.js("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    time.sleep(0.3)  # colours of buttons take 0.12 s to change
    count, (worst, text) = listener.js(CONTRAST)
    assert count > 80
    assert worst >= 4.5, text
    assert width > 400 or barriers(listener) == []
    assert listener.js("return document.documentElement.scrollWidth") <= width
    for table in ("#places .scroll", "#levels .scroll", "#provenance .scroll"):
        assert listener.js(
            "const e = document.querySelector(arguments[0]); return e.scrollWidth <= e.clientWidth", table
        )
    picture = tmp_path / f"{scheme}-{width}.png"
    listener.shoot(picture)
    assert picture.stat().st_size > 50_000


def test_tab_goes_through_every_control_and_shows_where_it_is(listener: Listener, page: Path) -> None:
    listener.open(page)
    seen = []
    for _ in range(40):
        listener.press(TAB)
        name, outline = listener.js(
            "const e = document.activeElement;"
            "return [e.tagName + (e.id || Object.values(e.dataset)[0] || ''), getComputedStyle(e).outlineStyle]"
        )
        if name == "BODY":
            break
        assert outline == "solid", name
        seen.append(name)
    tones, switches = ["BUTTONleft", "BUTTONboth", "BUTTONright"], ["BUTTONinput", "BUTTONoutput", "BUTTONhrtf"]
    controls = ["BUTTONplay", "BUTTONmatch", "BUTTONloop", "BUTTONloop-start", "BUTTONloop-end", "INPUTposition"]
    assert seen[: len(tones + switches + controls)] == [*tones, *switches, *controls]
    assert seen[12:].count("SUMMARY") == 3
    unnamed = listener.js(
        "return [...document.querySelectorAll('button, input, canvas')]"
        ".filter((e) => !(e.textContent.trim() || e.getAttribute('aria-label'))).length"
    )
    assert unnamed == 0
    listener.js("document.querySelector('[data-track=input]').focus()")
    listener.press(" ")  # on a button that the keyboard went to, Space presses it
    assert listener.pressed == ["input"]
    assert listener.text("#play") == "▶ Play"


def test_with_reduced_motion_the_cursor_moves_in_steps(listener: Listener, page: Path) -> None:
    moves = """
    const done = arguments[0];
    let count = 0;
    const watch = new MutationObserver(() => { count += 1; });
    watch.observe(document.querySelector('.cursor'), { attributes: true });
    setTimeout(() => { watch.disconnect(); done(count); }, 1200);
    """
    counts = {}
    for still in (False, True):
        listener.open(page, still=still)
        listener.press(" ")
        counts[still] = listener.driver.execute_async_script(moves)
        listener.press(" ")
    assert counts[True] <= 4 < 8 < counts[False], counts


def test_ogg_plays_as_well(listener: Listener, page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tas_core.reporting.report import sounds

    monkeypatch.setattr(sounds, "MAX_FLAC_BYTES", 0)
    other = write_report(
        page.with_name("ogg.html"),
        ReportedOutput(page.with_name("out.wav"), page.with_name("in.wav")),
        Timeline.from_prompt("cello on the right"),
        {},
    )
    listener.open(other)
    listener.press(" ")
    listener.wait("document.getElementById('clock').value > '0:00.3'")
    # Vorbis codes the ears together, and noise is the worst there is for it.
    assert difference_db(listener.hear()) == pytest.approx(12, abs=2)
    listener.press(" ")


def test_without_scripts_the_tables_are_there(listener: Listener, page: Path) -> None:
    listener.cdp("Emulation.setScriptExecutionDisabled", value=True)
    try:
        listener.driver.get(page.as_uri())
    finally:
        listener.cdp("Emulation.setScriptExecutionDisabled", value=False)
    assert "Sounds and pictures need JavaScript" in listener.text("body")
    assert "LUFS" in listener.text("#levels")
