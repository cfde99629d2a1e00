"""What a server counts, in the text format of Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tas_core.serving.queue import JobQueue


class Counts:
    """Numbers of requests, of what they took, and of what is going on.

    Args:
        queue: the row that is looked at whenever somebody asks.
    """

    def __init__(self, queue: JobQueue) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._registry = CollectorRegistry()
        self._requests = Counter(
            "tas_requests", "Requests to spatialize that were answered, by status.", ["status"], registry=self._registry
        )
        self._seconds = Histogram(
            "tas_work_seconds",
            "How long files were worked on, without waiting.",
            buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500),
            registry=self._registry,
        )
        self._sound = Counter("tas_sound_seconds", "Seconds of sound that were made.", registry=self._registry)
        self._lost = Counter(
            "tas_processes_lost", "Processes that were killed, or ended for their time.", registry=self._registry
        )
        for name, about, read in (
            ("tas_working", "Requests that are worked on.", lambda: queue.working),
            ("tas_waiting", "Requests that wait, or whose bytes are still coming.", lambda: queue.waiting),
            ("tas_places", "Requests that are taken at once, worked on and waiting.", lambda: queue.capacity),
        ):
            Gauge(name, about, registry=self._registry).set_function(read)

    def answered(self, status: int) -> None:
        """Note an answer."""
        self._requests.labels(str(status)).inc()

    def made(self, work_s: float, sound_s: float) -> None:
        """Note a file: how long it was worked on, and its length, seconds."""
        self._seconds.observe(work_s)
        self._sound.inc(sound_s)

    def lost(self) -> None:
        """Note the end of a process that was at work."""
        self._lost.inc()

    def text(self) -> bytes:
        """All of it."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)
