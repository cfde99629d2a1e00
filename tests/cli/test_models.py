"""``tas models``: what it says agrees with the models themselves, without loading them."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from tas_core.models import description, pretrained
from tas_core.models.info import checkpoint_folder, list_models, model_info
from tests.conftest import Finished

Run = Callable[..., Finished]


@pytest.fixture(scope="module")
def own_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoint folder of a family with batch norms, whose statistics are no parameters."""
    from tas_core.models.checkpoints import save_checkpoint
    from tas_core.models.registry import build_preset

    model = build_preset("mono2binaural-small")
    folder = tmp_path_factory.mktemp("runs") / "deep" / "checkpoint"
    state = model.state_dict()
    return save_checkpoint(folder, "mono2binaural", asdict(model.config), state, {"steps": 7, "hours": 2})


def damaged(source: Path, target: Path, how: str) -> Path:
    """A copy of a checkpoint with something wrong."""
    shutil.copytree(source, target)
    weights, config = target / "model.safetensors", target / "config.json"
    description = json.loads(config.read_text())
    if how == "flipped bit":
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1
        weights.write_bytes(data)
    elif how == "no weights":
        weights.unlink()
    elif how == "no config":
        config.unlink()
    elif how == "no JSON":
        config.write_text("{")
    elif how == "format":
        config.write_text(json.dumps(description | {"format": 9}))
    elif how == "family":
        config.write_text(json.dumps(description | {"family": "unet"}))
    elif how == "header":
        weights.write_bytes(b"\xff" * 64)
        config.write_text(json.dumps(description | {"weights_sha256": hashlib.sha256(b"\xff" * 64).hexdigest()}))
    return target


# ------------------------------------------------------------------ against the models themselves


@pytest.mark.parametrize("name", [*pretrained.shipped_models(), "own"])
def test_what_is_said_is_what_loading_finds(name: str, own_model: Path) -> None:
    from tas_core.models.checkpoints import load_checkpoint
    from tas_core.models.registry import load_network

    name = str(own_model) if name == "own" else name
    info, model = model_info(name), load_network(name)
    checkpoint = load_checkpoint(info.folder)
    assert info.parameters == sum(value.numel() for value in model.parameters())
    assert info.digest == checkpoint.digest
    assert info.family == checkpoint.family == model.family
    assert info.default_steps == model.default_steps
    assert info.text_encoder == model.config.text_encoder
    assert info.calibrated == (name == "slots")
    weights = (Path(info.folder) / "model.safetensors").read_bytes()
    assert info.weights_sha256 == hashlib.sha256(weights).hexdigest()
    assert info.size_bytes == len(weights) + (Path(info.folder) / "config.json").stat().st_size
    assert (info.steps_trained, info.hours_trained) == (checkpoint.provenance["steps"], checkpoint.provenance["hours"])
    assert info.shipped == (name in pretrained.shipped_models()) == (info.model_card is not None)


def test_parameters_and_default_steps_of_every_family(tmp_path: Path) -> None:
    from tas_core.models.checkpoints import save_checkpoint
    from tas_core.models.registry import FAMILIES, build_preset

    assert description.FAMILIES.keys() == FAMILIES.keys()
    for preset, steps in (("paper-small", 6), ("paper-v-small", 1), ("apnet-small", 1)):
        model = build_preset(preset)
        save_checkpoint(tmp_path / preset, model.family, asdict(model.config), model.state_dict())
        info = model_info(str(tmp_path / preset))
        assert info.parameters == sum(value.numel() for value in model.parameters())
        assert info.default_steps == model.default_steps == steps


def test_names_lead_where_loading_goes() -> None:
    from tas_core.errors import InputError
    from tas_core.models.registry import load_network

    assert pretrained.DEFAULT_MODEL in pretrained.shipped_models()
    for name in pretrained.shipped_models():
        assert checkpoint_folder(name) == pretrained.find_checkpoint(name)
    with pytest.raises(InputError) as one:
        pretrained.find_checkpoint("slotz")
    with pytest.raises(InputError) as other:
        load_network("slotz")
    assert str(one.value) == str(other.value)


# ------------------------------------------------------------------ the commands


def test_list_names_every_shipped_model(tas: Run) -> None:
    done = tas("models", "list", "--json")
    assert (done.code, done.err) == (0, "")
    found = json.loads(done.out)["models"]
    assert [model["name"] for model in found] == list(pretrained.shipped_models())
    assert found == [json.loads(json.dumps(model.as_dict())) for model in list_models()]

    head, *lines = tas("models", "list").out.splitlines()
    assert head.startswith("model ")
    for line, model in zip(lines, found, strict=True):
        assert line.split()[:3] == [model["name"], model["family"], f"{model['parameters']:,}"]
        assert line.endswith(model["weights_sha256"][:16])


