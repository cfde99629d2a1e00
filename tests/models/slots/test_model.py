from __future__ import annotations

import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tas_core.acoustics.direction_filter import PersonalDirectionFilter
from tas_core.acoustics.hrtf import load_kemar
from tas_core.acoustics.stft import istft, stft
from tas_core.models.checkpoints import load_checkpoint, save_checkpoint
from tas_core.models.registry import model_from_checkpoint
from tas_core.models.slots.config import SlotsConfig
from tas_core.models.slots.model import SlotsModel
from tas_core.models.slots.placing import placing_masks
from tests.support.tiny import TINY_SLOTS, HashEncoder, tiny_scenes, tiny_slots

pytestmark = pytest.mark.usefixtures("one_thread")

N_FFT, HOP = TINY_SLOTS.n_fft, TINY_SLOTS.hop
FRAMES = 24
WORDS = ("cello", "piano", "a dog", "rain")


@pytest.fixture(scope="module")
def model() -> SlotsModel:
    return tiny_slots()


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _spectrum(batch: int = 1, frames: int = FRAMES, seed: int = 0) -> Tensor:
    """Noise whose colour and level change with time, so that no two frames are alike."""
    time = (frames - 1) * HOP
    x = 0.1 * torch.randn(batch, time, generator=_generator(seed))
    x = x * (1 + 0.8 * torch.sin(torch.arange(time) / 900.0))
    return stft(torch.cumsum(x, dim=-1) * 0.1 + x, N_FFT, HOP)


def _clauses(count: int, batch: int = 1) -> Tensor:
    return HashEncoder()(WORDS[:count])[None].expand(batch, -1, -1)


def _active(count: int, batch: int = 1, frames: int = FRAMES) -> Tensor:
    return torch.ones(batch, count, frames, dtype=torch.bool)


# ------------------------------------------------------------------ masks


