"""What packing costs: signal-to-noise ratios of the clips in a packed folder against the bank that it was made from.

    tas data pack runs/bank --out runs/travel
    python benchmarks/packed_material.py --data runs/bank --pack runs/travel --out benchmarks/results/packed.json

snr_db is the mean over clips of 10 log10 (signal power / error power); segmental_db the same in segments of 32 ms
within 40 dB of a clip's loudest, each limited to -10 .. 35 dB.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path

import torch
from torch import Tensor

from tas_core.conventions import power_to_db
from tas_core.datasets.mixing.bank import StemBank
from tas_core.datasets.mixing.packing import liveliest_excerpt
from tas_core.datasets.sources.catalogue import SPLITS, load_categories

SEGMENT = 512


def ratios_db(signal: Tensor, coded: Tensor) -> tuple[float, float]:
    """Over all, and the mean over segments."""
    error = (signal - coded).square()
    whole = power_to_db(signal.square().sum() / error.sum())
    size = len(signal) // SEGMENT * SEGMENT
    power, noise = (x[:size].reshape(-1, SEGMENT).mean(dim=1) for x in (signal.square(), error))
    parts = power_to_db(power / noise.clamp_min(1e-12))
    return float(whole), float(parts[power > 1e-4 * power.max()].clamp(-10, 35).mean())


def best_match(bank: StemBank, clips: list[int], coded: Tensor) -> tuple[float, float]:
    """Ratios against the excerpt, of those of one source, that the coded clip was made from."""
    found = []
    for clip in clips:
        excerpt = liveliest_excerpt(bank, clip, len(coded)).float() / 32767
        if len(excerpt) == len(coded):
            found.append(ratios_db(excerpt, coded))
    return max(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    full = StemBank.load(options.data / "bank.safetensors")
    began = time.perf_counter()
    bank = StemBank.load(options.pack / "bank.safetensors")
    decoding_s = time.perf_counter() - began
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for clip, key in enumerate(zip(full.split.tolist(), full.source.tolist(), strict=True)):
        groups[key].append(clip)
    kinds = {c.name: c.kind for c in load_categories()}
    rows: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for clip in range(len(bank.start)):
        same = groups[int(bank.split[clip]), int(bank.source[clip])]
        same = [c for c in same if full.category[c] == bank.category[clip]]
        ratios = best_match(full, same, bank.clip(clip))
        for name in ("all", kinds[bank.categories[int(bank.category[clip])]]):
            rows[name].append(ratios)
    table = {}
    print(f"{'kind':12}{'clips':>7}{'snr_db':>9}{'lowest':>9}{'segmental_db':>14}")
    for name, found in rows.items():
        snr, parts = torch.tensor(found).unbind(dim=1)
        table[name] = {
            "clips": len(found),
            "snr_db": float(snr.mean()),
            "lowest_snr_db": float(snr.min()),
            "segmental_db": float(parts.mean()),
        }
        print(f"{name:12}{len(found):7}{snr.mean():9.1f}{snr.min():9.1f}{parts.mean():14.1f}")
    minutes = {s: float(bank.length[bank.split == n].sum()) / bank.sample_rate_hz / 60 for n, s in enumerate(SPLITS)}
    size = sum(path.stat().st_size for path in options.pack.iterdir())
    print(f"{size} bytes; minutes: {minutes}; decoded in {decoding_s:.1f} s")
    if options.out:
        result = {"bytes": size, "minutes": minutes, "rows": table}
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
