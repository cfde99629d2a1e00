"""What is drawn for a batch of scenes: every random decision, and no sound.

Decisions depend on (seed, step) only. :mod:`tas_core.datasets.mixing.composition` turns them into sound on any device.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor

from tas_core.conventions import db_to_amplitude
from tas_core.datasets.mixing.bank import StemBank
from tas_core.datasets.mixing.phrases import REST_PHRASES, PhraseTable
from tas_core.datasets.mixing.room_bank import RoomBank
from tas_core.datasets.sources.catalogue import SINGING, Category, Split
from tas_core.datasets.tasbench.captions import STYLE_FRACTIONS, STYLES, CaptionedObject, Captioner
from tas_core.errors import InputError

MAX_CLAUSES = 5
TONE_POINTS = 8
_LEVEL = 0.06
"""Root mean square of an object while it sounds, before its level is varied."""
_RAMP_S = 0.02
_OCTAVES = 0.35
_TALKER_OCTAVES = 0.1
"""How much slower or faster a sound may play, and a voice that goes by "man" or "woman"."""
_TONE_DB = 9.0
_STRINGS: Final = frozenset(
    {"banjo", "cello", "clean guitar", "electric bass", "harp", "harpsichord", "nylon guitar", "piano",
     "pizzicato strings", "sitar", "steel guitar", "ukulele", "upright bass", "viola", "violin"}
)  # fmt: skip
"""Strings plucked, bowed and struck: common in recordings, and hard to tell from each other."""
_AT_ONCE = 1 << 19
"""Samples whose energies are taken in one operation."""


@dataclass(frozen=True)
class Material:
    """What scenes are made of: dry stems, rooms, names of objects, and the categories that both speak of."""

    bank: StemBank
    rooms: RoomBank
    phrases: PhraseTable
    categories: tuple[Category, ...]


@dataclass(frozen=True)
class CompositionConfig:
    """How scenes are drawn. Fractions (``_share``) and probabilities are in 0..1, levels in dB.

    ``object_shares`` are the fractions of scenes with 1, 2, 3, 4 objects; ``odd_name_share`` is how often a single
    sound goes by the name of something else, ``rest_clause_share`` how often a clause stands for what is unnamed,
    ``absent_share`` how often one names what does not sound, ``talkers_share`` how often, among scenes of several
    objects, a man and a woman talk at once.
    """

    window_s: float = 3.0
    object_shares: tuple[float, ...] = (0.15, 0.45, 0.25, 0.15)
    level_spread_db: float = 7.0
    unnamed_share: float = 0.1
    rest_clause_share: float = 0.5
    absent_share: float = 0.5
    odd_name_share: float = 0.3
    dry_share: float = 0.3
    speed_share: float = 0.5
    equalised_share: float = 0.6
    gate_share: float = 0.35
    timed_share: float = 0.6
    same_kind_share: float = 0.15
    talkers_share: float = 0.12
    held_out_names: bool = False
    augment: bool = True


COMPOSITIONS: Final[Mapping[str, CompositionConfig]] = {
    "all": CompositionConfig(),
    "talkers": CompositionConfig(object_shares=(0.1, 0.5, 0.25, 0.15), odd_name_share=0.2, talkers_share=1.0),
}
"""What scenes are drawn of: everything, or a man and a woman who talk at once, often with something else."""


@dataclass(frozen=True)
class SceneDraws:
    """The decisions for a batch. All tensors are on the CPU.

    Attributes:
        start: (signal) int64, first sample in the bank of the excerpt that sounds.
        span: (signal) int64, samples of the excerpt; interpolated linearly to the window, which changes its speed.
        gate: (signal, 2), where in the window, in samples, the sound fades in and out.
        gain: (signal), root mean square of the sound while it is active; negative means inverted.
        tone_db: (signal, 8), tone curve at points an octave apart, the last at half the sample rate.
        room: (signal) int64, and ``place`` (signal) int64: which response of the bank of rooms.
        dry: (signal) bool, True for sound that no room and no head coloured.
        place_deg: (signal), azimuth of the sound.
        scene: (signal) int64, and ``slot`` (signal) int64: the clause a sound belongs to, -1 if none names it.
        rest: (scene, object) int64, the signals that no clause names; the number of signals stands for none.
        rest_slot: (scene) int64, the clause that stands for these, -1 without one.
        word: (scene, clause) int64, row of the clause's phrase in the table.
        azimuth_deg: (scene, clause), where the prompt puts each object.
        named: (scene, clause) bool, False for padding.
        right_name: (scene, clause) bool, False for a sound that goes by the name of something else.
        timed: (scene) bool, whether the prompt says when its objects sound, or that they do throughout.
        prompts: one caption per scene, or none at all.
    """

    start: Tensor
    span: Tensor
    gate: Tensor
    gain: Tensor
    tone_db: Tensor
    room: Tensor
    place: Tensor
    dry: Tensor
    place_deg: Tensor
    scene: Tensor
    slot: Tensor
    rest: Tensor
    rest_slot: Tensor
    word: Tensor
    azimuth_deg: Tensor
    named: Tensor
    right_name: Tensor
    timed: Tensor
    prompts: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """All of it, to send to another process."""
        tensors = {name: value for name, value in vars(self).items() if name != "prompts"}
        prompts = np.frombuffer(json.dumps(self.prompts).encode(), np.uint8)
        return save({**tensors, "prompts": torch.from_numpy(prompts.copy())})

    @classmethod
    def from_bytes(cls, data: bytes) -> SceneDraws:
        """What :meth:`to_bytes` gave."""
        tensors = load(data)
        prompts = json.loads(tensors.pop("prompts").numpy().tobytes())
        return cls(**tensors, prompts=tuple(prompts))


class SceneDrawer:
    """Draws decisions; the same (seed, step) gives the same, whatever was drawn before, in any thread and process.

    It holds no sounds, no responses and no features, so that it is small to send to a process.

    Args:
        material: what scenes are made of.
        split: whose clips these are.
        config: how scenes are drawn.
        seed: of everything drawn.
        captions: whether scenes get captions, which are most of the work; what else is drawn does not depend on it.

    Raises:
        InputError: the bank holds categories that are not known here, or no clip of the split.
    """

    def __init__(
        self,
        material: Material,
        split: Split,
        config: CompositionConfig,
        seed: int,
        captions: bool = True,
    ) -> None:
        bank, phrases = material.bank, material.phrases
        self.config, self.seed, self.phrases, self.captions = config, seed, phrases.phrases, captions
        self.rate_hz = bank.sample_rate_hz
        self.window = round(config.window_s * bank.sample_rate_hz)
        self.room_azimuth_deg = material.rooms.azimuth_deg.numpy()
        clips = bank.clips_of(split)
        by_name = {c.name: c for c in material.categories}
        self.numbers = sorted(clips)
        if not clips:
            raise InputError(f"the stem bank holds no clips for {split}; expected some of every split")
        unknown = sorted(bank.categories[n] for n in self.numbers if bank.categories[n] not in by_name)
        if unknown:
            raise InputError(
                f"the stem bank holds categories that are not in the catalogue: {', '.join(unknown[:5])}"
                f"{' and more' if len(unknown) > 5 else ''}; it was made for other objects, make the material anew",
                remedy="material",
            )
        self.clips = {n: clips[n].tolist() for n in self.numbers}
        self.rows: dict[int, list[int]] = {}
        self.category = {number: by_name[bank.categories[number]] for number in self.numbers}
        self.speaker = {number: category.speaker for number, category in self.category.items()}
        self.kinds: list[str] = []
        for number in self.numbers:
            category = self.category[number]
            words = category.held_out if config.held_out_names and category.held_out else category.training_words
            self.rows[number] = phrases.rows(words).tolist()
            kind = category.kind
            self.kinds.append(f"{kind} {category.program // 8}" if category.program is not None else kind)
        # Only names that this split may use: held-out words must not slip in as wrong names.
        self.all_rows = sorted({row for rows in self.rows.values() for row in rows})
        self.rest_rows = phrases.rows(REST_PHRASES).tolist()
        self.weights = np.array([_frequency(self.category[n]) for n in self.numbers])
        self.start, self.length = bank.start.tolist(), bank.length.tolist()
        self.block = self.rate_hz // 20
        self.energy = summed_energies(bank, [clip for n in self.numbers for clip in self.clips[n]], self.block)

    def draw(self, step: int, batch_size: int) -> SceneDraws:
        """The decisions of one training step."""
        rng = np.random.default_rng([self.seed, step])
        signals: list[tuple] = []
        scenes = [self._scene(index, signals, rng) for index in range(batch_size)]
        count = len(signals)
        start, span, gate, gain, tone_db, room, place, dry, place_deg, scene, slot = zip(*signals, strict=True)
        most = len(self.config.object_shares)
        timing = np.random.default_rng([self.seed, step, 2])
        return SceneDraws(
            start=torch.tensor(start),
            span=torch.tensor(span),
            gate=torch.tensor(gate, dtype=torch.float32),
            gain=torch.tensor(gain, dtype=torch.float32),
            tone_db=torch.tensor(np.stack(tone_db), dtype=torch.float32),
            room=torch.tensor(room),
            place=torch.tensor(place),
            dry=torch.tensor(dry),
            place_deg=torch.tensor(place_deg, dtype=torch.float32),
            scene=torch.tensor(scene),
            slot=torch.tensor(slot),
            rest=torch.tensor([_padded([i for i in range(count) if (scene[i], slot[i]) == (s, -1)], most, count)
                               for s in range(batch_size)]),
            rest_slot=torch.tensor([s.rest_slot for s in scenes]),
            word=torch.tensor([_padded([c.row for c in s.clauses], MAX_CLAUSES, 0) for s in scenes]),
            azimuth_deg=torch.tensor([_padded([c.azimuth_deg for c in s.clauses], MAX_CLAUSES, 0.0) for s in scenes]),
            named=torch.tensor([_padded([True for _ in s.clauses], MAX_CLAUSES, False) for s in scenes]),
            right_name=torch.tensor([_padded([c.right for c in s.clauses], MAX_CLAUSES, True) for s in scenes]),
            timed=torch.from_numpy(timing.random(batch_size) < self.config.timed_share),
            prompts=self._captions(scenes, np.random.default_rng([self.seed, step, 1])) if self.captions else (),
        )  # fmt: skip

    def _captions(self, scenes: Sequence[_Scene], rng: np.random.Generator) -> tuple[str, ...]:
        """One prompt per scene, in all wordings of TASBench-Sim."""
        captions = []
        for scene in scenes:
            words = Captioner(STYLES[_pick(np.array(STYLE_FRACTIONS), rng)], rng)
            named = [(self.phrases[c.row].lower(), c.azimuth_deg) for c in scene.clauses]
            captions.append(words.caption([CaptionedObject(name, azimuth, azimuth) for name, azimuth in named]))
        return tuple(captions)

    def _scene(self, index: int, signals: list[tuple], rng: np.random.Generator) -> _Scene:
        """Clauses of a scene; its sounds are added to ``signals``."""
        c = self.config
        numbers = self._categories(1 + _pick(np.array(c.object_shares), rng), rng)
        count = len(numbers)
        right = True
        words = [_any(self.rows[n], rng) for n in numbers]
        if count == 1 and _chance(c.odd_name_share, rng):
            # A single sound under a name of something else: who names one thing means what sounds.
            words[0] = _any(self.all_rows, rng)
            right = words[0] in self.rows[numbers[0]]
        unnamed = [count > 1 and _chance(c.unnamed_share, rng) for _ in numbers]
        if all(unnamed):
            unnamed[0] = False
        room = int(rng.integers(len(self.room_azimuth_deg)))
        places = rng.permutation(self.room_azimuth_deg.shape[1])[:count].tolist()
        dry = _chance(c.dry_share, rng)
        clauses: list[_Clause] = []
        for number, word, is_rest, place in zip(numbers, words, unnamed, places, strict=True):
            azimuth_deg = float(self.room_azimuth_deg[room, place])
            slot = -1 if is_rest else len(clauses)
            # Pitch is what tells a man from a woman.
            octaves = _TALKER_OCTAVES if self.speaker[number] in ("male", "female") else _OCTAVES
            sound = self._signal(_any(self.clips[number], rng), octaves, rng)
            signals.append((*sound, room, place, dry, azimuth_deg, index, slot))
            if not is_rest:
                clauses.append(_Clause(word, azimuth_deg, right))
        rest_slot = -1
        if any(unnamed) and _chance(c.rest_clause_share, rng):
            rest_slot = len(clauses)
            clauses.append(_Clause(_any(self.rest_rows, rng), float(rng.uniform(-90, 90))))
        if _chance(c.absent_share, rng):
            absent = self.numbers[_pick(self.weights, rng)]
            other = self.rows[absent]
            there = any(self._may_mean_each_other(absent, n) for n in numbers) or set(words) & set(other)
            if not there and len(clauses) < MAX_CLAUSES:
                clauses.append(_Clause(_any(other, rng), float(rng.uniform(-90, 90))))
        return _Scene(clauses, rest_slot)

    def _categories(self, count: int, rng: np.random.Generator) -> list[int]:
        """Category numbers without shared names; now and then several of one family, the hard case."""
        chosen: list[int] = []
        weights = self.weights.copy()
        talkers = [n for n in self.numbers if self.speaker[n] in ("male", "female")]
        if len(talkers) == 2 and count > 1 and _chance(self.config.talkers_share, rng):
            chosen = [int(number) for number in rng.permutation(talkers)]
        elif count > 1 and _chance(self.config.same_kind_share, rng):
            kind = self.kinds[_pick(weights, rng)]
            same = np.array([k == kind for k in self.kinds])
            if same.sum() >= count and kind != "speech":
                weights *= same
        while len(chosen) < count and weights.sum() > 0:
            index = _pick(weights, rng)
            number = self.numbers[index]
            weights[index] = 0
            if not any(self._may_mean_each_other(number, c) for c in chosen):
                chosen.append(number)
        return chosen

    def _may_mean_each_other(self, one: int, other: int) -> bool:
        """Whether a name of one category may be said of a sound of the other, be it a shared one."""
        shared = bool(set(self.rows[one]) & set(self.rows[other]))
        return shared or self.category[one].may_mean(self.category[other])

    def _signal(self, clip: int, octaves: float, rng: np.random.Generator) -> tuple:
        """Excerpt, gate, gain and tone of one sound: (start, span, gate, gain, tone_db)."""
        c, window = self.config, self.window
        speed = 1.0
        if c.augment and _chance(c.speed_share, rng):
            speed = 2 ** rng.uniform(-octaves, octaves)
        span = min(self.length[clip], round(window * speed))
        energy = self.energy[clip]
        whole = energy[-1] / (len(energy) - 1)
        at = 0
        for _ in range(3):
            at = int(rng.integers(self.length[clip] - span + 1))
            first, last = at // self.block, min(-(-(at + span) // self.block), len(energy) - 1)
            if energy[last] - energy[first] > 0.05 * whole * (last - first):
                break
        gate = (-_RAMP_S * self.rate_hz, window + _RAMP_S * self.rate_hz)
        if c.augment and _chance(c.gate_share, rng):
            gate = self._gate(gate, rng)
        level_db = rng.uniform(-1, 1) * c.level_spread_db
        gain = _LEVEL * db_to_amplitude(level_db) * (-1 if _chance(0.5, rng) else 1)
        tone_db = np.zeros(TONE_POINTS)
        if c.augment and _chance(c.equalised_share, rng):
            tone_db = rng.uniform(-_TONE_DB, _TONE_DB, TONE_POINTS)
        return self.start[clip] + at, span, gate, gain, tone_db

    def _gate(self, whole: tuple[float, float], rng: np.random.Generator) -> tuple[float, float]:
        """When a sound starts late, stops early, or both; the whole window where it would sound under half a second."""
        start, stop = sorted(rng.uniform(0, self.window, 2).tolist())
        if stop - start < 0.5 * self.rate_hz:
            return whole
        if _chance(0.4, rng):
            return whole[0], stop
        if _chance(0.5, rng):
            return start, whole[1]
        return start, stop


@dataclass(frozen=True)
class _Clause:
    row: int
    azimuth_deg: float
    right: bool = True


@dataclass(frozen=True)
class _Scene:
    clauses: list[_Clause]
    rest_slot: int


def summed_energies(bank: StemBank, clips: Sequence[int], block: int) -> dict[int, np.ndarray]:
    """Mean squares of clips' blocks, summed up from each clip's start, float64 (block + 1); unfinished blocks count.

    All blocks of many clips are rows of one matrix, so that the number of operations hardly depends on that of clips:
    one by one, thousands of them took minutes where several processes with many threads each were at it.
    """
    samples, start, length = bank.samples.numpy(), bank.start.tolist(), bank.length.tolist()
    found: dict[int, np.ndarray] = {}
    at = 0
    while at < len(clips):
        rows, begin, firsts = 0, at, [0]
        while at < len(clips) and (at == begin or rows * block < _AT_ONCE):
            rows += -(-length[clips[at]] // block)
            firsts.append(rows)
            at += 1
        together = np.zeros(rows * block, np.int16)
        for clip, first in zip(clips[begin:at], firsts, strict=False):
            size = length[clip]
            together[first * block : first * block + size] = samples[start[clip] : start[clip] + size]
        scaled = torch.from_numpy(together).float().div_(32767.0).view(rows, block)
        power = scaled.square_().mean(dim=1).double().numpy()
        for clip, first, stop in zip(clips[begin:at], firsts, firsts[1:], strict=False):
            found[clip] = np.concatenate([[0.0], np.cumsum(power[first:stop])])
    return found


def _padded(values: list, size: int, padding: object) -> list:
    return values + [padding] * (size - len(values))


def _any(values: Sequence[int], rng: np.random.Generator) -> int:
    return values[int(rng.integers(len(values)))]


def _pick(weights: np.ndarray, rng: np.random.Generator) -> int:
    """An index, as often as its weight says."""
    total = np.cumsum(weights)
    return int(np.searchsorted(total, rng.random() * total[-1], side="right"))


def _chance(probability: float, rng: np.random.Generator) -> bool:
    return bool(rng.random() < probability)


def _frequency(category: Category) -> float:
    """How often a category is drawn: what people record most, above all voices and drums, most often."""
    if category.name == SINGING:
        return 14.0
    if category.name in _STRINGS:
        return 9.0
    if category.common:
        return 4.0
    return {"speech": 16.0, "kit": 14.0, "ensemble": 28.0, "melodic": 0.6, "recording": 0.6, "percussion": 0.3}[
        category.kind
    ]
