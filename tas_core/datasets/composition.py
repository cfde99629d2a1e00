"""Scenes composed on the fly from a stem bank and a bank of rooms.

Everything random is drawn on the CPU from a generator keyed by (seed, step), so that a run resumed at
step n sees the batches that it would have seen; convolution runs as one batched FFT on any device.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from tas_core.batch import SceneBatch
from tas_core.datasets.bank import StemBank
from tas_core.datasets.catalogue import Category, Split
from tas_core.datasets.phrases import REST_PHRASES, PhraseTable
from tas_core.datasets.rooms import RoomBank
from tas_core.errors import PromptError
from tas_core.geometry import direction_ratio
from tas_core.prompts import parse_prompt
from tas_core.types import LEFT_SIGN


@dataclass(frozen=True)
class CompositionConfig:
    """How scenes are drawn. Shares and probabilities are in 0..1, levels in dB.

    ``object_shares`` are the shares of scenes with 1, 2, 3, 4 objects.
    """

    window_s: float = 3.0
    object_shares: tuple[float, ...] = (0.15, 0.45, 0.25, 0.15)
    level_spread_db: float = 7.0
    unnamed_share: float = 0.1
    rest_clause_share: float = 0.5
    absent_share: float = 0.15
    odd_name_share: float = 0.2
    dry_share: float = 0.3
    speed_share: float = 0.5
    equalised_share: float = 0.6
    gate_share: float = 0.25
    same_kind_share: float = 0.15
    held_out_names: bool = False
    augment: bool = True


class SceneComposer:
    """Draws batches of scenes; the same (seed, step) gives the same batch."""

    max_clauses = 5

    def __init__(
        self,
        bank: StemBank,
        rooms: RoomBank,
        phrases: PhraseTable,
        categories: tuple[Category, ...],
        split: Split,
        config: CompositionConfig | None = None,
        seed: int = 0,
    ) -> None:
        self.bank, self.rooms, self.phrases = bank, rooms, phrases
        self.config = config or CompositionConfig()
        self.seed = seed
        self.clips = bank.clips_of(split)
        by_name = {c.name: c for c in categories}
        self.rows: dict[int, Tensor] = {}
        self.kinds: dict[int, str] = {}
        for number in self.clips:
            category = by_name[bank.categories[number]]
            words = category.held_out if self.config.held_out_names and category.held_out else category.words
            self.rows[number] = phrases.rows(words)
            kind = category.kind
            self.kinds[number] = f"{kind} {category.program // 8}" if category.program is not None else kind
        self.numbers = sorted(self.clips)
        # Only names that this split may use: held-out words must not slip in as odd names.
        self.trained_rows = torch.cat([self.rows[n] for n in self.numbers]).unique()
        self.all_rows = torch.cat([self.rows[n] for n in self.numbers]).unique()
        self.rest_rows = phrases.rows(REST_PHRASES)
        self.weights = torch.tensor([_frequency(by_name[bank.categories[n]]) for n in self.numbers])

    @property
    def window(self) -> int:
        """Samples in a scene."""
        return round(self.config.window_s * self.bank.sample_rate_hz)

    def source_names(self) -> list[str]:
        """Names of the soundfont presets, voices and recordings that scenes are made of."""
        used = torch.cat([self.bank.source[clips] for clips in self.clips.values()]).unique()
        return [self.bank.sources[int(i)] for i in used]

    def compose(self, step: int, batch_size: int) -> SceneBatch:
        """The scenes of one training step."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        scenes = [self._draw(generator) for _ in range(batch_size)]
        return self._render(scenes, generator)

    # ---- what is in a scene

    def _pick(self, shares: Tensor, generator: torch.Generator) -> int:
        return int(torch.multinomial(shares, 1, generator=generator))

    def _draw_categories(self, count: int, generator: torch.Generator) -> list[int]:
        """Category numbers without shared names; now and then several of one family, the hard case."""
        chosen: list[int] = []
        weights = self.weights.clone()
        if count > 1 and _chance(self.config.same_kind_share, generator):
            first = self._pick(weights, generator)
            kind = self.kinds[self.numbers[first]]
            same = torch.tensor([self.kinds[n] == kind for n in self.numbers])
            if int(same.sum()) >= count and kind != "speech":
                weights = weights * same
        while len(chosen) < count and float(weights.sum()) > 0:
            index = self._pick(weights, generator)
            number = self.numbers[index]
            weights[index] = 0
            names = set(self.rows[number].tolist())
            if any(names & set(self.rows[c].tolist()) for c in chosen):
                continue
            chosen.append(number)
        return chosen

    def _draw(self, generator: torch.Generator) -> dict:
        c = self.config
        count = 1 + self._pick(torch.tensor(c.object_shares), generator)
        numbers = self._draw_categories(count, generator)
        count = len(numbers)
        window = self.window
        signals = torch.zeros(count, window)
        for i, number in enumerate(numbers):
            clips = self.clips[number]
            clip = int(clips[int(torch.randint(len(clips), (), generator=generator))])
            signals[i] = self._signal(clip, window, generator)
        words = [self._any(self.rows[n], generator) for n in numbers]
        if count == 1 and _chance(c.odd_name_share, generator):
            # A single sound under a name of something else: who names one thing means what sounds.
            words[0] = self._any(self.trained_rows, generator)
        unnamed = [count > 1 and _chance(c.unnamed_share, generator) for _ in numbers]
        if all(unnamed):
            unnamed[0] = False
        room = int(torch.randint(len(self.rooms.responses), (), generator=generator))
        places = torch.randperm(self.rooms.responses.shape[1], generator=generator)[:count]
        rest_clause = any(unnamed) and _chance(c.rest_clause_share, generator)
        absent: int | None = None
        if _chance(c.absent_share, generator):
            other = self.numbers[self._pick(self.weights, generator)]
            taken = {int(r) for n in numbers for r in self.rows[n]} | set(words)
            if not taken & {int(r) for r in self.rows[other]}:
                absent = self._any(self.rows[other], generator)
        return {
            "signals": signals,
            "words": words,
            "unnamed": unnamed,
            "room": room,
            "places": places,
            "dry": _chance(c.dry_share, generator),
            "rest_word": self._any(self.rest_rows, generator) if rest_clause else None,
            "absent_word": absent,
            "absent_azimuth": float(torch.rand((), generator=generator) * 180 - 90),
            "rest_azimuth": float(torch.rand((), generator=generator) * 180 - 90),
        }

    def _any(self, rows: Tensor, generator: torch.Generator) -> int:
        return int(rows[int(torch.randint(len(rows), (), generator=generator))])

    def _signal(self, clip: int, window: int, generator: torch.Generator) -> Tensor:
        """A crop of a clip with random speed, tone, gating and level, (time)."""
        c = self.config
        source = self.bank.clip(clip)
        speed = 1.0
        if c.augment and _chance(c.speed_share, generator):
            speed = float(2 ** (torch.rand((), generator=generator) * 0.7 - 0.35))
        need = min(len(source), round(window * speed))
        best = torch.zeros(need)
        for _ in range(3):
            at = int(torch.randint(len(source) - need + 1, (), generator=generator))
            best = source[at : at + need]
            if float(best.square().mean()) > 0.05 * float(source.square().mean()):
                break
        if len(best) != window:
            best = torch.nn.functional.interpolate(best[None, None], size=window, mode="linear", align_corners=False)[
                0, 0
            ]
        if c.augment and _chance(c.gate_share, generator):
            best = best * _gate(window, self.bank.sample_rate_hz, generator)
        # Loudness over the active part, so that sparse sounds are not made loud.
        power = best.square().unfold(0, 1600, 1600).mean(dim=1)
        active = power[power > 0.01 * power.max().clamp_min(1e-12)]
        rms = active.mean().clamp_min(1e-10).sqrt()
        level_db = (torch.rand((), generator=generator) * 2 - 1) * c.level_spread_db
        best = best * (0.06 / rms) * 10 ** (level_db / 20)
        if _chance(0.5, generator):
            best = -best
        return best

    # ---- what it sounds like

    def _render(self, scenes: list[dict], generator: torch.Generator) -> SceneBatch:
        window, batch = self.window, len(scenes)
        taps = self.rooms.responses.shape[-1]
        size = _fast_size(window + taps)
        width = self.phrases.features.shape[1]
        mid = torch.zeros(batch, self.max_clauses, window)
        side = torch.zeros(batch, self.max_clauses, window)
        rest = torch.zeros(batch, window)
        features = torch.zeros(batch, self.max_clauses, width)
        azimuth = torch.zeros(batch, self.max_clauses)
        named = torch.zeros(batch, self.max_clauses, dtype=torch.bool)
        side_known = torch.ones(batch, dtype=torch.bool)
        signals = torch.cat([s["signals"] for s in scenes])
        responses = torch.cat([self.rooms.responses[s["room"], s["places"]] for s in scenes]).float()
        spectrum = torch.fft.rfft(signals, n=size)
        if self.config.augment:
            spectrum = spectrum * _equaliser(len(signals), size, self.config.equalised_share, generator)
        ears = torch.fft.irfft(spectrum[:, None] * torch.fft.rfft(responses, n=size), n=size)[..., :window]
        plain = torch.fft.irfft(spectrum, n=size)[..., :window]
        captions = []
        row = 0
        for b, scene in enumerate(scenes):
            slot = 0
            names = []
            for i, word in enumerate(scene["words"]):
                left, right = ears[row, 0], ears[row, 1]
                m, d = left + right, left - right
                place = float(self.rooms.azimuth_deg[scene["room"], scene["places"][i]])
                if scene["dry"]:
                    # A user's mono file: not coloured by head and room, but with the ratio of the ears as it should be.
                    ratio = _ratio_spectrum(place, size, self.bank.sample_rate_hz)
                    m, d = 2 * plain[row], torch.fft.irfft(2 * spectrum[row] * ratio, n=size)[:window]
                row += 1
                if scene["unnamed"][i]:
                    rest[b] += m
                    continue
                mid[b, slot], side[b, slot] = m, d
                azimuth[b, slot], named[b, slot] = place, True
                features[b, slot] = self.phrases.features[word]
                names.append(_caption(self.phrases.phrases[word], place))
                slot += 1
            if scene["rest_word"] is not None:
                mid[b, slot], rest[b] = rest[b].clone(), 0
                features[b, slot] = self.phrases.features[scene["rest_word"]]
                azimuth[b, slot], named[b, slot] = scene["rest_azimuth"], True
                names.append(_caption(self.phrases.phrases[scene["rest_word"]], scene["rest_azimuth"]))
                # Its parts come from several places, so no one place is right for it.
                side_known[b] = False
                slot += 1
            if scene["absent_word"] is not None and slot < self.max_clauses:
                features[b, slot] = self.phrases.features[scene["absent_word"]]
                azimuth[b, slot], named[b, slot] = scene["absent_azimuth"], True
                names.append(_caption(self.phrases.phrases[scene["absent_word"]], scene["absent_azimuth"]))
            captions.append(", ".join(names))
        return SceneBatch(mid, side, rest, features, azimuth, named, side_known, tuple(captions))


