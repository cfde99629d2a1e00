"""Training on a lent GPU machine has torch, numpy, safetensors and pyyaml, but no audio libraries."""

import subprocess
import sys

MISSING = ("soundfile", "soxr", "open_clip", "fluidsynth", "transformers", "tokenizers", "torchaudio")


def test_training_needs_no_audio_libraries() -> None:
    code = "\n".join(
        [
            "import sys",
            f"for name in {MISSING!r}:",
            "    sys.modules[name] = None",
            "import tas_core.training.run",
            "import tas_cli.commands.train",
        ]
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
