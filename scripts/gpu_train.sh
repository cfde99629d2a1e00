#!/usr/bin/env bash
# Train the default model on a CUDA machine that has torch, numpy, safetensors, pyyaml and typer, and no network.
#   bash scripts/gpu_train.sh MATERIAL OUT STEPS [more options of tas train]
# MATERIAL is a folder made by `tas data bank` or `tas data pack`; a run that was stopped goes on when the same command is given again.
set -euo pipefail
cd "$(dirname "$0")/.."
material="$1" out="$2" steps="$3"
shift 3
export PYTHONUNBUFFERED=1 PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
python3 -c 'from tas_cli.main import main; main()' train --preset slots --data "$material" --out "$out" \
  --steps "$steps" --batch-size 32 --window 3 --precision bf16 --compile --save-every 200 "$@"
