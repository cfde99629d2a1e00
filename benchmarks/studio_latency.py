"""How long a change of a scene takes to be heard in ``tas studio``: processor seconds, on as many threads as allowed.

::

    OMP_NUM_THREADS=1 python benchmarks/studio_latency.py

The passage is 5 s of ``examples/duet.flac``, two sounds. The first time has the separation in it, the others are those
of a sound that is dragged; then those of a turned head, which is rendered all around, and of places that are measured.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from tas_core.studio.sounds import Listening, Passage
from tas_core.timeline.segments import Timeline

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "duet.flac"
DRAGS = range(-80, 81, 10)
TURNS = range(-170, 171, 40)


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
        scene = Timeline.from_prompt("trumpet on the left, drums on the right")

        def turned(degrees: int) -> float:
            began = time.process_time()
            listening.hear(scene, Passage(2.0, 5.0, turned_deg=degrees))
            return time.process_time() - began

        print(f"the head turned for the first time: {turned(5):.2f} s")
        print(f"the head turned: {statistics.median(map(turned, TURNS)):.3f} s (median of {len(TURNS)})")
        for words in ("drums on the right", "drums behind me"):
            scene = Timeline.from_prompt(f"trumpet on the left, {words}")
            listening.measure(scene, Passage(2.0, 5.0))
            began = time.process_time()
            listening.measure(scene, Passage(2.0, 5.0))
            print(f"measured, {words}: {time.process_time() - began:.2f} s")


if __name__ == "__main__":
    main()