def _frequency(category: Category) -> float:
    """How often a category is drawn: what people record most, above all voices and drums, most often."""
    if category.common:
        return 4.0
    return {"speech": 12.0, "kit": 14.0, "melodic": 0.6, "recording": 0.6, "percussion": 0.3}[category.kind]


def _chance(share: float, generator: torch.Generator) -> bool:
    return float(torch.rand((), generator=generator)) < share


def _caption(name: str, azimuth_deg: float) -> str:
    """A clause in the prompt language, with the azimuth in whole degrees."""
    degrees = round(azimuth_deg)
    shown = f'"{name}"' if _needs_quotes(name) else name
    if degrees == 0:
        return f"{shown} in the center"
    return f"{shown} {abs(degrees)} degrees to the {'left' if degrees * LEFT_SIGN > 0 else 'right'}"


@lru_cache(maxsize=4096)
def _needs_quotes(name: str) -> bool:
    """Whether the prompt language takes a bare name for something else, as in "slap and pop bass" or "ride"."""
    try:
        clauses = parse_prompt(f"{name} 1 degree to the left")
    except PromptError:
        return True
    return len(clauses) > 1 or clauses[0].azimuth.is_moving


def _gate(window: int, rate_hz: int, generator: torch.Generator) -> Tensor:
    """An envelope (time) that starts late, stops early, or both, with 20 ms ramps."""
    a, b = sorted((torch.rand(2, generator=generator) * window).tolist())
    if b - a < 0.5 * rate_hz:
        return torch.ones(window)
    ramp = 0.02 * rate_hz
    time = torch.arange(window)
    if _chance(0.4, generator):
        a = -ramp
    elif _chance(0.5, generator):
        b = window + ramp
    return ((time - a) / ramp).clamp(0, 1) * ((b - time) / ramp).clamp(0, 1)


