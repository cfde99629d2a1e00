"""What the ``slots`` network is to find in a scene, and how far from it masks are; nothing here has weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from tas_core.acoustics.stft import local_level, stft
from tas_core.conventions import db_to_power, power_to_db
from tas_core.models.scene_batch import SceneBatch

_PRESENT_DB = -30.0
"""An object is in the sound if its part of the power around is more than this."""
_FLOOR = 0.01
"""Errors this small a part of the power of mid (-20 dB) are good enough; hard scenes are what is to be learned."""


@dataclass(frozen=True)
class Targets:
    """Spectrograms of a batch of scenes, and what follows from them.

    Attributes:
        stems: of each clause and of the rest, complex (batch, clause + 1, frame, freq).
        mixture: their sum, complex (batch, frame, freq).
        side: L - R, complex (batch, frame, freq).
        power: of the mixture, (batch, frame, freq).
        each: power of the stems, (batch, clause + 1, frame, freq).
        scaled: magnitude of the mixture over its local level, (batch, 1, frame, freq).
        compressed: root of the stems' magnitudes over that level, (batch, clause + 1, frame, freq).
        ideal: fraction of each stem in the power of a bin, (batch, clause + 1, frame, freq).
        weight: how much a bin says about a stem, summing to one over the bins (or zero for silence).
        sounds: which stems are not silent, 0 or 1, (batch, clause + 1).
        cross: real part of conj(mixture) times stem, (batch, clause + 1, frame, freq).
        side_cross_real: real part of mixture times conj(side), (batch, frame, freq).
        side_cross_imag: its imaginary part.
        stem_power: of all stems, (batch).
        side_power: of side, (batch).
        total_power: of the mixture, (batch), above zero.
    """

    stems: Tensor
    mixture: Tensor
    side: Tensor
    power: Tensor
    each: Tensor
    scaled: Tensor
    compressed: Tensor
    ideal: Tensor
    weight: Tensor
    sounds: Tensor
    cross: Tensor
    side_cross_real: Tensor
    side_cross_imag: Tensor
    stem_power: Tensor
    side_power: Tensor
    total_power: Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, batch: SceneBatch, n_fft: int, hop: int, level_frames: int) -> Targets:
        """Of a batch; ``level_frames`` on each side count for the local level."""
        frames_of = lambda x: stft(x, n_fft, hop).transpose(-1, -2)  # noqa: E731
        stems = frames_of(torch.cat([batch.stem_mid, batch.rest_mid[:, None]], dim=1))
        mixture = stems.sum(dim=1)
        side = frames_of(batch.side)
        power = mixture.abs().square()
        level = local_level(power.mean(dim=-1), level_frames)[..., None] + 1e-8
        scaled = (mixture.abs() / level)[:, None]
        each = stems.abs().square()
        ideal = each / each.sum(dim=1, keepdim=True).clamp_min(1e-12)
        weight = ideal * scaled.pow(0.6)
        total = weight.sum(dim=(2, 3), keepdim=True)
        side_cross = mixture * side.conj()
        return cls(
            stems=stems,
            mixture=mixture,
            side=side,
            power=power,
            each=each,
            scaled=scaled,
            compressed=((stems.abs() / level[:, None]) + 1e-6).sqrt(),
            ideal=ideal,
            weight=weight / (total + 1e-6 * total.sum(dim=1, keepdim=True) + 1e-12),
            sounds=(each.sum(dim=(2, 3)) > 1e-4 * each.sum(dim=(1, 2, 3))[:, None]).float(),
            cross=(mixture.conj()[:, None] * stems).real,
            side_cross_real=side_cross.real,
            side_cross_imag=side_cross.imag,
            stem_power=each.sum(dim=(1, 2, 3)),
            side_power=side.abs().square().sum(dim=(1, 2)),
            total_power=power.sum(dim=(1, 2)) + 1e-6,
        )

    def relative_db(self, error: Tensor, constant: Tensor) -> Tensor:
        """Error power, given less its constant, over that of the mixture, dB (batch); not below the floor."""
        return power_to_db((error + constant).clamp_min(0) / self.total_power + _FLOOR)


def scene_errors(
    masks: Tensor, directness: Tensor, want: Targets, gain_real: Tensor, gain_imag: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Errors per scene (the powers less their constants).

    Real and imaginary parts come apart, and complex products are expanded, so that no complex number needs a gradient.

    Of all clauses, of compressed magnitudes, the cross entropy of each object's masks (batch, clause), and of the
    side signal: with the directness held fixed, and with ideal masks.

    With mixture X, stem S, mask m: |m X - S|^2 = m^2 |X|^2 - 2 m Re(X* S) + |S|^2, and with T the sum of masks
    times direction filters, times the directness, and side D: |T X - D|^2 = |T|^2 |X|^2 - 2 Re(T X D*) + |D|^2.
    """
    error = (masks.square() * want.power[:, None] - 2 * masks * want.cross).sum(dim=(1, 2, 3))
    compressed = ((masks * want.scaled + 1e-6).sqrt() - want.compressed).square().sum(dim=1).mean(dim=(1, 2))
    entropy = -(want.weight * (masks + 1e-4).log()).sum(dim=(2, 3))
    side_errors = []
    for fractions, direct in ((masks, directness.detach()), (want.ideal, directness)):
        real = (fractions[:, :-1] * gain_real).sum(dim=1) * direct
        imag = (fractions[:, :-1] * gain_imag).sum(dim=1) * direct
        turned = real * want.side_cross_real - imag * want.side_cross_imag
        side_errors.append(((real.square() + imag.square()) * want.power - 2 * turned).sum(dim=(1, 2)))
    return error, compressed, entropy, side_errors[0], side_errors[1]


def presence_loss(presence: Tensor, around: Tensor, holds: Tensor, right_name: Tensor) -> Tensor:
    """Cross entropy over the patches in which a clause holds, a scalar; absent objects count as much as present ones.

    Args:
        presence: log odds (batch, clause, patch).
        around: power around each patch of the stems and of the rest, (batch, clause + 1, patch).
        holds: 0 or 1, (batch, clause, patch).
        right_name: (batch, clause) bool.
    """
    present = around[:, :-1] > db_to_power(_PRESENT_DB) * around.sum(dim=1, keepdim=True)
    target = (present & right_name[..., None]).float()
    errors = F.binary_cross_entropy_with_logits(presence, target, reduction="none")
    mean = lambda weight: (errors * weight).sum() / weight.sum().clamp_min(1)  # noqa: E731
    return 0.5 * (mean(holds * target) + mean(holds * (1 - target)))
