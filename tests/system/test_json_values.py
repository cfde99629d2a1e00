from __future__ import annotations

import json

import pytest

from tas_core.system.json_values import json_value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "too deep"),
        ('{"a":' * 100_000, "too deep"),
        ("[1e999]", "1e999 is larger than any number"),
        ("-1" + "0" * 400, r"-1000000000000000000\.\.\. is a number of 402 digits"),
        ("9" * 5000, "is a number of 5000 digits"),
        ("NaN", "NaN is no number"),
        ("[-Infinity]", "-Infinity is no number"),
        ("{", "Expecting property name"),
        (b"\xff\xfe\x00", "no Unicode"),
        (b'"\x80"', "no Unicode"),
        ("", "Expecting value"),
    ],
)
def test_what_is_no_json_is_one_kind_of_error(text: str | bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        json_value(text)
    assert "\n" not in str(caught.value)


def test_values_are_those_of_json() -> None:
    value = {"a": [1, -2.5, 1e300, True, None, "\u00e9\ud800"], "b": {"c": 10**300}}
    assert json_value(json.dumps(value)) == json_value(json.dumps(value).encode("utf-16")) == value
    assert isinstance(json_value("3"), int)
    assert json_value("[NaN, Infinity]", not_numbers=True)[1] == float("inf")
    assert json_value('{"a": 1, "b": 2}', pairs=lambda pairs: {key + key: value for key, value in pairs}) == {
        "aa": 1,
        "bb": 2,
    }
