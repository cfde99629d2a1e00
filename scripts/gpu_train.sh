#!/usr/bin/env bash
# Train the default model on a CUDA machine that has torch, numpy, safetensors, pyyaml and typer, and no network.
#   bash scripts/gpu_train.sh MATERIAL OUT MINUTES [more options of tas train]
# MATERIAL is a folder made by `tas data bank` or `tas data pack`. All that this does is over after MINUTES, or at most GRACE seconds later, whatever
# hangs: each part has a limit. OUT gets the log of everything and, at every save, the averaged weights, in at most 8 files of 16 MiB
# (`cat model.safetensors.part-* > model.safetensors` joins them). The run itself, several times as large, is OUT.run (or RUN); where that is still there,
# the same command goes on with it. Variables: RUN, GRACE (60), SAVE_SECONDS (30), COMPILE_SECONDS (how long the first step may take, 150; 0 trains without
# compiling), PYTHON (python3). docs/TRAINING.md has more.
set -uo pipefail

fail() { echo "gpu_train: $1" >&2; exit "${2:-1}"; }

[ $# -ge 3 ] || fail "expected MATERIAL OUT MINUTES [options of tas train], not $# of them" 2
[[ "$3" =~ ^[0-9]*\.?[0-9]+$ ]] && [[ "$3" =~ [1-9] ]] || fail "MINUTES is '$3', expected a number above 0" 2
[ -d "$1" ] || fail "$1: no such folder; expected one of training material ('tas data bank' makes one)" 2
for option in "${@:4}"; do
  case "$option" in
    --steps* | --minutes* | --out* | -o | --data*) fail "$option: MATERIAL, OUT and MINUTES say this already" 2 ;;
  esac
done
material=$(realpath "$1") || exit 2
mkdir -p "$2" 2>/dev/null || fail "$2: no folder can be made there" 2
out=$(realpath "$2") || exit 2
minutes=$3
shift 3
cd "$(dirname "$0")/.." || exit 1
run=${RUN:-$out.run} grace=${GRACE:-60} save_seconds=${SAVE_SECONDS:-30} compile_seconds=${COMPILE_SECONDS:-150} python=${PYTHON:-python3}
mkdir -p "$run" 2>/dev/null || fail "$run: no folder can be made there; set RUN to another one" 2
# Held until the end, by what it starts too: a second one would take the material away from under the first.
exec 9>"$run/.gpu_train.lock"
flock -n 9 || fail "$run: another gpu_train.sh trains there; expected to be alone, or RUN for another folder" 2
scratch=$(mktemp -d) || fail "no folder for what is only needed meanwhile can be made"
trap 'rm -rf "$scratch"' EXIT

# With a thread per core, thousands of small operations wait for each other: minutes in place of seconds.
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false
export PYTHONUNBUFFERED=1 PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
export PYTORCH_CUDA_ALLOC_CONF=${PYTORCH_CUDA_ALLOC_CONF:-expandable_segments:True}
export TORCHINDUCTOR_CACHE_DIR=${TORCHINDUCTOR_CACHE_DIR:-$run/compiled}

now() { date +%s; }
began=$(now)
total=$(awk -v m="$minutes" 'BEGIN { printf "%d", 60 * m + 0.999 }')
left() { echo $((began + total - $(now))); }
log="$out/gpu_train.log"
note() { echo "[$(($(now) - began)) s] $*" | tee -a "$log" >&2; }
# A part of the work and the most seconds it may take, 1 at least; what it prints is logged.
part() {
  local limit=$1
  shift
  timeout -k 10 "$((limit > 1 ? limit : 1))" "$@" >>"$log" 2>&1
}

# The averaged weights of the last save, whole or not at all: each file appears under its name when it is complete.
delivered=""
deliver() {
  local config="$run/checkpoint/config.json" version
  [ -f "$config" ] || return 0
  version=$(stat -c %Y.%s "$config" "$run/checkpoint/model.safetensors" 2>/dev/null | tr '\n' ' ')
  [ "$version" != "$delivered" ] || return 0
  rm -rf "$scratch/send" && mkdir -p "$scratch/send" || return 0
  cp "$config" "$run/checkpoint/model.safetensors" "$scratch/send/" || return 0
  # 5 parts beside config.json, log.jsonl and this log; larger weights travel in half precision.
  if [ "$(stat -c %s "$scratch/send/model.safetensors")" -gt $((5 * 16777216)) ]; then
    part 60 "$python" -c 'import sys
import torch
from tas_core.models.checkpoints import load_checkpoint, save_checkpoint
c = load_checkpoint(sys.argv[1])
save_checkpoint(sys.argv[1], c.family, c.config, c.state, c.provenance, dtype=torch.float16)' "$scratch/send" || return 0
  fi
  part 30 split -b 16777216 -a 1 "$scratch/send/model.safetensors" "$scratch/send/model.safetensors.part-" || return 0
  if [ "$(find "$scratch/send" -name '*.part-*' | wc -l)" -gt 5 ]; then
    note "the weights are too large for 5 files of 16 MiB, even in half precision; they stay in $run/checkpoint"
  else
    rm -f "$out"/model.safetensors.part-*
    mv "$scratch"/send/model.safetensors.part-* "$scratch/send/config.json" "$out/"
  fi
  tail -c 16000000 "$run/log.jsonl" >"$scratch/log.jsonl" 2>/dev/null && mv "$scratch/log.jsonl" "$out/log.jsonl"
  delivered=$version
}

