"""The paper's model: waveform features, one text vector, fusion, a diffusion network that predicts noise, x0 or v.

    f_a   = Conv(ReLU(Conv(mid)))                 two convolutions, d channels at full rate     section 3.2
    f_t   = text features, linear 768 -> 512      where their width is not d already            section 3.2
    f_at  = SAF(f_a, f_t)                         or an ablation                                Eq. 6-8
    y     = ReLU(Conv_1(a_n))                     a_n the noisy side signal                     Eq. 3
    b_1, b_2, b_3 = residual blocks(y, step, f_at)                                              section 3.2
    out   = Conv_1(ReLU(Conv_1(Concat[b_1, b_2, b_3])))                                         section 3.2

Levels: each row of `mid` is scaled to a fixed RMS, and its side signal by the same factor, which is the mix's
and never the ground truth's; so the output follows the level of the input, and silence gives silence. The
side signal is then multiplied by `side_scale`, because the diffusion ends in noise of unit variance: at 10, a
side signal as strong as its mid has unit variance too. Nothing is clamped, since a side signal has no bound.
The audio encoder is given mid times `mid_scale`; at 10 that has unit variance as well, without which what comes of
mid and text begins a hundred times weaker than the noise that the network is to look through.

The paper predicts noise and gives neither the number of steps nor their betas. The betas first chosen, DiffWave's, end
at abar = 0.28, while sampling starts from pure noise, which training never showed. The schedules "rescaled" and
"cosine" end in noise, where a predicted noise says nothing; with them the network predicts v or x0, and what it says
at the last step it can only know from mid and text. A squared error of v or of noise mostly asks for denoising; that
of the signal (`loss` "signal") counts the steps the more the noisier they are, where mid and text are all there is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, Self, get_args

import torch
from torch import Tensor, nn

from tas_core.models.base import PromptModel, spread, with_variants
from tas_core.models.diffusion import samplers
from tas_core.models.diffusion.parameterisation import NOISE_SAYS_NOTHING, Loss, Prediction, error_weight, target, to_x0
from tas_core.models.diffusion.schedule import NoiseSchedule, ScheduleName, build_schedule, diffuse
from tas_core.models.diffwave import ResidualStack, StepEmbedding
from tas_core.models.level import MID_RMS, SILENCE_RMS, divide, normalise
from tas_core.models.paper.fusion import FUSIONS, build_fusion, uses_text

__all__ = ["MID_RMS", "PRESETS", "SILENCE_RMS", "TRAINING", "Conditioner", "PaperConfig", "PaperModel", "normalise"]


_MOST_LAYERS: Final = 30
"""The dilation of a layer is two to the power of its number."""
_MOST_STEPS: Final = 100_000


@dataclass(frozen=True)
class PaperConfig:
    """Everything that fixes a :class:`PaperModel`; the defaults are the paper's where it gives a value.

    Attributes:
        sample_rate_hz: of mid and side.
        window_s: length of a training clip and of an inference window.
        hop_s: from one inference window to the next.
        feature_channels: d of Eq. 6.
        encoder_kernels: of the two convolutions of the audio encoder, odd (not in the paper).
        residual_channels: of the residual layers (DiffWave's 64; not in the paper).
        num_blocks: residual blocks.
        layers_per_block: dilated convolutions in a block, dilation 1, 2, 4, ...
        step_width: of the two fully connected layers for the diffusion step.
        fusion: a key of :data:`tas_core.models.paper.fusion.FUSIONS`.
        text_encoder: name of the text encoder whose features the model was trained with.
        text_width: of those features.
        num_steps: N, diffusion steps in training.
        beta_min: noise added in the first step; not used by the schedule "cosine".
        beta_max: noise added in the last step, before rescaling; not used by the schedule "cosine".
        side_scale: multiplies the normalised side signal.
        schedule: noise levels, of :data:`tas_core.models.diffusion.schedule.ScheduleName`. Checkpoints from before
            there was a choice do not say; theirs is "linear".
        prediction: what the network predicts, of :data:`tas_core.models.diffusion.parameterisation.Prediction`;
            "noise" (the paper, and checkpoints that do not say) needs the schedule "linear".
        mid_scale: multiplies the normalised mid; checkpoints that do not say have 1.
        loss: whose squared error is minimised, of :data:`tas_core.models.diffusion.parameterisation.Loss`;
            "predicted" is the paper's, and that of checkpoints that do not say.
    """

    sample_rate_hz: int = 16_000
    window_s: float = 1.0
    hop_s: float = 0.1
    feature_channels: int = 512
    encoder_kernels: tuple[int, int] = (31, 3)
    residual_channels: int = 64
    num_blocks: int = 3
    layers_per_block: int = 10
    step_width: int = 512
    fusion: str = "saf"
    text_encoder: str = "minilm"
    text_width: int = 384
    num_steps: int = 50
    beta_min: float = 1e-4
    beta_max: float = 0.05
    side_scale: float = 10.0
    schedule: ScheduleName = "linear"
    prediction: Prediction = "noise"
    mid_scale: float = 1.0
    loss: Loss = "predicted"

    def __post_init__(self) -> None:
        for name in (
            "sample_rate_hz",
            "window_s",
            "hop_s",
            "feature_channels",
            "residual_channels",
            "num_blocks",
            "layers_per_block",
            "step_width",
            "text_width",
            "num_steps",
            "side_scale",
            "mid_scale",
        ):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")
        if max(self.num_blocks, self.layers_per_block) > _MOST_LAYERS or self.num_steps > _MOST_STEPS:
            raise ValueError(
                f"at most {_MOST_LAYERS} blocks of {_MOST_LAYERS} layers and {_MOST_STEPS} steps are possible, not"
                f" {self.num_blocks}, {self.layers_per_block} and {self.num_steps}"
            )
        if any(kernel < 1 or kernel % 2 == 0 for kernel in self.encoder_kernels):
            raise ValueError(f"encoder_kernels must be odd, not {self.encoder_kernels}")
        if self.fusion not in FUSIONS:
            raise ValueError(f"fusion must be one of {', '.join(FUSIONS)}, not {self.fusion!r}")
        if not 0 < self.beta_min <= self.beta_max < 1:
            raise ValueError(f"0 < beta_min <= beta_max < 1 is needed, not {self.beta_min} and {self.beta_max}")
        if self.prediction not in get_args(Prediction):
            raise ValueError(f"prediction must be one of {', '.join(get_args(Prediction))}, not {self.prediction!r}")
        if self.loss not in get_args(Loss):
            raise ValueError(f"loss must be one of {', '.join(get_args(Loss))}, not {self.loss!r}")
        if self.noise_schedule().ends_in_noise and self.prediction == "noise":
            raise ValueError(
                f"{NOISE_SAYS_NOTHING}, as at the last step of the schedule {self.schedule!r}; "
                "expected the prediction 'v' or 'x0', or the schedule 'linear'"
            )

    def noise_schedule(self) -> NoiseSchedule:
        """The schedule of the training steps."""
        return build_schedule(self.schedule, self.num_steps, self.beta_min, self.beta_max)

    def small(self) -> Self:
        """For CPUs: 32 features, 16 residual channels, 64 for the step, and inference windows every 0.5 s, not 0.1."""
        return replace(self, feature_channels=32, residual_channels=16, step_width=64, hop_s=0.5)


_PLACES: Final = PaperConfig(schedule="rescaled", prediction="v", mid_scale=10.0, loss="signal")
"""What the presets that learn to place share."""

PRESETS: Final = with_variants(
    {
        "paper": PaperConfig(),
        "paper-no-saf": PaperConfig(fusion="add"),
        "paper-audio-only": PaperConfig(fusion="none"),
        "paper-add": PaperConfig(fusion="add"),
        "paper-conv": PaperConfig(fusion="conv"),
        "paper-v": _PLACES,
        "paper-v-audio-only": replace(_PLACES, fusion="none"),
        "paper-v-add": replace(_PLACES, fusion="add"),
        "paper-v-conv": replace(_PLACES, fusion="conv"),
        "paper-cosine": replace(_PLACES, schedule="cosine"),
        "paper-x0": replace(_PLACES, prediction="x0"),
    }
)
"""Configs by name, for the rows of Tables 1 to 3. "paper" is the one with SAF; "paper-no-saf", the row "Ours" of
Table 1, is the same network as "paper-add", see :class:`tas_core.models.paper.fusion.AddFusion`. All have the full
width and the text encoder that works offline; the paper's own is CLIP, "paper-clip". Names that end in "-small" have a
reduced width, for CPUs; their results are not the paper's. "paper-v", "paper-cosine" and "paper-x0" are "paper" under
schedules that end in noise; the rows of Table 3 are there under the first of them too."""

TRAINING: Final[dict[str, Any]] = {
    "steps": 3000,
    "batch_size": 12,
    "window_s": 1.0,
    "learning_rate": 2e-4,
    "weight_decay": 0.0,
}
"""What the paper's section 4.2 states, as settings of :class:`tas_core.training.settings.TrainingConfig`."""


@dataclass(frozen=True)
class Conditioner:
    """What the residual layers need of audio and text, the same at every diffusion step.

    Attributes:
        projected: per layer, (batch, 2 residual_channels, time).
        gain: factor from normalised side back to the level of the input, (batch, 1); 0 for silence.
    """

    projected: list[Tensor]
    gain: Tensor


class PaperModel(PromptModel):
    """Denoises a side signal under mid and text, by the formulas above."""

    family = "paper"
    uses_noise = True
    config: PaperConfig

    def __init__(self, config: PaperConfig) -> None:
        super().__init__()
        self.config = config
        self.schedule: NoiseSchedule = config.noise_schedule()
        width, channels = config.feature_channels, config.residual_channels
        first, second = config.encoder_kernels
        self.audio_encoder = nn.Sequential(
            nn.Conv1d(1, width, first, padding=first // 2),
            nn.ReLU(),
            nn.Conv1d(width, width, second, padding=second // 2),
        )
        self.fusion = build_fusion(config.fusion, width)
        self.uses_text = uses_text(self.fusion)
        # Without text there is nothing to project; features of width d stay as they are (the paper's CLIP).
        needs_projection = self.uses_text and config.text_width != width
        self.text_projection = nn.Linear(config.text_width, width) if needs_projection else nn.Identity()
        self.step_embedding = StepEmbedding(config.step_width)
        self.input_projection = nn.Conv1d(1, channels, 1)
        self.stack = ResidualStack(channels, config.num_blocks, config.layers_per_block, width, config.step_width)
        self.output_projection = nn.Conv1d(config.num_blocks * channels, channels, 1)
        self.output = nn.Conv1d(channels, 1, 1)
        self._keep_variance()
        nn.init.kaiming_normal_(self.input_projection.weight)
        nn.init.kaiming_normal_(self.output_projection.weight)
        nn.init.zeros_(self.output.weight)
        assert self.output.bias is not None
        nn.init.zeros_(self.output.bias)

    def _keep_variance(self) -> None:
        """Begin with features of the variance that comes in, as the residual layers begin (He et al. 2015)."""
        for part in (*self.audio_encoder, *self.fusion.modules()):
            if isinstance(part, nn.Conv1d):
                nn.init.kaiming_normal_(part.weight)
                assert part.bias is not None
                nn.init.zeros_(part.bias)

    def text_layers(self) -> list[nn.Linear]:
        """See :meth:`SpatialModel.text_layers`; none without text, or for text features of the width d."""
        return [self.text_projection] if isinstance(self.text_projection, nn.Linear) else []

    @property
    def max_steps(self) -> int:
        """Steps of the training schedule."""
        return self.config.num_steps

    def encode(self, mid: Tensor, text_features: Tensor) -> Conditioner:
        """Compute once what all diffusion steps share.

        Args:
            mid: left + right, (batch, time), any level.
            text_features: (batch, text_width), rows of unit length as the text encoders give them.
        """
        normalised, gain = normalise(mid)
        audio_features = self.audio_encoder(self.config.mid_scale * normalised.unsqueeze(1))
        text = self.text_projection(spread(text_features)) if self.uses_text else None
        fused = self.fusion(audio_features, text)
        return Conditioner(self.stack.project_conditioner(fused), gain / self.config.side_scale)

    def predict(self, noisy: Tensor, step: Tensor, conditioner: Conditioner) -> Tensor:
        """Estimate what the config's ``prediction`` names: the standard normal noise in `noisy`, x0, or v.

        Args:
            noisy: a_n in normalised units, (batch, time).
            step: (batch), int64, 0 to num_steps - 1.
            conditioner: from :meth:`encode`.

        Returns:
            (batch, time).
        """
        x = self.input_projection(noisy.unsqueeze(1)).relu()
        blocks = self.stack(x, self.step_embedding(step), conditioner.projected).blocks
        return self.output(self.output_projection(torch.cat(blocks, dim=1)).relu()).squeeze(1)

    def row_losses(self, mid: Tensor, side: Tensor, text_features: Tensor, generator: torch.Generator) -> Tensor:
        """Mean squared error of what is predicted, at a random step for each example: (batch).

        Args:
            mid: left + right, (batch, time).
            side: left - right, (batch, time).
            text_features: (batch, text_width).
            generator: source of steps and noise, on any device.
        """
        step = torch.randint(self.config.num_steps, mid.shape[:1], generator=generator, device=generator.device).to(
            mid.device
        )
        noise = samplers.standard_normal(side, generator)
        return self.share_rows(self._row_errors, mid, side, text_features, step, noise)[0]

    def _row_errors(
        self, mid: Tensor, side: Tensor, text_features: Tensor, step: Tensor, noise: Tensor
    ) -> tuple[Tensor]:
        """The losses of some examples, whose steps (batch) and noise (batch, time) were drawn."""
        conditioner = self.encode(mid, text_features)
        clean = divide(side, conditioner.gain)
        predicted = self.predict(diffuse(clean, noise, step, self.schedule), step, conditioner)
        alpha_bar = self.schedule.alpha_bar_at(step)
        wanted = target(self.config.prediction, clean, noise, alpha_bar)
        errors = (predicted.float() - wanted).square().mean(dim=1)
        if self.config.loss == "signal":
            errors = errors * error_weight(self.config.prediction, alpha_bar).to(errors)
        return (errors,)

    @torch.no_grad()
    def sample(
        self,
        mid: Tensor,
        text_features: Tensor,
        num_steps: int | None = None,
        generator: torch.Generator | None = None,
        sampler: str = "ddpm",
        noise: Tensor | None = None,
    ) -> Tensor:
        """Generate side (batch, time), at the level of `mid`.

        Args:
            mid: left + right, (batch, time).
            text_features: (batch, text_width).
            num_steps: evenly spaced steps to take, 1 to the config's; None for all.
            generator: source of randomness, on any device; needed unless `noise` is given and `sampler` is
                "ddim".
            sampler: "ddpm" or "ddim".
            noise: standard normal start, (batch, time); drawn from `generator` if None.

        Raises:
            ValueError: unknown sampler or `num_steps` out of range.
        """
        steps = self.config.num_steps if num_steps is None else num_steps
        start = samplers.standard_normal(mid, generator) if noise is None else noise
        return self._draw(mid, text_features, self.schedule.respaced(steps), start, sampler, generator)

    def _draw(
        self,
        mid: Tensor,
        text_features: Tensor,
        schedule: NoiseSchedule,
        start: Tensor,
        sampler: str,
        generator: torch.Generator | None,
    ) -> Tensor:
        """As :meth:`sample`, from `start`, with gradients where the caller has them."""
        conditioner = self.encode(mid, text_features)

        def denoise(noisy: Tensor, step: Tensor) -> Tensor:
            predicted = self.predict(noisy, step, conditioner)
            return to_x0(self.config.prediction, predicted, noisy, self.schedule.alpha_bar_at(step))

        return samplers.sample(sampler, denoise, start, schedule, generator) * conditioner.gain

    def window_sides(self, mid: Tensor, text_features: Tensor, steps: int, noise: Tensor | None) -> Tensor:
        """See :meth:`PromptModel.window_sides`; DDIM from `noise`.

        Gradients are the caller's to turn off: a compiled network would be compiled again for a change of that.
        """
        assert noise is not None, f"a {self.family} model starts from noise"
        return self._draw(mid, text_features, self.schedule.respaced(steps), noise, "ddim", None)

    def compile_parts(self) -> None:
        """Compile the audio encoder and the residual layers."""
        self.audio_encoder.compile()
        self.stack.compile()