@torch.no_grad()
def test_masks_share_out_every_bin(model: SlotsModel) -> None:
    masks = model.separate(_spectrum(2), _clauses(3, 2), _active(3, 2)).masks
    assert masks.shape == (2, 4, FRAMES, N_FFT // 2 + 1)
    assert bool((masks >= 0).all())
    torch.testing.assert_close(masks.sum(dim=1), torch.ones_like(masks[:, 0]), rtol=0, atol=1e-6)
    # The random network does make a difference between clauses, bins and frames.
    assert float(masks.std(dim=1).max()) > 0.05
    assert float(masks[:, 0].std()) > 0.01


@torch.no_grad()
def test_a_clause_that_is_not_active_gets_nothing(model: SlotsModel) -> None:
    active = _active(2)
    active[0, 0, 10:] = False
    masks = model.separate(_spectrum(), _clauses(2), active).masks[0]
    assert not masks[0, 10:].any()
    assert bool((masks[0, :10] > 0).all())
    torch.testing.assert_close(masks.sum(dim=0), torch.ones_like(masks[0]), rtol=0, atol=1e-6)


@torch.no_grad()
def test_what_a_prompt_does_not_place_is_the_rest(model: SlotsModel) -> None:
    found = model.separate(_spectrum(), _clauses(2), _active(2))
    active = _active(2)
    active[0, 0, 10:] = False
    placed = found.placed(active)
    assert torch.equal(placed.masks[0, :, :10], found.masks[0, :, :10])
    assert not placed.masks[0, 0, 10:].any()
    assert torch.equal(placed.masks[0, 1], found.masks[0, 1])
    torch.testing.assert_close(placed.masks[0, 2, 10:], 1 - found.masks[0, 1, 10:], rtol=0, atol=1e-6)
    assert torch.equal(placed.active, active)


@torch.no_grad()
@pytest.mark.parametrize(
    ("within", "changes"),
    [
        (slice(0, 41), {}),
        (slice(40, 97), {}),
        (slice(92, 120), {"blocks": 4, "fusion_after": (1, 3)}),
    ],
)
def test_the_frames_asked_for_are_those_of_the_whole(within: slice, changes: dict) -> None:
    model = tiny_slots(**changes)
    spectrum, frames = _spectrum(frames=120), 120
    active = _active(2, frames=frames)
    active[0, 0, 50:60] = False
    whole = model.separate(spectrum, _clauses(2), active)
    part = model.separate(spectrum, _clauses(2), active, within)
    # Single precision: sums are cut into other pieces.
    torch.testing.assert_close(part.masks, whole.masks[:, :, within], rtol=0, atol=1e-5)
    torch.testing.assert_close(part.directness, whole.directness[:, within], rtol=0, atol=1e-5)
    assert torch.equal(part.active, active[..., within])
    steps = slice(within.start // 2, -(-within.stop // 2))
    torch.testing.assert_close(part.features, whole.features[:, :, steps], rtol=0, atol=1e-4)
    # The presence looks at what masks take around it, so it is known where there is as much of them.
    inner = slice(
        0 if not within.start else model.config.context_patches,
        None if within.stop == frames else -model.config.context_patches - 1,  # the last step may be half asked for
    )
    torch.testing.assert_close(part.presence[..., inner], whole.presence[:, :, steps][..., inner], rtol=0, atol=1e-4)


@torch.no_grad()
def test_without_clauses_all_is_the_rest(model: SlotsModel) -> None:
    masks = model.separate(_spectrum(), torch.zeros(1, 0, 8), _active(0)).masks
    assert masks.shape[1] == 1
    assert bool((masks == 1).all())


@torch.no_grad()
def test_exchanging_clauses_exchanges_masks(model: SlotsModel) -> None:
    active = _active(3)
    active[0, 1, 5:15] = False
    order = [2, 0, 1]
    straight = model.separate(_spectrum(), _clauses(3), active).masks
    permuted = model.separate(_spectrum(), _clauses(3)[:, order], active[:, order]).masks
    # Only the order of float32 sums over clauses differs.
    torch.testing.assert_close(permuted, straight[:, [*order, 3]], rtol=0, atol=1e-5)
    assert float((straight[:, 0] - straight[:, 1]).abs().max()) > 0.05


@torch.no_grad()
def test_padding_clauses_change_nothing(model: SlotsModel) -> None:
    spectrum = _spectrum()
    alone = model.separate(spectrum, _clauses(2), _active(2)).masks
    active = _active(4)
    active[:, 2:] = False
    padded = model.separate(spectrum, _clauses(4), active).masks
    torch.testing.assert_close(padded[:, [0, 1, 4]], alone, rtol=0, atol=1e-5)
    assert not padded[:, 2:4].any()


@torch.no_grad()
def test_scenes_of_a_batch_do_not_mix(model: SlotsModel) -> None:
    spectrum = _spectrum(3)
    masks = model.separate(spectrum, _clauses(2, 3), _active(2, 3)).masks
    for b in range(3):
        alone = model.separate(spectrum[b : b + 1], _clauses(2), _active(2)).masks[0]
        torch.testing.assert_close(masks[b], alone, rtol=0, atol=1e-5)


@torch.no_grad()
def test_text_decides(model: SlotsModel) -> None:
    """The same sound under another word has other masks, and the word of one clause moves the others."""
    one = model.separate(_spectrum(), _clauses(2), _active(2)).masks
    other = model.separate(_spectrum(), HashEncoder()(["cello", "thunder"])[None], _active(2)).masks
    assert float((one - other).abs().amax()) > 0.05


# ------------------------------------------------------------------ side signal


def _side(model: SlotsModel, mid: Tensor, azimuth_deg: list[float]) -> Tensor:
    spectrum = stft(mid, N_FFT, HOP)[None]
    count, frames = len(azimuth_deg), spectrum.shape[-1]
    found = model.separate(spectrum, _clauses(count), _active(count, frames=frames))
    azimuth = torch.tensor(azimuth_deg)[None, :, None].expand(-1, -1, frames)
    return istft(model.directional(spectrum, found, azimuth), N_FFT, HOP, len(mid))[0]


def _noise(samples: int = 8000) -> Tensor:
    return 0.2 * torch.randn(samples, generator=_generator(5))


@torch.no_grad()
def test_mirrored_places_give_the_negative_side_exactly(model: SlotsModel) -> None:
    left = _side(model, _noise(), [70.0, -12.5, 33.0])
    right = _side(model, _noise(), [-70.0, 12.5, -33.0])
    assert torch.equal(left, -right)
    assert float(left.abs().max()) > 0.01


@torch.no_grad()
def test_all_in_the_centre_has_no_side_exactly(model: SlotsModel) -> None:
    assert not _side(model, _noise(), [0.0, 0.0]).any()


@torch.no_grad()
def test_silence_stays_silence_exactly(model: SlotsModel) -> None:
    assert not _side(model, torch.zeros(8000), [80.0, -30.0]).any()


@torch.no_grad()
@pytest.mark.parametrize("gain", [1e-3, 0.5, 30.0])
def test_side_follows_the_level(model: SlotsModel, gain: float) -> None:
    plain, scaled = _side(model, _noise(), [60.0, -60.0]), _side(model, gain * _noise(), [60.0, -60.0])
    # The features divide by the local level plus 1e-8; float32 does the rest.
    error = (scaled / gain - plain).square().mean() / plain.square().mean()
    assert 10 * math.log10(float(error) + 1e-20) < -80


@torch.no_grad()
def test_side_is_the_masked_sum_of_the_direction_filters_as_far_as_sound_is_direct(model: SlotsModel) -> None:
    spectrum = _spectrum()
    separation = model.separate(spectrum, _clauses(2), _active(2))
    azimuth = torch.tensor([[55.0], [-20.0]]).expand(1, 2, FRAMES).clone()
    azimuth[0, 1, 12:] = 75.0  # a clause that moves
    found = model.directional(spectrum, separation, azimuth)[0].numpy()
    x, direct = spectrum[0].numpy(), separation.directness[0].numpy()
    magnitude = spectrum.abs().transpose(1, 2)
    c = model.config
    how = {"balance": c.balance, "frames": c.balance_frames, "sharpness": c.sharpness}
    m = placing_masks(separation.masks, magnitude, separation.active, **how)[0].numpy()
    expected = np.zeros_like(found)
    for k in range(2):
        for t in range(FRAMES):
            gain = model.direction(azimuth[0, k, t][None])[0].numpy()
            expected[:, t] += m[k, t] * direct[t] * gain * x[:, t]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    assert direct.min() >= 0
    assert direct.max() <= 1
    assert direct.std() > 0.01


@torch.no_grad()
def test_directness_to_a_power_changes_how_much_side_there_is_and_nothing_else(model: SlotsModel) -> None:
    spectrum, azimuth = _spectrum(), torch.tensor([60.0, -20.0])[None, :, None]
    found = model.separate(spectrum, _clauses(2), _active(2))
    assert 0.0 < float(found.directness.min()) < float(found.directness.max()) < 1.0
    half, none = found.as_direct(0.5), found.as_direct(0.0)
    torch.testing.assert_close(half.directness.square(), found.directness)
    assert torch.equal(none.directness, torch.ones_like(found.directness))
    for name in ("masks", "active", "features", "presence"):
        assert getattr(half, name) is getattr(found, name)
    sides = [model.directional(spectrum, each, azimuth) for each in (found, none)]
    # Products of float32 in another order.
    torch.testing.assert_close(sides[0], sides[1] * found.directness.transpose(1, 2), rtol=1e-5, atol=1e-7)


def test_the_power_of_directness_is_not_learned_with(model: SlotsModel) -> None:
    """Nor does the diffuse part, whose share is what directness leaves, learn beside anything else."""
    batch = tiny_scenes()
    other = SlotsModel(replace(model.config, directness_power=0.1))
    other.load_state_dict(model.state_dict())
    one, two = (m.losses(batch, None, _generator()) for m in (model, other))
    assert {name: value.item() for name, value in one.items()} == {name: value.item() for name, value in two.items()}


@pytest.mark.parametrize("power", [-0.1, math.nan, math.inf])
def test_directness_has_a_power_of_zero_or_more(power: float) -> None:
    with pytest.raises(ValueError, match="directness_power must be 0 or more"):
        SlotsConfig(directness_power=power)


@torch.no_grad()
def test_a_dry_sound_that_is_all_one_clause_gets_the_ears_of_the_head(model: SlotsModel) -> None:
    """The ear energies of a mask of one and a directness of one follow from the measured head."""
    mid = _noise()
    spectrum = stft(mid, N_FFT, HOP)[None]
    found = model.separate(spectrum, _clauses(1), _active(1, frames=spectrum.shape[-1]))
    masks = torch.zeros_like(found.masks)
    masks[:, 0] = 1
    whole = replace(found, masks=masks, directness=torch.ones_like(found.directness))
    side = model.directional(spectrum, whole, torch.full((1, 1, spectrum.shape[-1]), 60.0))
    side = istft(side, N_FFT, HOP, len(mid))[0]
    left, right = (mid + side) / 2, (mid - side) / 2
    # 11 to 14 dB in the measured responses; the limit of G at its poles takes a little.
    assert 9 < 10 * math.log10(float(left.square().sum() / right.square().sum())) < 15


# ------------------------------------------------------------------ reach in time


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"context_frames": 1, "level_frames": 2},
        {"blocks": 3, "fusion_after": (3,), "context_frames": 5, "level_frames": 4},
    ],
)
def test_an_output_frame_depends_on_its_context(changes: dict) -> None:
    """By gradients, which do not drown in rounding as small changes of the output would."""
    model = tiny_slots(**changes)
    context = model.context_frames
    frames = 2 * context + 9
    centre = frames // 2
    spectrum = _spectrum(frames=frames).requires_grad_(True)
    found = model.separate(spectrum, _clauses(2), _active(2, frames=frames))
    weight = torch.randn(found.masks[0, :, centre].shape, generator=_generator(1))
    ((weight * found.masks[0, :, centre]).sum() + found.directness[0, centre].sum()).backward()
    assert spectrum.grad is not None
    seen = spectrum.grad[0].abs().sum(dim=0).nonzero()[:, 0].tolist()
    # A frame of a step sees what the others of that step see, so its reach to one side is a frame longer.
    assert seen[0] >= centre - context
    assert seen[-1] <= centre + context
    assert seen == list(range(seen[0], seen[-1] + 1))
    assert 2 * context - len(seen) <= 2


