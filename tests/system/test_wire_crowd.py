"""A crowd at the publisher: 32 subscribers, of which 8 never read, one comes late, one is cut off for 30 s.

``pytest -m slow -s tests/system/test_wire_crowd.py`` prints the figures.
"""

from __future__ import annotations

import json
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

PROGRAM = Path(__file__).with_name("wire_crowd.py")
STEADY, STUCK = 22, 8
QUEUE_BYTES = REPLAY_BYTES = ANSWERS_BYTES = 64 * 2**20
EVENTS = ("score", "preview", "frame")
FRAME_BYTES = 2048 * 2048
OVERHEAD_BYTES = 48 * 2**20  # the allocator and Python


class Child:
    """A process of ``wire_crowd.py``."""

    def __init__(self, *arguments: object) -> None:
        command = [sys.executable, str(PROGRAM), *map(str, arguments)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def says(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        assert line, "the process ended"
        return json.loads(line)

    def do(self, *words: object) -> None:
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def reports(self) -> list[dict[str, Any]]:
        said, _ = self.process.communicate(timeout=60)
        return [json.loads(line) for line in said.splitlines()]


class Relay(threading.Thread):
    """A cable that can be pulled: passes TCP connections on to an address, or lets none through."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(daemon=True)
        self._to = ("127.0.0.1", int(endpoint.rpartition(":")[2]))
        self._selector = selectors.DefaultSelector()
        self._door = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self._door.getsockname()[1]}"
        self.connected = True

    def run(self) -> None:
        self._selector.register(self._door, selectors.EVENT_READ)
        while True:
            if not self.connected:
                self._hang_up()
            for key, _ in self._selector.select(0.05):
                self._pass(key)

    def _pass(self, key: selectors.SelectorKey) -> None:
        if key.fileobj is self._door:
            near = self._door.accept()[0]
            if not self.connected:
                near.close()
                return
            far = socket.create_connection(self._to)
            self._selector.register(near, selectors.EVENT_READ, far)
            self._selector.register(far, selectors.EVENT_READ, near)
            return
        try:
            data = key.fileobj.recv(2**18)
            if data:
                key.data.sendall(data)
                return
        except OSError:
            pass
        self._close(key.fileobj, key.data)

    def _hang_up(self) -> None:
        for key in list(self._selector.get_map().values()):
            if key.data is not None:
                self._close(key.fileobj)

    def _close(self, *ends: Any) -> None:
        for end in ends:
            if end.fileno() >= 0:
                self._selector.unregister(end)
                end.close()


@contextmanager
def stuck(endpoint: str, count: int) -> Iterator[None]:
    """Subscribers that are connected, want everything, and never read."""
    context = zmq.Context()
    sockets = [context.socket(zmq.SUB) for _ in range(count)]
    for never in sockets:
        never.rcvhwm, never.rcvbuf, never.linger = 1, 4096, 0
        never.setsockopt(zmq.SUBSCRIBE, b"")
        never.connect(endpoint)
    try:
        yield
    finally:
        context.destroy(linger=0)


def _milliseconds(reports: list[dict[str, Any]], phase: str, event: str) -> np.ndarray:
    return 1000 * np.concatenate([report["late_s"].get(f"{phase} {event}", []) for report in reports])


def _figures(reports: list[dict[str, Any]], phase: str, event: str) -> dict[str, float]:
    late_ms = _milliseconds(reports, phase, event)
    median, p95, p99 = np.percentile(late_ms, (50, 95, 99))
    _say(
        f"{phase:>6} {event:<8} {late_ms.size:>6} messages heard: median {median:.2f} ms, "
        f"95 % {p95:.2f} ms, 99 % {p99:.2f} ms, most {late_ms.max():.1f} ms"
    )
    return {"median": median, "p95": p95, "p99": p99}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_of_32_subscribers_8_are_stuck_and_the_others_see_no_delay_no_loss_and_bounded_memory() -> None:
    publisher = Child("publish")
    at = publisher.says()
    crowd = [Child("listen", at["endpoint"], at["control"], count) for count in (6, 6, 5, 5)]
    relays = [Relay(at["endpoint"]), Relay(at["control"])]
    for relay in relays:
        relay.start()
    returning = Child("listen", relays[0].endpoint, relays[1].endpoint, 1)
    assert sum(child.says()["ready"] for child in (*crowd, returning)) == STEADY + 1

    publisher.do("steady", "alone", 30)
    alone = publisher.says()
    with stuck(at["endpoint"], STUCK):
        publisher.do("steady", "crowd", 50)
        time.sleep(5)
        for relay in relays:
            relay.connected = False
        late = Child("listen", at["endpoint"], at["control"], 1)
        late.says()
        time.sleep(30)
        for relay in relays:
            relay.connected = True
        steady = publisher.says()
    with stuck(at["endpoint"], STUCK):  # anew: those before hold as many small messages as they are given
        publisher.do("burst", "burst", 100)
        burst = publisher.says()

    heard = [report for child in crowd for report in child.reports()]
    (came_late,), (came_back,) = late.reports(), returning.reports()
    publisher.process.communicate(timeout=30)
    _judge_delay(heard)
    for name, report in [("always there", each) for each in heard] + [("cut off for 30 s", came_back)]:
        _judge_loss(name, report, steady["wire"]["handed"], dict.fromkeys(EVENTS, 0))
    begun = {event: numbers[0] for event, numbers in came_late["sequences"].items()}
    _judge_loss("came late", came_late, steady["wire"]["handed"], begun)
    assert came_back["healed"] > 30 * 20
    assert all(0 < first < steady["wire"]["handed"][event] for event, first in begun.items())
    for report in (*heard, came_back, came_late):
        _judge_burst(report, burst["wire"]["handed"]["frame"])
    _judge_memory(alone, steady, burst)


def _judge_delay(heard: list[dict[str, Any]]) -> None:
    assert len(heard) == STEADY
    for event in EVENTS:
        alone, crowd = _figures(heard, "alone", event), _figures(heard, "crowd", event)
        # Of the same order on a machine where others work too; a stuck one that is waited for costs seconds.
        assert crowd["median"] < 2 * alone["median"] + 5
        assert crowd["p95"] < 3 * alone["p95"] + 50
        assert crowd["p99"] < 1000


def _judge_loss(name: str, report: dict[str, Any], sent: dict[str, int], first: dict[str, int]) -> None:
    """Before the burst every message was heard once, in order, and none was lost."""
    numbers = {e: [n for n in report["sequences"][e] if n < sent[e]] for e in EVENTS}
    counted = {event: len(each) for event, each in numbers.items()}
    lost = [gap for gap in report["gaps"] if gap[1] < sent[gap[0]]]
    _say(f"{name}: heard {counted}, healed {report['healed']}, lost {sum(g[2] - g[1] + 1 for g in lost)}")
    assert lost == []
    assert numbers == {event: list(range(first[event], sent[event])) for event in EVENTS}


def _judge_burst(report: dict[str, Any], sent: int) -> None:
    """More than the replay store holds, faster than the machine copies: what is lost is told."""
    numbers = report["sequences"]["frame"]
    told_lost = sum(last - first + 1 for event, first, last in report["gaps"] if event == "frame")
    assert numbers == sorted(set(numbers))
    assert len(numbers) + told_lost == sent - numbers[0]


def _judge_memory(alone: dict[str, Any], steady: dict[str, Any], burst: dict[str, Any]) -> None:
    # Queue, in flight, replay store, answers that are read slowly, and one message more in each.
    bound = 2 * QUEUE_BYTES + REPLAY_BYTES + ANSWERS_BYTES + 4 * FRAME_BYTES
    for name, told in (("alone", alone), ("crowd", steady), ("burst", burst)):
        _say(f"publisher's memory, {name}: at most {told['peak_bytes'] / 2**20:.0f} MiB")
    grown = burst["peak_bytes"] - alone["peak_bytes"]
    _say(f"grown by {grown / 2**20:.0f} MiB, bound {bound / 2**20:.0f} MiB; {burst['wire']}")
    assert grown < bound + OVERHEAD_BYTES
    assert steady["wire"]["shed"] == {}


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
