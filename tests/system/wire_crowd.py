"""Processes of ``test_wire_crowd.py``: one that publishes, and some in which several subscribers listen.

Both take commands on standard input and say what became of it as JSON lines.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import defaultdict
from typing import Any

import numpy as np
import psutil

from semdaemon.settings import Publish
from semdaemon.wire.client import Subscriber
from semdaemon.wire.publisher import Publisher
from semdaemon.wire.stream import Gap

FRAME = {"id": "0", "source": "folder", "uri": "file:///x.tif", "shape": [1024, 1024], "type": "uint8"}
TICKS_A_SECOND, PREVIEW_EVERY, FRAME_EVERY = 20, 4, 20
PREVIEW = bytes(60_000)


class Peak(threading.Thread):
    """The largest resident memory so far."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.bytes = 0

    def run(self) -> None:
        process = psutil.Process()
        while True:
            self.bytes = max(self.bytes, process.memory_info().rss)
            time.sleep(0.05)


def publish() -> None:
    """``steady PHASE SECONDS`` or ``burst PHASE FRAMES`` on standard input."""
    settings = Publish(endpoint="tcp://127.0.0.1:*", control="tcp://127.0.0.1:*")
    publisher = Publisher(settings).start()
    _say(endpoint=publisher.endpoint, control=publisher.control_endpoint)
    peak = Peak()
    peak.start()
    for line in sys.stdin:
        kind, phase, amount = line.split()
        peak.bytes = 0
        {"steady": _steady, "burst": _burst}[kind](publisher, phase, float(amount))
        _say(peak_bytes=peak.bytes, wire=publisher.counters)
    publisher.close()


def _steady(publisher: Publisher, phase: str, seconds: float) -> None:
    pixels = np.full((1024, 1024), 7, np.uint8)
    pixels.flags.writeable = False
    maps = [("sigma_px", np.ones((8, 8), np.float32)), ("verdict", np.ones((8, 8), np.uint8))]
    begin = time.monotonic()
    for tick in range(int(seconds * TICKS_A_SECOND)):
        time.sleep(max(0.0, begin + tick / TICKS_A_SECOND - time.monotonic()))
        publisher.publish("score", {"frame": FRAME, "tile_px": 128, **_stamp(phase)}, maps)
        if tick % PREVIEW_EVERY == 0:
            blobs = [("preview", "image/jpeg", PREVIEW)]
            publisher.publish("preview", {"frame": FRAME, **_stamp(phase)}, (), blobs)
        if tick % FRAME_EVERY == 0:
            publisher.publish("frame", {"frame": FRAME, **_stamp(phase)}, [("refocused", pixels)])


def _burst(publisher: Publisher, phase: str, frames: float) -> None:
    for _ in range(int(frames)):
        pixels = np.full((2048, 2048), 7, np.uint8)  # each its own memory, as from a microscope
        pixels.flags.writeable = False
        publisher.publish("frame", {"frame": FRAME, **_stamp(phase)}, [("refocused", pixels)])
        time.sleep(0.05)


def _stamp(phase: str) -> dict[str, Any]:
    return {"phase": phase, "sent_at": time.time()}


class Listener(threading.Thread):
    """One subscriber and what it heard."""

    def __init__(self, endpoint: str, control: str) -> None:
        super().__init__(daemon=True)
        self.subscriber = Subscriber(endpoint, control, ("sem/score/", "sem/preview/", "sem/frame/"))
        self.late_s: dict[str, list[float]] = defaultdict(list)
        self.sequences: dict[str, list[int]] = defaultdict(list)
        self.gaps: list[tuple[str, int, int]] = []
        self.end = threading.Event()

    def run(self) -> None:
        while True:
            told = self.subscriber.receive(1.0)
            if told is None and self.end.is_set():
                break
            if isinstance(told, Gap):
                self.gaps.append((told.topic.split("/")[1], told.first, told.last))
            elif told is not None and told.event != "epoch":
                late_s = time.time() - told.header["sent_at"]
                if not told.healed:
                    self.late_s[f"{told.header['phase']} {told.event}"].append(late_s)
                self.sequences[told.event].append(told.sequence)
        self.subscriber.close()

    def report(self) -> dict[str, Any]:
        told = {"sequences": self.sequences, "gaps": self.gaps, "healed": self.subscriber.healed}
        return {**told, "late_s": self.late_s}


def listen(endpoint: str, control: str, count: str) -> None:
    """Listen until standard input ends, then report."""
    listeners = [Listener(endpoint, control) for _ in range(int(count))]
    for listener in listeners:
        listener.subscriber.ready(30)
        listener.start()
    _say(ready=len(listeners))
    sys.stdin.read()
    for listener in listeners:
        listener.end.set()
    for listener in listeners:
        listener.join(40)
        _say(**listener.report())


def _say(**told: Any) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    {"publish": publish, "listen": listen}[sys.argv[1]](*sys.argv[2:])
