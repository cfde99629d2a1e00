"""Values that options choose from. Typer lists, completes and checks them; nothing heavy is imported for that.

Each is what the core takes, which a test compares.
"""

from __future__ import annotations

from typing import Literal

Progress = Literal["auto", "bar", "json", "off"]
Device = Literal["auto", "cpu", "cuda"]
ClipMode = Literal["rescale", "clamp", "error"]
Subtype = Literal["PCM_16", "PCM_24", "FLOAT"]
Precision = Literal["auto", "bf16", "fp32"]
TextEncoder = Literal["minilm", "clip", "bert", "t5"]
Split = Literal["train", "val", "test"]
SplitOrAll = Literal["all", "train", "val", "test"]
Captions = Literal["own", "coarse", "words", "degrees"]
Names = Literal["trained", "held-out"]
Stft = Literal["short", "long"]
PlotKind = Literal["spl", "envelope", "spectrogram", "azimuth"]
