"""Messages: what cannot be seen is shown in them, and warnings name what they are about."""

from __future__ import annotations

import unicodedata
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tas_core.errors import Advice, AudioError, InputError, TasError, visible, warnings_about


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("in\u200b.wav", "in<U+200B>.wav"),
        ("in\u00a0put.wav", "in<U+00A0>put.wav"),
        ("\ufeffin.wav", "<U+FEFF>in.wav"),
        ("in\u202efdp.wav", "in<U+202E>fdp.wav"),
        ("so\u00adfa", "so<U+00AD>fa"),
        ("a\x1b[31mb\tc\x7f", "a<U+001B>[31mb<U+0009>c<U+007F>"),
        ("\u3164\u115f\u2800", "<U+3164><U+115F><U+2800>"),
        ("cel\u200dlo\u200c", "cel<U+200D>lo<U+200C>"),
        ("نی\u200cلبک", "نی\u200cلبک"),  # a flute, in Persian
        ("क\u094d\u200dष", "क\u094d\u200dष"),  # a half form, in Devanagari
        ("\N{WOMAN}\u200d\N{MICROPHONE}", "\N{WOMAN}\u200d\N{MICROPHONE}"),
        ("Zoë, e\u0301, 音.wav", "Zoë, e\u0301, 音.wav"),
        ("two\nlines", "two\nlines"),
        ("odd \udcff byte", "odd \udcff byte"),
    ],
)
def test_what_cannot_be_seen_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert visible(shown) == shown


@given(st.text())
def test_what_is_shown_can_be_seen(text: str) -> None:
    kinds = {unicodedata.category(char) for char in visible(text).replace("\n", "") if char not in "\u200c\u200d"}
    assert not kinds & {"Cc", "Cf", "Cn", "Co", "Zl", "Zp"}


def test_every_error_and_every_advice_shows_it() -> None:
    assert str(TasError("a\u200bb.wav: x")) == "a<U+200B>b.wav: x"
    assert str(InputError("a\nb\u200b")) == "a\nb<U+200B>"
    assert str(AudioError("a\nb.wav: no such file")) == "a<U+000A>b.wav: no such file"
    assert str(Advice("a\u200bb.wav: x")) == "a<U+200B>b.wav: x"


class _OwnWarning(UserWarning):
    pass


def test_warnings_within_name_what_they_are_about_once() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with warnings_about("in.wav"):
            warnings.warn("out.wav: loud", stacklevel=1)
            warnings.warn("in.wav: long", stacklevel=1)
            warnings.warn(_OwnWarning("x\u200b"), stacklevel=1)
            warnings.warn(Advice("quiet", remedy="channel", value=1), stacklevel=1)
        warnings.warn("behind", stacklevel=1)
    assert [str(said.message) for said in caught] == [
        "in.wav: out.wav: loud",
        "in.wav: long",
        "in.wav: x<U+200B>",
        "in.wav: quiet",
        "behind",
    ]
    assert [said.filename for said in caught] == [__file__] * 5
    assert caught[2].category is _OwnWarning
    advice = caught[3].message
    assert isinstance(advice, Advice)
    assert (advice.remedy, advice.value) == ("channel", 1)


def test_a_message_of_a_whole_file_is_shortened() -> None:
    text = str(TasError("a.yaml:1:1: " + "x" * 1_000_000 + " is no key, expected one"))
    assert len(text) < 10_000
    assert text.startswith("a.yaml:1:1: xxx")
    assert text.endswith("xxx is no key, expected one")
    assert str(TasError("y" * 9_999)) == "y" * 9_999
