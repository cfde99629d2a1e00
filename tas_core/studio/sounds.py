"""What a scene sounds like, at once: a passage of it, rendered as the command renders it, by a model that stays loaded.

What the model finds in a passage is kept (:mod:`tas_core.inference.separation_cache`), so that another place, level or
silence for a sound takes a fraction of the first time.
"""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import soundfile

from tas_core.audio.levels import levels_of
from tas_core.audio.reader import AudioReader
from tas_core.conventions import db_to_amplitude
from tas_core.errors import InputError
from tas_core.inference.engine import LoadedModel, load_model
from tas_core.inference.renderer_choice import choose_renderer, flattened
from tas_core.inference.result import Block
from tas_core.inference.settings import RenderSettings
from tas_core.jobs.request import FileOptions, FileRequest, PreparedFile, mono_pieces
from tas_core.jobs.sources import SourceMix, open_sources
from tas_core.models.pretrained import DEFAULT_MODEL
from tas_core.studio.measuring import Heard, measured
from tas_core.studio.waveform import Waveform
from tas_core.system.progress import ignore
from tas_core.timeline.levels import REMOVED
from tas_core.timeline.matching import REST
from tas_core.timeline.segments import Segment, Timeline, stem_names
from tas_core.timeline.sources import SourceFile, sources_by_object

LONGEST_S: Final = 30.0
"""Of a passage that is heard at once."""
_SHORTEST_S: Final = 0.05
_HALF_TURN_DEG: Final = 180.0
_KEPT_SEPARATIONS: Final = 6
_KEPT_SOUNDS: Final = 12

What = Literal["output", "input", "head"]


@dataclass(frozen=True)
class Passage:
    """What is to be heard.

    Args:
        start_s: seconds, where it begins.
        duration_s: seconds, at most :data:`LONGEST_S`.
        what: "output" is the scene, "input" the sound as it was, in both ears, "head" all of it through the head's
            filter at the mean of the places; the latter two as loud as the scene.
        muted: objects that are not heard, of the scene.
        solo: objects that alone are heard, of the scene; none is all. "rest" is what no prompt names.
        turned_deg: by how much the listener's head is turned in the scene, degrees, positive left: a preview, which no
            file knows of.
    """

    start_s: float
    duration_s: float
    what: What = "output"
    muted: frozenset[str] = frozenset()
    solo: frozenset[str] = frozenset()
    turned_deg: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.start_s < float("inf") and _SHORTEST_S <= self.duration_s <= LONGEST_S):
            raise InputError(
                f"a passage of {self.duration_s:g} s from {self.start_s:g} s on, expected one of {_SHORTEST_S:g} to"
                f" {LONGEST_S:g} s"
            )
        if self.what not in ("output", "input", "head"):
            raise InputError(f"'{self.what}' cannot be heard, expected output, input or head")
        if not abs(self.turned_deg) <= _HALF_TURN_DEG:
            raise InputError(f"a head turned by {self.turned_deg:g} degrees, expected -180 to 180")


