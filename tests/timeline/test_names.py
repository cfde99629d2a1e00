"""Names of sounds: spelling mistakes, names in other languages, and what is left over in a name."""

from __future__ import annotations

import pytest
import yaml

from tas_core.errors import PromptError, TimelineError
from tas_core.timeline.doubts import timeline_doubts
from tas_core.timeline.prompts import parse_prompt
from tas_core.timeline.segments import Timeline
from tas_core.timeline.spelling import catalogue_names, english_name, likely_name
from tas_core.timeline.vocabulary import languages, vocabulary, words_file


@pytest.mark.parametrize(
    ("name", "likely"),
    [
        ("trumpt", "trumpet"),
        ("drmus", "drums"),
        ("pinao", "piano"),
        ("vioiln", "violin"),
        ("celo", "cello"),
        ("saxaphone", "saxophone"),
        ("acordion", "accordion"),
        ("clarinette player", "clarinet player"),
        ("elctric guitar", "electric guitar"),
        ("men talkng", "men talking"),
        ("Klavier", "piano"),
        ("schlagzeug", "drums"),
    ],
)
def test_a_name_that_is_nearly_one_of_the_catalogue_is_doubted(name: str, likely: str) -> None:
    assert likely_name(name) == likely


@pytest.mark.parametrize(
    "name",
    "trumpets violins rain crow train car didgeridoo dog barks drum cymbals grass horns singer guitars flutes bell "
    "ball brass john mary café speaker a first violin rainy whisper voices toms synths".split(),
)
def test_other_names_are_not_doubted(name: str) -> None:
    assert likely_name(name) is None


@pytest.mark.parametrize(
    "name",
    "clip-clop|tick-tock|babbling|bellow|gargling|lawn mower|espresso machine|sine wave|donkey braying|electric shaver|"
    "water drips|pipa|charango|lyra|setar|mellophone|melodica|viola da gamba|bata".split("|"),
)
def test_rare_words_are_no_spelling_mistakes(name: str) -> None:
    assert likely_name(name) is None


def test_the_kin_of_a_rare_instrument_is_in_the_catalogue() -> None:
    table: dict[str, list[str]] = yaml.safe_load(words_file("kin.yaml").read_text("utf-8"))
    assert table.keys() <= catalogue_names()
    rare = [word for words in table.values() for word in words]
    assert len(rare) == len(set(rare)) > 100
    assert not set(rare) & catalogue_names()


def test_no_name_of_the_catalogue_is_doubted() -> None:
    assert [name for name in sorted(catalogue_names()) if likely_name(name)] == []


def test_a_doubted_name_is_a_warning_or_an_error_where_it_stands() -> None:
    timeline = Timeline.from_prompt("trumpt on the left, drmus on the right, piano stage left")
    assert timeline_doubts(timeline) == (
        '"stage left" is seen from the stage: the listener\'s right',
        "\"trumpt\" is no known sound: did you mean 'trumpet'?",
        "\"drmus\" is no known sound: did you mean 'drums'?",
    )
    with pytest.raises(TimelineError, match="did you mean 'trumpet'"):
        timeline_doubts(timeline, strict=True)
    assert timeline_doubts(Timeline.from_prompt("trumpet left, drums right"), strict=True) == ()


PLACES = {
    "german": "links | rechts | in der Mitte | 30 Grad links | von links nach rechts | im Hintergrund",
    "french": "à gauche | à droite | au milieu | à 30 degrés à gauche | de gauche à droite | en fond",
    "spanish": "a la izquierda | a la derecha | al centro | a 30 grados izquierda | de izquierda a derecha | de fondo",
    "italian": "a sinistra | a destra | al centro | a 30 gradi a sinistra | da sinistra a destra | in sottofondo",
    "portuguese": "à esquerda | à direita | no centro | a 30 graus à esquerda | da esquerda para a direita | ao fundo",
}


@pytest.mark.parametrize("language", PLACES)
def test_directions_of_other_languages(language: str) -> None:
    left, right, middle, thirty, path, around = PLACES[language].split(" | ")
    text = f"violon {left}, piano {right}; cello {middle}; tuba {thirty}; auto {path}; banjo {around}"
    assert [(c.object, c.azimuth.start_deg, c.azimuth.end_deg) for c in parse_prompt(text)] == [
        ("violin", 55, 55),
        ("piano", -55, -55),
        ("cello", 0, 0),
        ("tuba", 30, 30),
        ("car", 55, -55),
        ("banjo", 0, 0),
    ]


def test_every_synonym_leads_to_one_name_and_stands_for_its_sound_in_a_prompt() -> None:
    table: dict[str, list[str]] = yaml.safe_load(words_file("synonyms.yaml").read_text("utf-8"))
    for english, words in table.items():
        for word in words:
            assert english_name(word.upper()) == english, word
            (clause,) = parse_prompt(f'"{word}" links')
            assert clause.object == english


def test_the_languages_leave_english_alone() -> None:
    assert set(languages()) == set(PLACES)
    assert parse_prompt('"golf links" on the left')[0].object == "golf links"
    for language in languages():
        assert vocabulary().place_words < vocabulary(language).place_words


def test_two_languages_of_directions_in_one_prompt_are_refused() -> None:
    with pytest.raises(PromptError, match='another language than the others.*"links"'):
        parse_prompt("Cello links, Klavier right")
