from __future__ import annotations

import numpy as np
import pytest
import torch

from tas_core.models.slots.bands import BAND_GROUPS, BandMerge, BandSplit, band_count, bin_count

# Written out: 16 bands of 2 bins, then 8 each of 4, 8, 16 and 32.
WIDTHS = [2] * 16 + [4] * 8 + [8] * 8 + [16] * 8 + [32] * 8
STARTS = np.cumsum([0, *WIDTHS])
BAND_OF_BIN = np.repeat(np.arange(len(WIDTHS)), WIDTHS)


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def split() -> BandSplit:
    torch.manual_seed(1)
    return BandSplit(3, 5)


@pytest.fixture
def merge() -> BandMerge:
    torch.manual_seed(1)
    return BandMerge(5, 2)


def test_bands_cover_512_bins_from_narrow_to_wide() -> None:
    assert band_count() == len(WIDTHS) == 48
    assert bin_count() == sum(WIDTHS) == 512
    assert [width for _, width in BAND_GROUPS] == sorted(width for _, width in BAND_GROUPS)
    assert band_count(((2, 3), (1, 5))) == 3
    assert bin_count(((2, 3), (1, 5))) == 11


@torch.no_grad()
def test_a_bin_changes_its_own_band_and_no_other(split: BandSplit) -> None:
    x = torch.randn(1, 512, 2, 3, generator=_generator())
    before = split(x)
    for index in range(512):
        moved = x.clone()
        moved[:, index, 1] += 1
        changed = (split(moved) != before).any(dim=3)[0]  # (band, frame)
        assert changed.nonzero().tolist() == [[BAND_OF_BIN[index], 1]]


@torch.no_grad()
def test_bins_beyond_the_bands_are_ignored(split: BandSplit) -> None:
    x = torch.randn(2, 513, 4, 3, generator=_generator())
    moved = x.clone()
    moved[:, 512] += 1
    torch.testing.assert_close(split(moved), split(x), rtol=0, atol=0)


@torch.no_grad()
def test_split_is_one_matrix_per_band(split: BandSplit) -> None:
    x = torch.randn(2, 512, 3, 3, generator=_generator(), dtype=torch.float64)
    found = split.double()(x)
    band = 0
    for each, (count, width) in zip(split.maps, BAND_GROUPS, strict=True):
        weight, bias = each.get_parameter("weight"), each.get_parameter("bias")
        for i in range(count):
            piece = x[:, STARTS[band] : STARTS[band] + width]  # (batch, bin, frame, feature)
            flat = piece.permute(0, 2, 1, 3).reshape(2, 3, width * 3)
            torch.testing.assert_close(found[:, band], flat @ weight[i] + bias[i, 0], rtol=1e-12, atol=1e-12)
            band += 1
    assert band == 48


@torch.no_grad()
def test_a_band_changes_its_own_bins_and_no_other(merge: BandMerge) -> None:
    h = torch.randn(1, 48, 2, 5, generator=_generator())
    before = merge(h)
    assert before.shape == (1, 2, 512, 2)
    covered = []
    for band in range(48):
        moved = h.clone()
        moved[:, band, 1] += 1
        changed = (merge(moved) != before).any(dim=3)[0]  # (frame, freq)
        assert not changed[0].any()
        bins = changed[1].nonzero()[:, 0].tolist()
        assert bins == list(range(STARTS[band], STARTS[band + 1]))
        covered += bins
    assert covered == list(range(512))


@torch.no_grad()
def test_scenes_and_frames_do_not_mix(split: BandSplit, merge: BandMerge) -> None:
    x = torch.randn(3, 512, 4, 3, generator=_generator())
    whole = merge(split(x))
    for b in range(3):
        for t in range(4):
            alone = merge(split(x[b : b + 1, :, t : t + 1]))
            # Batched products of float32 may be summed in another order.
            torch.testing.assert_close(whole[b, t], alone[0, 0], rtol=1e-5, atol=1e-6)
