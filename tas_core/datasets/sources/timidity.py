"""Gravis patch sets such as FreePats, played by TiMidity++, which FluidSynth does not read."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tas_core.datasets.sources.catalogue import SoundFont
from tas_core.datasets.sources.clips import missing_material, run_synthesizer
from tas_core.datasets.sources.melodies import Note

_TICKS_A_SECOND = 10000
_DRUM_CHANNEL = 9
_PLAIN = ("-EFreverb=d", "-EFchorus=d", "-EFdelay=d", "--no-polyphony-reduction", "--preserve-silence")


class PatchSynth:
    """TiMidity++ on the patches that one of its configuration files lists, effects off.

    Raises:
        TasError: the patch set or TiMidity++ is not installed.
    """

    def __init__(self, font: SoundFont, rate_hz: int) -> None:
        if not font.path.exists():
            raise missing_material(f"{font.path}: patch set {font.name} is not installed")
        if shutil.which("timidity") is None:
            raise missing_material("timidity is not installed")
        self.font, self._rate_hz = font, rate_hz
        self._programs, self._keys = _listed(font.path)

    def render(
        self,
        notes: Sequence[Note],
        duration_s: float,
        *,
        program: int | None = None,
        tuning_cents: float = 0.0,
    ) -> np.ndarray | None:
        """Play notes; ``program`` None is the percussion channel. Float32 (time) or None without patch.

        TiMidity++ would play what the set lacks from the system's own configuration, that is from another source: so
        drum notes without a patch are left out.

        Raises:
            TasError: TiMidity++ does not play.
        """
        if program is None:
            notes = [note for note in notes if note.pitch in self._keys]
        elif program not in self._programs:
            return None
        if not notes:
            return None
        song = standard_midi(notes, program, tuning_cents)
        command = ["timidity", "-c", str(self.font.path), "-OrM1sl", "-s", str(self._rate_hz), *_PLAIN, "-o", "-", "-"]
        done = run_synthesizer(command, "timidity does not play", song)
        samples = np.frombuffer(done[: len(done) // 2 * 2], "<i2").astype(np.float32) / 32768.0
        return samples[: round(duration_s * self._rate_hz)]

    def close(self) -> None:
        """Do nothing, since nothing is held between songs."""


def _listed(path: Path) -> tuple[set[int], set[int]]:
    """Programs of bank 0 and drum keys of drum set 0 that a TiMidity++ configuration has patches for."""
    found: dict[str, set[int]] = {"bank": set(), "drumset": set()}
    section = ""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if heading := re.match(r"\s*(bank|drumset)\s+(\d+)", line):
            section = heading[1] if int(heading[2]) == 0 else ""
        elif section and (entry := re.match(r"\s*(\d+)\s+\S", line)):
            found[section].add(int(entry[1]))
    return found["bank"], found["drumset"]


def standard_midi(notes: Sequence[Note], program: int | None, tuning_cents: float = 0.0) -> bytes:
    """A MIDI file of format 0 (Standard MIDI Files 1.0) with one instrument.

    Args:
        notes: of at most some hours; pitches 0 to 127, velocities 1 to 127.
        program: of General MIDI, 0 to 127; None for drums, whose pitches say which.
        tuning_cents: of all notes; cut to -200 to 200.
    """
    channel = _DRUM_CHANNEL if program is None else 0
    bend = 8192 + int(np.clip(tuning_cents / 200.0, -1, 1) * 8191)
    events = [(0, 0, b"\xff\x51\x03" + (1_000_000).to_bytes(3, "big"))]
    if program is not None:
        events.append((0, 0, bytes([0xC0 | channel, program])))
    events.append((0, 0, bytes([0xE0 | channel, bend & 127, bend >> 7])))
    for note in notes:
        first = round(note.start_s * _TICKS_A_SECOND)
        last = max(round((note.start_s + note.length_s) * _TICKS_A_SECOND), first + 1)
        events.append((first, 2, bytes([0x90 | channel, note.pitch, note.velocity])))
        events.append((last, 1, bytes([0x80 | channel, note.pitch, 0])))
    track, now = b"", 0
    for at, _, event in sorted(events, key=lambda e: e[:2]):
        track += _variable_length(at - now) + event
        now = at
    track += b"\x00\xff\x2f\x00"
    header = b"MThd" + (6).to_bytes(4, "big") + b"".join(n.to_bytes(2, "big") for n in (0, 1, _TICKS_A_SECOND))
    return header + b"MTrk" + len(track).to_bytes(4, "big") + track


def _variable_length(number: int) -> bytes:
    """A number in groups of seven bits, highest first, all but the last marked."""
    groups = [number & 127]
    while number := number >> 7:
        groups.append(number & 127 | 128)
    return bytes(reversed(groups))
