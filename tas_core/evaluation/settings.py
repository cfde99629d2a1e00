"""What to evaluate on, and how."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tas_core.datasets.sources.catalogue import SPLITS, Split
from tas_core.errors import InputError
from tas_core.evaluation.clips import CAPTIONS, NAMES, Captions, Names
from tas_core.evaluation.commands import TIMEOUT_S
from tas_core.evaluation.scoring import STFTS, check_also
from tas_core.inference.settings import check_seed


@dataclass(frozen=True)
class EvaluationSettings:
    """What to evaluate on, and how.

    Attributes:
        split: part of the data set.
        folds: numbers of its splits, 1 to 10 in FAIR-Play; empty for all. Clips of several count once.
        captions: "own", or how to word simulated clips anew: "coarse" (left, center, right), "words", "degrees".
        names: "held-out" to name objects by synonyms that training never sees.
        steps: diffusion steps of models that do not say theirs; None is the model's own default.
        clips: how many, drawn by the seed (fewer are the first of more); None for all.
        normalise: whether each signal is divided by its own peak before the six measures of the paper.
        stft: transform behind ``amp`` and ``pha``, "short" or "long".
        also: groups of measures that are not taken by themselves: "cited", those of other papers, "speech", and
            "confidence", for which a model runs three times more.
        control: whether to run again with mirrored, centred and exchanged prompts, and with a name too many.
        control_clips: on how many clips at most; exchanges on as many of those clips that can be exchanged.
        jobs: processes; None is one per core. A GPU is used by one.
        timeout_s: how long a row that is a command may take for one clip.
        device: "auto", "cpu" or "cuda".
        seed: of the choice of clips, of the models' noise and of the intervals.
        save_audio: whether to keep the outputs, below the folder of the results.

    Raises:
        InputError: a value out of range.
    """

    split: Split = "test"
    folds: tuple[int, ...] = (1,)
    captions: Captions = "own"
    names: Names = "trained"
    steps: int | None = None
    clips: int | None = None
    normalise: bool = True
    stft: str = "short"
    also: tuple[str, ...] = ()
    control: bool = False
    control_clips: int = 24
    jobs: int | None = None
    timeout_s: float = TIMEOUT_S
    device: str = "auto"
    seed: int = 0
    save_audio: bool = False

    def __post_init__(self) -> None:
        check_seed(self.seed)
        for name, known in (("split", SPLITS), ("captions", CAPTIONS), ("names", NAMES), ("stft", tuple(STFTS))):
            if getattr(self, name) not in known:
                raise InputError(f"unknown {name} '{getattr(self, name)}'; expected one of {', '.join(known)}")
        check_also(self.also)
        if not 0 < self.timeout_s < math.inf:
            raise InputError(f"timeout_s is {self.timeout_s}; expected more than 0")
        for name in ("steps", "clips", "control_clips", "jobs"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected 1 or more")
