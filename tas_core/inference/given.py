"""Objects whose sounds are given, placed exactly: no network, and no torch.

Each given sound s_k goes through the measured head at its azimuth (:mod:`tas_core.acoustics.placing`), times its gain
g_k. Of a sound of two channels, the left one stands 30 degrees further to the left and the right one to the right, less
where 90 degrees are nearer, so that it keeps its width around its place. With r what else there is,

    (left + right) / 2 = sum_k g_k s_k + g_rest r.

What is left of an input, r, stays in the center, or a network separates it and puts the objects that were not given in
their places.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from tas_core.acoustics.placing import FRAMES_PER_WINDOW, DirectionTable, frame_hop, placed_side
from tas_core.audio.parts import PartsMeter
from tas_core.conventions import LEFT_EAR, LEFT_SIGN, MAX_AZIMUTH_DEG, RIGHT_EAR, db_to_amplitude, db_to_power, to_ears
from tas_core.errors import InputError
from tas_core.inference.blocks import gathered, in_lengths, overlapping
from tas_core.inference.levels import smooth
from tas_core.inference.likeness import AlikePair
from tas_core.inference.presence import Detection, PresenceTracker, within
from tas_core.inference.result import Block, SegmentResult, Spatialized
from tas_core.inference.segment_levels import SegmentLevels
from tas_core.inference.settings import RenderSettings
from tas_core.system.progress import Progress, ignore
from tas_core.timeline.segments import Timeline, Track, stem_names

if TYPE_CHECKING:
    from tas_core.inference.engine import LoadedModel
    from tas_core.inference.stream import Spatializer

WIDTH_DEG: Final = 30.0
"""How far the channels of a sound of two stand from its place, as the loudspeakers of ITU-R BS.775 do."""

_BLOCK_HOPS: Final = 64
_SILENCE_DBFS: Final = -90.0


def others(timeline: Timeline, given: Iterable[str]) -> Timeline | None:
    """The timeline of the objects that are not given; None if all are."""
    names = set(given)
    left = [
        replace(segment, clauses=tuple(clause for clause in segment.clauses if clause.object not in names))
        for segment in timeline.segments
    ]
    if not any(segment.clauses for segment in left):
        return None
    # What is not named may have a level even where nothing else is.
    return Timeline(tuple(segment for segment in left if segment.clauses or segment.rest.changes_level))


class GivenSpatializer:
    """Puts given sounds, and what is left of an input, where a timeline says; like a ``Spatializer``.

    Where stereo is to stay, so does what is left of an input of two channels, and a sound of two channels while no
    prompt says where it is.

    Args:
        num_samples: length of the result.
        sample_rate_hz: 8000 to 192000.
        timeline: prompts; uncovered time is centred.
        given: objects whose sounds are given, with their channels, 1 or 2.
        settings: of the rendering; ``steps`` and ``seed`` are the network's.
        passage: number of the first sample that ears are wanted for, and of the end; None is the whole.
        network: renders what is left of the input under :func:`others`, for the same passage; None leaves it in the
            center.

    Attributes:
        first_sample: number of the sample that :meth:`blocks` wants first.
        stem_names: as those of a ``Spatializer``.

    Raises:
        InputError: no samples, or objects that are neither given nor left to a network.
    """

    def __init__(
        self,
        num_samples: int,
        sample_rate_hz: int,
        timeline: Timeline,
        given: Mapping[str, int],
        settings: RenderSettings = RenderSettings(),  # noqa: B008 - frozen
        *,
        passage: tuple[int, int] | None = None,
        network: Spatializer | None = None,
    ) -> None:
        if num_samples < 1:
            raise InputError("the signal has no samples")
        timeline.require_plane()
        self.num_samples, self.sample_rate_hz = num_samples, sample_rate_hz
        self.timeline = timeline.resolved(num_samples / sample_rate_hz)
        self._given, self._network, self._settings = dict(given), network, settings
        if network is not None and not network.separates:
            raise InputError(
                f"the model does not tell objects apart, so '{network.timeline.objects[0]}' cannot be found beside"
                " sounds that are given; expected a sound for it, or a model that does"
            )
        missing = [name for name in self.timeline.objects if name not in given]
        if missing and network is None:
            raise InputError(f"'{missing[0]}' is not among the sounds that are given, expected one for each object")
        self.stem_names: tuple[str, ...] = stem_names(self.timeline) if settings.stems else ()
        self._numbers = {name: number for number, name in enumerate(self.timeline.objects)}
        self._passage = passage or (0, num_samples)
        self._rest_rows = 2 if settings.keeps_stereo else 1
        self._hop = frame_hop(sample_rate_hz)
        self._table = DirectionTable(FRAMES_PER_WINDOW * self._hop, sample_rate_hz, settings.head)
        self._begin = self._passage[0] // self._hop * self._hop
        self._edge = FRAMES_PER_WINDOW * self._hop
        self.first_sample = max(0, self._begin - self._edge)
        self._meter = SegmentLevels(self.timeline, sample_rate_hz, self._passage)
        self._tracker = PresenceTracker(self.timeline)
        self._rest_energy, self._energy = np.zeros((2, len(self.timeline.segments)))

    def blocks(
        self, pieces: Iterable[np.ndarray], progress: Progress = ignore, *, rest: Iterable[np.ndarray] = ()
    ) -> Iterator[Block]:
        """Ears and stems, block by block.

        Args:
            pieces: (row, time), full scale 1, from :attr:`first_sample` on, in pieces of any length: the channels of
                the given sounds in their order, and last what is left of the input, mono, or left and right where
                stereo is to stay.
            progress: told the fraction done, 0 to 1.
            rest: for the network, what is left of the input, (time) or (channel, time), from its own first sample on.

        Raises:
            InputError: pieces of another shape, or shorter together than was said.
        """
        begin, end = self._passage
        rows = sum(self._given.values()) + self._rest_rows
        lengths: list[int] = []
        separated = in_lengths(_dense(self._network.blocks(rest)), _taken(lengths)) if self._network else None
        size = _BLOCK_HOPS * self._hop
        for first, block_start, block_stop, x in overlapping(
            pieces, self.num_samples, size, self._edge, self._begin, end, rows
        ):
            start, stop = max(block_start, begin), min(block_stop, end)
            keep = slice(start - first, stop - first)
            ears, stems = self._placed(x, first, keep)
            others_there = None
            if separated is not None:
                lengths.append(stop - start)
                others_there = next(separated)
                ears += others_there[:2]
            rest_mono = x[-self._rest_rows :, keep].mean(axis=0)
            mono = {name: stem.mean(axis=0) for name, stem in stems.items()}
            self._measure(ears, mono, rest_mono, start)
            sounds = stems if self._settings.on_sphere else mono
            yield Block(ears, self._stems(sounds, rest_mono, others_there) if self.stem_names else None)
            progress((stop - begin) / (end - begin))

    def segments(self) -> tuple[SegmentResult, ...]:
        """How each segment came out, after all blocks; those outside the passage are left out."""
        theirs = {
            (result.segment.start_s, clause.object): share
            for result in (self._network.segments() if self._network else ())
            for clause, share in zip(result.segment.clauses, result.energy_shares, strict=True)
        }

        def share(number: int, name: str) -> float | None:
            if name in self._given:
                return self._tracker.energy_share(number, name)
            of_rest = theirs.get((self.timeline.segments[number].start_s, name))
            if of_rest is None or not self._energy[number]:
                return None
            return float(of_rest * self._rest_energy[number] / self._energy[number])

        return self._meter.results(share)

    def detections(self) -> tuple[Detection, ...]:
        """Which objects are in the sound, after all blocks: a given one where it is more than silence."""
        span_s = self._passage[0] / self.sample_rate_hz, self._passage[1] / self.sample_rate_hz
        mine = (
            replace(item, presence=1.0 if item.energy_share else 0.0)
            for item in self._tracker.detections()
            if item.object in self._given
        )
        theirs = self._network.detections() if self._network else ()
        return tuple(sorted((*within(mine, *span_s), *theirs), key=lambda item: item.start_s))

    def alike(self, asked: Timeline | None = None) -> tuple[AlikePair, ...]:
        """Objects that a network does not tell apart; nothing of those that are given.

        Args:
            asked: as for :meth:`tas_core.inference.likeness.LikenessMeter.pairs`.
        """
        return self._network.alike(asked) if self._network else ()

    def _placed(self, x: np.ndarray, first: int, keep: slice) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Ears (ear, time) and sounds (channel, time) of what is kept of a chunk (row, time) from sample ``first`` on.

        Where stems are rendered all around the head, no ears are made of them here.
        """
        times_s = (first + np.arange(1 + x.shape[1] // self._hop + 1) * self._hop) / self.sample_rate_hz
        tracks, rest_db = self._tracks(times_s)
        position = np.arange(x.shape[1]) / self._hop
        mono, side, image = np.zeros((3, x.shape[1]))
        sounds: dict[str, np.ndarray] = {}
        row = 0
        for name, channels in self._given.items():
            track, part = tracks.get(name) or Track.nowhere(name, rest_db), x[row : row + channels]
            row += channels
            sounds[name] = part[:, keep]
            if self._settings.on_sphere:
                continue
            if track.gain_db.any():
                part = part * smooth(db_to_amplitude(track.gain_db), position)
            mono += part.mean(axis=0)
            if self._settings.keeps_stereo and channels == 2 and not track.placed.all():
                stays = smooth(1.0 - track.placed, position)
                image += (part[LEFT_EAR] - part[RIGHT_EAR]) * stays
                part = part * (1 - stays)
            azimuth_deg = track.azimuth_deg[:-1]
            if channels == 1:
                side += placed_side(part[0], azimuth_deg, self._table, self._hop)
                continue
            apart_deg = LEFT_SIGN * np.minimum(WIDTH_DEG, MAX_AZIMUTH_DEG - np.abs(azimuth_deg))
            for ear, sign in ((LEFT_EAR, 1), (RIGHT_EAR, -1)):
                side += placed_side(part[ear] / 2, azimuth_deg + sign * apart_deg, self._table, self._hop)
        ears = to_ears(mono[keep], self._settings.width * side[keep] + image[keep])
        if self._network is None:  # last, so that it stays to the bit where nothing else sounds
            rest = x[-self._rest_rows :, keep]
            ears += rest * smooth(db_to_amplitude(rest_db), position)[keep] if rest_db.any() else rest
        return ears, sounds

    def _tracks(self, times_s: np.ndarray) -> tuple[dict[str, Track], np.ndarray]:
        """Where objects are at times, and the gain of all that is not named, dB."""
        glide_s, duration_s = self._settings.transition_s, self.num_samples / self.sample_rate_hz
        near = self.timeline.overlapping(float(times_s[0]), float(times_s[-1]) + 1e-9, transition_s=glide_s)
        if near is None:
            return {}, np.zeros(len(times_s))
        tracks = near.tracks(times_s, duration_s, transition_s=glide_s)
        return {track.object: track for track in tracks}, near.rest_gain_db(times_s, duration_s, transition_s=glide_s)

    def _measure(self, ears: np.ndarray, sounds: Mapping[str, np.ndarray], rest: np.ndarray, start: int) -> None:
        """Gather levels, and what energy each sound takes of the whole before any gain."""
        self._meter.add(ears, start)
        whole = rest + sum(sounds.values())
        for number, part in self._meter.parts(start, start + len(rest)):
            self._rest_energy[number] += np.square(rest[part]).sum()
            self._energy[number] += np.square(whole[part]).sum()
        edges = np.arange(0, len(rest), self._hop)
        times_s = (start + edges + self._hop / 2) / self.sample_rate_hz
        power = lambda x: np.add.reduceat(np.square(x), edges) / self._hop  # noqa: E731
        taken = {name: power(sound) for name, sound in sounds.items()}
        sounding = {name: (value > db_to_power(_SILENCE_DBFS)).astype(float) for name, value in taken.items()}
        self._tracker.add(times_s, power(whole), taken, sounding)

    def _stems(
        self, sounds: Mapping[str, np.ndarray], rest: np.ndarray, separated: np.ndarray | None
    ) -> dict[int, np.ndarray]:
        """Stems by their number, the rest last."""
        stems = {self._numbers[name]: sound for name, sound in sounds.items() if name in self._numbers}
        if separated is None or self._network is None:
            return stems | {len(self._numbers): rest}
        *names, _ = self._network.stem_names
        stems |= {self._numbers[name]: part for name, part in zip(names, separated[2:-1], strict=True)}
        return stems | {len(self._numbers): separated[-1]}


def render_given(
    audio: np.ndarray | None,
    sample_rate_hz: int,
    timeline: Timeline,
    sounds: Mapping[str, np.ndarray],
    model: LoadedModel | None,
    settings: RenderSettings,
    progress: Progress = ignore,
) -> Spatialized:
    """Render whole signals: given sounds, and of an input what they leave.

    Args:
        audio: mono signal (time) that the sounds are a part of, or (channel, time) where stereo is to stay; None if
            there is none.
        sample_rate_hz: 8000 to 192000.
        timeline: prompts; uncovered time is centred.
        sounds: (channel, time) by object, 1 or 2 channels; "rest", which no prompt names, stays in the center.
        model: for the objects that are not given; None if there are none.
        settings: of the rendering.
        progress: told the fraction done, 0 to 1.

    Raises:
        InputError: the sounds are no parts of the input; as :class:`GivenSpatializer`.
    """
    objects = {name: sound for name, sound in sounds.items() if name in timeline.objects}
    loose = [sound.mean(axis=0) for name, sound in sounds.items() if name not in objects]
    size = max(sound.shape[1] for sound in sounds.values()) if audio is None else audio.shape[-1]
    channels = 2 if settings.keeps_stereo else 1
    fitted = [np.pad(s[:, :size], ((0, 0), (0, max(0, size - s.shape[1])))) for s in objects.values()]
    mono = np.array([sound.mean(axis=0) for sound in fitted]).reshape(-1, size)
    rest = np.zeros((channels, size))
    if audio is not None:
        if loose:
            raise InputError("the rest is what the sounds leave of the input; expected no sound for it")
        meter = PartsMeter(len(objects))
        whole = np.atleast_2d(audio.astype(np.float64))
        meter.add(mono, whole.mean(axis=0))
        meter.check([f"source '{name}'" for name in objects], "audio", sample_rate_hz)
        rest = whole - sum(sound if channels == 2 else sound.mean(axis=0) for sound in fitted)
    for sound in loose:
        rest[:, : len(sound)] += sound
    plan, where = None, timeline
    if settings.on_sphere:
        from tas_core.inference.on_sphere import SpherePlan

        plan = SpherePlan(size, sample_rate_hz, timeline, settings)
        where, settings = plan.flat, plan.stem_settings
    separated = others(where.resolved(size / sample_rate_hz), objects)
    network = None
    if separated is not None and model is not None:
        from tas_core.inference.stream import Spatializer

        network = Spatializer(size, sample_rate_hz, separated, model, settings)
    counts = {name: len(sound) for name, sound in zip(objects, fitted, strict=True)}
    job = GivenSpatializer(size, sample_rate_hz, where, counts, settings, network=network)
    left = rest if channels == 2 else rest[0]
    made = job.blocks([np.concatenate([*fitted, rest])], progress, rest=[left])
    if plan is None:
        return gathered(job, made)
    from tas_core.inference.on_sphere import SphereSpatializer

    around = SphereSpatializer(plan, job, counts)
    return replace(gathered(around, around.blocks(made)), renderer=around.renderer)


def _dense(blocks: Iterable[Block]) -> Iterator[np.ndarray]:
    """Ears and all stems of blocks, (row, time)."""
    for block in blocks:
        stems = block.stems or {}
        count = max(stems, default=-1) + 1
        silence = np.zeros(block.ears.shape[1])
        yield np.stack([*block.ears, *(stems.get(number, silence) for number in range(count))])


def _taken(lengths: list[int]) -> Iterator[int]:
    """Lengths that are appended to a list, as they come."""
    while True:
        yield lengths.pop(0)
