"""Random bytes and a port scan at every socket of a running daemon: nothing happens."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import psutil
import pytest
import zmq

from semdaemon.wire.client import Subscriber
from semdaemon.wire.control import ask

NOISE = Path(__file__).parents[1] / "wire_noise.py"
sys.path.insert(0, str(NOISE.parent))
from wire_noise import make_noise  # noqa: E402

SETTINGS: dict[str, dict[str, Any]] = {"refocus": {"enabled": False}, "publish": {"heartbeat_s": 0.1}}


def _addresses(running: Any) -> list[tuple[str, int]]:
    named = (running.addresses[name] for name in ("endpoint", "control", "pushed", "page"))
    return [("127.0.0.1", int(urlsplit(address).port or 0)) for address in named]


def _push(endpoint: str) -> None:
    header = {"schema": "semdaemon-push-1.0", "shape": [64, 64], "type": "uint8"}
    pixels = np.random.default_rng().integers(0, 255, (64, 64), "uint8")
    with zmq.Context() as context, context.socket(zmq.PUSH) as sender:
        sender.connect(endpoint)
        sender.send_multipart([json.dumps(header).encode(), pixels.tobytes()])
        sender.close(5000)


def _works(running: Any) -> None:
    """A subscriber hears of a pushed frame, control and page answer."""
    control = running.addresses["control"]
    with Subscriber(running.addresses["endpoint"], control, ("sem/score/",), last_value=False) as subscriber:
        subscriber.ready(20)
        _push(running.addresses["pushed"])
        told = subscriber.receive(20)
        assert told is not None
        assert told.event == "score"
    assert ask(control, {"request": "status"}, 10)["status"]["threads_alive"] is True
    assert httpx.get(f"{running.addresses['page']}readyz", timeout=10).status_code == 200


def _quiet(running: Any, log_bytes: int) -> None:
    """Nothing was told byte by byte, and nothing failed."""
    said = running.log.read_bytes()[log_bytes:].decode()
    assert "Traceback" not in said
    assert len(said) < 20_000, said[:3000]


def test_noise_at_every_socket_changes_nothing(tmp_path: Path, daemon: Callable[..., Any]) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    running = daemon(folder, **SETTINGS)
    _works(running)
    make_noise(_addresses(running), 1, 100)
    before, log_bytes = running.rss_bytes(), running.log.stat().st_size
    make_noise(_addresses(running), 2, 400)
    _works(running)
    grown = (running.rss_bytes() - before) / 2**20
    assert grown < 32, f"grown by {grown:.0f} MiB"
    _quiet(running, log_bytes)
    _floods_of_connections_leave_room(running)
    _greedy_subscriptions_are_cut(running)


def _floods_of_connections_leave_room(running: Any) -> None:
    """More connections than are let in, at each socket: descriptors stay bounded, then all is as before."""
    process = psutil.Process(running.process.pid)
    flood = []
    for address in _addresses(running):
        flood += [socket.create_connection(address, timeout=5) for _ in range(350)]
    deadline = time.monotonic() + 20
    while (held := len(process.net_connections("tcp"))) > 256 + 256 + 64 + 200 + 40:
        assert time.monotonic() < deadline, f"{held} connections"
        time.sleep(0.1)
    for each in flood:
        each.close()
    _works(running)


def _greedy_subscriptions_are_cut(running: Any) -> None:
    """libzmq keeps every subscription; who makes very many loses the connection with them."""
    before = running.rss_bytes()
    with zmq.Context() as context, context.socket(zmq.XSUB) as greedy:
        greedy.linger = 0
        greedy.sndhwm = 100_000
        greedy.connect(running.addresses["endpoint"])
        for number in range(20_000):
            greedy.send(b"\x01" + f"{number:06d}".encode() * 30)
        time.sleep(0.3)
        _works(running)
    grown = (running.rss_bytes() - before) / 2**20  # all of them would be 170 MiB
    assert grown < 64, f"grown by {grown:.0f} MiB"


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_minute_of_noise_by_four_scanners_changes_nothing(
    tmp_path: Path, daemon: Callable[..., Any]
) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    running = daemon(folder, **SETTINGS)
    _works(running)
    make_noise(_addresses(running), 1, 500)
    before, log_bytes = running.rss_bytes(), running.log.stat().st_size
    named = [f"{host}:{port}" for host, port in _addresses(running)]
    seed = int(time.time())
    scanners = [
        subprocess.Popen(
            [sys.executable, str(NOISE), "60", str(seed + 10**6 * number), *named],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    said = [scanner.communicate(timeout=150)[0] for scanner in scanners]
    _works(running)
    grown = (running.rss_bytes() - before) / 2**20
    sys.stdout.write(f"{''.join(said)}memory grew by {grown:.1f} MiB\n")
    assert grown < 48
    _quiet(running, log_bytes)