@torch.no_grad()
def test_blocks_with_context_are_the_whole(model: SlotsModel) -> None:
    frames, block, context = 120, 30, model.context_frames
    spectrum = _spectrum(frames=frames)
    active = _active(2, frames=frames)
    active[0, 0, 50:] = False
    whole = model.separate(spectrum, _clauses(2), active).masks
    for start in range(0, frames, block):
        first, last = max(0, start - context), min(frames, start + block + context)
        part = model.separate(spectrum[..., first:last], _clauses(2), active[..., first:last]).masks
        inner = part[:, :, start - first : start - first + block]
        torch.testing.assert_close(inner, whole[:, :, start : start + block], rtol=0, atol=1e-5)


# ------------------------------------------------------------------ several networks


def _alone(model: SlotsModel, number: int) -> SlotsModel:
    """A model of one network of several."""
    alone = tiny_slots()
    alone.networks[0].load_state_dict(model.networks[number].state_dict())
    return alone


@torch.no_grad()
def test_several_networks_give_their_mean() -> None:
    several = tiny_slots(networks=3)
    inputs = _spectrum(), _clauses(2), _active(2)
    found = several.separate(*inputs)
    each = [_alone(several, number).separate(*inputs) for number in range(3)]
    assert not torch.allclose(each[0].masks, each[1].masks, atol=0.01)
    mean = lambda parts: sum(parts) / 3  # noqa: E731
    # Rounding of a sum of three in float32, of numbers up to 10.
    torch.testing.assert_close(found.masks, mean(f.masks for f in each), rtol=0, atol=1e-6)
    torch.testing.assert_close(found.directness, mean(f.directness for f in each), rtol=0, atol=1e-6)
    torch.testing.assert_close(found.presence, mean(f.presence for f in each), rtol=1e-5, atol=1e-5)
    assert torch.equal(found.features, each[0].features)
    assert torch.equal(found.active, each[0].active)


