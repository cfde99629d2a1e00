"""Captions: prompts that say what sounds where, in varied wording, and timelines of them.

Templates and synonyms are data, in ``prompts/tasbench.yaml``. Every caption is read back by the prompt
language before it is used, so none can say anything but what it was made for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from tas_core.conventions import CENTER_DEG, LEFT_SIGN
from tas_core.errors import PromptError, TasError
from tas_core.timeline.prompts import parse_prompt
from tas_core.timeline.segments import Segment
from tas_core.timeline.vocabulary import vocabulary, words_data

CaptionStyle = Literal["coarse", "words", "degrees"]
STYLES: tuple[CaptionStyle, ...] = ("coarse", "words", "degrees")
STYLE_FRACTIONS = (0.5, 0.25, 0.25)
"""How often each style is drawn; half of all captions say no more than the paper's."""


@dataclass(frozen=True)
class CaptionedObject:
    """An object over a segment: its name in lower case, as prompts are read, and its azimuths in degrees."""

    name: str
    start_deg: float
    end_deg: float


@lru_cache(maxsize=1)
def benchmark_data() -> dict[str, Any]:
    """``prompts/tasbench.yaml``, read once."""
    data: dict[str, Any] = words_data("tasbench.yaml")
    return data


@lru_cache(maxsize=4096)
def quoted(name: str) -> str:
    """A name, in lower case, as a prompt has to spell it: in quotes where bare it would read as something else.

    With some places it may be that only: "car driving to the left" is half a movement.
    """
    for place in _trial_places():
        try:
            clauses = parse_prompt(f"{name} {place}")
        except PromptError:
            return f'"{name}"'
        if len(clauses) > 1 or clauses[0].azimuth.is_moving or clauses[0].object != name:
            return f'"{name}"'
    return name


@lru_cache(maxsize=1)
def _trial_places() -> tuple[str, ...]:
    """Places of every kind of wording, to see what a name before them reads as."""
    places = benchmark_data()["places"]
    wordings = (*places["coarse"]["plain"], *(known[0] for known in places["words"].values()))
    return ("1 degree to the left", *(wording.format(side="left") for wording in wordings))


@lru_cache(maxsize=1)
def _word_steps() -> tuple[tuple[str, float], ...]:
    """Names of the steps of "words" and the degrees that the prompt language takes them for."""
    known = vocabulary()
    places = benchmark_data()["places"]["words"]
    steps = []
    for name, wordings in places.items():
        wording = wordings[0].format(side="left")
        steps.append((name, abs(parse_prompt(f"x {wording}")[0].azimuth.start_deg)))
    assert dict(steps)["plain"] == known.plain_deg
    return tuple(steps)


def said_azimuth_deg(azimuth_deg: float, style: CaptionStyle) -> float:
    """The azimuth that a caption of this style stands for: what the prompt language reads from it."""
    magnitude = abs(azimuth_deg)
    if style == "degrees":
        said = float(round(magnitude))
    elif style == "coarse":
        said = 0.0 if magnitude <= CENTER_DEG else vocabulary().plain_deg
    else:
        said = min((degrees for _, degrees in _word_steps()), key=lambda d: abs(d - magnitude))
    return said if azimuth_deg >= 0 else 0.0 - said


