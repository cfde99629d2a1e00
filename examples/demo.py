"""The main job on every example: what was written, and the measured level difference of each segment."""

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
OUT = HERE.parent / "demo-output"


def main() -> int:
    """Spatialize each example with its timeline; returns an exit code."""
    OUT.mkdir(exist_ok=True)
    tas = Path(sys.executable).with_name("tas")
    for timeline in sorted(HERE.glob("*.yaml")):
        source = next(p for p in sorted(HERE.glob(f"{timeline.stem}.*")) if p.suffix in (".wav", ".flac"))
        out = OUT / f"{timeline.stem}.binaural.wav"
        command = [
            str(tas),
            "spatialize",
            str(source),
            "--timeline",
            str(timeline),
            "-o",
            str(out),
            "--force",
            "--json",
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        sys.stderr.write(done.stderr)
        if done.returncode:
            return done.returncode
        report = json.loads(done.stdout)
        seconds = sum(report["seconds"].values())
        print(f"{out.relative_to(HERE.parent)}  {report['duration_s']:.1f} s of audio in {seconds:.1f} s")
        for segment in report["segments"]:
            level = segment["spl_difference_db"]
            shown = "silent" if level is None else f"{level:+5.1f} dB"
            print(f"  {segment['start_s']:5.1f} - {segment['end_s']:5.1f} s  {shown}  {segment['text']}")
    print("dB: level of the left ear over that of the right; + is left")
    return 0


if __name__ == "__main__":
    sys.exit(main())