# Ends a process within 20 s: it saves when it is asked to leave.
end() {
  kill -TERM "$1" 2>/dev/null
  for _ in $(seq 200); do kill -0 "$1" 2>/dev/null || return 0; sleep 0.1; done
  kill -KILL "$1" 2>/dev/null
}
child=""
leave() { note "stopped by a signal"; [ -z "$child" ] || end "$child"; deliver; exit 143; }
trap leave TERM INT HUP

note "gpu_train.sh $material $out $minutes $*; run in $run"
part 20 nvidia-smi --query-gpu=name,driver_version,memory.total,memory.used --format=csv || note "nvidia-smi says nothing"

# Clips decoded and rooms simulated once: a packed folder would be made anew by every process that opens it.
if [ ! -f "$run/material/bank.safetensors" ]; then
  note "opening the material"
  rm -rf "$run/material"
  part "$(($(left) / 2))" "$python" -c 'import sys
from pathlib import Path
from tas_core.datasets.mixing.packing import unpack_material
from tas_core.errors import TasError
try:
    unpack_material(Path(sys.argv[1]), Path(sys.argv[2]))
except TasError as error:
    sys.exit(f"gpu_train: {error}")' "$material" "$run/material"
  code=$?
  [ $code -eq 0 ] || { tail -n 1 "$log" >&2; fail "the material cannot be used (exit code $code)" 2; }
fi

log_size() { cat "$run/log.jsonl" 2>/dev/null | wc -c; }

# Trains until the clock is over; "compiled" is given up when its first step does not come in time.
train() {
  local how=$1 limit seconds waited=0 least size stepped=""
  shift
  least=$(log_size)
  # Python and torch have to be loaded before the clock of the training begins.
  seconds=$(($(left) - ($(left) < 40 ? $(left) / 4 : 10)))
  [ "$seconds" -ge 1 ] || seconds=1
  limit=$((seconds + grace / 2))
  # Minutes of a run count its earlier parts, so those are added to what is left of the clock.
  minutes_of_run=$("$python" - "$run" "$seconds" <<'END'
import json, sys
from pathlib import Path
path = Path(sys.argv[1]) / "training.safetensors"
spent = 0.0
if path.exists():
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    extra = json.loads(header["__metadata__"]["training"])["extra"]
    spent = extra.get("clock_s", extra["seconds"])
print((spent + float(sys.argv[2])) / 60)
END
  ) || return 1
  note "training, $how, for $seconds s"
  timeout -k 15 "$limit" "$python" -c 'from tas_cli.__main__ import main; main()' train --preset slots --data "$run/material" --out "$run" \
    --minutes "$minutes_of_run" --save-seconds "$save_seconds" --batch-size 64 --window 3 --decay-share 1 "$@" >>"$log" 2>&1 &
  child=$!
  while kill -0 "$child" 2>/dev/null; do
    sleep 0.5
    waited=$((waited + 1))
    [ $((waited % 10)) -ne 0 ] || deliver
    # What was logged after the last save is taken off at the start; what is more than the rest is a new step.
    size=$(log_size)
    [ "$size" -ge "$least" ] || least=$size
    [ "$size" -le "$least" ] || stepped=yes
    if [ "$how" = compiled ] && [ -z "$stepped" ] && [ "$waited" -ge $((2 * compile_seconds)) ]; then
      note "no step within $compile_seconds s: trained without compiling instead"
      end "$child"
      wait "$child" 2>/dev/null
      return 99
    fi
  done
  wait "$child"
}

code=99
if [ "$compile_seconds" -gt 0 ]; then
  train compiled --compile "$@"
  code=$?
fi
# Compiling that failed or took too long, or a process that was killed: what is saved is gone on with.
for _ in 1 2 3; do
  [ $code -ne 0 ] && [ $code -ne 2 ] && [ "$(left)" -gt 10 ] || break
  [ $code -eq 99 ] || note "training ended with exit code $code; it is tried again from its last save"
  train eager "$@"
  code=$?
done
child=""
deliver
[ -f "$out/config.json" ] || { tail -n 1 "$log" >&2; fail "training left no weights (exit code $code)"; }
if [ $code -ne 0 ]; then
  tail -n 1 "$log" >&2
  note "training ended with exit code $code; the weights are those of its last save"
  exit 1
fi
note "done"
ls "$out"/*
