"""The time of a run, what is due when, and signals that end it."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from tas_core.training import clock as clocks
from tas_core.training.clock import Clock, Pace, is_over, stop_signals
from tas_core.training.settings import TrainingConfig

NEVER = float("inf")


class _Watch:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> _Watch:
    found = _Watch()
    monkeypatch.setattr(clocks, "time", found)
    return found


def test_what_is_left_counts_earlier_parts_and_what_has_to_be_done_at_the_end(watch: _Watch) -> None:
    config = TrainingConfig(minutes=2.0)
    clock = Clock(config.minutes)
    clock.earlier_s = 30.0
    watch.now += 30.0
    assert clock.spent_s == 60.0
    assert clock.gone == 0.5
    assert not is_over(1, clock, config)
    with clock.reserving("save"):
        watch.now += 20.0
    assert clock.gone == 80.0 / 100.0  # another save will take 20 s
    with clock.reserving("save"):
        watch.now += 5.0
    with clock.reserving("validation"):
        watch.now += 15.0
    assert clock.gone == 1.0  # 100 s of 120 are over, and 5 and 15 will be needed
    assert is_over(1, clock, config)
    assert not is_over(0, clock, config)  # a step at least


def test_a_run_of_steps_heeds_no_clock(watch: _Watch) -> None:
    config = TrainingConfig(steps=3)
    clock = Clock(None)
    watch.now += 1e6
    assert clock.gone == 0.0
    assert [is_over(step, clock, config) for step in (0, 2, 3, 4)] == [False, False, True, True]


def test_what_is_due_by_steps_and_by_seconds(watch: _Watch) -> None:
    by_steps = Pace((3, NEVER), at_once=True)
    assert [step for step in range(1, 10) if by_steps.due(step)] == [3, 6, 9]
    by_clock, first = Pace((NEVER, 10.0)), Pace((NEVER, 10.0), at_once=True)
    due: list[list[int]] = [[], []]
    for step in range(1, 13):
        watch.now += 4.0
        for number, pace in enumerate((by_clock, first)):
            if pace.due(step):
                due[number].append(step)
    assert due == [[3, 6, 9, 12], [1, 4, 7, 10]]
    both = Pace((5, 10.0))
    watch.now += 12.0
    assert [both.due(step) for step in (1, 2, 5)] == [True, False, True]


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)], ids=["int", "term"]
)
def test_a_signal_waits_for_the_step_and_a_second_one_does_not(number: int, error: type[BaseException]) -> None:
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    with stop_signals() as stop:
        assert stop.asked is None
        stop.obey()
        os.kill(os.getpid(), number)
        assert stop.asked == number
        with pytest.raises(error):
            stop.obey()
        with pytest.raises(error):
            os.kill(os.getpid(), number)
    assert {n: signal.getsignal(n) for n in before} == before


def test_other_threads_leave_signals_alone() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[object] = []

    def work() -> None:
        with stop_signals() as stop:
            seen.extend((stop.asked, signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [None, before]
