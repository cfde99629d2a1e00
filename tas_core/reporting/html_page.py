"""HTML files that hold everything they need and ask no network for anything.

A page is a folder of this package with a template ``page.html`` (Jinja2) that extends ``base.html``, a style
``page.css`` that goes on from ``shared.css``, and scripts that go on from ``shared.js``. The policy in its head forbids
every request, and every script and style but those. Whatever a template is given is text and is escaped; data is JSON,
and sounds are base64, in blocks that no browser runs.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import soundfile

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_FOLDER: Final = Path(__file__).resolve().parent
_CONTROL: Final = {code: chr(0x2400 + code) for code in range(32)} | {0x7F: "\u2421"}


def fill_page(
    name: str,
    data: Mapping[str, Any],
    sounds: Mapping[str, bytes],
    values: Mapping[str, Any] | None = None,
    *,
    scripts: Sequence[str] = ("page.js",),
    policy: str = "",
) -> bytes:
    """The HTML file, UTF-8.

    Args:
        name: of the page's folder, "report" or "study"; also the id of the block with the data.
        data: what the script reads, plain JSON values.
        sounds: name -> audio file, in blocks with the ids ``sound-<name>``; names are ASCII words.
        values: what else the template shows.
        scripts: of the page's folder, in their order; they are one script in the file.
        policy: further directives for the page's policy, such as ``media-src blob:``.

    Raises:
        jinja2.UndefinedError: the template shows a value that is not there.
        ValueError: a number in the data is not finite, which JSON has no word for.
    """
    from markupsafe import Markup

    style = _read("shared.css") + _read(f"{name}/page.css")
    script = _read("shared.js") + "".join(_read(f"{name}/{part}") for part in scripts)
    directives = [
        "default-src 'none'",
        f"script-src {_source_hash(script)}",
        f"style-src {_source_hash(style)}",
        *([policy] if policy else []),
        "base-uri 'none'",
        "form-action 'none'",
    ]
    shown = {
        **(values or {}),
        "name": name,
        "policy": "; ".join(directives),
        "style": Markup(style),
        "script": Markup(script),
        "data": data,
        "sounds": sounds,
    }
    # In pieces, so that a page of 200 MB is not in memory as text as well.
    return b"".join(piece.encode() for piece in templates().get_template(f"{name}/page.html").generate(shown))


@cache
def templates() -> Environment:
    """The templates of this package, by their paths in it.

    They escape what they show, also inside attributes; control characters become visible signs and lone surrogates
    "?". The filter ``tojson`` gives ASCII that is inert in HTML, ``base64`` the bytes of a file.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.policies["json.dumps_kwargs"] = {"allow_nan": False}
    made.filters["base64"] = _base64
    return made


def flac_bytes(samples: np.ndarray, sample_rate_hz: int) -> bytes:
    """A FLAC file of 16 bit from samples (channel, time); beyond full scale they are limited.

    Chromium, Firefox and Safari (from 11 on) play it.
    """
    whole = np.clip(np.rint(samples * 2.0**15), -(2**15), 2**15 - 1).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, whole.T, sample_rate_hz, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def _visible(value: Any) -> Any:
    """A value as text, control characters as signs that can be seen and lone surrogates as "?"; HTML as it is."""
    if hasattr(value, "__html__"):
        return value
    return str(value).translate(_CONTROL).encode("utf-8", "replace").decode("utf-8")


def _base64(data: bytes) -> Markup:
    from markupsafe import Markup

    return Markup(base64.b64encode(data).decode("ascii"))


def _read(path: str) -> str:
    return (_FOLDER / path).read_text("utf-8")


def _source_hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
