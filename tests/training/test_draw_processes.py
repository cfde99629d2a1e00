"""Scenes drawn by processes are those that are drawn here, whatever becomes of the processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tas_core.datasets.mixing.draws import CompositionConfig, Material, SceneDrawer, SceneDraws
from tas_core.datasets.sources.catalogue import load_categories
from tas_core.training import draw_processes
from tas_core.training.draw_processes import DrawProcesses
from tests.support.tiny import dry_rooms, phrase_table, tone_bank


@pytest.fixture(scope="module")
def drawer() -> SceneDrawer:
    material = Material(tone_bank(), dry_rooms(), phrase_table(), load_categories())
    return SceneDrawer(material, "train", CompositionConfig(window_s=0.5), seed=5, captions=False)


def _same(a: SceneDraws, b: SceneDraws) -> bool:
    equal = lambda x, y: torch.equal(x, y) if isinstance(x, Tensor) else x == y  # noqa: E731
    return all(equal(value, vars(b)[name]) for name, value in vars(a).items())


def _workers(draws: DrawProcesses) -> Iterator[int]:
    """Process numbers of those that live."""
    yield from (worker.process.pid for worker in draws._workers if worker is not None and worker.process.pid)


def test_decisions_survive_the_way_from_another_process(drawer: SceneDrawer) -> None:
    drawn = replace(drawer.draw(3, 4), prompts=("a cello on the left", "größer", "", "x"))
    for sent in (drawn, replace(drawn, prompts=())):
        again = SceneDraws.from_bytes(sent.to_bytes())
        assert _same(sent, again)
    kinds = lambda draws: {n: v.dtype for n, v in vars(draws).items() if isinstance(v, Tensor)}  # noqa: E731
    assert kinds(drawn) == kinds(again)


@pytest.mark.parametrize(("processes", "first"), [(1, 0), (3, 7)])
def test_any_number_of_processes_draws_the_same(drawer: SceneDrawer, processes: int, first: int) -> None:
    """Also from the step on at which a run is gone on with."""
    with closing(DrawProcesses(drawer, 4, processes, first)) as draws:
        for step in range(first, first + 7):
            assert _same(draws.get(step), drawer.draw(step, 4))


def test_a_process_that_is_killed_is_replaced_and_nothing_is_lost(drawer: SceneDrawer) -> None:
    with closing(DrawProcesses(drawer, 40, 2, 0)) as draws:
        assert _same(draws.get(0), drawer.draw(0, 40))
        victim = list(_workers(draws))[0]
        os.kill(victim, signal.SIGKILL)
        with pytest.warns(UserWarning, match="a process that draws scenes ended with exit code .*; another takes"):
            found = [draws.get(step) for step in range(1, 16)]
        assert all(_same(one, drawer.draw(step, 40)) for step, one in enumerate(found, 1))
        assert victim not in _workers(draws)
        assert len(list(_workers(draws))) == 2


def test_a_process_that_stands_still_is_not_waited_for(drawer: SceneDrawer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draw_processes, "_NEXT_S", 0.3)
    monkeypatch.setattr(draw_processes, "_LIVES", 1)
    with closing(DrawProcesses(drawer, 40, 1, 0)) as draws:
        draws.get(0)
        (victim,) = _workers(draws)
        os.kill(victim, signal.SIGSTOP)
        with pytest.warns(UserWarning, match=r"gave nothing for 0.3 s; its scenes are drawn by the training itself"):
            found = [draws.get(step) for step in range(1, 12)]
        assert all(_same(one, drawer.draw(step, 40)) for step, one in enumerate(found, 1))
        assert list(_workers(draws)) == []
    with pytest.raises(ProcessLookupError):
        os.kill(victim, 0)


def test_nobody_waits_for_processes_that_are_stopped(drawer: SceneDrawer) -> None:
    draws = DrawProcesses(drawer, 4, 1, 0)
    (process,) = _workers(draws)
    os.kill(process, signal.SIGSTOP)  # it would not give its first scenes for ever
    draws.stop()
    assert _same(draws.get(0), drawer.draw(0, 4))
    draws.close()
