"""What the daemon counts: Prometheus metrics in pairs, so that every backlog is a subtraction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

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

    def follow_wire(self, counters: Callable[[], Mapping[str, Any]]) -> None:
        """Tell the publisher's counters, read whenever somebody asks."""
        self.registry.register(_Wire(counters))

    def exposition(self) -> bytes:
        """Text exposition format, as Prometheus scrapes it."""
        return generate_latest(self.registry)


class _Wire(Collector):
    """The publisher's own counters: it counts them anyway, so they are not counted twice."""

    _PER_EVENT = (
        ("handed", "Messages handed to the publisher: sent, shed, withheld or waiting."),
        ("sent", "Messages given to ZeroMQ for every subscriber."),
        ("shed", "Messages that lost their content for want of room in the queue."),
        ("withheld", "Messages kept back from the network because a subscriber does not read; replayed."),
    )
    _TOTALS = (
        ("requests", "wire_requests", "Requests on the control socket."),
        ("errors", "wire_errors", "Messages or requests that the publisher stumbled over."),
        (
            "connections_refused",
            "wire_connections_refused",
            "Connections closed because of too many.",
        ),
        ("keys_refused", "wire_keys_refused", "Handshakes with a key that is not allowed."),
    )
    _LEVELS = (
        ("waiting_bytes", "Waiting to be sent."),
        ("in_flight_bytes", "Held by ZeroMQ for slow subscribers."),
        ("unread_answer_bytes", "Answers that clients have not read."),
        ("replay_bytes", "In the replay store."),
        ("connections", "Open connections of both sockets."),
    )

    def __init__(self, counters: Callable[[], Mapping[str, Any]]) -> None:
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        """Everything at one moment."""
        told = self._counters()
        for name, meaning in self._PER_EVENT:
            family = CounterMetricFamily(f"semdaemon_messages_{name}", meaning, labels=["event"])
            for event in sorted({*told["handed"], *told[name]}):
                family.add_metric([event], told[name].get(event, 0))
            yield family
        for key, name, meaning in self._TOTALS:
            yield CounterMetricFamily(f"semdaemon_{name}", meaning, value=told.get(key, 0))
        for key, meaning in self._LEVELS:
            yield GaugeMetricFamily(f"semdaemon_wire_{key}", meaning, value=told.get(key, 0))