def _equaliser(count: int, size: int, share: float, generator: torch.Generator) -> Tensor:
    """Smooth random tone curves (signal, freq), +-9 dB at eight points an octave apart; ones for the others."""
    bins = size // 2 + 1
    points = (torch.rand(count, 1, 8, generator=generator) * 2 - 1) * 9
    points = points * (torch.rand(count, 1, 1, generator=generator) < share)
    octave = torch.log2(torch.arange(1, bins + 1) * 16.0 / bins).clamp(-3, 4)
    position = (octave + 3)[None, None].expand(count, 1, -1)
    low = position.floor().clamp(0, 6)
    weight = position - low
    low = low.long()
    curve = points.gather(2, low) * (1 - weight) + points.gather(2, low + 1) * weight
    return (10 ** (curve / 20))[:, 0]


@lru_cache(maxsize=1)
def _ratio_table(rate_hz: int) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies (freq) and side-to-mid ratios (azimuth, freq) of the measured head, every degree from -90 to 90."""
    freqs_hz = np.linspace(0, rate_hz / 2, 2049)
    return freqs_hz, direction_ratio(np.arange(-90.0, 91.0), freqs_hz)


def _ratio_spectrum(azimuth_deg: float, size: int, rate_hz: int) -> Tensor:
    """Side-to-mid ratio at one azimuth on the bins of a real FFT of ``size``, complex64 (freq)."""
    freqs_hz, table = _ratio_table(rate_hz)
    position = min(max(azimuth_deg + 90.0, 0.0), 180.0 - 1e-6)
    low = int(position)
    ratio = (low + 1 - position) * table[low] + (position - low) * table[low + 1]
    bins_hz = np.arange(size // 2 + 1) * rate_hz / size
    real, imaginary = np.interp(bins_hz, freqs_hz, ratio.real), np.interp(bins_hz, freqs_hz, ratio.imag)
    return torch.from_numpy(real + 1j * imaginary).to(torch.complex64)


def _fast_size(size: int) -> int:
    """The next length of the form 2^a 3^b 5^c, which FFTs like."""
    best = 1 << (size - 1).bit_length()
    for p5 in (1, 5, 25):
        for p3 in (1, 3, 9, 27):
            factor = p5 * p3
            length = factor
            while length < size:
                length *= 2
            best = min(best, length)
    return best
