"""Azimuths of places and of movements."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tas_core.errors import PromptError
from tas_core.timeline.places import AzimuthPath


@pytest.mark.parametrize("degrees", [90.001, -91.0, float("nan"), float("inf")])
def test_azimuth_out_of_range_is_refused(degrees: float) -> None:
    with pytest.raises(PromptError, match="outside -90"):
        AzimuthPath(0.0, degrees)


azimuths = st.floats(-90, 90)
paths = st.builds(AzimuthPath, azimuths, azimuths) | azimuths.map(lambda a: AzimuthPath(a, a))


@given(paths, st.floats(0, 1))
def test_path_is_monotone_exact_at_its_ends_and_odd(path: AzimuthPath, fraction: float) -> None:
    assert (path.at(0.0), path.at(1.0)) == (path.start_deg, path.end_deg)
    low, high = sorted((path.start_deg, path.end_deg))
    assert low - 1e-12 <= path.at(fraction) <= high + 1e-12
    assert path.mirrored().at(fraction) == -path.at(fraction)
    assert path.mirrored().mirrored() == path


@given(azimuths, azimuths)
def test_path_is_half_way_at_half_time(start: float, end: float) -> None:
    assert AzimuthPath(start, end).at(0.5) == pytest.approx((start + end) / 2, abs=1e-9)
