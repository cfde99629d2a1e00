"""How near the ears that are made come to those of a head: literal numbers for heads of which all is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tas_core.acoustics.fidelity import head_fidelity
from tas_core.acoustics.hrtf import HrirSet, load_kemar
from tests.support.sofa_files import uneven_head

FRONT_DEG = np.arange(-90, 91, 5.0)


def test_fidelity_of_the_shipped_head() -> None:
    found = head_fidelity(load_kemar())
    # What the mono sum costs is mostly the resonance of the ear, which all directions share.
    assert 4 < found.ear_deviation_db < 9
    assert 1 < found.directional_deviation_db < 4
    assert 0.5 < found.level_difference_error_db < 3
    assert found.asymmetry_db == -120
    assert found.front_db == -120


def test_fidelity_of_a_head_whose_ears_already_sum_to_the_source() -> None:
    """H_L + H_R = 2 and no poles: the ears made are the head's own."""
    azimuth_deg = FRONT_DEG
    hrir = np.zeros((len(azimuth_deg), 2, 64))
    hrir[:, 0, 5] = 1 + 0.5 * np.sin(np.radians(azimuth_deg))
    hrir[:, 1, 5] = 2 - hrir[:, 0, 5]
    found = head_fidelity(HrirSet(hrir, azimuth_deg, np.zeros(len(azimuth_deg)), 44100))
    # Log magnitudes are interpolated between directions, G between the table's.
    assert found.ear_deviation_db < 0.05
    assert found.level_difference_error_db < 0.1
    assert found.asymmetry_db < -100


def test_fidelity_of_an_uneven_head(tmp_path: Path) -> None:
    """It is not odd, and in front there is a side signal."""
    fidelity = head_fidelity(uneven_head(tmp_path, (1.0, 0.7)))
    assert -30 < fidelity.asymmetry_db < 0
    assert -40 < fidelity.front_db < -10
