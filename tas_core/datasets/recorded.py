"""Training batches from the recordings of a data set in TASBench's layout, FAIR-Play's own among them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from tas_core.datasets.sources.catalogue import Split
from tas_core.datasets.tasbench.layout import TasBench
from tas_core.datasets.windows import PromptWindows
from tas_core.models.scene_batch import SceneBatch


class RecordedScenes:
    """Random windows of recordings under the prompts nearest to their centres (paper, section 4.2).

    A recording is not separated into its objects, so a batch holds each window as one "object" that is all of
    the sound. That is what models that take a whole prompt learn from; a model with a mask per object cannot.

    Args:
        data: the data set.
        split: train, val or test.
        fold: number of the split, 1 to 10 for FAIR-Play.
        window_s: length of a window.
        seed: of clips and places; the same (seed, step) gives the same batch.
        device: of the batches.

    Raises:
        InputError: the split is missing, empty, or names a clip that is not there.
    """

    def __init__(
        self, data: TasBench, split: Split, fold: int, window_s: float, seed: int, device: torch.device | None = None
    ) -> None:
        self.windows = PromptWindows(data, data.split_clips(split, fold), window_s, seed=seed)
        self.split, self.fold, self.seed = split, fold, seed
        self.device = device or torch.device("cpu")

    def compose(self, step: int, batch_size: int) -> SceneBatch:
        """The windows of one training step; no clip twice as long as there are enough."""
        rng = np.random.default_rng([self.seed, step])
        count = len(self.windows)
        chosen = rng.permutation(max(count, batch_size))[:batch_size] % count
        found = [self.windows.at(int(index), step) for index in chosen]
        mid = torch.stack([w.mid for w in found])
        return SceneBatch(
            stem_mid=mid[:, None],
            stem_side=torch.stack([w.side for w in found])[:, None],
            rest_mid=torch.zeros_like(mid),
            clause_features=torch.zeros(batch_size, 1, 0),
            azimuth_deg=torch.zeros(batch_size, 1),
            named=torch.ones(batch_size, 1, dtype=torch.bool),
            active=torch.ones(batch_size, 1, 1, dtype=torch.bool),
            right_name=torch.ones(batch_size, 1, dtype=torch.bool),
            side_known=torch.ones(batch_size, dtype=torch.bool),
            prompts=tuple(w.prompt for w in found),
        ).to(self.device)

    def source_names(self) -> list[str]:
        """What the batches are made of."""
        return [f"{Path(self.windows.data.root).name}: {self.split} of split {self.fold}, {len(self.windows)} clips"]