class Listening:
    """A sound, or sounds of objects, under any scene; one passage is rendered at a time.

    Args:
        audio: the input; None if all sounds are given.
        objects: files of the sounds of objects, beside those that a scene names.
        model_name: shipped name or checkpoint folder, loaded when it is first needed.
        device: auto, cpu or cuda.

    Attributes:
        sample_rate_hz: of the sound.
        duration_s: its length, seconds.

    Raises:
        InputError: a sound cannot be read, or there is none.
    """

    def __init__(
        self,
        audio: Path | None,
        objects: tuple[SourceFile, ...] = (),
        model_name: str = DEFAULT_MODEL,
        device: str = "auto",
    ) -> None:
        if audio is None and not objects:
            raise InputError("no sound, expected an input or sounds of objects", remedy="input")
        self._audio, self._objects = audio, objects
        self._model_name, self._device = model_name, device
        self._model: LoadedModel | None = None
        self._lock = threading.Lock()
        self._kept: dict[Any, bytes] = {}
        self._stack = contextlib.ExitStack()
        self._reader = self._own_reader()
        self._stack.enter_context(self._reader)
        self.sample_rate_hz = self._reader.sample_rate_hz
        self._num_samples = self._reader.count_frames()
        self.duration_s = self._num_samples / self.sample_rate_hz

    def close(self) -> None:
        """Close the sound."""
        with self._lock:
            self._stack.close()

    def __enter__(self) -> Listening:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def load(self) -> LoadedModel:
        """The model, loaded once.

        Raises:
            InputError: as :func:`tas_core.inference.engine.load_model`.
        """
        if self._model is None:
            from tas_core.inference.separation_cache import SeparationCache

            loaded = load_model(self._model_name, self._device)
            self._model = replace(loaded, separations=SeparationCache(_KEPT_SEPARATIONS))
        return self._model

    def hear(self, timeline: Timeline, passage: Passage) -> bytes:
        """A passage as a WAV file of two ears, 16 bit; where it would be beyond full scale, all of it is quieter.

        Raises:
            InputError: the scene does not fit the sound, an object has no sound, or the model cannot be used.
        """
        key = (timeline.segments, tuple((item.name, item.file) for item in timeline.sources), passage)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = self._wave(timeline, passage)
                while len(self._kept) > _KEPT_SOUNDS:
                    self._kept.pop(next(iter(self._kept)))
            return self._kept[key]

    def measure(self, timeline: Timeline, passage: Passage) -> list[dict[str, Any]]:
        """Where sounds are in a passage of the scene, as :class:`tas_core.studio.measuring.Ghost` says it.

        With the number of the segment; arguments and errors as for :meth:`hear`.
        """
        rate_hz = self.sample_rate_hz
        first, stop = self._span(passage)
        whole = timeline.resolved(self.duration_s)
        part = whole.cut_out(first / rate_hz, stop / rate_hz)
        if part is None:
            return []
        with self._lock:
            blocks = list(self._rendered(timeline, (first, stop), RenderSettings(stems=True)))
            mono = self._mono(first, stop)
        names = stem_names(whole)
        stems: dict[str, np.ndarray] = {}
        if blocks[0].stems is not None:
            silent = lambda block: np.zeros(block.ears.shape[1])  # noqa: E731
            rows = {at: [(b.stems or {}).get(at, silent(b)) for b in blocks] for at, _ in enumerate(names)}
            stems = {name: np.concatenate(rows[at]) for at, name in enumerate(names) if name in whole.objects}
        ears = np.concatenate([block.ears for block in blocks], axis=1)
        heard = Heard(ears, mono, stems, rate_hz, whole.needs_sphere)
        inside = [n for n, segment in enumerate(whole.segments) if _holds(segment, first / rate_hz, stop / rate_hz)]
        found = zip(inside, measured(heard, part), strict=True)
        return [{"segment": number, **ghost.as_dict()} for number, ghosts in found for ghost in ghosts]

    def waveform(self, parts: int) -> Waveform:
        """The sound as it is drawn, in so many parts."""
        return Waveform(self._own_pieces, self._num_samples, parts)

    def _own_pieces(self) -> Iterator[np.ndarray]:
        """The mono sum (time) piece by piece, by a reader of its own, so that it does not wait for what is heard."""
        with self._own_reader() as reader:
            yield from mono_pieces(reader, None)

    def _own_reader(self) -> AudioReader:
        if self._audio is not None:
            return AudioReader(self._audio)
        return SourceMix(open_sources({item.name: item for item in self._objects}), self._objects[0].file)

    def _wave(self, timeline: Timeline, passage: Passage) -> bytes:
        rate_hz = self.sample_rate_hz
        first, stop = self._span(passage)
        ears = self._ears(timeline, passage, (first, stop))
        if passage.what != "output":
            scene = Passage(passage.start_s, passage.duration_s)
            ears = ears * self._as_loud(ears, self._ears(timeline, scene, (first, stop)))
        peak = float(np.abs(ears).max())
        file = io.BytesIO()
        soundfile.write(file, (ears / max(1.0, peak)).T, rate_hz, format="WAV", subtype="PCM_16")
        return file.getvalue()

    def _span(self, passage: Passage) -> tuple[int, int]:
        """The first sample of a passage, and the one behind its last."""
        first = round(min(passage.start_s, self.duration_s) * self.sample_rate_hz)
        stop = min(self._num_samples, first + round(passage.duration_s * self.sample_rate_hz))
        if stop - first < _SHORTEST_S * self.sample_rate_hz:
            raise InputError(f"a passage from {passage.start_s:g} s on, and the sound ends at {self.duration_s:g} s")
        return first, stop

    def _as_loud(self, ears: np.ndarray, scene: np.ndarray) -> float:
        """The factor that makes ears (ear, time) as loud as a scene."""
        loudness = [levels_of(each, self.sample_rate_hz).loudness_lufs for each in (ears, scene)]
        if loudness[0] is not None and loudness[1] is not None:
            return float(db_to_amplitude(loudness[1] - loudness[0]))
        power = [float(np.square(each).mean()) for each in (ears, scene)]  # too short or too quiet to tell loudness
        return float(np.sqrt(power[1] / power[0])) if min(power) > 0 else 1.0

    def _ears(self, timeline: Timeline, passage: Passage, span: tuple[int, int]) -> np.ndarray:
        """Two ears (ear, time) float64 of a passage."""
        if passage.what == "output":
            heard = audible(timeline, passage.muted, passage.solo)
            turned = RenderSettings(renderer="sphere", listener_deg=passage.turned_deg)
            rendered = self._rendered(heard, span, turned if passage.turned_deg else RenderSettings())
            return np.concatenate([block.ears for block in rendered], axis=1)
        mono = self._mono(*span)
        if passage.what == "input":
            return np.stack([mono, mono])
        from tas_core.inference.baselines import through_head

        flat = flattened(timeline, without_ways=True).resolved(self.duration_s)
        part = flat.cut_out(span[0] / self.sample_rate_hz, span[1] / self.sample_rate_hz)
        return np.stack([mono, mono]) if part is None else through_head(mono, self.sample_rate_hz, part)

    def _mono(self, first: int, stop: int) -> np.ndarray:
        """Samples of the mono sum (time)."""
        self._reader.seek(first)
        found: list[np.ndarray] = []
        missing = stop - first
        for piece in mono_pieces(self._reader, None):
            found.append(piece[:missing])
            missing -= len(found[-1])
            if not missing:
                break
        return np.concatenate(found).astype(np.float64)

    def _rendered(self, timeline: Timeline, span: tuple[int, int], settings: RenderSettings) -> Iterator[Block]:
        """A passage, block by block, as the command makes it."""
        from tas_core.jobs.rendering import Rendering

        sources = sources_by_object((*timeline.sources, *self._objects), timeline.objects)
        given = None
        if sources:
            given = open_sources(sources, self.sample_rate_hz if self._audio is not None else None)
        missing = [name for name in timeline.objects if name not in sources] if self._audio is None else []
        if missing:
            raise InputError(f"'{missing[0]}' has a place and no sound, expected a name of one that is given")
        whole, render = choose_renderer(timeline.resolved(self.duration_s), settings, self.sample_rate_hz)
        prepared = PreparedFile(
            request=FileRequest(self._audio or Path("objects"), Path("heard"), has_input=self._audio is not None),
            reader=self._reader,
            timeline=whole,
            num_samples=self._num_samples,
            passage=span,
            forms=(),
            render=render,
            options=FileOptions(),
            given=given,
        )
        job = Rendering(prepared, None if prepared.separated is None else self.load())
        return job.blocks(ignore)


def _holds(segment: Segment, start_s: float, end_s: float) -> bool:
    """Whether a segment with a closed end holds at any moment between two."""
    return segment.start_s < end_s and (segment.end_s or 0.0) > start_s


def audible(timeline: Timeline, muted: Iterable[str], solo: Iterable[str]) -> Timeline:
    """The scene without some of its objects, or with some alone; what is not named is the object "rest"."""
    muted, solo = set(muted), set(solo)
    if not muted and not solo:
        return timeline

    def silent(name: str) -> bool:
        return name in muted or bool(solo and name not in solo)

    def heard(segment: Segment) -> Segment:
        clauses = tuple(replace(c, gain=REMOVED) if silent(c.object) else c for c in segment.clauses)
        return replace(segment, clauses=clauses, rest=REMOVED if silent(REST) else segment.rest)

    return replace(timeline, segments=tuple(map(heard, timeline.segments)))
