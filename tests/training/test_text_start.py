from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from tas_core.models.base import spread
from tas_core.models.paper.model import PRESETS, PaperModel
from tas_core.models.registry import build_preset
from tas_core.models.text_encoders.registry import build_text_encoder
from tas_core.training.text_start import PLACES, fit_layer, fit_text_layers, places_of
from tests.support.tiny import TINY_PAPER

pytestmark = pytest.mark.usefixtures("one_thread")

NAMES = ("cello", "piano", "dog", "rain", "trumpet", "man", "car", "bell", "flute", "crowd", "guitar", "bird", "engine",
         "violin", "drums", "woman", "wind", "clock", "organ", "frog")  # fmt: skip
UNSEEN = ("harp", "cat", "hammer", "choir", "river")
WORDINGS = ("{} on the {}", "the {} is on the {}")


def _captions(names: tuple[str, ...]) -> list[str]:
    return [f"{name} on the {side}" for name in names for side in ("left", "right")] + [
        f"a {name} to the {side}, a {other} in the center"
        for name, other in zip(names, names[1:], strict=False)
        for side in ("left", "right")
    ]


def _layer(width: int, out: int = 8) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(width, out)


def _hidden(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Features in which what is wanted takes one part in a hundred of the power, beside a large mean."""
    generator = torch.Generator().manual_seed(seed)
    wanted = torch.randn(count, 2, generator=generator, dtype=torch.float64)
    noise = torch.randn(count, 12, generator=generator, dtype=torch.float64)
    noise[:, :2] = 0
    directions = torch.linalg.qr(torch.randn(12, 12, generator=torch.Generator().manual_seed(9), dtype=torch.float64))[
        0
    ]
    at = torch.cat([0.3 * wanted, torch.zeros(count, 10, dtype=torch.float64)], dim=1) + noise
    return (at @ directions + 5).float(), wanted


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("cello 90 degrees left", (1, 1, 1, 1, 0, 0)),
        ("cello 30 degrees right", (-0.5, -0.5, -0.5, 1, 0, 0)),
        ("cello 30 degrees left, piano 90 degrees right", (-0.25, 0.5, -1, 0, 1, 0)),
        ("cello in the center, piano in the center, dog 90 degrees left", (1 / 3, 1, 0, 0, 0, 1)),
        ("car moves from 90 degrees left to 30 degrees left", (math.sin(math.pi / 3),) * 3 + (1, 0, 0)),
    ],
)
def test_places_are_sines_of_azimuths_and_how_many_there_are(caption: str, expected: tuple[float, ...]) -> None:
    assert len(places_of(caption)) == len(PLACES)
    assert places_of(caption) == pytest.approx(expected, abs=1e-6)


def test_mirrored_captions_say_mirrored_places() -> None:
    left = places_of("cello 20 degrees left, piano 70 degrees right")
    right = places_of("cello 20 degrees right, piano 70 degrees left")
    assert right == pytest.approx((-left[0], -left[2], -left[1], *left[3:]))


def test_the_first_half_says_what_was_asked_for_of_inputs_that_it_was_not_fitted_to() -> None:
    layer = _layer(12)
    inputs, wanted = _hidden(400)
    fit_layer(layer, inputs, wanted)
    unseen, truth = _hidden(200, seed=1)
    given = layer(unseen).detach().double()
    for row in range(4):
        found = torch.corrcoef(torch.stack([given[:, row], truth[:, row % 2]]))[0, 1]
        assert found > 0.95, row  # a random row has at most 0.3 of it, by its share of the power


def test_all_rows_give_unit_variance_around_zero() -> None:
    layer = _layer(12)
    inputs, wanted = _hidden(400)
    fit_layer(layer, inputs, wanted)
    given = layer(inputs).detach()
    torch.testing.assert_close(given.mean(dim=0), torch.zeros(8), rtol=0, atol=1e-4)  # of sums of values about 5
    torch.testing.assert_close(given.std(dim=0, correction=0), torch.ones(8), rtol=1e-4, atol=0)


def test_the_second_half_keeps_its_directions() -> None:
    layer = _layer(12)
    before = layer.weight.detach().clone()
    fit_layer(layer, *_hidden(400))
    along = nn.functional.cosine_similarity(before, layer.weight.detach())
    torch.testing.assert_close(along[4:], torch.ones(4))
    assert bool((along[:4].abs() < 0.99).all())


def test_a_place_that_all_captions_share_gives_no_row() -> None:
    layer = _layer(12)
    inputs, wanted = _hidden(400)
    fit_layer(layer, inputs, torch.stack([wanted[:, 0], torch.ones(400, dtype=torch.float64)], dim=1))
    first = layer.weight.detach()[:4]
    torch.testing.assert_close(first, first[:1].expand(4, -1))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_layer_on_a_graphics_processor_is_fitted_as_one_that_is_not() -> None:
    here, there = _layer(12), _layer(12).to("cuda")
    for layer in (here, there):
        fit_layer(layer, *_hidden(400))
    assert torch.equal(here.weight, there.weight.cpu())
    assert torch.equal(here.bias, there.bias.cpu())


@pytest.mark.parametrize("what", ["captions that are all one", "places that are all one"])
def test_where_there_is_nothing_to_tell_apart_the_layer_stays(what: str) -> None:
    layer = _layer(12)
    before = [p.detach().clone() for p in layer.parameters()]
    inputs, wanted = _hidden(50)
    alike = what.startswith("captions")
    fit_layer(layer, inputs[:1].expand(50, -1) if alike else inputs, wanted if alike else torch.ones(50, 2))
    assert all(torch.equal(a, b) for a, b in zip(before, layer.parameters(), strict=True))


def test_left_and_right_of_names_never_seen_are_told_apart_in_sentences_nearly_alike() -> None:
    """MiniLM's own vectors: without the fit, what differs between the two sentences is a tenth of a layer's values."""
    encode = build_text_encoder("minilm")
    model = PaperModel(PRESETS["paper-v-small"])
    unseen = [[wording.format(name, side) for name in UNSEEN for wording in WORDINGS] for side in ("left", "right")]
    features = [encode(texts) for texts in unseen]
    assert float(nn.functional.cosine_similarity(*features).min()) > 0.9

    def apart() -> Tensor:
        left, right = (model.text_projection(spread(f)).detach() for f in features)
        return left - right

    # relative to the size of a layer's values, which is one after the fit and 0.6 before it
    assert float(apart().abs().mean()) < 0.2
    fit_text_layers(model, _captions(NAMES), encode)
    lateral = apart()[:, 0]
    assert float(lateral.min()) > 1.0
    assert float(lateral.mean()) > 1.5


def test_every_family_of_whole_prompts_says_by_which_layers_its_text_enters() -> None:
    layers = {name: build_preset(name).text_layers() for name in ("paper-small", "mono2binaural-small", "apnet-small")}  # type: ignore[operator, union-attr]
    assert {name: len(found) for name, found in layers.items()} == {
        "paper-small": 1,
        "mono2binaural-small": 1,
        "apnet-small": 2,
    }
    assert all(layer.in_features == 384 for found in layers.values() for layer in found)


def test_there_is_no_layer_to_fit_without_text_or_where_features_are_used_as_they_are() -> None:
    for config in (PRESETS["paper-audio-only-small"], TINY_PAPER):
        model = PaperModel(config)
        assert model.text_layers() == []
        fit_text_layers(model, ["cello on the left"], lambda _: pytest.fail("encoded for nothing"))
