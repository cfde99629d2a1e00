#!/usr/bin/env bash
# Make the virtual environment and install the package with everything that tests and checks need, and the extras given.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON="${PYTHON:-python3}"
VENV="${VENV:-.venv}"

[ -x "$VENV/bin/python" ] || "$PYTHON" -m venv "$VENV"
# Where versions are known that the tests ran with, these; elsewhere the newest that pyproject.toml allows.
known="constraints/$("$VENV/bin/python" -c 'import platform as p; print(p.system().lower(), p.machine(), "py" + "".join(p.python_version_tuple()[:2]), sep="-")').txt"
[ -f "$known" ] && export PIP_CONSTRAINT="$PWD/$known"
# torchvision (needed by open_clip_torch) has to match torch, so they are installed together.
"$VENV/bin/python" -m pip install -q torch torchvision 'torchaudio>=2.6,<3'
"$VENV/bin/python" -m pip install -q -e '.[dev]'
# PESQ is compiled as it is installed; without a compiler its tests are skipped, and say so.
"$VENV/bin/python" -m pip install -q -e '.[eval]' || echo "PESQ cannot be compiled here: 'tas eval --also speech' will not run" >&2
for extra in "$@"; do
  "$VENV/bin/python" -m pip install -q -e ".[$extra]"
done
