"""A headless Chromium for the tests of pages: what both of them do with it."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from typing import Any

import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
needs_chromium = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs Debian's chromium and chromium-driver")
ATTENTION_S = 60
"""How long a script may take, and how long is waited for something to become true."""
_FLAGS = (
    "headless=new",
    "no-sandbox",
    "disable-gpu",
    "disable-quic",
    "disable-dev-shm-usage",
    "disable-background-networking",
    "disable-component-update",
    "disable-sync",
    "no-first-run",
)


class Browser:
    """Chromium; a script runs in every page before its own do."""

    attention_s: float = ATTENTION_S

    def __init__(self, first_script: str, *flags: str, preferences: Mapping[str, object] | None = None) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.options import Options
        from selenium.webdriver.chrome.service import Service

        options = Options()
        options.binary_location = CHROMIUM or ""
        for flag in (*_FLAGS, *flags):
            options.add_argument(f"--{flag}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        if preferences:
            options.add_experimental_option("prefs", dict(preferences))
        self.driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        self.cdp("Page.addScriptToEvaluateOnNewDocument", source=first_script)
        self.driver.set_script_timeout(ATTENTION_S)

    def cdp(self, command: str, **arguments: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, arguments)

    def js(self, code: str, *arguments: object) -> Any:
        return self.driver.execute_script(code, *arguments)

    def until(self, code: str, *arguments: object) -> Any:
        """Wait until some JavaScript is true; what it is then."""
        end = time.monotonic() + self.attention_s
        while not (found := self.js(code, *arguments)):
            assert time.monotonic() < end, (code, arguments, self.js("return document.body.innerText")[:2000])
            time.sleep(0.05)
        return found

    def press(self, *keys: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def requests(self) -> list[str]:
        """Addresses asked for since this was last read."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]

    def complaints(self) -> list[str]:
        """What the console said since this was last read."""
        return [entry["message"] for entry in self.driver.get_log("browser")]
