#!/usr/bin/env bash
# Make the virtual environment and install the package with everything that tests and checks need.
# Debian packages are installed only where apt-get is there and allowed, and only what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON="${PYTHON:-python3}"
VENV="${VENV:-.venv}"

# Tests need these, the main job does not: the generator renders instruments and voices, and a browser opens the page
# of a listening study.
packages=(libfluidsynth3 timgm6mb-soundfont espeak-ng chromium chromium-driver)
missing=()
if command -v dpkg-query >/dev/null; then
  for package in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
fi
if [ ${#missing[@]} -gt 0 ]; then
  if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
  else
    echo "note: without ${missing[*]} the tests of the sound generator or of the study page are skipped" >&2
  fi
fi

[ -x "$VENV/bin/python" ] || "$PYTHON" -m venv "$VENV"
# torchvision (needed by open_clip_torch) has to match torch, so both are pinned for development.
"$VENV/bin/python" -m pip install -q torch==2.14.1 torchvision==0.29.1 torchaudio==2.11.0
"$VENV/bin/python" -m pip install -q -e '.[dev]'