def test_each_of_several_networks_learns_as_if_it_were_the_only_one() -> None:
    several, batch = tiny_slots(networks=2), tiny_scenes()
    losses = several.losses(batch, None, _generator())
    losses["loss"].backward()
    figures = []
    for number in range(2):
        alone = _alone(several, number)
        alone.diffuse.load_state_dict(several.diffuse.state_dict())
        figures.append(alone.losses(batch, None, _generator()))
        figures[-1]["loss"].backward()
        for (name, got), want in zip(
            several.networks[number].named_parameters(), alone.networks[0].parameters(), strict=True
        ):
            assert (got.grad is None) == (want.grad is None), name
            if got.grad is not None and want.grad is not None:
                torch.testing.assert_close(got.grad, want.grad, rtol=1e-4, atol=1e-6, msg=name)
    for name in set(figures[0]) - {"loss", "diffuse"}:
        assert float(losses[name]) == pytest.approx(float(figures[0][name] + figures[1][name]) / 2, rel=1e-4), name
    assert float(losses["diffuse"]) == pytest.approx(float(figures[0]["diffuse"]), rel=1e-4)


def test_a_model_without_networks_is_refused() -> None:
    with pytest.raises(ValueError, match="networks must be at least 1, not 0"):
        SlotsModel(replace(TINY_SLOTS, networks=0))


