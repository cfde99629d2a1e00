"""axe-core, which looks for what shuts people out: names that are missing, contrast, roles, order.

``axe/`` beside this has version 4.14.1 of Deque Systems as its makers ship it, under the Mozilla Public License 2.0;
its source is https://github.com/dequelabs/axe-core.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tests.support.browser import Browser

_AXE = Path(__file__).with_name("axe") / "axe.min.js"
_RUN = """
const done = arguments[arguments.length - 1];
axe.run(document, {resultTypes: ['violations'], elementRef: false}).then((found) => done(found.violations.flatMap(
  (rule) => rule.nodes.map((node) => [rule.impact, `${rule.id}: ${node.target.join(' ')}: ${node.failureSummary}`]),
)), (error) => done([['critical', String(error)]]));
"""
SERIOUS = ("serious", "critical")


def barriers(browser: Browser) -> list[str]:
    """What is serious or critical of the page that is open, a line or more each: rule, element, what is wrong."""
    if not browser.js("return Boolean(window.axe)"):
        browser.cdp("Runtime.evaluate", expression=_source())  # the debugger's, which no policy of the page forbids
    return [what for impact, what in browser.driver.execute_async_script(_RUN) if impact in SERIOUS]


@cache
def _source() -> str:
    return _AXE.read_text()
