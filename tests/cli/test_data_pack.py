from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.tiny import tone_bank, write_material


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_material(tmp_path_factory.mktemp("full"))
    tone_bank(length_s=3.0, clips=9).save(folder / "bank.safetensors")
    return folder


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def test_the_command_packs(source: Path, tmp_path: Path) -> None:
    from tas_cli.commands.data import app

    out = tmp_path / "pack"
    done = CliRunner().invoke(
        app, ["pack", str(source), "--out", str(out), "--megabytes", "0.54", "--excerpt", "1", "--rooms", "4"]
    )
    assert done.exit_code == 0, done.output
    assert str(out) in done.output
    assert "train" in done.output
    assert _size(out) <= 500_000