# ------------------------------------------------------------------ training


def _presence_loss(spectra: np.ndarray, active: Tensor, presence: np.ndarray) -> float:
    """An object is there if it has 0.1 % of the power of all within a step to each side (two frames a step)."""
    frames = spectra.shape[-1]
    errors: dict[bool, list[float]] = {True: [], False: []}
    for b, k, step in np.ndindex(presence.shape):
        if not bool(active[b, k, 2 * step : 2 * step + 2].any()):
            continue
        near = slice(max(0, 2 * (step - 1)), min(frames, 2 * (step + 2)))
        power = (np.abs(spectra[b, :, :, near]) ** 2).sum(axis=(1, 2))
        there = bool(power[k] > 1e-3 * power.sum())
        errors[there].append(float(np.logaddexp(0, -presence[b, k, step] if there else presence[b, k, step])))
    return sum(float(np.mean(e)) for e in errors.values() if e) / 2


@torch.no_grad()
def test_loss_is_its_definition(model: SlotsModel) -> None:
    """The model expands |m X - S|^2 into real products; here the complex differences themselves, in float64."""
    batch = tiny_scenes()
    losses = model.losses(batch, None, _generator())
    spectra = stft(torch.cat([batch.stem_mid, batch.rest_mid[:, None]], 1).double(), N_FFT, HOP).numpy()
    side = stft(batch.side.double(), N_FFT, HOP).numpy()
    mixture = spectra.sum(axis=1)  # (batch, freq, frame)
    frames = mixture.shape[-1]
    # The prompt holds the first clause for three quarters of the time.
    active = batch.named[..., None].repeat(1, 1, frames)
    active[:, 0, math.ceil(0.75 * frames) :] = False
    spectrum = stft(batch.mid, N_FFT, HOP)
    found = model.separate(spectrum, batch.clause_features, active)
    masks, direct = found.masks.double().numpy(), found.directness.double().numpy()
    masks = masks.transpose(0, 1, 3, 2)  # (batch, clause, freq, frame)
    gain = model.direction(batch.azimuth_deg).numpy()
    separation, compressed, side_db, direct_db, confusion = [], [], [], [], []
    for b in range(2):
        power = (np.abs(mixture[b]) ** 2).sum()
        error = sum((np.abs(masks[b, k] * mixture[b] - spectra[b, k]) ** 2).sum() for k in range(3))
        separation.append(10 * np.log10(error / power + 0.01))
        frame_power = (np.abs(mixture[b]) ** 2).mean(axis=0)
        radius = TINY_SLOTS.level_frames
        level = np.array([np.sqrt(frame_power[max(0, t - radius) : t + radius + 1].mean()) for t in range(frames)])
        difference = sum(
            (np.sqrt(masks[b, k] * np.abs(mixture[b]) / level) - np.sqrt(np.abs(spectra[b, k]) / level)) ** 2
            for k in range(3)
        )
        compressed.append(difference.mean())
        directional = sum(direct[b].T * masks[b, k] * gain[b, k][:, None] * mixture[b] for k in range(2))
        side_db.append(10 * np.log10((np.abs(directional - side[b]) ** 2).sum() / power + 0.01))
        ideal = np.abs(spectra[b]) ** 2
        ideal /= ideal.sum(axis=0)
        directional = sum(direct[b].T * ideal[k] * gain[b, k][:, None] * mixture[b] for k in range(2))
        direct_db.append(10 * np.log10((np.abs(directional - side[b]) ** 2).sum() / power + 0.01))
        for k in range(3):
            if np.abs(spectra[b, k]).any():
                weight = ideal[k] * (np.abs(mixture[b]) / level) ** 0.6
                confusion.append(-(weight * np.log(masks[b, k] + 1e-4)).sum() / weight.sum())
    # Float32 sums over 19000 bins, of terms that cancel: 0.01 dB.
    assert float(losses["separation_db"]) == pytest.approx(np.mean(separation), abs=0.01)
    # The model adds 1e-6 under the roots: at most sqrt(1e-6) = 1e-3 per root, less where anything sounds.
    assert float(losses["compressed"]) == pytest.approx(np.mean(compressed), rel=0.01)
    # Only the first scene's side is known.
    assert float(losses["side_db"]) == pytest.approx(side_db[0], abs=0.01)
    assert float(losses["direct_db"]) == pytest.approx(direct_db[0], abs=0.01)
    assert float(losses["presence"]) == pytest.approx(_presence_loss(spectra, active, found.presence.numpy()), rel=1e-4)
    # Every sounding object of the batch counts the same.
    assert float(losses["confusion"]) == pytest.approx(np.mean(confusion), rel=1e-4)


