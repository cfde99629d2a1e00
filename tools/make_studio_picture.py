"""Makes the picture of docs/STUDIO.md: the page of ``tas studio`` with the duet of the examples, in a real browser.

::

    python tools/make_studio_picture.py docs/figures/studio.png
"""

from __future__ import annotations

import base64
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.browser import ATTENTION_S, Browser  # noqa: E402

SIZE = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}


def main(target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("duet.flac", "duet.yaml"):
            shutil.copy(ROOT / "examples" / name, folder)
        command = [sys.executable, "-m", "tas_cli", "studio", f"{folder}/duet.flac", "--no-browser"]
        studio = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        browser = Browser("")
        try:
            assert studio.stdout is not None
            browser.cdp("Emulation.setDeviceMetricsOverride", **SIZE)
            browser.driver.get(studio.stdout.readline().strip())
            until = time.monotonic() + ATTENTION_S
            while not browser.js("return document.documentElement.dataset.ready === 'true'"):
                assert time.monotonic() < until, browser.complaints()
                time.sleep(0.1)
            browser.js("tasStudio.store.choose('trumpet')")
            time.sleep(2)  # the waveform
            target.write_bytes(base64.b64decode(browser.cdp("Page.captureScreenshot")["data"]))
        finally:
            browser.driver.quit()
            studio.terminate()
            studio.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
