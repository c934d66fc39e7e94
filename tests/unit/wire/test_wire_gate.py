"""Connections: too many, too slow, or taking nothing."""

from __future__ import annotations

import socket
import sys
import time
from pathlib import Path

import pytest
import zmq
from wire_samples import FRAME, fault

from semdaemon.wire.client import Subscriber
from semdaemon.wire.control import ask

sys.path.insert(0, str(Path(__file__).parents[2]))
from wire_noise import GREETING, READY, command


def _connect(endpoint, rcvbuf=0):
    raw = socket.socket()
    if rcvbuf:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
    raw.settimeout(5)
    raw.connect(("127.0.0.1", int(endpoint.rpartition(":")[2])))
    return raw


def _until(done, timeout_s=15.0):
    deadline = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _hears(publisher):
    with Subscriber(
        publisher.endpoint, publisher.control_endpoint, ("sem/fault/",), last_value=False
    ) as ours:
        ours.ready(10)
        publisher.publish("fault", fault(1))
        return ours.receive(10).header["number"] == 1


def test_one_connection_too_many_is_closed_and_counted_and_there_is_room_again_later(make_publisher, caplog):
    publisher = make_publisher(connections=10)
    flood = [_connect(publisher.endpoint) for _ in range(30)]
    _until(lambda: publisher.counters["connections_refused"] >= 20)
    assert publisher.counters["connections"] <= 2 * 10
    assert caplog.text.count("A connection was closed (crowded)") == 1
    for each in flood:
        each.close()
    _until(lambda: publisher.counters["connections"] == 0)
    assert _hears(publisher)


@pytest.mark.parametrize(
    "said", [b"", GREETING[:20], GREETING], ids=["nothing", "half a greeting", "a greeting"]
)
def test_a_handshake_that_does_not_end_is_given_up(make_publisher, monkeypatch, said):
    monkeypatch.setattr("semdaemon.wire.gate.HANDSHAKE_MS", 300)
    publisher = make_publisher()
    with _connect(publisher.endpoint) as slow:
        slow.sendall(said)
        while slow.recv(1000):
            pass
    _until(lambda: publisher.counters["connections"] == 0)


@pytest.mark.skipif(sys.platform != "linux", reason="the system's own time-out for data that nobody takes")
def test_a_stopped_subscriber_is_hung_up_on_and_its_memory_freed(make_publisher, monkeypatch):
    monkeypatch.setattr("semdaemon.wire.gate.UNREAD_MS", 1000)
    publisher = make_publisher(queue_bytes=8 * 2**20)
    picture = bytes(500_000)
    with _connect(publisher.endpoint, rcvbuf=4096) as stopped:
        for piece in (GREETING, READY[b"SUB"], command(b"SUBSCRIBE")):  # libzmq wants them one by one
            stopped.sendall(piece)
            time.sleep(0.1)
        _until(lambda: publisher.counters["connections"] == 1)
        deadline = time.monotonic() + 10
        while not publisher.counters["in_flight_bytes"] > 4 * 2**20:
            publisher.publish("preview", {"frame": FRAME}, (), [("preview", "image/jpeg", picture)])
            assert time.monotonic() < deadline
            time.sleep(0.01)
        _until(lambda: publisher.counters["connections"] == 0)
        publisher.publish("preview", {"frame": FRAME}, (), [("preview", "image/jpeg", picture)])
        _until(lambda: publisher.counters["in_flight_bytes"] <= 2**20)
    assert _hears(publisher)


def test_other_protocols_never_become_peers(make_publisher):
    """libzmq takes what does not begin like ZMTP 3 for a peer of 2011, and its bytes for requests."""
    publisher = make_publisher()
    for said in (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000, b"\x01\x00\x05\x00" * 3000):
        with _connect(publisher.control_endpoint) as other:
            other.sendall(said)
    _until(lambda: publisher.counters["connections"] == 0)
    assert publisher.counters["requests"] == 0


def test_many_peers_of_one_name_do_not_keep_others_out(make_publisher):
    publisher = make_publisher(connections=8)
    for _ in range(30):
        with zmq.Context() as context, context.socket(zmq.DEALER) as twin:
            twin.linger = 0
            twin.routing_id = b"twin"
            twin.connect(publisher.control_endpoint)
            twin.send(b'{"request": "status"}')
            assert twin.poll(5000)
    _until(lambda: publisher.counters["connections"] == 0)
    assert ask(publisher.control_endpoint, {"request": "status"}, 5)["reply"] == "status"
