from __future__ import annotations

import numpy as np
import pytest
import torch

from tas_core.acoustics.direction_filter import DirectionFilter
from tas_core.acoustics.hrtf import direction_ratio

N_FFT, RATE_HZ = 1024, 16000


@pytest.fixture(scope="module")
def fresh() -> DirectionFilter:
    return DirectionFilter(N_FFT, RATE_HZ)


@pytest.fixture
def trained() -> DirectionFilter:
    """With a table that no head has: symmetry must not rest on the measurement."""
    filter_ = DirectionFilter(N_FFT, RATE_HZ)
    with torch.no_grad():
        filter_.table.copy_(torch.randn(filter_.table.shape, generator=torch.Generator().manual_seed(2)))
    return filter_


@torch.no_grad()
def test_odd_in_azimuth_for_any_weights(trained: DirectionFilter) -> None:
    azimuth_deg = torch.rand(200, generator=torch.Generator().manual_seed(3)) * 180 - 90
    left, right = trained(azimuth_deg), trained(-azimuth_deg)
    assert torch.equal(left, -right)
    assert bool((left.abs() > 0).all())


@torch.no_grad()
def test_front_is_exactly_zero(trained: DirectionFilter) -> None:
    assert not trained(torch.tensor([0.0, -0.0])).abs().any()


@torch.no_grad()
def test_fresh_table_is_the_measured_ratio(fresh: DirectionFilter) -> None:
    azimuth_deg = np.arange(-90, 91, 5.0)
    expected = direction_ratio(azimuth_deg, np.arange(513) * 15.625)
    found = fresh(torch.from_numpy(azimuth_deg).float()).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=3e-7 * np.abs(expected).max())  # float32


@torch.no_grad()
def test_linear_between_nodes(trained: DirectionFilter) -> None:
    low, high = trained(torch.tensor([35.0, 40.0]))
    for share in (0.0, 0.25, 0.5, 0.9):
        found = trained(torch.tensor([35.0 + 5 * share]))[0]
        torch.testing.assert_close(found, (1 - share) * low + share * high, rtol=1e-5, atol=1e-5)
    # Between the front and the first node it starts from zero.
    torch.testing.assert_close(trained(torch.tensor([2.0]))[0], 0.4 * trained(torch.tensor([5.0]))[0])


@torch.no_grad()
def test_beyond_the_side_counts_as_the_side(trained: DirectionFilter) -> None:
    at = trained(torch.tensor([90.0, 91.0, 180.0, -90.0, -100.0]))
    assert torch.equal(at[1], at[0])
    assert torch.equal(at[2], at[0])
    assert torch.equal(at[4], at[3])
    assert torch.equal(at[3], -at[0])


@torch.no_grad()
def test_any_shape_of_azimuths(trained: DirectionFilter) -> None:
    azimuth_deg = torch.tensor([[-30.0, 0.0, 12.0], [90.0, -90.0, 1.0]])
    found = trained(azimuth_deg)
    assert found.shape == (2, 3, 513)
    for i in range(2):
        for j in range(3):
            assert torch.equal(found[i, j], trained(azimuth_deg[i, j][None])[0])


def test_nothing_in_it_is_trained_and_all_of_it_is_saved(fresh: DirectionFilter) -> None:
    assert list(fresh.parameters()) == []
    assert list(fresh.state_dict()) == ["table"]


def test_gradient_with_respect_to_the_azimuth_is_the_slope_between_nodes(trained: DirectionFilter) -> None:
    azimuth_deg = torch.tensor([37.0, -62.0], requires_grad=True)
    trained(azimuth_deg)[:, 100].real.sum().backward()
    table = trained.table[:, 100, 0]  # 5, 10, .. degrees
    assert azimuth_deg.grad is not None
    # Odd in azimuth, hence the slope is the same function on both sides.
    expected = torch.stack([table[7] - table[6], table[12] - table[11]]) / 5
    torch.testing.assert_close(azimuth_deg.grad, expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_left_is_left(fresh: DirectionFilter) -> None:
    """A sound through the filter at +60 is louder in ear 0, and its low frequencies lead there."""
    ratio = fresh(torch.tensor([60.0]))[0]
    left, right = 1 + ratio, 1 - ratio
    assert float(left.abs().square().sum()) > 4 * float(right.abs().square().sum())
    assert bool((torch.angle(left * right.conj())[15:40] > 0).all())
