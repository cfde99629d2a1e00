"""What a long sound costs in ``tas studio``: processor seconds until it is open, drawn and heard, and memory.

::

    OMP_NUM_THREADS=1 python benchmarks/studio_hours.py [MINUTES]

The sound is stereo FLAC of 48 kHz, 100 minutes if nothing else is said, made in a temporary folder (0.5 GB), with a
prompt for every 10 s. Memory is the most of the process beyond that of the imported program; Linux.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import soundfile

from tas_core.jobs.spatialize import JobSettings
from tas_core.studio.operations import SetText
from tas_core.studio.server import StudioRequest, opened
from tas_core.studio.sounds import Passage

RATE_HZ, SEGMENT_S, PASSAGE_S = 48_000, 10, 5.0


def make_sound(path: Path, minutes: float) -> None:
    """A chord that changes with the seconds, and a little noise."""
    rng = np.random.default_rng(1)
    t = np.arange(60 * RATE_HZ) / RATE_HZ
    chord = sum(0.05 * np.sin(2 * np.pi * hz * t) * (1 + np.sin(2 * np.pi * t / hz)) for hz in (220, 277, 330, 1760))
    minute = np.stack([chord, 0.8 * chord], axis=1) + rng.normal(0, 1e-4, (len(t), 2))
    with soundfile.SoundFile(path, "w", RATE_HZ, 2, format="FLAC", subtype="PCM_16", compression_level=0) as file:
        for _ in range(int(minutes)):
            file.write(minute)
        file.write(minute[: round((minutes % 1) * len(minute))])


def make_scene(path: Path, minutes: float) -> None:
    texts = ("cello on the left, piano on the right", "the cello moves from the left to the right")
    lines = [f'  - {{start: {i * SEGMENT_S}, text: "{texts[i % 2]}"}}' for i in range(int(60 * minutes / SEGMENT_S))]
    path.write_text("\n".join(["prompts:", *lines, ""]))


def memory_mb() -> float:
    """What this process holds of its own: without pages of files, which the system takes back when it needs them."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["RssAnon"].split()[0]) / 1024


class Watch:
    """The most memory since its beginning, looked at every 10 ms."""

    def __init__(self) -> None:
        self._before_mb = self._most_mb = memory_mb()
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while True:
            self._most_mb = max(self._most_mb, memory_mb())
            time.sleep(0.01)

    @property
    def most_mb(self) -> float:
        return max(self._most_mb, memory_mb()) - self._before_mb


def main(minutes: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        audio, scene = Path(folder, "long.flac"), Path(folder, "long.yaml")
        make_sound(audio, minutes)
        make_scene(scene, minutes)
        print(f"{minutes:g} minutes, {audio.stat().st_size / 1e6:.0f} MB")
        import tas_core.jobs.rendering
        import tas_core.studio.app  # noqa: F401

        watch, at = Watch(), time.process_time()

        def note(what: str) -> None:
            nonlocal at
            now = time.process_time()
            print(f"{what:<40} {now - at:6.2f} s CPU   {watch.most_mb:6.0f} MB")
            at = now

        with opened(StudioRequest(audio, scene), JobSettings(), lambda _: lambda out, formats: out) as studio:
            state = studio.scene()
            note("opened, with all that the page shows")
            first = studio.waveform()
            note(f"the first {len(first['peaks']) / first['parts']:.0%} of the waveform")
            while not studio.waveform()["done"]:
                pass
            note("all of the waveform")
            last = len(state["segments"]) - 1
            studio.session.change(SetText(last, "cello 20° left, piano on the right"), state["revision"])
            studio.scene()
            note("a change of the last prompt")
            studio.listening.load()
            note("the model")
            for what in ("5 s at the end, heard", "5 s at the end, another place"):
                timeline = studio.timeline_of(studio.session.revision)
                assert timeline is not None  # nothing else changes the scene
                studio.listening.hear(timeline, Passage(last * SEGMENT_S, PASSAGE_S))
                note(what)
                words = SetText(last, "cello 40° left, piano on the right")
                studio.session.change(words, studio.session.revision)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 100.0)
