"""Tables of a report: numbers in words, and text that stays text."""

from __future__ import annotations

import re

from tas_core.reporting.html_page import templates
from tas_core.reporting.report.tables import WORDS, clock, direction, facts, number


def test_words_and_numbers() -> None:
    assert [clock(s) for s in (0, 9.999, 59.996, 61.5, 3600)] == [
        "0:00.00",
        "0:10.00",
        "1:00.00",
        "1:01.50",
        "60:00.00",
    ]
    assert [direction(d) for d in (55.4, -55.4, 0.3, -0.3, 90)] == ["55° left", "55° right", "0°", "0°", "90° left"]
    assert number(-3.04, "dB", sign=True) == "\u22123.0\u00a0dB"
    assert number(3.04, "dB", sign=True) == "+3.0\u00a0dB"
    assert number(-0.01, "dB", sign=True) == "0.0\u00a0dB"
    assert number(float("-inf"), "dB") == "\u2212\u221e\u00a0dB"
    assert number(None, "dB") == "\u2013"


def test_provenance_of_any_shape_is_text() -> None:
    values = {
        "a<": {"b": 1.23456789, "c": None},
        "list": [1, "x<y"],
        "deep": [{"k": "<b>\n"}],
        "empty": {},
        "yes": True,
    }
    macros = templates().get_template("report/tables.html").make_module(WORDS)
    table = macros.facts(facts(values))
    cells = re.findall(r'<th scope="row">(.*?)</th><td>(.*?)</td>', table, re.DOTALL)
    assert [name for name, _ in cells] == ["a&lt; › b", "a&lt; › c", "list", "deep", "empty", "yes"]
    values = dict(cells)
    assert values["a&lt; › b"] == "1.23457"
    assert values["a&lt; › c"] == values["empty"] == "\u2013"
    assert values["list"] == "<bdi>1</bdi>, <bdi>x&lt;y</bdi>"
    assert "1 entry" in values["deep"]
    assert "&lt;b&gt;" in values["deep"]
    assert "<b>" not in table
    assert values["yes"] == "yes"