def test_list_finds_checkpoints_below_folders_and_nothing_else(tas: Run, own_model: Path) -> None:
    root = own_model.parent.parent
    other = root / "other"
    other.mkdir(exist_ok=True)
    (other / "config.json").write_text('{"model_type": "bert"}')
    (other / "model.safetensors").write_bytes(b"")
    done = tas("models", "list", root, "--json")
    names = [model["name"] for model in json.loads(done.out)["models"]]
    assert names == [*pretrained.shipped_models(), str(own_model)]


def test_info_says_the_same_to_people(tas: Run, own_model: Path) -> None:
    lines = dict(line.split("  ", 1) for line in tas("models", "info", own_model).out.splitlines())
    said = {name.strip(): value.strip() for name, value in lines.items()}
    info = model_info(str(own_model))
    assert said["folder"] == info.folder
    assert said["parameters"] == f"{info.parameters:,}, stored as F32"
    assert said["SHA-256 of the weights"] == info.weights_sha256
    assert said["digest"] == info.digest
    assert (said["steps trained, last run"], said["hours, last run"], said["default steps"]) == ("7", "2.0", "1")
    assert "model card" not in said
    assert "(shipped)" in tas("models", "info", "slots").out


def test_path_prints_a_folder_to_use_in_scripts(tas: Run, own_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = tas("models", "path", "slots").out.splitlines()
    assert (Path(line) / "model.safetensors").is_file()
    monkeypatch.chdir(own_model.parent)
    assert tas("models", "path", "checkpoint").out == f"{own_model}\n"  # absolute, wherever it is used


@pytest.mark.parametrize("arguments", [("list",), ("info", "slots"), ("path", "slots")])
def test_nothing_heavy_is_loaded(arguments: tuple[str, ...]) -> None:
    program = (
        "import sys\n"
        "from tas_cli.main import main\n"
        "try:\n    main()\n"
        "finally:\n    print(*{name.split('.')[0] for name in sys.modules}, file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", program, "models", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert not set(done.stderr.split()) & {"torch", "numpy", "safetensors", "transformers"}


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize("how", ["flipped bit", "no weights", "no config", "no JSON", "format", "family", "header"])
def test_a_damaged_checkpoint_is_one_line(tas: Run, tiny_model: Path, tmp_path: Path, how: str) -> None:
    """The same line as on loading, wherever reading does not have to go into the weights."""
    from tas_core.errors import CheckpointError
    from tas_core.models.checkpoints import load_checkpoint

    folder = damaged(tiny_model, tmp_path / "broken", how)
    done = tas("models", "info", folder)
    assert done.code == 2
    assert done.out == ""
    with pytest.raises(CheckpointError) as loading:
        load_checkpoint(folder)
    if how == "header":
        assert done.error_line == f"{folder / 'model.safetensors'} is not a valid safetensors file: no readable header"
    else:
        assert done.error_line == str(loading.value)


@pytest.mark.parametrize(
    "header",
    [
        "[" * 100_000,
        '{"a": {"shape": [1e308, 1e308], "dtype": "F32"}}',
        '{"a": {"shape": [' + ",".join(["9" * 300] * 30) + '], "dtype": "F32"}}',
        '{"a": {"shape": [-1], "dtype": "F32"}}',
        '{"a": {"shape": ["a"], "dtype": "F32"}}',
        '{"a": 3}',
    ],
)
def test_a_header_that_is_none_is_one_line(tas: Run, tmp_path: Path, header: str) -> None:
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header.encode())
    (tmp_path / "config.json").write_text('{"format": 1, "family": "slots", "config": {}}')
    for words in (("models", "info", tmp_path), ("models", "list", tmp_path)):
        done = tas(*words)
        assert done.code == 2
        assert done.error_line.endswith("model.safetensors is not a valid safetensors file: no readable header")


@pytest.mark.parametrize("number", ["9" * 400, "9" * 5000, "1e999", "[" * 50_000])
def test_a_description_with_numbers_beyond_all_bounds_is_one_line(tas: Run, tmp_path: Path, number: str) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\x02" + bytes(7) + b"{}")
    said = f'{{"format": 1, "family": "slots", "config": {{}}, "provenance": {{"hours": {number}}}}}'
    (tmp_path / "config.json").write_text(said)
    done = tas("models", "info", tmp_path)
    assert done.code == 2
    assert "config.json is not valid JSON" in done.error_line


def test_unknown_names_exit_with_two(tas: Run, tmp_path: Path) -> None:
    for command in ("info", "path"):
        done = tas("models", command, "slotz")
        assert done.code == 2
        assert done.error_line.startswith("unknown model 'slotz'; expected one of ")
        assert "incomplete checkpoint" in tas("models", command, tmp_path).error_line
    assert tas("models", "list", tmp_path / "absent").error_line.startswith(f"{tmp_path / 'absent'}: not a folder")


def test_the_folder_of_a_complete_checkpoint(tiny_model: Path) -> None:
    assert checkpoint_folder(str(tiny_model)) == tiny_model.resolve()
