"""Makes the animation of the README: half a minute of work on the page of ``tas studio``, in a real browser.

::

    python tools/make_studio_animation.py docs/figures/studio.webp

Each frame is a picture of the real page, with a pointer and a line that says what is done drawn over it.
"""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path

from make_studio_picture import StudioPage, duet_page
from PIL import Image

SIZE = {"width": 1200, "height": 1000, "deviceScaleFactor": 0.72, "mobile": False}
MOST_BYTES = 1_500_000
QUALITY = 62

OVERLAY = """
const make = (tag, style, text) => {
  const made = document.createElement(tag);
  Object.assign(made.style, {position: 'fixed', zIndex: 9, pointerEvents: 'none', ...style});
  made.textContent = text;
  document.documentElement.append(made);
  return made;
};
window.pointer = make('div', {width: '22px', height: '22px', borderRadius: '50%', border: '3px solid #d55e00',
  background: '#d55e0055', transform: 'translate(-50%, -50%)', left: '700px', top: '500px'}, '');
window.caption = make('div', {left: '50%', bottom: '14px', transform: 'translateX(-50%)', padding: '.5rem 1.2rem',
  borderRadius: '.5rem', background: '#1b1b1f', color: '#fff', font: '600 1.35rem system-ui, sans-serif',
  whiteSpace: 'nowrap'}, '');
"""
DOT = """
const dot = document.querySelector(`#space [data-object=${arguments[0]}][data-end=start]`);
const circle = dot.querySelector('circle:last-of-type');
const box = circle.getBoundingClientRect();
return [box.left + box.width / 2, box.top + box.height / 2];
"""
ANGLE = """
const all = document.querySelector('#space svg').getBoundingClientRect();
const far = arguments[1] * Math.min(all.width, all.height) / 320, angle = arguments[0] * Math.PI / 180;
return [all.left + all.width / 2 - far * Math.sin(angle), all.top + all.height / 2 - far * Math.cos(angle)];
"""
MIDDLE = """
const element = document.querySelector(arguments[0]);
const box = element.getBoundingClientRect();
return [box.left + box.width / 2, box.top + box.height / 2];
"""


