"""A flood of requests at the control socket delays no message and costs bounded memory."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import zmq
from wire_samples import FRAME, fault

from semdaemon.wire.client import Subscriber
from semdaemon.wire.control import ask

FLOOD = """
import sys, time, zmq
context = zmq.Context()
clients = [context.socket(zmq.DEALER) for _ in range(4)]
for client in clients:
    client.linger = 0
    client.connect(sys.argv[1])
end = time.monotonic() + float(sys.argv[2])
sys.stdout.write("begun\\n"); sys.stdout.flush()
while time.monotonic() < end:
    for client in clients:
        try:
            client.send(sys.argv[3].encode(), zmq.NOBLOCK)
        except zmq.Again:
            pass
context.destroy(linger=0)
"""
REQUESTS = {
    "status": '{"request": "status"}',
    "garbage": "x" * 1000,
    "replay, never read": '{"request": "replay", "topic": "sem/preview/", "from": 0}',
}


def _late_ms(publisher, subscriber, count=80):
    late = []
    for number in range(count):
        begin = time.perf_counter()
        publisher.publish("fault", fault(number))
        told = subscriber.receive(10)
        late.append(1000 * (time.perf_counter() - begin))
        assert told.header["number"] == number
        time.sleep(0.005)
    return np.percentile(late, (50, 95)), max(late)


@pytest.mark.parametrize("kind", REQUESTS)
def test_a_flood_of_requests_delays_no_message_and_keeps_to_its_memory(make_publisher, kind):
    publisher = make_publisher(lambda: {"a": [0] * 500})
    picture = bytes(60_000)
    for _ in range(300):
        publisher.publish("preview", {"frame": FRAME}, (), [("preview", "image/jpeg", picture)])
    options = {"last_value": False}
    with Subscriber(publisher.endpoint, publisher.control_endpoint, ("sem/fault/",), **options) as subscriber:
        subscriber.ready()
        alone, _ = _late_ms(publisher, subscriber, 30)
        before = psutil.Process().memory_info().rss
        arguments = [sys.executable, "-c", FLOOD, publisher.control_endpoint, "30", REQUESTS[kind]]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as flood:
            flood.stdout.readline()
            flooded, most = _late_ms(publisher, subscriber)
            requests = publisher.counters["requests"]
            grown = (psutil.Process().memory_info().rss - before) / 2**20
            flood.kill()
    sys.stdout.write(
        f"{kind}: {requests} requests; median {alone[0]:.2f} ms alone, {flooded[0]:.2f} ms flooded, "
        f"95 % {flooded[1]:.2f} ms, most {most:.1f} ms; memory grew by {grown:.0f} MiB\n"
    )
    assert requests > 200
    assert flooded[0] < alone[0] + 40
    assert flooded[1] < 200
    assert grown < 64 + 48  # answers that are not read, and what the sockets hold
    assert ask(publisher.control_endpoint, {"request": "status"}, 10)["reply"] == "status"


def test_who_does_not_read_is_told_to_and_others_are_answered(make_publisher, monkeypatch):
    monkeypatch.setattr("semdaemon.wire.reception.ANSWERS_BYTES", 16 * 2**20)
    publisher = make_publisher()
    picture = bytes(500_000)
    for _ in range(20):
        publisher.publish("preview", {"frame": FRAME}, (), [("preview", "image/jpeg", picture)])
    while ask(publisher.control_endpoint, {"request": "status"})["sequences"].get("sem/preview/") != 19:
        pass
    with zmq.Context() as context, context.socket(zmq.DEALER) as client:
        client.linger, client.rcvhwm, client.rcvbuf = 0, 1, 4096
        client.connect(publisher.control_endpoint)
        for number in range(30):
            client.send_json({"request": "replay", "topic": "sem/preview/", "id": number})
        deadline = time.monotonic() + 10
        while publisher.counters["requests"] < 30:
            assert time.monotonic() < deadline
        assert publisher.counters["unread_answer_bytes"] <= 17 * 2**20
        assert ask(publisher.control_endpoint, {"request": "status"})["reply"] == "status"
        replies = [client.recv_json() if client.poll(5000) else {}]
        while client.rcvmore:
            client.recv()
        while client.poll(1000):
            replies.append(client.recv_json())
            while client.rcvmore:
                client.recv()
    assert replies[0]["reply"] == "replay"
    assert {reply.get("code") for reply in replies} == {None, "busy"}
    assert {reply["id"] for reply in replies} <= set(range(30))
