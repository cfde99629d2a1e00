"""The sound as it is drawn: measured once, block by block on a thread, while what is there already can be shown."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


class Waveform:
    """Lowest and highest sample of each of equal parts of a sound, at most and at least 0, full scale 1.

    Args:
        pieces: gives the mono samples (time), one piece after the other; called once, on the thread.
        num_samples: in all pieces.
        parts: how many.
    """

    def __init__(self, pieces: Callable[[], Iterator[np.ndarray]], num_samples: int, parts: int) -> None:
        self._pieces = pieces
        self._edges = np.linspace(0, num_samples, parts + 1).astype(np.int64)
        self._peaks = np.zeros((parts, 2))
        self._complete = 0
        self._error: Exception | None = None
        self._ended = threading.Event()
        self._begin = threading.Lock()
        self._thread: threading.Thread | None = None

    def so_far(self, wait_s: float = 0.0) -> dict[str, Any]:
        """What is measured, plain values for JSON: "parts", "peaks" (part, lowest and highest), whether it is "done".

        Args:
            wait_s: how long to wait for its end, seconds.

        Raises:
            Exception: what was wrong with the sound.
        """
        with self._begin:
            if self._thread is None:
                self._thread = threading.Thread(target=self._measure, daemon=True)
                self._thread.start()
        done = self._ended.wait(wait_s)
        if self._error is not None:
            raise self._error
        peaks = self._peaks[: self._complete].round(4).tolist()
        return {"parts": len(self._peaks), "peaks": peaks, "done": done}

    def _measure(self) -> None:
        try:
            at = 0
            for piece in self._pieces():
                self._add(piece, at)
                at += len(piece)
                self._complete = max(0, int(np.searchsorted(self._edges, at, side="right")) - 1)
            self._complete = len(self._peaks)
        except Exception as error:  # said to whoever asks
            self._error = error
        finally:
            self._ended.set()

    def _add(self, piece: np.ndarray, at: int) -> None:
        """Take in samples (time) from a sample of the sound on."""
        first = max(0, int(np.searchsorted(self._edges, at, side="right")) - 1)
        stop = int(np.searchsorted(self._edges, at + len(piece), side="left"))
        for number in range(first, min(stop, len(self._peaks))):
            part = piece[max(0, self._edges[number] - at) : self._edges[number + 1] - at]
            if len(part):
                low, high = self._peaks[number]
                self._peaks[number] = min(low, part.min()), max(high, part.max())
