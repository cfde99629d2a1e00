from __future__ import annotations

import re

import pytest
from jinja2 import UndefinedError

from tas_core.reporting.html_page import templates


def test_what_a_template_shows_is_text() -> None:
    def filled(template: str, value: object) -> str:
        return templates().from_string(template).render(value=value)

    assert filled("{{ value }}", "a<b>&\"'\n\x00\ud800") == "a&lt;b&gt;&amp;&#34;&#39;\u240a\u2400?"
    assert filled("{{ value | tojson }}", {"b": "</script>&'\u2028", "a": 1}).isascii()
    assert not re.search("[<>&]", filled("{{ value | tojson }}", "</script>&<!--"))
    with pytest.raises(ValueError, match="Out of range"):
        filled("{{ value | tojson }}", float("nan"))
    with pytest.raises(UndefinedError, match="'other' is undefined"):
        filled("{{ other }}", 1)
