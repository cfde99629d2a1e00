"""Settings of a run: the learning rate over its steps, and which runs are the same."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from tas_core.errors import InputError
from tas_core.training.settings import TrainingConfig, check_same_run, learning_rate_at


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
