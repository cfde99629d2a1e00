"""True peak between the samples, and clipped samples, wherever blocks end."""

from __future__ import annotations

import numpy as np
import pytest

from tas_core.audio.true_peak import FULL_SCALE, PeakMeter


@pytest.mark.parametrize("block", [50_000, 777])
def test_true_peak_is_between_the_samples(block: int) -> None:
    # A quarter of the rate, 45 degrees off: all samples at 0.707 of the amplitude.
    sine = 0.5 * np.sin(np.pi / 2 * np.arange(32_000) + np.pi / 4) * np.hanning(32_000)
    meter = PeakMeter(48_000, 2)
    for start in range(0, len(sine), block):
        meter.add(np.stack([0 * sine, sine])[:, start : start + block])
    assert 20 * np.log10(np.abs(sine).max()) == pytest.approx(-9.03, abs=0.01)
    assert meter.true_peak_dbtp == pytest.approx(-6.02, abs=0.01)
    silent = PeakMeter(48_000, 1)
    silent.add(np.zeros((1, 100)))
    assert silent.true_peak_dbtp is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 1, 0, 1, 0], 0),
        ([0, 1, 1, 0], 2),
        ([1, 1, 1], 3),
        ([-1, 1, 0.99, FULL_SCALE, -FULL_SCALE, 1], 5),
        ([1.5, 2, 0, 0, 1], 2),
    ],
)
def test_clipped_samples_are_those_beside_another_at_full_scale(values: list[float], expected: int) -> None:
    for size in (1, 2, 3, 9):  # wherever blocks end
        meter = PeakMeter(48_000, 2)
        for start in range(0, len(values), size):
            part = np.array(values[start : start + size], float)
            meter.add(np.stack([part, 0 * part]))
        assert meter.clipped == expected
