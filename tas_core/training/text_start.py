"""Where the text of a prompt begins in a network: a first layer that tells places apart before training begins.

The features of sentences that differ in left and right alone are nearly the same vector (cosine 0.97 under MiniLM), so
that a layer of random rows gives nearly the same values for both, and a network takes thousands of steps to find the
little that differs. It is there linearly, though. The rows of the first half of the layer become ridge regressions

    w = (X' X / n + p m I)^-1 X' y / n,        m the mean of the diagonal of X' X / n

on captions of the training material, X (n, width) their features without the mean, y in turn what
:func:`places_of` reads from them. The other rows stay what they were, but without what all captions have in
common. All rows are scaled to give values of unit variance; training goes on with all of them.

Source: ridge regression (Hoerl and Kennard 1970); starting a layer from the data's own statistics is in the spirit of
Mishkin and Matas, "All you need is a good init" (2016). The paper has no such start: its text features are CLIP's,
and have the width of the audio features, so that there is no layer to fit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import Tensor, nn

from tas_core.models.base import SpatialModel, spread
from tas_core.timeline.prompts import parse_prompt

PLACES: Final = ("mean", "leftmost", "rightmost", "one object", "two objects", "more objects")
"""What :func:`places_of` reads from a caption: three lateral positions, and how many objects there are."""
_PENALTY: Final = 0.1
_LEAST_SPREAD: Final = 1e-6
"""Standard deviation from which values count as different."""


def places_of(caption: str) -> tuple[float, ...]:
    """What a caption says of places, as numbers in the order of :data:`PLACES`.

    Lateral positions are the sine of the azimuth, of a moving object half-way: 1 is left, -1 right, 0 the centre. Of
    the numbers of objects one is 1 and the others are 0.

    Raises:
        PromptError: a caption that is no prompt.
    """
    clauses = parse_prompt(caption)
    lateral = [math.sin(math.radians((c.azimuth.start_deg + c.azimuth.end_deg) / 2)) for c in clauses]
    count = len(clauses)
    counted = (float(count == 1), float(count == 2), float(count > 2))
    return (sum(lateral) / count, max(lateral), min(lateral), *counted)


@torch.no_grad()
def fit_layer(layer: nn.Linear, inputs: Tensor, places: Tensor) -> None:
    """Make the rows of a layer what the module says.

    What all captions have in common, places among it, is left out; of a layer that nothing distinguishes captions
    for, nothing is changed.

    Args:
        layer: on any device; its first half of rows is replaced, the others are scaled, and its bias takes the mean
            out.
        inputs: what the layer is given for each caption, (caption, width), on the CPU.
        places: what the captions say, (caption, place), on the CPU.
    """
    x, y = inputs.double(), places.double()
    mean = x.mean(dim=0)
    x, y = x - mean, y - y.mean(dim=0)
    y = y[:, y.std(dim=0, correction=0) > _LEAST_SPREAD]
    covariance = x.T @ x / len(x)
    level = covariance.diagonal().mean()
    if level.sqrt() < _LEAST_SPREAD or not y.shape[1]:
        return
    penalty = _PENALTY * level * torch.eye(x.shape[1], dtype=x.dtype)
    found = torch.linalg.solve(covariance + penalty, x.T @ y / len(x)).T
    weight = layer.weight.double().cpu()
    half = layer.out_features // 2
    weight[:half] = found[torch.arange(half) % len(found)]
    spreads = (x @ weight.T).std(dim=0, correction=0)
    weight = torch.where(spreads[:, None] > _LEAST_SPREAD, weight / spreads[:, None], weight)
    layer.weight.copy_(weight)
    layer.bias.copy_(-(weight @ mean))


def fit_text_layers(model: SpatialModel, captions: Sequence[str], encode: Callable[[list[str]], Tensor]) -> None:
    """Fit every layer that text enters a network by to what captions say of places; none where there is no such layer.

    Args:
        model: before its first step, of a family that is conditioned on prompts.
        captions: of the material that it is going to learn from.
        encode: captions to text features (caption, text_width), rows of unit length.
    """
    layers = model.text_layers()
    if not layers or not captions:
        return
    inputs = spread(encode(list(captions)))
    places = torch.tensor([places_of(caption) for caption in captions])
    for layer in layers:
        fit_layer(layer, inputs, places)
