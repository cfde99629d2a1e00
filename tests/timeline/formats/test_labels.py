"""Label tracks: what they mean, and what is refused where."""

from __future__ import annotations

from pathlib import Path

import pytest

from tas_core.errors import InputError
from tests.timeline.conftest import LEFT, RIGHT, SRT_SPANS, Load, spans


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(f"1.000000\t3.200000\t{LEFT}\n3.200000\t3723.004000\t{RIGHT}\n", id="as Audacity writes"),
        pytest.param(f"1\t3.2\t{LEFT}\r\n3.2\t3723.004\t{RIGHT}", id="CRLF, no final newline"),
        pytest.param(f"\ufeff1,0\t3,2\t{LEFT}\n\n3,2\t3723,004\t{RIGHT}\n", id="decimal commas, byte order mark"),
        pytest.param(f"1e0\t3.2\t {LEFT} \n+3.2\t3723.004\tpiano\ton the right\n", id="white space"),
        pytest.param(
            f"1\t3.2\t{LEFT}\n\\\t100.000000\t2000.000000\n3.2\t3723.004\t{RIGHT}\n\\\t-1.000000\t-1.000000\n",
            id="frequencies",
        ),
        pytest.param(f"0\t1\t\n1\t3.2\t{LEFT}\n3.2\t3723.004\t{RIGHT}\n4000\t4000\n", id="blank labels"),
        pytest.param(f"3.2\t3723.004\t{RIGHT}\n1\t3.2\t{LEFT}\n", id="disordered"),
    ],
)
def test_label_tracks_of_every_kind_are_read(load: Load, content: str) -> None:
    assert spans(load("labels.txt", content)) == SRT_SPANS


def test_a_label_without_length_holds_until_the_next_label(load: Load) -> None:
    timeline = load("labels.txt", f"1\t1\t{LEFT}\n3\t4\t{RIGHT}\n5\t5\t{LEFT}\n6\t6\t{RIGHT}\n")
    closed = timeline.resolved(10.0)
    assert spans(closed) == [(1.0, 3.0, LEFT), (3.0, 4.0, RIGHT), (5.0, 6.0, LEFT), (6.0, 10.0, RIGHT)]


def test_a_blank_label_ends_the_one_before(load: Load) -> None:
    timeline = load("labels.txt", f"1\t1\t{LEFT}\n3\t3\t\n4\t4\t{RIGHT}\n4\t4\n")
    assert spans(timeline) == [(1.0, 3.0, LEFT), (4.0, None, RIGHT)]


REFUSED_LABELS = [
    ("", "", "no segments, expected at least one label"),
    ("0\t1\t\n", "", "no segments"),
    ("  once upon a time\n", "1:3", "not a label"),
    (f"0\t1\t{LEFT}\n1 2 {RIGHT}\n", "2:1", "not a label"),
    (f"\\\t100\t200\n0\t1\t{LEFT}\n", "1:1", "frequencies without a label"),
    (f"0:00\t1\t{LEFT}\n", "1:1", '"0:00" is not a time in seconds'),
    (f"0\t  soon\t{LEFT}\n", "1:5", '"soon" is not a time in seconds'),
    (f"0\tinf\t{LEFT}\n", "1:3", '"inf" is not a time in seconds'),
    (f"0\t\t{LEFT}\n", "1:3", "is not a time in seconds"),
    (f"0\t1e400\t{LEFT}\n", "1:1", "expected a time after the start"),
    (f"-1\t1\t{LEFT}\n", "1:1", "the start is -1 s, expected 0 or more"),
    (f"0\t{'9' * 308}\t{LEFT}\n", "1:1", "the end is 1e+308 s, expected less than 1e+09 s"),
    (f"1000000000\t1000000001\t{LEFT}\n", "1:1", "the start is 1e+09 s, expected less than 1e+09 s"),
    (f"2\t1\t{LEFT}\n", "1:1", "expected a time after the start at 2 s"),
    (f"0\t1\t{LEFT}\n1\t2\t  piano\n", "2:7", "an object without a place"),
]


@pytest.mark.parametrize(("content", "where", "what"), REFUSED_LABELS, ids=[repr(r[0][:30]) for r in REFUSED_LABELS])
def test_bad_label_tracks_are_refused_with_their_position(
    load: Load, tmp_path: Path, content: str, where: str, what: str
) -> None:
    with pytest.raises(InputError) as caught:
        load("a.txt", content)
    first_line = str(caught.value).split("\n")[0]
    assert first_line.startswith(f"{tmp_path / 'a.txt'}:{where}: " if where else f"{tmp_path / 'a.txt'}: ")
    assert what in first_line
