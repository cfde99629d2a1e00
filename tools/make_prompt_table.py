"""Make the table "How it is read" of docs/PROMPTS.md: each sentence with what the parser reads from it."""

import math
from pathlib import Path

from tas_core.conventions import REFERENCE_M
from tas_core.errors import PromptError
from tas_core.timeline.prompts import read_prompt

PAGE = Path(__file__).resolve().parent.parent / "docs" / "PROMPTS.md"
BEGIN, END = "<!-- readings, by tools/make_prompt_table.py -->", "<!-- end of readings -->"
SENTENCES = (
    "cello on the left, piano slightly right",
    "guitar L, bass R, vocals C",
    "guitar at 30° R, bass at 30° L",
    "dog at minus forty five degrees",
    "guitar left 30, bass 30,5 degrees right",
    "cello almost hard left, piano not too far left",
    "piano stage left",
    "LEFT: cello, piano RIGHT: drums",
    "from left to right: violin, viola, cello",
    "violin, viola and cello from left to right",
    "a car comes from the left and leaves to the right",
    "car left -> right",
    "rain in the background, a crow on the left",
    "the rain, soft and steady, on the left, a crow on the right",
    "a dog close to me on the left",
    "Please put the cello on the left and the piano on the right",
    "violin 1 left, violin 2 right",
    "Geige links, Schlagzeug rechts",
    "chien à gauche, chat à droite",
    "un perro a la izquierda y un gato a la derecha",
    "la chitarra leggermente a sinistra, la batteria al centro",
    "violino à esquerda, piano no centro",
    "leaves on the left, wind on the right",
    "a singer on my left, a drummer to his right",
    "guitar three quarters left, bass right a little",
    "door on the right hinge",
    "horse galloping left",
    "die Geige links vom Klavier",
    "guitar - 30°",
    "the drums 3 dB quieter",
    "piano louder on the left, the rest 6 dB quieter",
    "the piano twice as loud, remove the dog",
    "only the voice",
    "the drums fade out, cello on the left from -20 dB to 0 dB",
    "turn the drums down a bit; solo the piano on the left",
    "no drums on the left",
    "the piano 3 dB louder than the drums",
    "a dog up left",
    "dog 45 left",
    "cello on the left for 3 seconds",
    "voice from the radio on the left",
    "the man on the left is talking to the woman on the right",
    "exits on the left",
    "drums circle around",
    "Cello links, Klavier right",
    "the dog barks somewhere behind me, rain all around",
    "the drums circle around (clockwise) every 8 seconds, starting in front",
    "a helicopter passes overhead",
    "a plane flies overhead from left to right",
    "thunder far away, in a church",
    "the piano in the center, the violin to the left of the piano",
    "piano left, cello right, violin between the piano and the cello",
    "piano left, cello next to the piano, viola opposite the piano, organ behind the piano",
    "piano left, bell above the piano, flute on the right, nearer than the piano",
    "back left: dog, back right: cat",
    "a bird above me, an owl above on the left, a mole 30 degrees down",
    "a dog at 6 o'clock, a cat at 270 degrees",
    "a dog 3 m away on the left, a fly very close to my left ear",
    "a woman comes closer from the left, the helicopter flies away",
    "a bird flies from the left to behind me",
    "strings wide, guitar narrow on the left",
    "a distant dog on the left, in a small room",
    "ein Hund hinter mir, Regen überall, im Freien",
    "violin left of the piano, piano left of the violin",
    "the violin left of the tuba",
    "a bird above and below",
    "a fly 5 cm away",
    "a bird 95 degrees up",
    "a car drives from the front to the back",
)


def degrees(azimuth_deg):
    side = "left" if azimuth_deg > 0 else "right"
    if abs(azimuth_deg) == 180:
        return "behind"
    return f"{abs(azimuth_deg):g}° {side}" if azimuth_deg else "0°"


def decibels(gain_db):
    return "silent" if gain_db == -math.inf else f"{gain_db:+g} dB"


def level(path):
    ends = dict.fromkeys(map(decibels, (path.start_db, path.end_db)))
    return " → ".join(ends) if path.changes_level else ""


def place(point):
    """A place all around, without what is as usual."""
    up = f"{abs(point.elevation_deg):g}° {'up' if point.elevation_deg > 0 else 'down'}" if point.elevation_deg else ""
    metres = f"{point.distance_m:g} m" if point.distance_m != REFERENCE_M else ""
    spread = f"spread {point.spread:g}" if point.spread else ""
    return " ".join(filter(None, (degrees(point.azimuth_deg), up, metres, spread)))


def way(path):
    """A way all around."""
    stops = (path.start, *([path.via] if path.via else []), path.end)
    words = " → ".join(dict.fromkeys(map(place, stops)))
    if not path.is_circle:
        return words
    sense = "clockwise" if path.turns + path.turn_s < 0 else "counterclockwise"
    return f"{words}, {sense}, " + (f"{abs(path.turns):g} turns" if path.turns else f"a turn in {abs(path.turn_s):g} s")


def said(clause):
    path = clause.azimuth
    ends = dict.fromkeys(map(degrees, (path.start_deg, path.end_deg)))
    where = way(clause.sphere) if clause.sphere else " → ".join(ends)
    parts = [where if clause.is_placed else "", level(clause.gain)]
    return " ".join([clause.object, *filter(None, parts)])


def reading(text):
    """What is read from a sentence, or why it is refused, in one line."""
    try:
        read = read_prompt(text)
    except PromptError as error:
        return "refused: " + str(error).split("\n", 1)[0]
    parts = [*map(said, read.clauses), *([f"all else {level(read.rest)}"] if read.rest.changes_level else [])]
    parts += [f"room: {read.room.words()}"] if read.room else []
    notes = [note for note in read.notes if "is read as" not in note]
    return ", ".join(parts) + "".join(f". Said: {note}" for note in notes)


def table():
    rows = [f"| `{text}` | {reading(text)} |" for text in SENTENCES]
    return "\n".join(["| sentence | how it is read |", "|---|---|", *rows])


def main():
    before, rest = PAGE.read_text("utf-8").split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
