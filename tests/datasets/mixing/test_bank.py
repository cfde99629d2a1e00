from __future__ import annotations

import lzma
from collections import defaultdict
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from tas_core.datasets.mixing import codec
from tas_core.datasets.mixing.bank import BankSettings, StemBank, build_bank
from tas_core.datasets.mixing.codec import encode_clips
from tas_core.datasets.sources.catalogue import SOUNDFONTS, SPLITS, VOICES, load_categories
from tas_core.errors import InputError
from tests.support.installed import needs_espeak, needs_fluidsynth
from tests.support.tiny import CATEGORIES, tone_bank

# ------------------------------------------------------------------ the file


def test_a_bank_survives_saving(tmp_path: Path) -> None:
    bank = tone_bank(length_s=0.2)
    bank.save(tmp_path / "bank.safetensors")
    back = StemBank.load(tmp_path / "bank.safetensors")
    for field in fields(StemBank):
        old, new = getattr(bank, field.name), getattr(back, field.name)
        assert torch.equal(old, new) if isinstance(old, torch.Tensor) else old == new, field.name


def test_clips_are_where_the_table_says() -> None:
    bank = tone_bank(length_s=0.2)
    seen: set[int] = set()
    for number, split in enumerate(SPLITS):
        clips = bank.clips_of(split)
        assert sorted(clips) == list(range(len(CATEGORIES)))
        for category, indices in clips.items():
            for index in indices.tolist():
                assert int(bank.category[index]) == category
                assert int(bank.split[index]) == number
                assert float(bank.clip(index).abs().max()) == pytest.approx(0.9, abs=1e-4)
                seen.add(index)
    assert seen == set(range(len(bank.start)))
    whole = torch.cat([bank.clip(i) for i in range(len(bank.start))])
    assert torch.equal(whole, bank.samples.float() / 32767)


def test_categories_without_clips_in_a_split_are_absent() -> None:
    bank = tone_bank(length_s=0.2)
    only_train = replace(bank, split=torch.where(bank.category == 0, 0, bank.split))
    assert 0 not in only_train.clips_of("val")
    assert len(only_train.clips_of("train")[0]) == 6


def _damaged(path: Path, what: str) -> None:
    bank = tone_bank(length_s=0.2)
    tensors = {n: getattr(bank, n) for n in ("samples", "start", "length", "category", "source", "split")}
    meta = {"format": "1", "sample_rate_hz": "16000", "categories": '["piano"]', "sources": '["a"]'}
    if what == "garbage":
        path.write_bytes(b"this is no bank")
    elif what == "empty":
        path.write_bytes(b"")
    elif what == "format":
        save_file(tensors, str(path), metadata=meta | {"format": "99"})
    elif what == "metadata":
        save_file(tensors, str(path))
    elif what == "names":
        save_file(tensors, str(path), metadata={k: v for k, v in meta.items() if k != "sources"})
    elif what == "json":
        save_file(tensors, str(path), metadata=meta | {"sources": "["})
    elif what == "tensor":
        del tensors["split"]
        save_file(tensors, str(path), metadata=meta)


@pytest.mark.parametrize("what", ["missing", "garbage", "empty", "format", "metadata", "names", "json", "tensor"])
def test_an_unusable_bank_is_an_input_error(tmp_path: Path, what: str) -> None:
    path = tmp_path / "bank.safetensors"
    _damaged(path, what)
    with pytest.raises(InputError, match=r"bank\.safetensors: .*stem bank"):
        StemBank.load(path)


# ------------------------------------------------------------------ rendering


@pytest.mark.slow
@needs_fluidsynth
@needs_espeak
def test_a_built_bank_does_not_depend_on_the_number_of_processes() -> None:
    names = ("piano", "cello", "drums", "man talking", "woman talking")
    few = tuple(c for c in load_categories() if c.name in names)
    fonts = tuple(font for font in SOUNDFONTS if font.name in ("TimGM6mb", "CsoundGM") and font.path.exists())
    voices = tuple(v for v in VOICES if v.name in ("espeak en-us", "espeak en-us+m1", "espeak en-us+m2"))
    settings = BankSettings(clips_per_source=1, length_s=1.0, categories=few, fonts=fonts, voices=voices)
    banks = [build_bank(settings, jobs=jobs) for jobs in (1, 3)]
    for field in fields(StemBank):
        one, other = (getattr(bank, field.name) for bank in banks)
        assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other, field.name
    splits = defaultdict(set)
    for source, split in zip(banks[0].source.tolist(), banks[0].split.tolist(), strict=True):
        splits[banks[0].sources[source]].add(split)
    assert all(len(found) == 1 for found in splits.values())
    peaks = [float(banks[0].clip(i).abs().max()) for i in range(len(banks[0].start))]
    np.testing.assert_allclose(peaks, 0.9, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start": torch.full((30,), 10**9)}, "'start' holds numbers outside of 0 to"),
        ({"length": torch.full((30,), 64000)}, "clips end beyond the last sample"),
        ({"length": torch.zeros(30, dtype=torch.int64)}, "'length' holds numbers outside of 1 to"),
        ({"category": torch.full((30,), 5)}, "'category' holds numbers outside of 0 to 4"),
        ({"split": torch.full((30,), -1)}, "'split' holds numbers outside of 0 to 2"),
        ({"source": torch.zeros(29, dtype=torch.int64)}, "'source' has the shape"),
        ({"samples": torch.zeros(960000)}, r"samples are torch\.float32, expected 16-bit integers"),
    ],
)
def test_clips_that_point_to_nothing_are_damage(changes: dict[str, torch.Tensor], message: str, tmp_path: Path) -> None:
    """Said when the file is read, not by a graphics processor in the middle of a run."""
    path = tmp_path / "bank.safetensors"
    replace(tone_bank(), **changes).save(path)
    with pytest.raises(InputError, match=rf"bank\.safetensors: not a readable stem bank \({message}"):
        StemBank.load(path)


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ("[[1, 600]]", "blocks of 1 clips, and there are 2"),
        ("[[1000000000000, 600]]", "a block of 1000000000000 clips"),
        ("[[-1, 600]]", "a block of -1 clips"),
        ("[[1, 0], [1, 800]]", "1 clips of 0 samples"),
        ("[[1, 1000000000000], [1, 800]]", "1 clips of 1000000000000 samples in"),
        ("[[1]]", "not enough values"),
        ("{", "Expecting"),
        ('[["a", 3]]', "not supported"),
    ],
)
def test_a_coded_bank_is_unpacked_no_further_than_it_can_be(tmp_path: Path, blocks: str, message: str) -> None:
    bank = tone_bank(length_s=0.05).only("train")
    path = tmp_path / "bank.safetensors"
    coded = [encode_clips(bank.clip(n).mul(32767).round().to(torch.int16)[None]) for n in range(2)]
    bank.save_coded(path, torch.arange(2), bank.length[:2], coded)
    assert len(StemBank.load(path).start) == 2
    with safe_open(str(path), "pt") as file:
        tensors, meta = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    save_file(tensors, str(path), metadata={**meta, "blocks": blocks})
    with pytest.raises(InputError, match=f"not a readable stem bank .*({message})"):
        StemBank.load(path)


def test_a_stream_that_unpacks_to_more_than_is_wanted_is_refused() -> None:
    coded = encode_clips(torch.zeros(1, 600, dtype=torch.int16))
    long = lzma.compress(bytes(10**7), lzma.FORMAT_RAW, filters=codec._FILTERS)
    with pytest.raises(ValueError, match="damaged stream .not the "):
        codec.decode_clips(replace(coded, coefficients=long))
