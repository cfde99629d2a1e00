from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from tas_core.datasets.mixing import packing
from tas_core.datasets.mixing.bank import StemBank
from tas_core.datasets.mixing.material import open_material
from tas_core.datasets.mixing.packing import PackSettings, liveliest_excerpt, pack_material, unpack_material
from tas_core.datasets.mixing.room_bank import RoomBank, build_rooms
from tas_core.datasets.sources.catalogue import SPLITS
from tas_core.errors import InputError
from tests.support.tiny import RATE_HZ, tone_bank, write_material


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_material(tmp_path_factory.mktemp("full"))
    tone_bank(length_s=3.0, clips=9).save(folder / "bank.safetensors")
    return folder


def _pack(source: Path, out: Path, **settings: object) -> Path:
    pack_material(source, out, PackSettings(**{"megabytes": 0.8, "excerpt_s": 1.0, "rooms": 4, **settings}))  # type: ignore[arg-type]
    return out


@pytest.fixture(scope="module")
def plain(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack as it is made when nothing else is asked for; tests only read it."""
    return _pack(source, tmp_path_factory.mktemp("plain") / "pack")


@pytest.fixture(scope="module")
def whole(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack with test material; tests only read it."""
    return _pack(source, tmp_path_factory.mktemp("whole") / "pack", with_test=True)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def _groups(bank: StemBank, splits: tuple[int, ...]) -> set[tuple[int, int, int]]:
    columns = zip(bank.split.tolist(), bank.category.tolist(), bank.source.tolist(), strict=True)
    return {row for row in columns if row[0] in splits}


def test_a_pack_is_small_and_has_every_category_and_source(source: Path, tmp_path: Path) -> None:
    full = StemBank.load(source / "bank.safetensors")
    for megabytes in (0.44, 0.54):
        folder = _pack(source, tmp_path / str(megabytes), megabytes=megabytes)
        assert _size(folder) <= megabytes * 1e6
        bank = StemBank.load(folder / "bank.safetensors")
        assert _groups(bank, (0, 1, 2)) == _groups(full, (0, 1))
        assert bank.categories == full.categories
        assert int(bank.length.max()) <= RATE_HZ
    assert len(bank.start) > len(StemBank.load(tmp_path / "0.44" / "bank.safetensors").start)


def test_test_material_stays_behind_unless_asked_for(plain: Path, whole: Path) -> None:
    assert StemBank.load(plain / "bank.safetensors").clips_of("test") == {}
    assert not (plain / "rooms-test.safetensors").exists()
    with pytest.raises(InputError, match="rooms-test"):
        open_material(plain, "test", "hash")
    assert len(StemBank.load(whole / "bank.safetensors").clips_of("test")) == 5
    assert open_material(whole, "test", "hash").compose(0, 2).mid.shape[0] == 2


def test_a_packed_folder_composes_like_a_full_one(plain: Path) -> None:
    for split in ("train", "val"):
        one = open_material(plain, split, "hash")
        assert all(name.startswith(f"{split} font/") for name in one.source_names())
        batch = one.compose(0, 4)
        assert bool((batch.mid.square().mean(dim=1) > 1e-6).all())
        again = open_material(plain, split, "hash").compose(0, 4)
        assert torch.equal(batch.mid, again.mid)


def test_every_clip_is_an_excerpt_of_its_original(source: Path, plain: Path) -> None:
    full = StemBank.load(source / "bank.safetensors")
    bank = StemBank.load(plain / "bank.safetensors")
    for index in range(len(bank.start)):
        clip = bank.clip(index)
        best = 0.0
        same = (full.source == bank.source[index]) & (full.category == bank.category[index])
        for other in torch.nonzero(same)[:, 0].tolist():
            whole = full.clip(other)
            size = 1 << 16
            cross = torch.fft.irfft(torch.fft.rfft(whole, n=size) * torch.fft.rfft(clip, n=size).conj(), n=size)
            lag = int(cross[: len(whole) - len(clip) + 1].argmax())
            best = max(best, float(torch.cosine_similarity(whole[lag : lag + len(clip)], clip, dim=0)))
        # 18 dB of signal to noise is a cosine of 0.992.
        assert best > 0.99


def test_an_excerpt_is_where_a_clip_sounds() -> None:
    bank = tone_bank(length_s=2.0, clips=1)
    samples = bank.samples.clone()
    at = int(bank.start[0])
    samples[at : at + 20000] = 0
    samples[at + 20000 : at + 30000] = bank.samples[at + 20000 : at + 30000]
    samples[at + 30000 : at + 32000] = 0
    quiet = replace(bank, samples=samples)
    excerpt = liveliest_excerpt(quiet, 0, 12000)
    assert len(excerpt) == 12000
    assert int((excerpt != 0).sum()) > 9900
    assert torch.equal(liveliest_excerpt(bank, 1, 64000), bank.samples[bank.start[1] : bank.start[1] + bank.length[1]])


def test_too_few_bytes_an_existing_folder_and_a_folder_without_phrases_are_refused(
    source: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="too little for one clip of each source"):
        _pack(source, tmp_path / "out", megabytes=0.31)
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="expected the name of a new folder"):
        _pack(source, tmp_path)
    tone_bank(length_s=0.2).save(tmp_path / "bank.safetensors")
    with pytest.raises(InputError, match="holds no phrases"):
        _pack(tmp_path, tmp_path / "out")


