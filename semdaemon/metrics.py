"""What the daemon counts: Prometheus metrics in pairs, so that every backlog is a subtraction."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

_SECONDS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 300)


class Metrics:
    """One set of metrics a daemon; every method may be called from any thread."""

    media_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        # A second series for each counter, which nothing here asks for.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.frames = {
            stage: Counter(f"semdaemon_frames_{stage}", f"Frames {meaning}.", registry=self.registry)
            for stage, meaning in (
                ("seen", "that a source reported"),
                ("held", "found incomplete and looked at again later (once for each look)"),
                ("settled", "complete and read"),
                ("scored", "with a focus map"),
                ("returned", "scored and put back to be scored anew, because settings changed"),
                ("refocused", "of which regions were refocused"),
                ("published", "whose journey ended with everything sent"),
                ("failed", "that could not be read or refocused"),
                ("skipped", "left alone for a reason that the journal names"),
            )
        }
        self.faults = Counter(
            "semdaemon_faults", "Faults by their stable code.", ["code"], registry=self.registry
        )
        self.stage_seconds = Histogram(
            "semdaemon_stage_seconds",
            "Time of one frame in one stage.",
            ["stage"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.score_delay_seconds = Histogram(
            "semdaemon_score_delay_seconds",
            "From a file's last change to its score message.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.stepped_down = Counter(
            "semdaemon_frames_stepped_down",
            "Frames refocused with less memory than set, by the rung that served them.",
            ["rung"],
            registry=self.registry,
        )
        self.messages_dropped = Gauge(
            "semdaemon_messages_dropped", "Messages given up for a full queue.", registry=self.registry
        )

    def exposition(self) -> bytes:
        """Text exposition format, as Prometheus scrapes it."""
        return generate_latest(self.registry)
