"""Quality on scenes composed from sources that training never saw: floors, the model, ceilings.

    python benchmarks/composed_scenes.py --data runs/bank --model slots --out benchmarks/results/scenes.json

Each scene is a room-rendered mixture (simulated rooms, measured head) of 1 to 4 objects from the split's own
soundfont, voices and recordings, with every object named and its azimuth given in degrees. Rows:

mono-mono      (L+R)/2 in both ears
oracle-mask    ideal ratio masks through the model's direction filter
<model> N      the model with N steps
held-out names scenes drawn likewise, objects named by synonyms that training never saw

snr_db is the mean over scenes of 10 log10((mean G^2 + 1e-4) / (mean (P-G)^2 + 1e-4)), both ears, after each signal
was scaled to peak 1, as usual in the field. separation_db is the error power of the masked objects over the mixture.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from tas_core.batch import SceneBatch
from tas_core.datasets.composition import CompositionConfig
from tas_core.datasets.material import open_material
from tas_core.dsp import istft, stft
from tas_core.models.diffuse import unit_noise
from tas_core.models.registry import load_model
from tas_core.models.slots import Separation, SlotsModel
from tas_core.runtime import keep_freed_memory

PLAIN = {"unnamed_share": 0.0, "absent_share": 0.0, "odd_name_share": 0.0, "dry_share": 0.0, "augment": False}


def to_ears(mid: Tensor, side: Tensor) -> Tensor:
    """(batch, time) twice to (batch, ear, time)."""
    return torch.stack([(mid + side) / 2, (mid - side) / 2], dim=1)


def snr_db(predicted: Tensor, truth: Tensor) -> Tensor:
    """SNR per scene (batch) after peak normalisation of each."""
    scale = lambda x: x / x.abs().amax(dim=(1, 2), keepdim=True).clamp_min(1e-20)  # noqa: E731
    predicted, truth = scale(predicted), scale(truth)
    error = (predicted - truth).square().mean(dim=(1, 2))
    return 10 * torch.log10((truth.square().mean(dim=(1, 2)) + 1e-4) / (error + 1e-4))


def side_of(spectrum: Tensor, model: SlotsModel, length: int) -> Tensor:
    return istft(spectrum, model.config.n_fft, model.config.hop, length)


def score(model: SlotsModel, batch: SceneBatch, steps: int) -> tuple[Tensor, Tensor]:
    """SNR and separation error in dB of the model, per scene."""
    c = model.config
    spectrum = stft(batch.mid, c.n_fft, c.hop)
    active = batch.named[..., None].expand(-1, -1, spectrum.shape[-1])
    found = model.separate(spectrum, batch.clause_features, active)
    side = model.directional(spectrum, found, batch.azimuth_deg[..., None])
    if steps > 1:
        white = torch.randn(batch.mid.shape, generator=torch.Generator().manual_seed(0))
        side = side + model.diffuse_part(spectrum, found.features, unit_noise(white, c.n_fft, c.hop), steps - 1)
    stems = stft(batch.stem_mid, c.n_fft, c.hop).transpose(2, 3)
    error = (found.masks[:, :-1] * spectrum.transpose(1, 2)[:, None] - stems).abs().square().sum(dim=(1, 2, 3))
    separation = 10 * torch.log10(error / spectrum.abs().square().sum(dim=(1, 2)))
    predicted = to_ears(batch.mid, side_of(side, model, batch.mid.shape[-1]))
    return snr_db(predicted, to_ears(batch.mid, batch.side)), separation


def oracle(model: SlotsModel, batch: SceneBatch) -> Tensor:
    """SNR per scene with ideal ratio masks (of power) in place of the network's."""
    c = model.config
    spectrum = stft(batch.mid, c.n_fft, c.hop)
    power = stft(batch.stem_mid, c.n_fft, c.hop).abs().square().transpose(2, 3)
    masks = power / power.sum(dim=1, keepdim=True).clamp_min(1e-12)
    masks = torch.cat([masks, torch.zeros_like(masks[:, :1])], dim=1)
    ideal = Separation(masks, torch.ones_like(masks[:, 0]), masks)
    side = model.directional(spectrum, ideal, batch.azimuth_deg[..., None])
    return snr_db(to_ears(batch.mid, side_of(side, model, batch.mid.shape[-1])), to_ears(batch.mid, batch.side))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="slots")
    parser.add_argument("--split", default="test", choices=("val", "test"))
    parser.add_argument("--batches", type=int, default=40, help="of 8 scenes of 3 s")
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 2, 5])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    keep_freed_memory()
    model = load_model(options.model)
    assert isinstance(model, SlotsModel)
    plain = open_material(options.data, options.split, "minilm", CompositionConfig(**PLAIN), seed=777)
    held_out = open_material(
        options.data, options.split, "minilm", CompositionConfig(**PLAIN, held_out_names=True), seed=777
    )
    rows: dict[str, list[tuple[int, float]]] = {}
    separation: dict[str, list[float]] = {}

    def add(name: str, batch: SceneBatch, values: Tensor) -> None:
        rows.setdefault(name, []).extend(
            (int(n), float(v)) for n, v in zip(batch.named.sum(dim=1), values, strict=True)
        )

    scorers: list[tuple[str, Callable[[SceneBatch], tuple[Tensor, Tensor]]]] = [
        (f"{options.model} {n}", lambda b, n=n: score(model, b, n)) for n in options.steps
    ]
    with torch.inference_mode():
        for index in range(options.batches):
            batch = plain.compose(index, 8)
            truth = to_ears(batch.mid, batch.side)
            add("mono-mono", batch, snr_db(to_ears(batch.mid, 0 * batch.mid), truth))
            add("oracle-mask", batch, oracle(model, batch))
            for name, scorer in scorers:
                snr, error = scorer(batch)
                add(name, batch, snr)
                separation.setdefault(name, []).extend(float(v) for v in error)
            snr, error = score(model, held_out.compose(index, 8), 1)
            add("held-out names", batch, snr)
            separation.setdefault("held-out names", []).extend(float(v) for v in error)
    table = {}
    print(f"{'row':24}{'all':>8}" + "".join(f"{n:>8}" for n in (1, 2, 3, 4)) + "  separation_db")
    for name, found in rows.items():
        means = {"all": sum(v for _, v in found) / len(found)}
        for count in (1, 2, 3, 4):
            values = [v for n, v in found if n == count]
            means[str(count)] = sum(values) / max(1, len(values))
        sep = separation.get(name)
        table[name] = {"snr_db": means, "separation_db": sum(sep) / len(sep) if sep else None, "scenes": len(found)}
        shown = "".join(f"{v:8.2f}" for v in means.values())
        print(f"{name:24}{shown}  {table[name]['separation_db'] or float('nan'):8.2f}")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps({"split": options.split, "rows": table}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