@torch.no_grad()
def test_loss_is_the_same_for_a_louder_scene(model: SlotsModel) -> None:
    quiet = tiny_scenes()
    loud = replace(quiet, stem_mid=8 * quiet.stem_mid, stem_side=8 * quiet.stem_side, rest_mid=8 * quiet.rest_mid)
    for name, value in model.losses(quiet, None, _generator()).items():
        other = model.losses(loud, None, _generator())[name]
        # The diffuse part's level floor, 1e-5, is not scaled along.
        assert float(other) == pytest.approx(float(value), rel=2e-3, abs=1e-3), name


@torch.no_grad()
def test_unknown_side_is_not_learned_from(model: SlotsModel) -> None:
    batch = tiny_scenes()
    wrong = replace(batch, stem_side=batch.stem_side * torch.tensor([1.0, -3.0])[:, None, None])
    right = model.losses(batch, None, _generator())
    for name, value in model.losses(wrong, None, _generator()).items():
        assert float(value) == pytest.approx(float(right[name]), rel=1e-6), name


def test_gradients_reach_every_parameter() -> None:
    model = tiny_slots().train()
    model.losses(tiny_scenes(4), None, _generator())["loss"].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name
        assert bool(parameter.grad.any()), name


def test_a_silent_scene_has_finite_loss_and_gradients() -> None:
    model = tiny_slots().train()
    batch = tiny_scenes()
    silent = replace(batch, stem_mid=0 * batch.stem_mid, stem_side=0 * batch.stem_side, rest_mid=0 * batch.rest_mid)
    losses = model.losses(silent, None, _generator())
    losses["loss"].backward()
    assert all(bool(torch.isfinite(value)) for value in losses.values())
    assert all(bool(torch.isfinite(p.grad).all()) for p in model.parameters() if p.grad is not None)


