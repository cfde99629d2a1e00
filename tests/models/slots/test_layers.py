"""Fusion of sound and clauses, against loops over its equations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tas_core.models.slots.bands import band_sums
from tas_core.models.slots.layers import ClauseFusion, Recognition

pytestmark = pytest.mark.usefixtures("one_thread")


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _norm(x: np.ndarray, gain: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * gain


@torch.no_grad()
@pytest.mark.parametrize("context", [1, 2, 50])
def test_fusion_is_equations_6_to_8(context: int) -> None:
    """Loops over clauses, bands and frames, in float64; context 50 covers all frames, as the paper's Eq. 6 does."""
    batch, clauses, bands, frames, channels, width = 2, 3, 4, 6, 5, 7
    torch.manual_seed(4)
    fusion = ClauseFusion(channels, width, context).double()
    for parameter in fusion.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    h = torch.randn(batch, bands, frames, channels, dtype=torch.float64)
    text = torch.randn(batch, clauses, width, dtype=torch.float64)
    active = torch.rand(batch, clauses, frames, generator=_generator(1)) > 0.3
    active[:, -1] = True  # "everything else" always holds
    found, found_key = (out.numpy() for out in fusion(h, text, active))

    p = {name: value.numpy() for name, value in fusion.named_parameters()}
    linear = lambda name, x: x @ p[f"{name}.weight"].T + p.get(f"{name}.bias", 0.0)  # noqa: E731
    on = active.numpy()
    x = _norm(h.numpy(), p["norm.gain"])
    fused = np.zeros((batch, clauses, frames, channels))
    key = np.zeros_like(fused)
    for b in range(batch):
        for k in range(clauses):
            query = linear("query", text.numpy()[b, k])
            for t in range(frames):
                # Eq. 6: weights exp(q . k / sqrt(d)), the score bounded by 8, over all bands and near frames.
                top, bottom = np.zeros(channels), 0.0
                for near in range(max(0, t - context), min(frames, t + context + 1)):
                    for n in range(bands):
                        score = query @ linear("keys", x[b, n, near]) / np.sqrt(channels)
                        weight = np.exp(8 * np.tanh(score / 8)) * on[b, k, near]
                        top += weight * linear("values", x[b, n, near])
                        bottom += weight
                aware = top / bottom if bottom > 0 else top
                # Eq. 7: multiply by the query after a fully connected layer with a skip.
                fused[b, k, t] = query * (linear("full", aware) + aware)
                key[b, k, t] = query + linear("update", fused[b, k, t])
    expected = h.numpy().copy()
    for b in range(batch):
        for n in range(bands):
            for t in range(frames):
                # Eq. 8: a softmax over the clauses that hold, by the match of the bin with their keys.
                holding = [k for k in range(clauses) if on[b, k, t]]
                match = np.array([x[b, n, t] @ key[b, k, t] / np.sqrt(channels) for k in holding])
                share = np.exp(match - match.max())
                share /= share.sum()
                expected[b, n, t] += sum(
                    s * linear("inject", fused[b, k, t]) for s, k in zip(share, holding, strict=True)
                )
    # The module takes exponentials in single precision; scores up to 8 make that 1e-5.
    np.testing.assert_allclose(found_key, key, rtol=0, atol=1e-5 * np.abs(key).max())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def _recognition() -> tuple[Recognition, dict[str, torch.Tensor]]:
    torch.manual_seed(2)
    batch, clauses, bands, patches, patch = 3, 4, 48, 5, 2
    layer = Recognition(6, 7, patch)
    given = {
        "features": torch.randn(batch, bands, patches, 6),
        "stems": torch.randn(batch, clauses, patches * patch, 513, dtype=torch.complex64),
        "clauses": torch.randn(batch, clauses, 7),
        "clause_features": torch.nn.functional.normalize(torch.randn(batch, clauses, 384), dim=-1),
        "named": torch.ones(batch, clauses, dtype=torch.bool),
    }
    given["named"][0, 3] = False  # padding
    given["stems"][1, 2] = 0  # named, and silent
    given["clause_features"][2, 1] = given["clause_features"][0, 0]  # one name in two scenes
    return layer, given


def test_recognition_compares_what_sounds_and_is_named() -> None:
    """A loop over the sounds: each against the names of all others but those of its own name."""
    layer, given = _recognition()
    found = layer(**given)
    power = given["stems"].abs().square()
    fraction = power / power.sum(dim=1, keepdim=True)
    weight = band_sums(fraction.square() * power).sqrt().unflatten(2, (-1, 2)).sum(dim=3)
    there = [(b, k) for b in range(3) for k in range(4) if (b, k) not in ((0, 3), (1, 2))]
    sounds, names, texts = [], [], []
    for b, k in there:
        pooled = (given["features"][b].transpose(0, 1) * weight[b, k][..., None]).sum(dim=(0, 1)) / weight[b, k].sum()
        sounds.append(torch.nn.functional.normalize(layer.sound(pooled), dim=0))
        names.append(torch.nn.functional.normalize(layer.name(given["clauses"][b, k]), dim=0))
        texts.append(given["clause_features"][b, k])
    scale, errors = layer.log_scale.exp(), []
    for i in range(len(there)):
        others = [j for j in range(len(there)) if j == i or not torch.equal(texts[i], texts[j])]
        for one, many in ((sounds[i], names), (names[i], sounds)):
            scores = torch.stack([scale * one @ many[j] for j in others])
            errors.append(torch.logsumexp(scores, 0) - scores[others.index(i)])
    torch.testing.assert_close(found, torch.stack(errors).mean(), rtol=1e-5, atol=1e-6)
    found.backward()
    assert all(bool(p.grad.isfinite().all()) and bool(p.grad.any()) for p in layer.parameters() if p.grad is not None)


def test_recognition_of_a_batch_in_which_nothing_sounds_is_zero() -> None:
    layer, given = _recognition()
    found = layer(**{**given, "stems": torch.zeros_like(given["stems"])})
    assert found.item() == 0.0
    found.backward()
    assert all(not bool(p.grad.any()) for p in layer.parameters() if p.grad is not None)


def test_the_same_name_is_the_same_in_half_precision_too() -> None:
    """The product of a unit vector with itself, rounded to bf16, can be 0.996: less than what counts as the same."""
    layer, given = _recognition()
    texts = torch.nn.functional.normalize(torch.randn(500, 384, generator=_generator(3)), dim=-1)
    rounded = texts.bfloat16()
    own = (rounded @ rounded.T).diagonal()
    short = texts[int((own <= 0.999).nonzero()[0])]
    given["clause_features"][:] = short
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(**given)
    # All names are one, so there is no wrong answer.
    torch.testing.assert_close(found.item(), 0.0, rtol=0, atol=1e-6)
