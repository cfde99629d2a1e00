"""Names that are code, in a real browser: of objects, files, systems and fields. Pages show them, and run nothing."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tas_core.reporting.plots.curves import Source, plot_data
from tas_core.reporting.plots.figures import draw
from tas_core.reporting.report.page import ReportedOutput, write_report
from tas_core.reporting.study.page import make_study
from tas_core.timeline.files import parse_timeline
from tests.support.browser import Browser, needs_chromium

pytestmark = [pytest.mark.browser, pytest.mark.slow, needs_chromium]

RATE = 16_000
RUN = "window.ran=1"
NAMES = (
    f"<script>{RUN}<;script>",
    f"<img src=x onerror={RUN}>",
    f"' onmouseover='{RUN}' autofocus onfocus='{RUN}",
    f"javascript:{RUN}",
    f"<a href=javascript:{RUN}>x<;a>",
    f"<svg onload={RUN}>",
    "<link rel=stylesheet href=http:;;192.0.2.1;a.css><iframe src=http:;;192.0.2.1>",
    "<base href=http:;;192.0.2.1><meta http-equiv=refresh content=0;http:;;192.0.2.1>",
    "<style>*{display:none}<;style><!--",
    "]]><?xml-stylesheet href=x?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:;;;etc;passwd'>]>&b;",
    "{{ 7 * 7 }}{% raw %}${7*7}",
    "\u202egnp.exe\u2066",
    "a" * 120,
)
"""A semicolon stands for a slash, which the name of no file has."""
WATCH = """
window.events = [];
addEventListener('securitypolicyviolation', (event) => events.push(event.blockedURI + ' ' + event.violatedDirective));
for (const name of ['alert', 'confirm', 'prompt', 'open']) { window[name] = () => events.push(name); }
"""


TURNS = "\u202e\u2066"


def spelled(name: str) -> str:
    return name.replace(";", "/")


def said(name: str) -> str:
    """As a prompt may have it, which refuses what cannot be seen."""
    return spelled(name).strip(TURNS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    made = Browser(WATCH)
    yield made
    made.driver.quit()


def shown(browser: Browser, page: Path) -> str:
    """The text of a page on which nothing ran, and of which no request left; hovered and clicked all over."""
    browser.requests()
    browser.complaints()
    browser.driver.get(page.as_uri())
    browser.js(
        "for (const each of document.querySelectorAll('*')) for (const kind of ['mouseover', 'focus', 'error', 'load'])"
        " each.dispatchEvent(new Event(kind));"
        "for (const each of document.querySelectorAll('a')) each.click();"
    )
    assert browser.js("return [window.ran, window.events]") == [None, []]
    assert (
        browser.js("return document.querySelectorAll('img[onerror], iframe, base, svg[onload], a[href]').length") == 0
    )
    assert browser.js("return document.querySelectorAll('meta[http-equiv=refresh], link[href]').length") == 0
    assert browser.complaints() == []
    asked = [url for url in browser.requests() if not url.startswith(("blob:", "data:", "about:"))]
    assert asked
    assert all(urllib.parse.unquote(url).startswith(f"file://{page.parent}") for url in asked)
    return str(browser.js("return document.documentElement.textContent"))


def sound(path: Path, channels: int = 2) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = 0.1 * np.random.default_rng(1).standard_normal((RATE, channels))
    soundfile.write(path, noise, RATE, subtype="PCM_16")
    return path


def prompt(name: str) -> str:
    return f'"{said(name)}" on the left'


def scene(names: tuple[str, ...]) -> str:
    parts = [{"start": n / len(names), "text": prompt(name)} for n, name in enumerate(names)]
    return json.dumps({"prompts": parts})


def test_a_report_shows_names_and_runs_none(browser: Browser, tmp_path: Path) -> None:
    made = {name: {"value": [name, "\0", {name: name}]} for name in map(spelled, NAMES)}
    for number in range(0, len(NAMES), 3):
        names = NAMES[number : number + 3]
        out = sound(tmp_path / str(number) / f"{names[0][:100]}.wav")
        about = ReportedOutput(out, sound(tmp_path / str(number) / f"{names[-1][:100]}.in.wav", 1))
        few = names if number else NAMES
        timeline = parse_timeline(scene(few), "a.yaml")
        page = write_report(out.with_name("page.html"), about, timeline, {"model": names[0], **made})
        text = shown(browser, page)
        for each in few:
            assert said(each).lower()[:60] in text.lower(), each
        assert names[0][:40].strip(TURNS) in text


def test_a_study_shows_names_and_runs_none(browser: Browser, tmp_path: Path) -> None:
    for number, name in enumerate(NAMES):
        sound(tmp_path / "one" / f"{name[:100]}.wav")
        sound(tmp_path / "two" / f"{name[:100]}.wav")
        (tmp_path / "scenes").mkdir(exist_ok=True)
        text = f'"{said(NAMES[number - 1])}" on the left, "{said(name)}" on the right'
        lines = json.dumps({"prompts": [{"start": 0, "text": text}]})
        (tmp_path / "scenes" / f"{name[:100]}.yaml").write_text(lines, "utf-8")
    systems = {NAMES[0]: tmp_path / "one", NAMES[1]: tmp_path / "two"}
    make_study(tmp_path / "study.html", systems, tmp_path / "scenes")
    shown(browser, tmp_path / "study.html")
    asked = browser.js("return JSON.stringify(JSON.parse(document.getElementById('study').textContent))")
    assert json.dumps(spelled(NAMES[0]))[1:-1] in asked


def test_a_drawing_shows_names_and_runs_none(browser: Browser, tmp_path: Path) -> None:
    ears = 0.1 * np.random.default_rng(2).standard_normal((2, RATE))
    sources = [Source(spelled(name), ears, RATE, parse_timeline(scene((name,)), "a.yaml")) for name in NAMES[:6]]
    page = tmp_path / "drawing.svg"
    page.write_bytes(draw(plot_data("spl", sources), "svg", spelled(NAMES[0])))
    assert spelled(NAMES[0]) in shown(browser, page)
