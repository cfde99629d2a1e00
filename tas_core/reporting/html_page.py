"""HTML files that hold everything they need and ask no network for anything.

A page is a template with marks such as ``@@STYLE@@``, one style and one script. Its policy forbids every request,
and every script and style but those two. Data is JSON, and sounds are base64, in blocks that no browser runs.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile


def fill_page(folder: Path, parts: Mapping[str, bytes], *, policy: str = "") -> bytes:
    """The HTML file, UTF-8.

    Args:
        folder: holds ``page.html``, ``page.css`` and ``page.js``.
        parts: mark -> HTML to put there. ``POLICY``, ``STYLE`` and ``SCRIPT`` are filled in here. What was filled in
            is not searched for marks again.
        policy: further directives for the page's policy, such as ``media-src blob:``.

    Raises:
        KeyError: the template has a mark that has no part.
    """
    template, style, script = ((folder / f"page.{kind}").read_text("utf-8") for kind in ("html", "css", "js"))
    directives = [
        "default-src 'none'",
        f"script-src {_source_hash(script)}",
        f"style-src {_source_hash(style)}",
        *([policy] if policy else []),
        "base-uri 'none'",
        "form-action 'none'",
    ]
    known = {**parts, "POLICY": "; ".join(directives).encode(), "STYLE": style.encode(), "SCRIPT": script.encode()}
    pieces = re.split(r"@@([A-Z]+)@@", template)
    return b"".join(known[piece] if i % 2 else piece.encode() for i, piece in enumerate(pieces))


def inert_json(value: Any) -> bytes:
    """JSON that is plain ASCII and, inside HTML, nothing but text.

    Raises:
        ValueError: a number is not finite, which JSON has no word for.
    """
    text = json.dumps(value, allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode("ascii")


def sound_blocks(sounds: Mapping[str, bytes]) -> bytes:
    """Blocks with the ids ``sound-<name>``, each an audio file in base64; names are ASCII words."""
    return b"\n".join(
        b'<script id="sound-%s" type="text/plain">%s</script>' % (name.encode("ascii"), base64.b64encode(data))
        for name, data in sounds.items()
    )


def flac_bytes(samples: np.ndarray, sample_rate_hz: int) -> bytes:
    """A FLAC file of 16 bit from samples (channel, time); beyond full scale they are limited.

    Chromium, Firefox and Safari (from 11 on) play it.
    """
    whole = np.clip(np.rint(samples * 2.0**15), -(2**15), 2**15 - 1).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, whole.T, sample_rate_hz, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def _source_hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