def test_a_pack_that_was_interrupted_leaves_nothing_and_can_be_made_again(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "packs" / "small"
    with monkeypatch.context() as patch:

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(packing, "room_recipe", interrupt)  # the last that is written
        with pytest.raises(KeyboardInterrupt):
            _pack(source, out)
        assert list(out.parent.iterdir()) == []
    left = out.parent / ".tas-0123456789ab.parts"  # as a killed program leaves it
    left.mkdir()
    (left / "phrases-other.safetensors").touch()
    _pack(source, out)
    assert list(out.parent.iterdir()) == [out]
    assert not (out / "phrases-other.safetensors").exists()
    assert list(out.parent.glob(".*")) == []
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file: not a folder"):
        _pack(source, tmp_path / "file" / "small")


def test_a_damaged_pack_is_an_input_error(plain: Path, tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    path = Path(shutil.copytree(plain, tmp_path / "pack")) / "bank.safetensors"
    with safe_open(str(path), "pt") as file:
        meta = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    tensors["levels 0"] = tensors["levels 0"][:-9].clone()
    save_file(tensors, str(path), metadata=meta)
    with pytest.raises(InputError, match="not a readable stem bank"):
        StemBank.load(path)


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_of_a_bank_can_be_read_alone(source: Path, whole: Path, split: str) -> None:
    for folder in (source, whole):
        both, part = StemBank.load(folder / "bank.safetensors"), StemBank.load(folder / "bank.safetensors", split)
        assert set(part.split.tolist()) == {SPLITS.index(split)}
        mine = torch.nonzero(both.split == SPLITS.index(split))[:, 0].tolist()
        assert len(part.start) == len(mine)
        for index, other in enumerate(mine):
            assert torch.equal(part.clip(index), both.clip(other))
            assert part.sources[int(part.source[index])] == both.sources[int(both.source[other])]


def test_packed_rooms_are_those_of_a_bank_of_the_same_seed(source: Path, tmp_path: Path) -> None:
    from tas_core.datasets.mixing.material import room_recipe

    folder = _pack(source, tmp_path / "pack", rooms=4, seed=3)
    recipe = room_recipe("val", 4, 3)
    expected = build_rooms(recipe.rooms, recipe.sources, seed=recipe.seed)
    found = RoomBank.load(folder / "rooms-val.safetensors")
    assert torch.equal(found.responses, expected.responses)
    assert torch.equal(found.azimuth_deg, expected.azimuth_deg)


def test_an_unpacked_folder_composes_the_same_and_opens_plain(plain: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    unpack_material(plain, out)
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in plain.iterdir())
    one, other = open_material(plain, "train", "hash").compose(3, 2), open_material(out, "train", "hash").compose(3, 2)
    assert torch.equal(one.mid, other.mid)
    for name in ("bank", "rooms-train"):
        with safe_open(out / f"{name}.safetensors", "pt") as file:
            assert {"samples", "responses"} & set(file.keys())
    with pytest.raises(InputError, match="out: exists"):
        unpack_material(plain, out)
    with pytest.raises(InputError, match=r"nowhere/bank\.safetensors: not a readable stem bank"):
        unpack_material(tmp_path / "nowhere", tmp_path / "other")
    assert not (tmp_path / "other").exists()
