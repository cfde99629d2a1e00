"""Settings of a run: the learning rate over its steps, and which runs are the same."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from tas_cli.options import Scenes
from tas_core.datasets.mixing.draws import COMPOSITIONS
from tas_core.errors import InputError
from tas_core.training.settings import TrainingConfig, check_length, check_same_run, learning_rate_at


def test_learning_rate_rises_holds_and_falls() -> None:
    config = TrainingConfig(steps=1000, warmup_steps=100, decay_share=0.25, learning_rate=2.0)
    rates = np.array([learning_rate_at(step, config) for step in range(1000)])
    np.testing.assert_allclose(rates[:100], 2.0 * np.arange(1, 101) / 100)
    np.testing.assert_allclose(rates[100:750], 2.0)
    np.testing.assert_allclose(rates[750:], 2.0 * (1000 - np.arange(750, 1000)) / 250)
    assert rates[-1] > 0


def test_learning_rate_without_warmup_or_decay_is_constant() -> None:
    config = TrainingConfig(steps=10, warmup_steps=0, decay_share=0.0, learning_rate=0.5)
    assert [learning_rate_at(step, config) for step in range(10)] == [0.5] * 10


def test_a_run_from_before_a_setting_existed_goes_on(tmp_path: Path) -> None:
    """What it did not know of had the present default; another value is another run."""
    earlier = {k: v for k, v in json.loads(json.dumps(asdict(TrainingConfig()))).items() if k != "fold"}
    check_same_run(earlier, TrainingConfig(), tmp_path)
    with pytest.raises(InputError, match=r"fold \(was 1, now 2\)"):
        check_same_run(earlier, TrainingConfig(fold=2), tmp_path)


def test_learning_rate_by_the_clock() -> None:
    """It rises over steps, whatever the time, and falls over the last part of the time, whatever the steps."""
    config = TrainingConfig(minutes=10.0, warmup_steps=100, decay_share=0.25, learning_rate=2.0)
    rates = [learning_rate_at(step, config, gone=0.1) for step in range(100)]
    np.testing.assert_allclose(rates, 2.0 * np.arange(1, 101) / 100)
    gone = np.array([0.0, 0.5, 0.75, 0.8, 0.9, 1.0])
    found = [learning_rate_at(10**6, config, gone=x) for x in gone]
    np.testing.assert_allclose(found, [2.0, 2.0, 2.0, 1.6, 0.8, 0.0], atol=1e-12)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "not said: expected a number of steps or of minutes"),
        ({"steps": 5, "minutes": 1.0}, "after 5 steps and after 1 minutes; expected one of them"),
        ({"minutes": 0.0}, "after 0 minutes; expected more than 0"),
        ({"minutes": -2.0}, "after -2 minutes; expected more than 0"),
        ({"minutes": float("nan")}, "after nan minutes; expected more than 0"),
        ({"minutes": float("inf")}, "after inf minutes; expected more than 0"),
        ({"steps": 0}, "after 0 steps; expected more than 0"),
    ],
)
def test_one_thing_decides_the_end(settings: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        check_length(TrainingConfig(**settings))  # type: ignore[arg-type]
    assert caught.value.remedy == "training_length"
    check_length(TrainingConfig(steps=1))
    check_length(TrainingConfig(minutes=0.5))


def test_how_often_things_are_due() -> None:
    never = float("inf")
    by_steps = TrainingConfig(steps=9)
    assert [by_steps.between(what) for what in ("log", "validate", "save")] == [
        (10, never),
        (250, never),
        (100, never),
    ]
    by_clock = TrainingConfig(minutes=16.0)
    assert [by_clock.between(what) for what in ("log", "validate", "save")] == [
        (never, 10.0),
        (never, 120.0),
        (never, 60.0),
    ]
    assert TrainingConfig(minutes=16.0, log_every=3).between("log") == (3, never)
    assert TrainingConfig(minutes=16.0, save_every_s=5.0).between("save") == (never, 5.0)
    assert TrainingConfig(steps=9, save_every_s=5.0).between("save") == (100, 5.0)


def test_scenes_are_those_that_can_be_drawn() -> None:
    assert TrainingConfig().scenes in COMPOSITIONS
    assert set(get_args(Scenes)) == set(COMPOSITIONS)