class Film:
    """Frames and how long each is shown."""

    def __init__(self, page: StudioPage) -> None:
        self.page = page
        self.frames: list[Image.Image] = []
        self.lasting_ms: list[int] = []
        self.at = (700.0, 500.0)
        page.js(OVERLAY)

    def say(self, text: str) -> None:
        self.page.js("window.caption.textContent = arguments[0]", text)

    def shoot(self, lasting_ms: int) -> None:
        """One more frame; one that is as the one before prolongs it."""
        frame = Image.open(io.BytesIO(self.page.picture())).convert("RGB")
        if self.frames and frame.tobytes() == self.frames[-1].tobytes():
            self.lasting_ms[-1] += lasting_ms
            return
        self.frames.append(frame)
        self.lasting_ms.append(lasting_ms)

    def go(self, place: list[float], steps: int = 5, *, buttons: int = 0) -> None:
        """Move the pointer."""
        (x0, y0), (x1, y1) = self.at, place
        for step in range(1, steps + 1):
            x, y = x0 + (x1 - x0) * step / steps, y0 + (y1 - y0) * step / steps
            self.mouse("mouseMoved", (x, y), buttons)
            self.shoot(70)
        self.at = (x1, y1)

    def mouse(self, kind: str, place: tuple[float, float], buttons: int) -> None:
        x, y = place
        self.page.js("Object.assign(window.pointer.style, {left: `${arguments[0]}px`, top: `${arguments[1]}px`})", x, y)
        self.page.cdp("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=buttons, clickCount=1)

    def click(self, selector: str, lasting_ms: int = 500) -> None:
        self.page.js("document.querySelector(arguments[0]).scrollIntoView({block: 'nearest'})", selector)
        self.go(self.page.js(MIDDLE, selector))
        self.mouse("mousePressed", self.at, 1)
        self.mouse("mouseReleased", self.at, 0)
        time.sleep(0.3)
        self.shoot(lasting_ms)

    def drag(self, name: str, azimuths_deg: range, far: float = 100.0) -> None:
        """Drag from a dot over angles of the drawing."""
        self.go(self.page.js(DOT, name))
        self.mouse("mousePressed", self.at, 1)
        first = self.page.js("return tasStudio.store.scene.revision")
        for azimuth_deg in azimuths_deg:
            self.go(self.page.js(ANGLE, azimuth_deg, far), 1, buttons=1)
        self.mouse("mouseReleased", self.at, 0)
        self.page.until("return tasStudio.store.scene.revision > arguments[0]", first)
        self.shoot(1400)

    def show(self, selector: str) -> None:
        self.page.js("document.querySelector(arguments[0]).scrollIntoView({block: 'center'})", selector)

    def write(self, text: str) -> None:
        for letter in text:
            self.page.press(letter)
            self.shoot(80)
        time.sleep(0.5)
        self.shoot(900)

    def press(self, key: str, until: str, lasting_ms: int, *, control: bool = False) -> None:
        for kind in ("keyDown", "keyUp"):
            self.page.cdp("Input.dispatchKeyEvent", type=kind, key=key, modifiers=2 if control else 0)
        self.page.until(until)
        self.shoot(lasting_ms)


def play(film: Film) -> None:
    page = film.page
    film.say("One recording, two sounds: their words, their times, their places")
    film.shoot(3200)
    film.say("Hear it")
    film.press(" ", "return document.querySelector('[data-key=play]').textContent === 'Stop'", 900)
    page.until("return tasStudio.levelDifference() !== null")
    page.js(
        "const s = new CSSStyleSheet(); s.replaceSync('#listen output { visibility: hidden }');"
        "document.adoptedStyleSheets.push(s)"
    )  # how many milliseconds is of the machine that takes the pictures
    film.shoot(1000)
    film.say("Drag a sound, and hear it there: the words follow")
    film.drag("trumpet", range(50, -20, -5))
    film.say("Write one more place: what is understood is shown")
    film.click("[data-key=segment-0]")
    page.js("document.activeElement.setSelectionRange(999, 999)")
    film.write(", everything else behind me")
    film.press("Enter", "return tasStudio.store.scene.objects.length === 3", 1500, control=True)
    film.say("Draw the way that it goes")
    page.js("document.activeElement.blur(); tasStudio.store.choose('drums')")
    film.click("[data-key=draw]", 900)
    film.drag("drums", range(-50, 66, 8))
    page.until("return tasStudio.store.segments[0].text.includes('to')")
    film.shoot(1500)
    film.say("Split it where it changes")
    page.js("document.activeElement.blur(); tasStudio.store.go(4)")
    film.show("#timeline")
    film.shoot(900)
    film.press("s", "return tasStudio.store.segments.length === 2", 2000)
    film.say("Take back, and again, without end")
    film.press("z", "return tasStudio.store.segments.length === 1", 1500, control=True)
    film.say("Save the words: an ordinary timeline file")
    film.press("s", "return tasStudio.store.scene.saved", 1600, control=True)
    film.say("Make the file: what the command beside it makes, byte for byte")
    film.show("#export")
    film.click("[data-key=make]", 300)
    page.until("return tasStudio.store.scene.export.state === 'done'")
    page.js("document.activeElement.blur()")
    film.shoot(3000)


SCENE = 'prompts:\n  - {start: 0, text: "trumpet on the left, drums on the right"}\n'


def main(target: Path) -> None:
    with duet_page(SIZE, scene=SCENE) as page:
        film = Film(page)
        play(film)
    first, *others = film.frames
    first.save(target, save_all=True, append_images=others, duration=film.lasting_ms, loop=0, quality=QUALITY, method=4)
    size, lasting_s = target.stat().st_size, sum(film.lasting_ms) / 1000
    print(f"{target}: {len(film.frames)} frames, {lasting_s:.1f} s, {size:,} bytes, {first.size}")
    assert size <= MOST_BYTES


if __name__ == "__main__":
    main(Path(sys.argv[1]))
