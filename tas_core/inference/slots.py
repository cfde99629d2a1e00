"""Renders chunks by a model that is conditioned on clauses: masks say *what*, azimuths of the timeline say *where*.

A chunk comes with as much context on both sides as the model looks at, and begins at a multiple of the model's stride,
so that rendered chunks put together are the side signal of the whole.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
import torch
from torch import Tensor

from tas_core.acoustics.direction_filter import PersonalDirectionFilter
from tas_core.acoustics.stft import istft, mean_square_scale, stft
from tas_core.conventions import db_to_amplitude, numbered_seed
from tas_core.inference.bandwidth_extension import EDGE_FRACTION, BandSources, LevelPanning
from tas_core.inference.chunk import Chunk, RenderedChunk
from tas_core.inference.engine import LoadedModel
from tas_core.inference.evidence import EvidenceMeter, FrameSums
from tas_core.inference.likeness import LikenessMeter
from tas_core.inference.presence import PresenceTracker
from tas_core.inference.settings import RenderSettings
from tas_core.models.base import ClauseModel
from tas_core.models.slots.diffuse import unit_noise
from tas_core.models.slots.network import Separation
from tas_core.system.progress import Progress
from tas_core.timeline.segments import Timeline, Track

_SILENCE_DBFS = -90.0
_NOISE_PIECE = 2**20


class SlotsRenderer:
    """Side signals, estimated stems and presence of objects by a model such as ``slots``.

    One step is the least-squares estimate: masks and direction filters. Each further step is one evaluation
    of the diffusion model that adds the diffuse part; its noise is keyed by (seed, sample number), and its ears are
    exchanged where the prompts are mirrored. Uncovered time stays without a side signal; there the network still
    looks for what the nearest segment names, so that it does not lose what goes on through a gap.

    Args:
        timeline: with all ends closed.
        duration_s: length of the audio, seconds.
        model: of a family that is conditioned on clauses.
        settings: of the rendering.

    Attributes:
        tracker: presence and energy of the objects, over all chunks so far.
        likeness: of their masks, the same.
        evidence: of whether they were separated rightly, the same.
    """

    def __init__(self, timeline: Timeline, duration_s: float, model: LoadedModel, settings: RenderSettings) -> None:
        network = cast(ClauseModel, model.network)
        if settings.head is not None:
            own = PersonalDirectionFilter(network.config.n_fft, network.config.sample_rate_hz, settings.head)
            network = network.with_direction(own.to(model.device))
        self._timeline, self._model, self._encoder = timeline, network, model.encoder
        self._separations = model.separations
        self._duration_s, self._without_gaps = duration_s, timeline.without_gaps(duration_s)
        self._panning = LevelPanning(settings.head)
        self._stems, self._transition_s = settings.stems, settings.transition_s
        self._steps, self._seed = settings.steps or network.default_steps, settings.seed
        self.tracker = PresenceTracker(timeline)
        self.likeness = LikenessMeter(timeline)
        self.evidence = EvidenceMeter(timeline)
        self._handed = handedness(timeline)
        config = network.config
        # All time constants of the chunk are whole patches of the network.
        self.stride = config.hop * config.patch
        # Frames around what is wanted that masks are needed for, to place it, or to tell what is there.
        placing = network.placing_frames - network.context_frames + (self._steps - 1) * network.diffuse_frames
        self._near = max(placing, config.context_frames + config.patch) + config.n_fft // config.hop
        self.margin = (network.context_frames + self._near + config.patch) * config.hop

    @torch.inference_mode()
    def __call__(self, chunk: Chunk, progress: Progress) -> RenderedChunk:
        """Side signal, sources and stems of the wanted samples of a chunk."""
        del progress  # all at once; the caller says when a chunk is done
        model, config = self._model, self._model.config
        device = next(model.parameters()).device
        whole = stft(chunk.mid, config.n_fft, config.hop)[None]
        times_s = (chunk.offset + np.arange(whole.shape[-1]) * config.hop) / config.sample_rate_hz
        # Everything else is only looked at by the network.
        within = self._frames_around(chunk.wanted, whole.shape[-1])
        spectrum = whole[..., within]
        kept = self._kept_frames(chunk, within)
        unit = mean_square_scale(config.n_fft)
        power = spectrum[0].abs().square().sum(dim=0) / unit
        power = torch.where(power > (2 * db_to_amplitude(_SILENCE_DBFS)) ** 2, power, 0.0)
        tracks, looked_for = self._tracks(times_s, within)
        if not any(track.active.any() for track in tracks):
            self.tracker.add(times_s[within][kept], power[kept].numpy(), {}, {})
            return self._nothing(chunk, within)
        features = self._encoder([track.object for track in tracks])[None].to(device)
        azimuth = torch.from_numpy(np.stack([track.azimuth_deg for track in tracks])).float()[None].to(device)
        active = torch.from_numpy(np.stack([track.active for track in tracks]))[None].to(device)
        sought = whole.to(device), features, torch.from_numpy(looked_for)[None].to(device), within
        kept_here = self._separations
        found = model.separate(*sought) if kept_here is None else kept_here.separate(model, *sought)
        found = found.placed(active)
        if self._steps == 1:
            found = found.as_direct(config.directness_power)
        spectrum = spectrum.to(device)
        gains = self._gains(tracks, times_s[within])
        factors = None if gains is None else torch.from_numpy(gains).float()[None].to(device)
        side = model.directional(spectrum, found, azimuth, factors)
        if self._steps > 1:
            white = white_noise(
                chunk.offset + within.start * config.hop, (spectrum.shape[-1] - 1) * config.hop, self._seed
            )
            noise = unit_noise(white[None], config.n_fft, config.hop).to(device)
            drawn = model.diffuse_part(spectrum, found.features, noise, self._steps - 1)
            if factors is not None:
                drawn = drawn * (found.masks * factors[..., None]).sum(dim=1).transpose(1, 2)
            side = side + self._handed * drawn * active.any(dim=1)
        taken = (found.masks[0, :-1, kept] * spectrum[0].T[kept].abs().square()).sum(dim=-1) / unit
        taken = torch.where(power[kept] > 0, taken.cpu(), 0.0)
        weighted = (found.masks[0, :-1, kept] * spectrum[0].T[kept].abs()).transpose(0, 1)
        products = torch.bmm(weighted, weighted.mT).cpu() / unit
        likely = model.per_frame(found.presence.sigmoid(), spectrum.shape[-1])[0, :, kept].cpu()
        names = tuple(track.object for track in tracks)
        self.tracker.add(
            times_s[within][kept],
            power[kept].numpy(),
            dict(zip(names, taken.numpy(), strict=True)),
            dict(zip(names, likely.numpy(), strict=True)),
        )
        sounding = torch.where(power[kept, None, None] > 0, products, 0.0)
        self.likeness.add(times_s[within][kept], names, sounding.numpy())
        log_odds = model.per_frame(found.presence, spectrum.shape[-1])[0, :, kept].cpu()
        each = (values.T.numpy() for values in (taken, products.diagonal(dim1=1, dim2=2).T, log_odds))
        self.evidence.add(times_s[within][kept], names, FrameSums(power[kept].numpy(), *each))
        first = within.start * config.hop
        start_s = (first - chunk.wanted.start) / config.sample_rate_hz
        sources = self._sources(spectrum, found, tracks, power > 0, start_s)
        return RenderedChunk(
            self._cut(side, chunk.wanted, first)[0],
            names,
            sources if gains is None else replace(sources, weights=sources.weights * gains[:-1, :, None]),
            self._stem_signals(spectrum[0], found.masks[0], chunk.wanted, first) if self._stems else None,
            self._images(chunk, found.masks[0], within),
        )

    def _tracks(self, times_s: np.ndarray, within: slice) -> tuple[tuple[Track, ...], np.ndarray]:
        """Where objects are within some frames, and which the network looks for in all of them, (object, frame) bool.

        In a gap it looks for what the nearest segment names.
        """
        glide_s, span = self._transition_s, (float(times_s[0]), float(times_s[-1]) + 1e-9)
        near = self._timeline.overlapping(*span, transition_s=glide_s)
        where = {t.object: t for t in near.tracks(times_s, self._duration_s, transition_s=glide_s)} if near else {}
        around = self._without_gaps.overlapping(*span)
        looked_for = {t.object: t.active for t in around.tracks(times_s, self._duration_s)} if around else {}
        for name, track in where.items():
            looked_for[name] = looked_for.get(name, False) | track.active
        # Segments further away may matter to transitions, though their objects be named nowhere in the chunk.
        names = [name for name, when in looked_for.items() if when.any()]
        rest_db = near.rest_gain_db(times_s, self._duration_s, transition_s=glide_s) if near else np.zeros(len(times_s))
        tracks = [where.get(name) or Track.nowhere(name, rest_db) for name in names]
        return (
            tuple(track.within(within) for track in tracks),
            np.array([looked_for[name] for name in names], bool).reshape(len(names), len(times_s)),
        )

    def _gains(self, tracks: tuple[Track, ...], times_s: np.ndarray) -> np.ndarray | None:
        """Factors (object + 1, frame) of the objects and of everything else; None where no prompt changes a level."""
        if not self._timeline.changes_levels:
            return None
        near = self._timeline.overlapping(float(times_s[0]), float(times_s[-1]) + 1e-9, transition_s=self._transition_s)
        rest_db = np.zeros(len(times_s))
        if near is not None:
            rest_db = near.rest_gain_db(times_s, self._duration_s, transition_s=self._transition_s)
        return db_to_amplitude(np.stack([*(track.gain_db for track in tracks), rest_db]))

    def _nothing(self, chunk: Chunk, within: slice) -> RenderedChunk:
        """A chunk in which no prompt names anything."""
        config = self._model.config
        size = chunk.wanted.stop - chunk.wanted.start
        stems = chunk.mid.new_zeros(0, size) if self._stems else None
        start_s = (within.start * config.hop - chunk.wanted.start) / config.sample_rate_hz
        frames = within.stop - within.start
        nothing = BandSources(
            start_s, config.hop / config.sample_rate_hz, np.zeros((1, frames)), np.zeros((0, frames, 1)), self._panning
        )
        images = None if chunk.image is None else chunk.mid.new_zeros(0, size)
        return RenderedChunk(chunk.mid.new_zeros(size), (), nothing, stems, images)

    def _sources(
        self, spectrum: Tensor, found: Separation, tracks: tuple[Track, ...], sounds: Tensor, start_s: float
    ) -> BandSources:
        """Power, azimuth and directness of every object in the upper half of the band.

        Args:
            spectrum: STFT of mid, complex (1, freq, frame).
            found: from the model.
            tracks: of the objects, at the frames.
            sounds: whether a frame is more than silence, (frame) bool.
            start_s: of the first frame.
        """
        config = self._model.config
        edge = slice(*(round(fraction * config.n_fft / 2) for fraction in EDGE_FRACTION))
        # The power of the object's own signal, mask times mid: objects of doubtful bins get little of it.
        power = found.masks[0, ..., edge].square() * spectrum[0, edge].T.abs().square()
        total = power.sum(dim=2)
        direct = (power[:-1] * found.directness[0, :, edge]).sum(dim=2) / total[:-1].clamp_min(1e-20)
        azimuth_deg = np.stack([track.azimuth_deg for track in tracks])
        return BandSources(
            start_s,
            config.hop / config.sample_rate_hz,
            torch.where(sounds, total.cpu(), 0.0).double().numpy(),
            self._panning.weights(azimuth_deg, direct.cpu().double().clamp(0, 1).numpy()),
            self._panning,
        )

    def _images(self, chunk: Chunk, masks: Tensor, within: slice) -> Tensor | None:
        """Side signals of the stems of an input of two channels, mask times its side signal, (object, time)."""
        if chunk.image is None:
            return None
        config = self._model.config
        spectrum = stft(2 * chunk.image, config.n_fft, config.hop)[..., within].to(masks.device)
        return self._stem_signals(spectrum, masks, chunk.wanted, within.start * config.hop)

    def _stem_signals(self, spectrum: Tensor, masks: Tensor, wanted: slice, first: int) -> Tensor:
        """Estimated stems, half of mask times mid, (object, time)."""
        stems = torch.zeros(len(masks) - 1, wanted.stop - wanted.start)
        for stem, mask in zip(stems, masks[:-1], strict=True):  # the last mask is of everything else
            stem[:] = self._cut(0.5 * mask.T * spectrum, wanted, first)
        return stems

    def _cut(self, spectrum: Tensor, wanted: slice, first: int) -> Tensor:
        """Samples (..., time) wanted of a spectrum (..., freq, frame) whose first frame has its centre at ``first``."""
        config = self._model.config
        return istft(spectrum.cpu(), config.n_fft, config.hop, wanted.stop - first)[..., wanted.start - first :]

    def _frames_around(self, samples: slice, frames: int) -> slice:
        """Frames that samples depend on, from the first of a patch on."""
        hop, patch = self._model.config.hop, self._model.config.patch
        first, last = samples.start // hop - self._near, -(-samples.stop // hop) + self._near
        return slice(max(0, first // patch * patch), min(frames, last))

    def _kept_frames(self, chunk: Chunk, within: slice) -> slice:
        """Frames centred on what is kept, counted from ``within``; also the last of the signal, centred on its end."""
        hop = self._model.config.hop
        first, last = (-(-at // hop) - within.start for at in (chunk.keep.start, chunk.keep.stop))
        ends = chunk.offset + chunk.keep.stop >= chunk.total
        return slice(first, within.stop - within.start if ends else last)


def handedness(timeline: Timeline) -> float:
    """1 or -1, the other for the mirrored timeline; 1 if everything is in the center.

    A diffuse field has no sides, so either sign of a drawn one is as good. Taking the sign from the prompts makes
    mirrored prompts give mirrored ears. It is that of the first requested azimuth that is not zero, for the whole file.
    """
    for segment in timeline.segments:
        for azimuth_deg in (
            *(clause.azimuth.start_deg for clause in segment.clauses),
            *(clause.azimuth.end_deg for clause in segment.clauses),
        ):
            if azimuth_deg:
                return 1.0 if azimuth_deg > 0 else -1.0
    return 1.0


def white_noise(start: int, count: int, seed: int) -> Tensor:
    """Samples (time) number ``start`` on of endless white noise of unit variance, the same however it is cut."""
    first, last = start // _NOISE_PIECE, -(-(start + count) // _NOISE_PIECE)
    pieces = [
        torch.randn(_NOISE_PIECE, generator=torch.Generator().manual_seed(numbered_seed(seed, number)))
        for number in range(first, max(last, first + 1))
    ]
    begin = start - first * _NOISE_PIECE
    return torch.cat(pieces)[begin : begin + count]
