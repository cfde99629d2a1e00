"""Settings of a rendering and their ranges; imports no torch, so that requests are checked before it is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Final, Literal, TypedDict

from tas_core.errors import InputError
from tas_core.timeline.transitions import check_transition

if TYPE_CHECKING:
    from tas_core.acoustics.hrtf import HrirSet

MAX_SEED: Final = 2**32 - 1
"""Seeds are whole numbers from 0 to this, so that what is derived from them fits 64 bits."""

Stereo = Literal["mix", "keep"]
STEREO: Final[tuple[Stereo, ...]] = ("mix", "keep")

Renderer = Literal["auto", "plane", "sphere"]
RENDERERS: Final[tuple[Renderer, ...]] = ("auto", "plane", "sphere")

MAX_WIDTH: Final = 2.0
"""Factors of the difference between the ears go from 0 (mono) to this."""


def check_seed(seed: int) -> None:
    """Refuse a seed out of range.

    Raises:
        InputError: below 0 or above :data:`MAX_SEED`.
    """
    if not 0 <= seed <= MAX_SEED:
        raise InputError(f"seed is {seed}; expected 0 to {MAX_SEED}")


def check_steps(steps: int | None) -> None:
    """Refuse a number of sampler steps out of range; None leaves it to the model.

    Raises:
        InputError: below 1.
    """
    if steps is not None and steps < 1:
        raise InputError(f"steps is {steps}; expected 1 or more")


def check_width(width: float) -> None:
    """Refuse a width out of range.

    Raises:
        InputError: below 0, above :data:`MAX_WIDTH`, or nan.
    """
    if not 0 <= width <= MAX_WIDTH:
        raise InputError(f"width is {width:g}; expected 0 (mono) to {MAX_WIDTH:g}")


@dataclass(frozen=True)
class RenderSettings:
    """How a signal is rendered, whatever it comes from; checked when it is made.

    Args:
        steps: diffusion steps; None is the model's own default.
        seed: of the noise, for models that use any, 0 to :data:`MAX_SEED`.
        head: whose ears to make, as :func:`tas_core.acoustics.sofa.read_sofa` gives them; None is KEMAR's.
        width: factor of the difference between the ears, 0 (mono) to :data:`MAX_WIDTH`.
        transition_s: how long places take to change where a prompt begins or ends, seconds, see
            :mod:`tas_core.timeline.transitions`; with 0 it takes the model's own analysis window.
        stems: whether to give each object's estimated stem as well.
        stereo: what becomes of an input of two channels: "mix" mixes it down, "keep" leaves all in its place that no
            prompt places, and the signal is (channel, time).
        renderer: "plane" has all places in front, at ear level, and keeps the mono sum; "sphere" has them all around,
            near and far, wide, and in rooms, see :mod:`tas_core.inference.on_sphere`; "auto" is the sphere where the
            timeline asks for more than the plane, see :func:`tas_core.inference.renderer_choice.choose_renderer`.
        listener_deg: by how much the listener's head is turned, -180 to 180 degrees, positive left, so that all sounds
            turn the other way, those that nobody placed as well; on the sphere only.

    Raises:
        InputError: a value out of range.
    """

    steps: int | None = None
    seed: int = 0
    head: HrirSet | None = None
    width: float = 1.0
    transition_s: float = 0.0
    stems: bool = False
    stereo: Stereo = "mix"
    renderer: Renderer = "auto"
    listener_deg: float = 0.0

    def __post_init__(self) -> None:
        check_width(self.width)
        check_transition(self.transition_s)
        check_steps(self.steps)
        check_seed(self.seed)
        if self.stereo not in STEREO:
            raise InputError(f"unknown stereo '{self.stereo}'; expected one of {', '.join(STEREO)}")
        if self.renderer not in RENDERERS:
            raise InputError(f"unknown renderer '{self.renderer}'; expected one of {', '.join(RENDERERS)}")

        if not abs(self.listener_deg) <= 180:
            raise InputError(f"the head is turned by {self.listener_deg:g} degrees, expected -180 to 180")
        if self.listener_deg and not self.on_sphere:
            raise InputError(f"the head is turned, and the renderer is '{self.renderer}'; expected sphere")

    @property
    def keeps_stereo(self) -> bool:
        """Whether the input has two channels, which stay where no prompt places their sounds."""
        return self.stereo == "keep"

    @property
    def on_sphere(self) -> bool:
        """Whether sounds are rendered all around the head; "auto" is chosen first."""
        return self.renderer == "sphere"


class RenderKeywords(TypedDict, total=False):
    """The settings of a rendering as keywords, for calls by people; a head may be the path of a SOFA file."""

    steps: int | None
    seed: int
    head: HrirSet | str | PathLike[str] | None
    width: float
    transition_s: float
    stems: bool
    stereo: Stereo
    renderer: Renderer
