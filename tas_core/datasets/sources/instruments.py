"""Instruments: random music of a category, played by FluidSynth on soundfonts or by TiMidity++ on patch sets.

The synthesizers' own reverb and chorus are off: rooms are added later, by :mod:`tas_core.acoustics.rooms`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tas_core.conventions import db_to_amplitude
from tas_core.datasets.sources.arrangements import Harmony, write_part
from tas_core.datasets.sources.catalogue import Category, SoundFont
from tas_core.datasets.sources.clips import DryClip, finish_clip, missing_material, source_rng
from tas_core.datasets.sources.melodies import Note, kit_pattern, melody, percussion_hits, program_range
from tas_core.datasets.sources.timidity import PatchSynth
from tas_core.errors import TasError

_SYNTH_RATE_HZ = 44100
_SYNTH_BLOCK = 64
_VOICES = 128
_SPARE_VOICES = 32
"""More than a single note takes, lest the synthesizer should complain that it has none left."""
_LEFT_OUT = 0.25
"""How often a part of an ensemble is silent."""
_PART_DB = 6.0
_SYNTH_PERIOD = 48000
"""FluidSynth's dither repeats after this many samples, a multiple of the 64 that it computes at a time."""


class FontSynth:
    """FluidSynth on one soundfont, effects off.

    Raises:
        TasError: pyfluidsynth or the soundfont is not installed.
    """

    def __init__(self, font: SoundFont) -> None:
        try:
            import fluidsynth
        except ImportError as error:
            raise TasError(
                "rendering instruments needs pyfluidsynth and libfluidsynth: "
                "pip install 'tas[simulate]' and apt-get install libfluidsynth3"
            ) from error
        if not font.path.exists():
            raise missing_material(f"{font.path}: soundfont {font.name} is not installed")
        self._synth = fluidsynth.Synth(samplerate=float(_SYNTH_RATE_HZ), gain=0.4)
        self._synth.setting("synth.reverb.active", 0)
        self._synth.setting("synth.chorus.active", 0)
        self._font_id = self._synth.sfload(str(font.path))
        self.font = font

    def render(
        self,
        notes: Sequence[Note],
        duration_s: float,
        *,
        program: int | None = None,
        bank: int = 0,
        tuning_cents: float = 0.0,
    ) -> np.ndarray | None:
        """Play notes; ``program`` None is the percussion channel. Float32 (time) or None without preset."""
        channel = 0 if program is not None else 9
        # Fonts that hold nothing but a drum kit keep it in bank 0.
        bank = bank if program is not None or self.font.only_percussion else 128
        if self._synth.program_select(channel, self._font_id, bank, program or 0) != 0:
            return None
        self._touch_all_voices(channel)
        self._synth.pitch_bend(channel, int(np.clip(tuning_cents / 200.0, -1, 1) * 8191))
        events = sorted(
            [(n.start_s, 1, n) for n in notes] + [(n.start_s + n.length_s, 0, n) for n in notes],
            key=lambda e: (e[0], e[1]),
        )
        pieces: list[np.ndarray] = []
        now = 0
        for time_s, is_on, note in events:
            at = min(round(time_s * _SYNTH_RATE_HZ), round(duration_s * _SYNTH_RATE_HZ))
            if at > now:
                pieces.append(self._synth.get_samples(at - now))
                now = at
            if is_on:
                self._synth.noteon(channel, note.pitch, note.velocity)
            else:
                self._synth.noteoff(channel, note.pitch)
        end = round(duration_s * _SYNTH_RATE_HZ)
        if end > now:
            pieces.append(self._synth.get_samples(end - now))
        # All sound off (MIDI controller 120), since a system reset lets notes ring on into the next clip.
        self._synth.cc(channel, 120, 0)
        self._synth.get_samples(-end % _SYNTH_PERIOD + _SYNTH_PERIOD)
        stereo = np.concatenate(pieces).reshape(-1, 2).astype(np.float32) / 32768.0
        return stereo.sum(axis=1)

    def _touch_all_voices(self, channel: int) -> None:
        """Bring every voice into one state, whatever it played before.

        A voice that is used again fades in from the amplitude at which its last note was cut off, so that a clip
        would depend on the clips before it.
        """
        self._synth.setting("synth.polyphony", _VOICES + _SPARE_VOICES)
        self._synth.pitch_bend(channel, 0)
        for key in list(range(128)) * (_VOICES // 16):
            if self._synth.get_active_voice_count() >= _VOICES:
                break
            self._synth.noteon(channel, key, 100)
        self._synth.get_samples(_SYNTH_BLOCK)
        self._synth.cc(channel, 120, 0)
        self._synth.get_samples(_SYNTH_PERIOD - _SYNTH_BLOCK)
        self._synth.setting("synth.polyphony", _VOICES)

    def close(self) -> None:
        """Free the soundfont."""
        self._synth.delete()


def open_synth(font: SoundFont) -> FontSynth | PatchSynth:
    """What plays a soundfont or patch set.

    Raises:
        TasError: it or its player is not installed.
    """
    return PatchSynth(font, _SYNTH_RATE_HZ) if font.path.suffix == ".cfg" else FontSynth(font)


def font_clip(
    synth: FontSynth | PatchSynth, category: Category, length_s: float, rate_hz: int, rng: np.random.Generator
) -> np.ndarray | None:
    """Random music of one category on a soundfont: float32 (time), peak 0.9; None where the font has no such preset."""
    if category.kind == "ensemble":
        samples = ensemble_clip(synth, category, length_s, rng)
        return None if samples is None else finish_clip(samples, _SYNTH_RATE_HZ, rate_hz, length_s)
    tuning = float(rng.uniform(-60, 60))
    if category.kind == "melodic":
        assert category.program is not None
        notes = melody(category.program, length_s, rng, pitch_range=category.pitch_range, style=category.style)
        samples = synth.render(notes, length_s, program=category.program, tuning_cents=tuning)
    elif category.kind == "percussion":
        assert category.key is not None
        samples = synth.render(percussion_hits(category.key, length_s, rng), length_s)
    else:
        samples = synth.render(kit_pattern(length_s, rng), length_s)
    return None if samples is None else finish_clip(samples, _SYNTH_RATE_HZ, rate_hz, length_s)


def ensemble_clip(
    synth: FontSynth | PatchSynth, category: Category, length_s: float, rng: np.random.Generator
) -> np.ndarray | None:
    """Random music of an ensemble at the synthesizer's rate, float32 (time); None where fewer than two parts sound.

    One of four parts is left out, levels differ by 6 dB to each side.
    """
    has_drums = any(role == "drums" for role, _ in category.parts)
    harmony, tuning = Harmony.draw(rng, slow=not has_drums), float(rng.uniform(-60, 60))
    together, sounding = np.zeros(round(length_s * _SYNTH_RATE_HZ), np.float32), 0
    for role, programs in category.parts:
        played = [program for program in programs if program not in synth.font.without_programs]
        left_out = rng.random() < _LEFT_OUT
        if left_out or (synth.font.without_percussion if role == "drums" else not played):
            continue
        program = None if role == "drums" else played[int(rng.integers(len(played)))]
        notes = write_part(role, program_range(program or 0), harmony, length_s, rng)
        samples = synth.render(notes, length_s, program=program, tuning_cents=0.0 if program is None else tuning)
        if samples is None or (power := float(np.square(samples).mean())) == 0:
            continue
        level = db_to_amplitude(float(rng.uniform(-_PART_DB, _PART_DB)))
        together[: len(samples)] += samples * np.float32(level / np.sqrt(power))
        sounding += 1
    return together if sounding > 1 else None


def render_font(
    font: SoundFont, categories: Sequence[Category], clips: int, length_s: float, rate_hz: int, seed: int
) -> Iterator[DryClip]:
    """Clips of every category that a soundfont can play."""
    synth = open_synth(font)
    for category in categories:
        if not font.plays(category):
            continue
        count = clips * {"kit": 6, "ensemble": 10}.get(category.kind, 1)
        for index in range(count):
            done = font_clip(synth, category, length_s, rate_hz, source_rng(seed, font.name, category.name, index))
            if done is not None:
                yield DryClip(category.name, f"{font.name}/{category.name}", font.split, done)
    synth.close()
