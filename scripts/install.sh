#!/usr/bin/env bash
# Make the virtual environment and install the package with everything that tests and checks need.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON="${PYTHON:-python3}"
VENV="${VENV:-.venv}"

[ -x "$VENV/bin/python" ] || "$PYTHON" -m venv "$VENV"
# torchvision (needed by open_clip_torch) has to match torch, so both are pinned for development.
"$VENV/bin/python" -m pip install -q torch==2.14.1 torchvision==0.29.1 torchaudio==2.11.0
"$VENV/bin/python" -m pip install -q -e '.[dev]'
# PESQ is compiled as it is installed; without a compiler its tests are skipped, and say so.
"$VENV/bin/python" -m pip install -q -e '.[eval]' || echo "PESQ cannot be compiled here: 'tas eval --also speech' will not run" >&2
