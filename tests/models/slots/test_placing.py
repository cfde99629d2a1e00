from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tas_core.models.slots.placing import placing_masks

CLAUSES, FRAMES, BINS = 3, 20, 7


def _scene(clauses: int = CLAUSES, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Masks of clauses that take unequal shares, magnitudes, and when the clauses hold."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(2, clauses + 1, FRAMES, BINS, generator=generator)
    logits[:, 0] += 2
    active = torch.rand(2, clauses, FRAMES, generator=generator) > 0.3
    logits[:, :-1][~active] = -1e4
    magnitude = torch.rand(2, FRAMES, BINS, generator=generator) ** 4
    return logits.softmax(dim=1), magnitude, active


def _place(
    scene: tuple[Tensor, Tensor, Tensor], balance: float = 0.75, frames: int = 4, sharpness: float = 4.0
) -> np.ndarray:
    return placing_masks(*scene, balance=balance, frames=frames, sharpness=sharpness).numpy()


def _reference(
    masks: np.ndarray, magnitude: np.ndarray, active: np.ndarray, balance: float, frames: int, sharpness: float
) -> np.ndarray:
    """The definition, bin by bin in float64."""
    batch, clauses = active.shape[:2]
    out = np.zeros((batch, clauses, FRAMES, BINS))
    for b in range(batch):
        for t in range(FRAMES):
            near = range(max(0, t - frames), min(FRAMES, t + frames + 1))
            share = np.full(clauses, 0.02)
            for k in range(clauses):
                taken = sum(masks[b, k, u, f] * magnitude[b, u, f] ** 0.5 for u in near for f in range(BINS))
                could = sum(magnitude[b, u, f] ** 0.5 for u in near if active[b, k, u] for f in range(BINS))
                if could > 0:
                    share[k] = min(max(taken / could, 0.02), 1.0)
            most = max([share[k] for k in range(clauses) if active[b, k, t]], default=0.02)
            for f in range(BINS):
                parts = [masks[b, k, t, f] * (most / share[k]) ** balance for k in range(clauses)]
                parts = np.array([*parts, masks[b, -1, t, f]]) ** sharpness
                out[b, :, t, f] = parts[:-1] / parts.sum()
    return out


@pytest.mark.parametrize(("balance", "frames", "sharpness"), [(0.75, 4, 4.0), (1.0, 0, 1.0), (0.3, 50, 2.5)])
def test_masks_are_corrected_as_defined(balance: float, frames: int, sharpness: float) -> None:
    scene = _scene()
    expected = _reference(*(x.double().numpy() for x in scene[:2]), scene[2].numpy(), balance, frames, sharpness)
    found = _place(scene, balance, frames, sharpness)
    # Fourth powers of float32 masks, each right to some 1e-6 of itself.
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert np.abs(found - _place(scene, 0.0, frames, sharpness)).max() > 0.1


def test_nothing_is_corrected_unless_asked_for() -> None:
    scene = _scene()
    np.testing.assert_allclose(_place(scene, 0.0, 4, 1.0), scene[0][:, :-1].numpy(), rtol=1e-5, atol=1e-7)


def test_clauses_that_take_equal_shares_stay_as_they_are() -> None:
    """Two clauses whose masks mirror each other in frequency take the same of noise that does not change with it."""
    masks = torch.rand(1, 1, FRAMES, BINS, generator=torch.Generator().manual_seed(3)) * 0.9
    masks = torch.cat([masks, masks.flip(-1), 2 - masks - masks.flip(-1)], dim=1) / 2
    scene = masks, torch.ones(1, FRAMES, BINS), torch.ones(1, 2, FRAMES, dtype=torch.bool)
    np.testing.assert_allclose(_place(scene, 1.0), _place(scene, 0.0), rtol=1e-5, atol=1e-7)


def test_one_clause_alone_does_not_take_from_everything_else() -> None:
    scene = _scene(clauses=1)
    np.testing.assert_allclose(_place(scene, 1.0), _place(scene, 0.0), rtol=1e-5, atol=1e-7)


def test_the_less_sure_name_gets_the_bins_that_speak_for_it_most() -> None:
    """0.9 of every bin to one name and 0.1 to the other, but 0.3 in the upper bins: those are the other's."""
    quiet = torch.tensor([0.02, 0.02, 0.02, 0.02, 0.3, 0.3, 0.3]).expand(1, FRAMES, BINS)
    masks = torch.stack([1 - quiet, quiet, torch.zeros_like(quiet)], dim=1)
    scene = masks, torch.ones(1, FRAMES, BINS), torch.ones(1, 2, FRAMES, dtype=torch.bool)
    before, after = _place(scene, 0.0)[0, 1], _place(scene, 1.0)[0, 1]
    assert before.max() < 0.04
    assert after[:, :4].max() < 0.01
    assert after[:, 4:].min() > 0.9


def test_the_level_and_the_order_of_clauses_do_not_matter() -> None:
    masks, magnitude, active = _scene()
    straight = _place((masks, magnitude, active))
    np.testing.assert_allclose(_place((masks, 1e-4 * magnitude, active)), straight, rtol=1e-3, atol=1e-6)
    order = [2, 0, 1]
    permuted = _place((masks[:, [*order, 3]], magnitude, active[:, order]))
    # Only the order of float32 sums over clauses differs, here and below.
    np.testing.assert_allclose(permuted, straight[:, order], rtol=1e-5, atol=1e-7)


def test_a_clause_has_nothing_where_it_does_not_hold_and_does_not_count_there() -> None:
    masks, magnitude, active = _scene()
    found = _place((masks, magnitude, active))
    assert not found[~active.numpy()].any()
    padded = torch.cat([masks[:, :-1], torch.zeros_like(masks[:, :1]), masks[:, -1:]], dim=1)
    silent = torch.cat([active, torch.zeros_like(active[:, :1])], dim=1)
    np.testing.assert_allclose(_place((padded, magnitude, silent))[:, :-1], found, rtol=1e-5, atol=1e-7)


def test_silence_and_no_clauses_are_no_trouble() -> None:
    masks, magnitude, active = _scene()
    assert np.isfinite(_place((masks, torch.zeros_like(magnitude), active))).all()
    assert _place((masks[:, -1:], magnitude, active[:, :0])).shape == (2, 0, FRAMES, BINS)


def test_a_frame_depends_on_those_within_reach_only() -> None:
    generator = torch.Generator().manual_seed(8)
    masks = torch.randn(1, CLAUSES + 1, FRAMES, BINS, generator=generator).softmax(dim=1)
    changed = masks.clone()
    changed[:, :, 12] = changed[:, :, 12].flip(1)
    rest = torch.ones(1, FRAMES, BINS), torch.ones(1, CLAUSES, FRAMES, dtype=torch.bool)
    differs = np.abs(_place((changed, *rest)) - _place((masks, *rest))).max(axis=(0, 1, 3))
    # Running sums over time round off by 1e-7 of themselves.
    assert np.flatnonzero(differs > 1e-6).tolist() == list(range(8, 17))
