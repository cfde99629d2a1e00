"""The prompt language: what is understood, what is refused and where the caret points."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tas_core.errors import PromptError
from tas_core.timeline.gains import GainPath
from tas_core.timeline.levels import REMOVED
from tas_core.timeline.places import AzimuthPath
from tas_core.timeline.prompts import Clause, format_prompt, mirror_prompt_text, parse_prompt, read_prompt


def clause(name: str, start: float, end: float | None = None) -> Clause:
    return Clause(name, AzimuthPath(start, start if end is None else end))


# Each expected entry is (object, azimuth) or (object, start, end); positive is left.
UNDERSTOOD: list[tuple[str, list[tuple]]] = [
    # sides and center
    ("cello on the left, piano on the right", [("cello", 55), ("piano", -55)]),
    ("cello left; piano right", [("cello", 55), ("piano", -55)]),
    ("left cello, right piano, center voice", [("cello", 55), ("piano", -55), ("voice", 0)]),
    ("cello in the center", [("cello", 0)]),
    ("cello in the centre", [("cello", 0)]),
    ("cello in the middle, flute straight ahead", [("cello", 0), ("flute", 0)]),
    ("piano right in front of me", [("piano", 0)]),
    ("piano in front", [("piano", 0)]),
    ("voice on the left-hand side", [("voice", 55)]),
    ("violin to my left", [("violin", 55)]),
    ("violin in the right channel", [("violin", -55)]),
    ("violin leftmost", [("violin", 90)]),
    ("cello to the left of the stage", [("cello", 55)]),
    ("cello front left", [("cello", 30)]),
    # strengths
    ("cello slightly left", [("cello", 25)]),
    ("cello slightly to the right", [("cello", -25)]),
    ("cello a little off center to the left", [("cello", 25)]),
    ("cello left of center", [("cello", 25)]),
    ("cello far left", [("cello", 75)]),
    ("cello far-right", [("cello", -75)]),
    ("cello hard left", [("cello", 90)]),
    ("cello panned hard right", [("cello", -90)]),
    ("guitar all the way to the left", [("guitar", 90)]),
    # degrees
    ("a man talking 30 degrees to the left", [("man talking", 30)]),
    ("cello 30° left", [("cello", 30)]),
    ("cello 30 deg right", [("cello", -30)]),
    ("cello 30deg right", [("cello", -30)]),
    ("cello at -30 degrees", [("cello", -30)]),
    ("cello at \N{MINUS SIGN}30 degrees", [("cello", -30)]),
    ("cello at \N{EN DASH}30°", [("cello", -30)]),
    ("cello at +12.5 degrees", [("cello", 12.5)]),
    ("cello at 30 degrees", [("cello", 30)]),
    ("cello at 0 degrees", [("cello", 0)]),
    ("cello 0 degrees to the left", [("cello", 0)]),
    ("cello at zero degrees right, dog left", [("cello", 0), ("dog", 55)]),
    ("cello from 0 degrees to the left", [("cello", 0, 55)]),
    ("beep forty-five degrees to the left", [("beep", 45)]),
    ("beep at a 30-degree angle to the right", [("beep", -30)]),
    ("cello left by 30 degrees", [("cello", 30)]),
    ("cello on the right at 20 degrees", [("cello", -20)]),
    ("cello 90 degrees left", [("cello", 90)]),
    # clock
    ("cello at 10 o'clock", [("cello", 60)]),
    ("cello at 2 o\N{RIGHT SINGLE QUOTATION MARK}clock", [("cello", -60)]),
    ("cello at twelve o'clock, dog at nine o'clock", [("cello", 0), ("dog", 90)]),
    ("cello at 10:30", [("cello", 45)]),
    ("dog at half past one", [("dog", -45)]),
    # movement
    ("the cello moves from the left to the right; a piano in the center", [("cello", 55, -55), ("piano", 0)]),
    ("a car passes from left to right", [("car", 55, -55)]),
    ("a car moves left-to-right", [("car", 55, -55)]),
    ("a car pans slowly from hard right towards the center", [("car", -90, 0)]),
    ("from left to right a train moves", [("train", 55, -55)]),
    ("a man walks from 10 o'clock to 2 o'clock", [("man walks", 60, -60)]),
    ("a fly from 40 degrees left to 10 degrees right", [("fly", 40, -10)]),
    ("the cello starts on the left and moves to the right", [("cello", 55, -55)]),
    ("cello and viola on the left and move to the right", [("cello", 55, -55), ("viola", 55, -55)]),
    ("a car enters from the left and exits to the right", [("car", 55, -55)]),
    ("the leaves to the left, rain on the right", [("leaves", 55), ("rain", -55)]),
    # shared places
    ("bass and drums on the right", [("bass", -55), ("drums", -55)]),
    ("cello, viola and bass on the right", [("cello", -55), ("viola", -55), ("bass", -55)]),
    ("bass and drums on the right, piano on the left", [("bass", -55), ("drums", -55), ("piano", 55)]),
    ("bass and\ndrums on the right", [("bass", -55), ("drums", -55)]),
    ("drum and bass loop on the left", [("drum", 55), ("bass loop", 55)]),
    # the place first
    ("on the left a cello", [("cello", 55)]),
    ("left: cello", [("cello", 55)]),
    ("left is a piano", [("piano", 55)]),
    ("On the left, a cello; on the right, a piano.", [("cello", 55), ("piano", -55)]),
    ("there is a cello on the left and to the right a piano", [("cello", 55), ("piano", -55)]),
    (
        "on the left a cello and a viola, in the middle drums",
        [("cello", 55), ("viola", 55), ("drums", 0)],
    ),
    # without joiners
    ("cello left piano right", [("cello", 55), ("piano", -55)]),
    ("cello on the left piano on the right", [("cello", 55), ("piano", -55)]),
    # what remains of the object
    (
        "The man is playing the piano on the left and the cello is in the center",
        [("man playing piano", 55), ("cello", 0)],
    ),
    ("the cello is playing on the left", [("cello", 55)]),
    ("a dog barks on the left", [("dog barks", 55)]),
    ("rain comes from the right", [("rain", -55)]),
    ("put the drums in the center", [("drums", 0)]),
    ("a pan flute on the left, a drum set on the right", [("pan flute", 55), ("drum set", -55)]),
    ("a man on the left talking", [("man talking", 55)]),
    ("everything else in the center", [("everything else", 0)]),
    ("the rest on the right", [("rest", -55)]),
    ("right-hand piano part on the left", [("right-hand piano part", 55)]),
    ("right hand piano part on the left", [("right hand piano part", 55)]),
    ("middle eastern flute on the left", [("middle eastern flute", 55)]),
    ("a 3rd violin on the right", [("3rd violin", -55)]),
    ("track 14 left, instrument number 39 right", [("track 14", 55), ("instrument number 39", -55)]),
    ("violin 1 left, violin 2 right", [("violin 1", 55), ("violin 2", -55)]),
    ("R&B song on the left", [("r&b song", 55)]),
    ('"drum and bass" on the left', [("drum and bass", 55)]),
    ("the “left, right” song on the right", [("left, right song", -55)]),
    # letters and spaces
    ("  CELLO \t ON THE   LEFT ", [("cello", 55)]),
    ("Cello on the left.\nPiano on the right.", [("cello", 55), ("piano", -55)]),
    ("cafe\N{COMBINING ACUTE ACCENT} noise on the left", [("café noise", 55)]),
    ("\N{VIOLIN} on the left", [("\N{VIOLIN}", 55)]),
]


@pytest.mark.parametrize(("text", "expected"), UNDERSTOOD, ids=[text for text, _ in UNDERSTOOD])
def test_prompt_is_understood_and_so_is_its_mirror_image(text: str, expected: list[tuple]) -> None:
    clauses = tuple(clause(*entry) for entry in expected)
    assert parse_prompt(text) == clauses
    mirrored = mirror_prompt_text(text)
    assert parse_prompt(mirrored) == tuple(c.mirrored() for c in clauses)
    assert parse_prompt(mirror_prompt_text(mirrored)) == clauses
    assert parse_prompt(format_prompt(clauses)) == clauses


@pytest.mark.parametrize(
    "phrase", ["singer in the night", "crowd at a concert", "cello on a lift", "birds in the forest"]
)
def test_an_object_may_end_in_words_that_only_look_like_a_place(phrase: str) -> None:
    assert len(parse_prompt(f"{phrase} on the left, piano on the right")) == 2


def test_quotes_keep_what_looks_misspelt() -> None:
    assert parse_prompt('"cello on the lefft" on the right')[0].object == "cello on the lefft"


# The words under the caret, and a part of the first line.
REFUSED = [
    ("cello", "cello", "without a place"),
    ("cello on the left, piano", "piano", "without a place"),
    ("piano over there\nbass right", "piano over there", "without a place"),
    ("cello lefft", "cello lefft", 'did you mean "left"'),
    ("cello on the lefft, piano on the right", "cello on the lefft", 'did you mean "left"'),
    ("piano right, cello in the cener and flute left", "cello in the cener", 'did you mean "center"'),
    ("on the left, a cello to rihgt", "a cello to rihgt", "put the object in quotes"),
    ("on the left", "on the left", "without an object"),
    ("is playing on the left", "on the left", "without an object"),
    ("cello on the left, on the right", "on the right", "without an object"),
    ('"" on the left', "on the left", "without an object"),
    ("cello 181 degrees left", "181 degrees left", "behind the listener"),
    ("cello at -360.5 degrees", "at -360.5 degrees", "behind the listener"),
    ("back dog behind me on the left, right", "right", "without an object"),
    ("dog above me at 10 degrees down", "above me at 10 degrees down", "one place"),
    ("dog at 100 degrees up", "100 degrees up", "at most 90"),
    ("dog at 13 o'clock", "13", "1 to 12"),
    ("dog at 10:75", "10:75", "below 60"),
    ("bird up tune left", "up", "a height that is not understood"),
    ("cello to the left of the piano", "to the left of the piano", "no sound of this prompt"),
    ("cello next to the piano", "next to the piano", "no sound of this prompt"),
    ("singer left, cello to her right", "her right", "relative to another sound"),
    ("cello on both sides", "both sides", "one place"),
    ("cello on the left on the right", "on the right", "second place"),
    ("cello on the left and flute in the middle on the right", "on the right", "second place"),
    ("cello on the left then on the right", "then", "segment"),
    ("cello on the left, the cello on the right", "the cello", "twice"),
    ("dog moves to the right", "moves to the right", "without a start"),
    ("dog walks right", "walks right", "without a start"),
    ("departs to the left", "departs to the left", "without a start"),
    ("dog left, a car leaves to the right", "leaves to the right", "without a start"),
    ("dog moves from the left", "moves from the left", "without an end"),
    ("dog moves from left to right to left", "to left", "second place"),
    ("dog moves from left to right and moves to the center", "to the center", "second movement"),
    ("cello at 30", "30", "without a unit"),
    ("cello -30", "-30", "without a unit"),
    ("cello 30% left", "%", "degrees, clock hours or metres"),
    ('cello left, "dog on the right', '"', "not closed"),
    ("猫 on the left, 犬 over there", "犬 over there", "without a place"),
    (",,,", ",,,", "no object"),
]


@pytest.mark.parametrize(("text", "culprit", "first_line"), REFUSED, ids=[r[0] for r in REFUSED])
def test_refusal_points_at_the_culprit(text: str, culprit: str, first_line: str) -> None:
    with pytest.raises(PromptError) as caught:
        parse_prompt(text)
    first, shown, caret, *examples = str(caught.value).split("\n")
    assert first_line in first
    assert culprit in first
    line = next(line for line in text.split("\n") if culprit in line)
    assert shown == "  " + line
    # The last occurrence: a test text that holds the culprit's words twice means the second.
    wide = sum(ord(c) > 0x2E80 for c in line[: line.rindex(culprit)])
    assert len(caret) - len(caret.lstrip()) == 2 + line.rindex(culprit) + wide
    assert caret.count("^") == len(culprit) + sum(ord(c) > 0x2E80 for c in culprit)
    assert len(examples) > 1


@pytest.mark.parametrize("text", ["", "  \n "])
def test_empty_prompt_is_refused(text: str) -> None:
    with pytest.raises(PromptError, match="prompt is empty"):
        parse_prompt(text)


def test_a_file_passed_by_mistake_is_refused() -> None:
    with pytest.raises(PromptError, match="9003 characters"):
        parse_prompt("cello on the left, " * 473 + "x" * 16)


def test_message_shows_no_control_characters_of_the_prompt() -> None:
    with pytest.raises(PromptError) as caught:
        parse_prompt("\x1b[31mdog")
    assert "\x1b" not in str(caught.value)


def test_caret_stays_near_in_a_long_line() -> None:
    text = "cello on the left, " + "a very " * 60 + "long flute on the right, oboe at 13:00, " + "x" * 300
    with pytest.raises(PromptError) as caught:
        parse_prompt(text)
    _, shown, caret, *_ = str(caught.value).split("\n")
    assert len(shown) <= 112
    assert shown[caret.index("^") : caret.rindex("^") + 1] == "13:00"


def test_the_examples_in_messages_are_understood() -> None:
    with pytest.raises(PromptError) as caught:
        parse_prompt("cello")
    for example in str(caught.value).split("\n")[4:]:
        assert parse_prompt(example)


def test_mirror_touches_only_the_words_of_places() -> None:
    text = "The Right-hand part on the LEFT, a dog at 10:30; “right” at -12.50 degrees, noise Leftmost"
    assert mirror_prompt_text(text) == (
        "The Right-hand part on the RIGHT, a dog at 1:30; “right” at 12.50 degrees, noise Rightmost"
    )


azimuths = st.floats(-90, 90)
paths = st.builds(AzimuthPath, azimuths, azimuths) | azimuths.map(lambda a: AzimuthPath(a, a))


words = st.sampled_from(
    "cello left right the and moves from to at 30 degrees o'clock , ; . half past ten far hard of center "
    "playing 10:30 - -5 ° in front behind & a/c r&b 3rd “ it's L R L45 45R minus forty five hard almost slightly : → "
    "behind overhead above 3 m away circles clockwise every twice of the piano between next to opposite wide church "
    "around background everywhere comes leaves enters no not up 3 seconds stage center , links rechts gauche à "
    "dB +3 louder quieter twice as loud remove only rest everything else silence fade out gets by turn down".split()
)
objects = st.lists(words, min_size=1, max_size=5).map(" ".join) | st.text(min_size=1, max_size=12)


decibels = st.floats(-100, 40) | st.just(-math.inf) | st.just(0.0)
gains = st.just(GainPath()) | st.builds(GainPath, decibels, decibels)


@st.composite
def clauses(draw: st.DrawFn) -> Clause:
    path, gain = draw(paths), draw(gains)
    is_placed = gain != REMOVED and draw(st.booleans())
    path = path if is_placed else AzimuthPath(0.0, 0.0)
    try:
        return Clause(draw(objects), path, gain, is_placed)
    except PromptError:
        return Clause("cello", path, gain, is_placed)


@settings(max_examples=200, deadline=None)
@given(st.lists(clauses(), min_size=1, max_size=4, unique_by=lambda c: c.object), gains)
def test_any_clauses_survive_being_written_and_mirrored(scene: list[Clause], rest: GainPath) -> None:
    text = format_prompt(scene, rest)
    read = read_prompt(text)
    assert (read.clauses, read.rest) == (tuple(scene), rest)
    assert parse_prompt(mirror_prompt_text(text)) == tuple(c.mirrored() for c in scene)


@settings(max_examples=300, deadline=None)
@given(st.lists(words, max_size=14).map(" ".join) | st.text(max_size=30))
def test_any_text_is_understood_or_refused_and_symmetric(text: str) -> None:
    try:
        read = read_prompt(text)
    except PromptError:
        return
    understood = read.clauses
    assert len({c.object for c in understood}) == len(understood) > 0
    mirrored = tuple(c.mirrored() for c in understood)
    assert parse_prompt(mirror_prompt_text(text)) == mirrored
    written = read_prompt(format_prompt(understood, read.rest))
    assert (written.clauses, written.rest) == (understood, read.rest)


def test_clause_normalises_its_object() -> None:
    assert Clause("  A  Loud\nCello ", AzimuthPath(0, 0)).object == "a loud cello"


@pytest.mark.parametrize("name", ["", "  ", 'say "hi"', "bell\x07", "say “hi”"])
def test_clause_refuses_an_object_that_cannot_be_written(name: str) -> None:
    with pytest.raises(PromptError, match="not an object"):
        Clause(name, AzimuthPath(0, 0))


@pytest.mark.parametrize("scene", [[], [clause("cello", 1), clause("cello", 2)]])
def test_format_refuses_what_parse_would_refuse(scene: list[Clause]) -> None:
    with pytest.raises(PromptError, match="each object once"):
        format_prompt(scene)


def test_import_is_light() -> None:
    code = (
        "import sys, tas_core.timeline.prompts, tas_core.timeline.segments, tas_core.audio.reader\n"
        "print([m for m in ('torch', 'typer', 'rich', 'scipy', 'transformers') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("place", ["to the left", "on the left", "left", "halfway to the left"])
def test_a_name_of_the_catalogue_may_end_like_a_verb(place: str) -> None:
    (clause,) = parse_prompt(f"frying pan {place}")
    assert (clause.object, clause.azimuth.is_moving) == ("frying pan", False)
    with pytest.raises(PromptError, match="a movement without a start"):
        parse_prompt("car driving to the left")
