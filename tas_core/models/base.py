"""What every family of models promises, and the variants that prompt-conditioned families come in.

A :class:`SpatialModel` makes a side signal of mid and words. What it reads of a timeline, whole prompts or clauses, is
``conditions_on``; the renderers of :mod:`tas_core.inference` and the training loop ask it that, never its class. A
new family is one folder here with

* a config, a frozen dataclass (of a prompt-conditioned family, one that satisfies :class:`PromptConfig`),
* a subclass of :class:`ClauseModel` or of :class:`PromptModel`,
* ``PRESETS``, configs by name, and ``TRAINING``, the settings that its authors state,

and one line in each of :data:`tas_core.models.registry.FAMILIES` and :data:`tas_core.models.description.FAMILIES`.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Protocol, Self, TypeGuard, TypeVar

import torch
from torch import Tensor, nn

from tas_core.models.description import default_steps
from tas_core.models.diffusion.samplers import standard_normal
from tas_core.models.row_sharing import RowSharing, every_row
from tas_core.models.scene_batch import SceneBatch

if TYPE_CHECKING:
    from tas_core.models.slots.network import Separation

ENCODER_WIDTHS: Final = {"minilm": 384, "clip": 512, "bert": 768, "t5": 768}
"""Width of the features of each text encoder with its default weights; the first is what presets use."""


class PromptConfig(Protocol):
    """What the config of every prompt-conditioned family has.

    Attributes:
        sample_rate_hz: of mid and side.
        window_s: length of an inference window.
        hop_s: from one inference window to the next.
        text_encoder: name of the text encoder whose features the model is trained with.
        text_width: of those features.
    """

    @property
    def sample_rate_hz(self) -> int: ...  # noqa: D102

    @property
    def window_s(self) -> float: ...  # noqa: D102

    @property
    def hop_s(self) -> float: ...  # noqa: D102

    @property
    def text_encoder(self) -> str: ...  # noqa: D102

    @property
    def text_width(self) -> int: ...  # noqa: D102

    def small(self) -> Self:
        """The same model at a width for CPUs."""
        ...


class SpatialModel(nn.Module, ABC):
    """A network from mid and words to a side signal: the one face of all families.

    Attributes:
        family: key of :data:`tas_core.models.registry.FAMILIES`.
        conditions_on: what it reads of a timeline: the object phrases of clauses, or whole prompts.
        separates: whether it tells objects apart; stems, detections, other heads and transitions need that.
        config: its sizes; ``sample_rate_hz`` and ``text_encoder`` among them.
        share_rows: who computes which rows of a batch in :meth:`losses`; all are computed here by default.
    """

    family: ClassVar[str]
    conditions_on: ClassVar[Literal["clauses", "prompts"]]
    separates: ClassVar[bool]
    config: Any
    share_rows: RowSharing = staticmethod(every_row)

    @property
    def default_steps(self) -> int:
        """Network evaluations unless a request says another number."""
        return default_steps(self.family, vars(self.config))

    @property
    def max_steps(self) -> int:
        """Most network evaluations that it can make use of."""
        return 1

    @abstractmethod
    def losses(self, batch: SceneBatch, captions: Tensor | None, generator: torch.Generator) -> dict[str, Tensor]:
        """Losses of a batch of scenes, scalars; ``loss`` is what to minimise, the others are for the log.

        In evaluation mode there may be more for the log than in training, and what a batch has nothing to measure by
        may be missing.

        Args:
            batch: scenes at the model's rate.
            captions: text features of ``batch.prompts``, (batch, text_width), for models conditioned on prompts.
            generator: source of randomness, on any device, for families that need any.
        """

    def text_layers(self) -> list[nn.Linear]:
        """The layers by which features of whole prompts enter, after :func:`spread`.

        None of a model that reads no whole prompts, or uses their features as they are.
        """
        return []

    @abstractmethod
    def compile_parts(self) -> None:
        """Compile the costly part of the forward pass, in place; names of weights stay as they are."""


def is_spatial_model(value: object) -> TypeGuard[SpatialModel]:
    """Whether something is a network of one of the families."""
    return isinstance(value, SpatialModel)


class ClauseModel(SpatialModel):
    """A network that tells objects apart: masks for the clauses of a timeline, and a direction filter for each.

    Its config has ``n_fft``, ``hop``, ``patch`` (frames that it takes at once) and ``context_frames``.

    Attributes:
        direction: filters by azimuth, as :class:`tas_core.acoustics.direction_filter.DirectionFilter`.
    """

    conditions_on = "clauses"
    separates = True
    direction: nn.Module

    @property
    @abstractmethod
    def context_frames(self) -> int:
        """Frames on each side that a frame of what :meth:`separate` finds may depend on, in whole patches."""

    @property
    @abstractmethod
    def placing_frames(self) -> int:
        """Frames on each side that a frame of what :meth:`directional` gives may depend on, in whole patches."""

    @property
    @abstractmethod
    def diffuse_frames(self) -> int:
        """Frames on each side that a frame of what :meth:`diffuse_part` gives may depend on, for every step."""

    @abstractmethod
    def separate(
        self, spectrum: Tensor, clause_features: Tensor, active: Tensor, within: slice | None = None
    ) -> Separation:
        """Masks, directness, features and presence.

        Args:
            spectrum: STFT of mid, complex (batch, freq, frame).
            clause_features: text features (batch, clause, width).
            active: which clause the prompt holds when, (batch, clause, frame) bool.
            within: frames that masks are wanted for, from the first of a patch on; all by default.
        """

    @abstractmethod
    def directional(
        self, spectrum: Tensor, found: Separation, azimuth_deg: Tensor, gains: Tensor | None = None
    ) -> Tensor:
        """Directional side spectrogram (batch, freq, frame).

        Args:
            spectrum: STFT of mid, complex (batch, freq, frame).
            found: from :meth:`separate`.
            azimuth_deg: (batch, clause, frame), or (batch, clause, 1) where nothing moves.
            gains: factors by which each clause and everything else are made louder, (batch, clause + 1, frame); None
                for 1 throughout.
        """

    @abstractmethod
    def diffuse_part(self, spectrum: Tensor, features: Tensor, noise: Tensor, steps: int) -> Tensor:
        """Diffuse side spectrogram (batch, freq, frame), drawn by ``steps`` network evaluations.

        Args:
            spectrum: STFT of mid, complex (batch, freq, frame).
            features: from :meth:`separate`.
            noise: spectrogram of white noise of unit variance, complex (batch, freq, frame).
            steps: 1 to ``max_steps`` - 1.
        """

    @abstractmethod
    def per_frame(self, x: Tensor, frames: int) -> Tensor:
        """What is known per patch, (batch, x, patch, ...), for every frame, (batch, x, frame, ...)."""

    def with_direction(self, direction: nn.Module) -> Self:
        """A model with the same weights and another direction filter; this one stays as it is."""
        other = copy.copy(self)
        # A shallow copy shares the dictionary of parts with its original.
        other._modules = dict(self._modules)
        other.direction = direction
        return other


class PromptModel(SpatialModel):
    """A network from (mid, one text vector) to side, used on overlapping windows.

    Attributes:
        default_batch: windows to compute at once.
        uses_noise: whether :meth:`window_sides` draws from a distribution.
    """

    conditions_on = "prompts"
    separates = False
    default_batch: ClassVar[int] = 8
    uses_noise: ClassVar[bool] = False

    @abstractmethod
    def row_losses(self, mid: Tensor, side: Tensor, text_features: Tensor, generator: torch.Generator) -> Tensor:
        """Loss of each example, (batch), float32.

        Args:
            mid: left + right, (batch, time).
            side: left - right, (batch, time).
            text_features: (batch, text_width), rows of unit length as the text encoders give them.
            generator: source of randomness, on any device, for families that need any.
        """

    @abstractmethod
    def window_sides(self, mid: Tensor, text_features: Tensor, steps: int, noise: Tensor | None) -> Tensor:
        """Side (batch, time) at the level of `mid`.

        Args:
            mid: left + right, (batch, time).
            text_features: (batch, text_width).
            steps: network evaluations, 1 to :attr:`max_steps`.
            noise: standard normal, (batch, time), if the family uses noise, else None.
        """

    def training_loss(
        self,
        mid: Tensor,
        side: Tensor,
        text_features: Tensor,
        generator: torch.Generator,
        weight: Tensor | None = None,
    ) -> Tensor:
        """Mean of :meth:`row_losses`, a scalar.

        Args:
            weight: (batch), how much each example counts, e.g. 0 where side is not known; None for 1 each.
        """
        losses = self.row_losses(mid, side, text_features, generator)
        if weight is None:
            return losses.mean()
        return (losses * weight).sum() / weight.sum().clamp_min(1e-6)

    def losses(self, batch: SceneBatch, captions: Tensor | None, generator: torch.Generator) -> dict[str, Tensor]:
        """Mean of :meth:`row_losses` over the scenes whose side is known, under whole captions.

        In evaluation mode, of families that start from noise, also ``side_correlation_from_noise``: the mean over
        scenes of the correlation of the true side with the estimate of a single evaluation, from pure noise at the
        last step. About 0 means that the network has nothing to say of places, however well it denoises.
        """
        assert captions is not None, f"a {self.family} model learns from captions"
        # A caption that names the rest as one thing, which it is not, has no side signal to be learned.
        known = batch.side_known.float()
        found = {"loss": self.training_loss(batch.mid, batch.side, captions, generator, known)}
        if self.uses_noise and not self.training:
            placed = batch.side_known & batch.side.any(dim=1)
            if bool(placed.any()):
                estimate = self.window_sides(batch.mid, captions, 1, standard_normal(batch.mid, generator))
                found["side_correlation_from_noise"] = correlation(estimate[placed], batch.side[placed]).mean()
        return found


def spread(text_features: Tensor) -> Tensor:
    """Text features (batch, width), rows of unit length, with values of unit variance, which layers expect."""
    return text_features * math.sqrt(text_features.shape[-1])


def correlation(one: Tensor, other: Tensor) -> Tensor:
    """Pearson correlation of each pair of rows (batch, time), -1 to 1, in float64; 0 where a row is constant."""
    one, other = (x.double() - x.double().mean(dim=1, keepdim=True) for x in (one, other))
    power = one.square().sum(dim=1) * other.square().sum(dim=1)
    return torch.where(power > 0, (one * other).sum(dim=1) / power.clamp_min(1e-300).sqrt(), 0.0)


ConfigT = TypeVar("ConfigT", bound=PromptConfig)


def with_variants(bases: Mapping[str, ConfigT]) -> dict[str, ConfigT]:
    """Every base config with each text encoder, at both widths.

    "name" becomes "name", "name-clip", "name-bert", "name-t5", and each of these with "-small" after it.
    """
    default, *others = ENCODER_WIDTHS
    found: dict[str, ConfigT] = {}
    for name, config in bases.items():
        assert config.text_encoder == default
        found[name] = config
        for encoder in others:
            found[f"{name}-{encoder}"] = dataclasses.replace(
                config,  # type: ignore[type-var]
                text_encoder=encoder,
                text_width=ENCODER_WIDTHS[encoder],
            )
    return found | {f"{name}-small": config.small() for name, config in found.items()}
