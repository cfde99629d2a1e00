"""Makes the picture of docs/STUDIO.md: the page of ``tas studio`` with the duet of the examples, in a real browser.

::

    python tools/make_studio_picture.py docs/figures/studio.png
"""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.browser import ATTENTION_S, Browser  # noqa: E402

SIZE = {"width": 1280, "height": 1180, "deviceScaleFactor": 1, "mobile": False}


class StudioPage(Browser):
    """A browser with the page of a studio."""

    attention_s = 5 * ATTENTION_S

    def picture(self) -> bytes:
        """What is seen, as PNG."""
        return base64.b64decode(self.cdp("Page.captureScreenshot")["data"])


@contextlib.contextmanager
def duet_page(size: dict[str, object], scene: str) -> Iterator[StudioPage]:
    """The page of a studio on the duet, with a scene, when its waveform is there."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(ROOT / "examples" / "duet.flac", folder)
        Path(folder, "duet.yaml").write_text(scene)
        command = [sys.executable, "-m", "tas_cli", "studio", "duet.flac", "--no-browser"]
        paths = {"PYTHONPATH": str(ROOT)}
        studio = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder, env={**os.environ, **paths})
        page = StudioPage("", "autoplay-policy=no-user-gesture-required")
        try:
            assert studio.stdout is not None
            page.cdp("Emulation.setDeviceMetricsOverride", **size)
            page.cdp("Emulation.setScrollbarsHidden", hidden=True)
            page.driver.get(studio.stdout.readline().strip())
            page.until("return document.documentElement.dataset.ready === 'true'")
            time.sleep(2)  # the waveform
            yield page
        finally:
            page.driver.quit()
            studio.terminate()
            studio.wait()


def main(target: Path) -> None:
    with duet_page(SIZE, (ROOT / "examples" / "duet.yaml").read_text()) as page:
        page.js("tasStudio.store.choose('trumpet')")
        target.write_bytes(page.picture())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
