"""When a run ends, and when its log, its validation and its saves are due: by steps, by the clock, and by signals."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tas_core.training.settings import TrainingConfig


class Clock:
    """The time that a run has used, over all its parts.

    What has to be done after the last step, a validation and a save, takes as long as it took the last time; so much
    is kept for it.

    Args:
        minutes: that the run may take; None for no limit.
        spent_s: that earlier parts of it took.
    """

    def __init__(self, minutes: float | None, spent_s: float = 0.0) -> None:
        self.earlier_s = spent_s
        self._limit_s = None if minutes is None else 60 * minutes
        self._began = time.monotonic()
        self._reserve_s: dict[str, float] = {}

    @property
    def spent_s(self) -> float:
        """Seconds used up to now."""
        return self.earlier_s + time.monotonic() - self._began

    @property
    def gone(self) -> float:
        """Fraction of the time for steps that is over, 0 to 1; 0 without a limit."""
        if self._limit_s is None:
            return 0.0
        for_steps = self._limit_s - sum(self._reserve_s.values())
        return min(1.0, self.spent_s / for_steps) if for_steps > 0 else 1.0

    @contextmanager
    def reserving(self, name: str) -> Iterator[None]:
        """Measure what will be done once more at the end."""
        began = time.monotonic()
        yield
        self._reserve_s[name] = time.monotonic() - began


class Pace:
    """Something that is done every so many steps, or every so many seconds, whichever are over first.

    Args:
        between: steps and seconds, infinite for no limit.
        at_once: whether it is due at the first step already, where seconds are limited.
    """

    def __init__(self, between: tuple[float, float], at_once: bool = False) -> None:
        self._steps, self._seconds = between
        self._last = time.monotonic() - (self._seconds if at_once and self._seconds < math.inf else 0.0)

    def due(self, step: int) -> bool:
        """Whether it is time after a step; then the seconds begin anew."""
        now = time.monotonic()
        if step % self._steps and now - self._last < self._seconds:
            return False
        self._last = now
        return True


def is_over(step: int, clock: Clock, config: TrainingConfig) -> bool:
    """Whether a run that has made so many steps is at its end; one of minutes makes a step at least."""
    if config.steps is not None:
        return step >= config.steps
    return step > 0 and clock.gone >= 1.0


class Stop:
    """Whether a signal has asked the run to stop; ``asked`` is its number, or None."""

    def __init__(self) -> None:
        self.asked: int | None = None

    def obey_all(self, asked: int | None, *, alone: bool) -> None:
        """Leave, where all processes that train together know of the signal, or there is but one.

        Args:
            asked: what they know of.
            alone: whether there is but one, which also obeys what it heard since.

        Raises:
            KeyboardInterrupt: as :meth:`obey`.
            SystemExit: as :meth:`obey`.
        """
        if alone or asked is not None:
            self.asked = self.asked if alone else asked
            self.obey()

    def obey(self) -> None:
        """Leave, as the signal wants.

        Raises:
            KeyboardInterrupt: it was SIGINT.
            SystemExit: it was SIGTERM.
        """
        if self.asked == signal.SIGINT:
            raise KeyboardInterrupt
        if self.asked is not None:
            raise SystemExit(128 + self.asked)


@contextmanager
def stop_signals() -> Iterator[Stop]:
    """Let SIGINT and SIGTERM end the step that is under way before they end the run; a second one ends it at once.

    Outside of the main thread, which alone hears signals, nothing is changed.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def heard(number: int, frame: FrameType | None) -> None:
        del frame
        again = stop.asked is not None
        stop.asked = number
        if again:
            stop.obey()

    before = {number: signal.signal(number, heard) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