def test_learns_one_batch_by_heart() -> None:
    torch.manual_seed(0)
    model = SlotsModel(TINY_SLOTS).train()
    batch = tiny_scenes()
    batch = replace(batch, active=torch.ones_like(batch.active))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    curve = []
    for step in range(60):
        losses = model.losses(batch, None, _generator(step))
        curve.append({name: float(value.detach()) for name, value in losses.items()})
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
    assert curve[-1]["separation_db"] < curve[0]["separation_db"] - 6
    assert curve[-1]["side_db"] < curve[0]["side_db"] - 2
    assert curve[-1]["compressed"] < 0.5 * curve[0]["compressed"]


# ------------------------------------------------------------------ the diffuse part


@torch.no_grad()
def test_diffuse_part_follows_noise_level_and_silence(model: SlotsModel) -> None:
    spectrum = 100 * _spectrum()
    features = model.separate(spectrum, _clauses(1), _active(1)).features
    noise = torch.randn(spectrum.shape, generator=_generator(1), dtype=torch.complex64) * math.sqrt(2)
    drawn = model.diffuse_part(spectrum, features, noise, 3)
    assert torch.equal(drawn, model.diffuse_part(spectrum, features, noise, 3))
    assert not torch.equal(drawn, model.diffuse_part(spectrum, features, noise.flip(1), 3))
    doubled = model.diffuse_part(2 * spectrum, features, noise, 3)
    # The floor of the level, 1e-5, against levels around 10.
    torch.testing.assert_close(doubled, 2 * drawn, rtol=1e-3, atol=1e-3 * float(drawn.abs().max()))
    assert not model.diffuse_part(0 * spectrum, features, noise, 3).abs().any()


# ------------------------------------------------------------------ config and checkpoints


def test_bands_and_transform_must_fit() -> None:
    with pytest.raises(ValueError, match="n_fft 512 needs 256 bins, the bands cover 512"):
        SlotsModel(SlotsConfig(n_fft=512))


@torch.no_grad()
def test_a_checkpoint_gives_the_same_network(model: SlotsModel, tmp_path: Path) -> None:
    save_checkpoint(tmp_path, "slots", asdict(model.config), model.state_dict())
    back = model_from_checkpoint(load_checkpoint(tmp_path))
    assert isinstance(back, SlotsModel)
    assert back.config == model.config
    assert not back.training
    inputs = _spectrum(), _clauses(2), _active(2)
    assert torch.equal(back.separate(*inputs).masks, model.separate(*inputs).masks)


def test_another_direction_filter_leaves_the_model_alone() -> None:
    model = tiny_slots()
    before = model.direction
    other = model.with_direction(PersonalDirectionFilter(1024, 16000, load_kemar()))
    assert type(other) is type(model)
    assert model.direction is before
    assert isinstance(other.direction, PersonalDirectionFilter)
    assert other.networks is model.networks
    assert list(model.state_dict()) == list(tiny_slots().state_dict())