class Captioner:
    """Writes captions of scenes; one captioner keeps to its choice of wordings, as one annotator would.

    Args:
        style: "coarse" (left, center, right), "words" (slightly, far, ...) or "degrees".
        rng: chooses the wordings.
    """

    def __init__(self, style: CaptionStyle, rng: np.random.Generator) -> None:
        self.style = style
        data = benchmark_data()
        choose = lambda options: str(options[int(rng.integers(len(options)))])  # noqa: E731
        self._places = {step: choose(wordings) for step, wordings in data["places"][style].items()}
        self._clause = choose(data["clauses"])
        self._moving = choose(data["moving"])
        place_first = self._clause.startswith("{place}")
        self._joiner = choose(data["joiners_place_first" if place_first else "joiners"])

    def place(self, azimuth_deg: float) -> str:
        """The wording of a place."""
        said = said_azimuth_deg(azimuth_deg, self.style)
        if said == 0:
            return self._places["center"]
        side = "left" if said * LEFT_SIGN > 0 else "right"
        if self.style == "degrees":
            return self._places["degrees"].format(n=f"{abs(said):g}", side=side)
        if self.style == "coarse":
            return self._places["plain"].format(side=side)
        step = next(name for name, degrees in _word_steps() if degrees == abs(said))
        return self._places[step].format(side=side)

    def caption(self, placed: Sequence[CaptionedObject]) -> str:
        """One prompt, from left to right (as in the paper); empty for no objects.

        Raises:
            TasError: the templates make a prompt that reads as something else.
        """
        ordered = sorted(placed, key=lambda p: (-LEFT_SIGN * (p.start_deg + p.end_deg), p.name))
        clauses = []
        wanted = []
        for p in ordered:
            name = quoted(p.name)
            start, end = said_azimuth_deg(p.start_deg, self.style), said_azimuth_deg(p.end_deg, self.style)
            wanted.append((p.name, start, end))
            if start == end:
                clauses.append(self._clause.format(name=name, place=self.place(p.start_deg)))
            else:
                places = {"start": self.place(p.start_deg), "end": self.place(p.end_deg)}
                # "moves from at 30 degrees to in the center" is no English.
                places = {key: text.removeprefix("at ").removeprefix("in ") for key, text in places.items()}
                clauses.append(self._moving.format(name=name, **places))
        text = self._joiner.join(clauses)
        if clauses:
            read = [(c.object, c.azimuth.start_deg, c.azimuth.end_deg) for c in parse_prompt(text)]
            if read != wanted:
                raise TasError(f"the caption {text!r} reads as {read}, expected {wanted}; see prompts/tasbench.yaml")
        return text


def dense_segments(
    captioner: Captioner,
    names: Sequence[str],
    azimuth_deg: Sequence[np.ndarray],
    active: Sequence[np.ndarray],
    frame_s: float,
    length_s: float,
) -> tuple[Segment, ...]:
    """Segments of a clip from what sounds in each frame and where; frames in which nothing sounds stay uncovered.

    In "degrees" a span of even movement becomes one moving clause. In the other styles a moving object is
    where it is at the middle of each frame, as the paper's annotators put it.

    Args:
        captioner: words the prompts.
        names: object phrases (object).
        azimuth_deg: per object, azimuth at the edges of the frames, (frame + 1), degrees.
        active: per object, whether it sounds, (frame) bool.
        frame_s: length of a frame.
        length_s: length of the clip; the last segment ends there at the latest.
    """
    edges = [np.asarray(path, float) for path in azimuth_deg]
    objects = list(zip(names, edges, active, strict=True))
    frames = len(active[0]) if len(active) else 0
    states = [
        tuple(
            (name, _frame_state(path[t], path[t + 1], captioner.style)) for name, path, sounds in objects if sounds[t]
        )
        for t in range(frames)
    ]
    segments = []
    first = 0
    for t in range(1, frames + 1):
        if t < frames and states[t] == states[first]:
            continue
        if states[first]:
            named = [
                _captioned(name, path, first, t, captioner.style) for name, path, sounds in objects if sounds[first]
            ]
            start_s, end_s = round(first * frame_s, 6), min(round(t * frame_s, 6), length_s)
            segments.append(Segment.from_prompt(start_s, end_s, captioner.caption(named)))
        first = t
    return tuple(segments)


def _frame_state(start_deg: float, end_deg: float, style: CaptionStyle) -> object:
    """What frames have in common that one caption of an object can hold for; azimuths at a frame's edges, degrees."""
    middle_deg = (start_deg + end_deg) / 2
    if style != "degrees":
        return said_azimuth_deg(middle_deg, style)
    # Frames of one even movement have the same slope; resting frames have the same place.
    slope = round(float(end_deg - start_deg), 3)
    return ("slope", slope) if slope else ("place", said_azimuth_deg(middle_deg, style))


def _captioned(name: str, path: np.ndarray, first: int, stop: int, style: CaptionStyle) -> CaptionedObject:
    """An object over the frames ``first`` to ``stop``, whose azimuths at the edges of frames are ``path``, degrees."""
    if style == "degrees":
        return CaptionedObject(name, float(path[first]), float(path[stop]))
    middle_deg = float(path[first] + path[first + 1]) / 2
    return CaptionedObject(name, middle_deg, middle_deg)
