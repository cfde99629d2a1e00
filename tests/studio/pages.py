"""What the tests of the studio's page in a browser have in common."""

from __future__ import annotations

from typing import Any

from tests.support.browser import Browser


class StudioPage:
    """The page of a studio."""

    def __init__(self, browser: Browser, address: str) -> None:
        self.browser, self.address = browser, address

    def open(self) -> None:
        self.browser.driver.get(self.address)
        self.until("return document.documentElement.dataset.ready === 'true'")

    def until(self, code: str, *arguments: object) -> Any:
        return self.browser.until(code, *arguments)

    def press_button(self, key: str) -> None:
        self.until('const b = document.querySelector(`[data-key="${arguments[0]}"]`); return b && !b.disabled', key)
        self.browser.js('document.querySelector(`[data-key="${arguments[0]}"]`).click()', key)
