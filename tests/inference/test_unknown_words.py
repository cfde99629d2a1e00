"""Words that the text encoder of the shipped model does not know, and those that it does."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tas_core.errors import TimelineError
from tas_core.inference.unknown_words import unknown_word_notes
from tas_core.models.text_encoders.base import CachedEncoder
from tas_core.models.text_encoders.minilm import MiniLM
from tas_core.models.text_encoders.minilm_words import MiniLMWords
from tas_core.timeline.files import load_timeline
from tas_core.timeline.segments import Segment, Timeline
from tas_core.timeline.spelling import catalogue_names, unknown_words
from tests.support.tiny import HashEncoder

ROOT = Path(__file__).resolve().parents[2]

NO_WORDS = "xqzvt blorf snargle frobnicator zzyzx asdfgh qwertz lkjh klingklang grobble splork wibbletron flumph brrzt"
NOT_UNDERSTOOD = (
    "viool fiol skrzypce housle hegedű viulu bębny trummor slagverk davul gitara kytara klaver zongora köpek pták kuş "
    "fågel скрипка барабан собака 小提琴 バイオリン 바이올린 كمان כינור βιολί ไวโอลิน वायलिन"
)
ESC_50 = (
    "dog, rooster, pig, cow, frog, cat, hen, insects, sheep, crow, rain, sea waves, crackling fire, crickets, chirping "
    "birds, water drops, wind, pouring water, toilet flush, thunderstorm, crying baby, sneezing, clapping, breathing, "
    "coughing, footsteps, laughing, brushing teeth, snoring, drinking, door knock, mouse click, keyboard typing, door "
    "creaks, can opening, washing machine, vacuum cleaner, clock alarm, clock tick, glass breaking, helicopter, "
    "chainsaw, siren, car horn, engine, train, church bells, airplane, fireworks, hand saw"
)
OTHERS = (
    "albatross, humpback whale, stork, giraffe, hamster, espresso machine, clip-clop, "
    "dishwasher, lawnmower, forklift, walrus, auctioneer, theremin, hurdy-gurdy, Anna, speaker A, John's guitar, DJ, "
    "the second violin, steam train, windchime, commentator, modem, kettle whistling, squealing brakes, 3rd man"
)


@pytest.fixture(scope="module")
def encoder() -> MiniLM:
    return MiniLM()


@pytest.mark.parametrize("word", [*NO_WORDS.split(), *NOT_UNDERSTOOD.split()])
def test_words_of_no_language_or_of_one_that_is_not_understood(encoder: MiniLM, word: str) -> None:
    assert unknown_words(word, encoder.knows) == (word,)
    assert unknown_words(f"a loud {word}", encoder.knows) == (word,)


@pytest.mark.parametrize("name", [name.strip() for name in f"{ESC_50}, {OTHERS}".split(",")])
def test_english_names_of_sounds_are_not_doubted(encoder: MiniLM, name: str) -> None:
    assert unknown_words(name, encoder.knows) == ()


def test_no_word_of_the_catalogue_or_of_the_examples_is_doubted(encoder: MiniLM) -> None:
    assert [name for name in catalogue_names() if unknown_words(f"loud {name}", encoder.knows)] == []
    for path in (ROOT / "examples").glob("*.yaml"):
        assert unknown_word_notes(load_timeline(path), encoder) == ()


def test_no_name_of_a_foreign_catalogue_is_doubted_since_it_is_translated(encoder: MiniLM) -> None:
    named = yaml.safe_load((ROOT / "prompts" / "synonyms.yaml").read_text("utf-8"))
    for word in ("Geige", "Schlagzeug", "violon", "batería", "fisarmonica"):
        assert any(word.lower() in words for words in named.values())
        assert unknown_word_notes(Timeline.from_prompt(f"{word} on the left"), encoder) == ()


def test_a_note_names_the_word_its_object_and_its_place(encoder: MiniLM) -> None:
    timeline = Timeline(
        (
            Segment.from_prompt(0, 1, "a snargle choir on the left, piano on the right", where="a.yaml:3:5"),
            Segment.from_prompt(1, 2, "a snargle choir on the right, 'blorf' on the left"),
        )
    )
    first, second = unknown_word_notes(timeline, CachedEncoder(encoder))
    assert first.startswith(
        "a.yaml:3:5: 'snargle' of \"snargle choir\" is a word that the text encoder does not know: "
    )
    assert "'blorf" in second
    with pytest.raises(TimelineError, match="'snargle' of"):
        unknown_word_notes(timeline, encoder, strict=True)
    assert unknown_word_notes(Timeline.from_prompt("trumpt on the left"), encoder) == ()  # said to be misspelt


@pytest.mark.parametrize(
    ("name", "such_as"), [("shawm", "oboe"), ("loud Dan-tranh", "koto"), ("oud player", "raga lute")]
)
def test_the_doubt_of_a_rare_instrument_names_what_sounds_like_it(encoder: MiniLM, name: str, such_as: str) -> None:
    (note,) = unknown_word_notes(Timeline.from_prompt(f"{name} on the left"), encoder)
    assert note.endswith(f"or other words, such as '{such_as}'")


def test_the_words_that_a_check_of_a_timeline_knows_are_those_of_the_encoder(encoder: MiniLM) -> None:
    known = MiniLMWords()
    for word in (*NO_WORDS.split(), *NOT_UNDERSTOOD.split(), "piano", "dog", "café", "walrus"):
        assert known.knows(word) == encoder.knows(word), word


def test_encoders_without_a_vocabulary_are_trusted() -> None:
    assert unknown_word_notes(Timeline.from_prompt("blorf on the left"), HashEncoder()) == ()
