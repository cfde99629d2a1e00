"""How long a change of a scene takes to be heard in ``tas studio``: processor seconds, on as many threads as allowed.

::

    OMP_NUM_THREADS=1 python benchmarks/studio_latency.py

The passage is 5 s of ``examples/duet.flac``, two sounds. The first time has the separation in it, the others are those
of a sound that is dragged.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from tas_core.studio.sounds import Listening, Passage
from tas_core.timeline.segments import Timeline

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "duet.flac"
DRAGS = range(-80, 81, 10)


def main() -> None:
    with Listening(EXAMPLE) as listening:
        listening.load()

        def seconds(azimuth_deg: int) -> float:
            side = "left" if azimuth_deg > 0 else "right"
            scene = Timeline.from_prompt(f"trumpet {abs(azimuth_deg)} degrees {side}, drums on the right")
            began = time.process_time()
            listening.hear(scene, Passage(2.0, 5.0))
            return time.process_time() - began

        print(f"the first time: {seconds(55):.2f} s")
        print(f"another place: {statistics.median(map(seconds, DRAGS)):.3f} s (median of {len(DRAGS)})")


if __name__ == "__main__":
    main()
