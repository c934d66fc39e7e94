"""Publisher and subscribers on real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time

import numpy as np
import pytest
import zmq
from wire_samples import FRAME, SCORE, fault, score_arrays

from semdaemon.errors import SemdaemonError
from semdaemon.settings import Publish
from semdaemon.wire.client import AsyncSubscriber, Subscriber
from semdaemon.wire.control import ask
from semdaemon.wire.publisher import Publisher
from semdaemon.wire.stream import Gap, NewEpoch


def _subscriber(publisher, topics=("sem/fault/",), **options):
    options = {"timeout_s": 5, **options}
    return Subscriber(publisher.endpoint, publisher.control_endpoint, topics, **options)


def _numbers(told):
    return [message.header["number"] for message in told]


def _take(subscriber, count):
    return [subscriber.receive(5) for _ in range(count)]


def test_what_is_published_after_ready_arrives_complete_and_in_order(make_publisher):
    publisher = make_publisher()
    with _subscriber(publisher) as subscriber:
        subscriber.ready()
        for number in range(50):
            publisher.publish("fault", fault(number))
        told = _take(subscriber, 50)
    assert _numbers(told) == list(range(50))
    assert [message.sequence for message in told] == list(range(50))
    assert {message.epoch for message in told} == {publisher.epoch}
    assert subscriber.healed == 0


def test_arrays_arrive_as_they_were_published_even_when_changed_afterwards(make_publisher):
    publisher = make_publisher()
    pixels = np.arange(512 * 512, dtype=np.uint16).reshape(512, 512)
    expected = pixels.copy()
    with _subscriber(publisher, ("",)) as subscriber:
        subscriber.ready()
        publisher.publish("score", SCORE, score_arrays())
        publisher.publish("frame", {"frame": FRAME}, [("refocused", pixels), ("mask", pixels > 3)])
        pixels[:] = 0
        told = {}
        while "frame" not in told:
            message = subscriber.receive(5)
            told[message.event] = message
    np.testing.assert_array_equal(told["frame"].arrays["refocused"], expected)
    np.testing.assert_array_equal(told["frame"].arrays["mask"], expected > 3)


def test_a_read_only_array_is_sent_without_a_copy(make_publisher):
    publisher = make_publisher(endpoint="")
    pixels = np.zeros((64, 64), np.uint8)
    pixels.flags.writeable = False
    publisher.publish("frame", {"frame": FRAME}, [("refocused", pixels)])
    deadline = time.monotonic() + 5
    while publisher._store.newest("sem/frame/") is None and time.monotonic() < deadline:
        time.sleep(0.01)
    kept = publisher._store.newest("sem/frame/").parts[2]
    assert np.shares_memory(np.frombuffer(kept, np.uint8), pixels)


def test_many_threads_publish_and_nothing_is_lost(make_publisher):
    publisher = make_publisher(subscriber_messages=2000)
    with _subscriber(publisher) as subscriber:
        subscriber.ready()
        threads = [
            threading.Thread(
                target=lambda i=i: [publisher.publish("fault", fault(i * 100 + k)) for k in range(100)]
            )
            for i in range(5)
        ]
        for thread in threads:
            thread.start()
        told = _take(subscriber, 500)
        for thread in threads:
            thread.join()
    assert sorted(_numbers(told)) == list(range(500))
    assert [message.sequence for message in told] == list(range(500))


def test_messages_lost_on_the_way_are_healed_in_order(make_publisher):
    publisher = make_publisher()
    with _subscriber(publisher) as subscriber:
        subscriber.ready()
        publisher.publish("fault", fault(0))
        assert _numbers(_take(subscriber, 1)) == [0]
        subscriber._sub.setsockopt(zmq.UNSUBSCRIBE, b"sem/fault/")
        _wait_for_unsubscription(publisher)
        for number in (1, 2, 3):
            publisher.publish("fault", fault(number))
        told = _take(subscriber, 3)  # the heartbeat tells
    assert _numbers(told) == [1, 2, 3]
    assert all(message.healed for message in told)
    assert subscriber.healed == 3


def _publish_until(heard, publisher):
    end = time.monotonic() + 20
    while not heard():
        assert time.monotonic() < end
        publisher.publish("fault", fault())


def _wait_for_unsubscription(publisher):
    # Three heartbeats later the publisher has read it.
    with zmq.Context() as context, context.socket(zmq.SUB) as probe:
        probe.linger = 0
        probe.setsockopt(zmq.SUBSCRIBE, b"sem/heartbeat/")
        probe.connect(publisher.endpoint)
        for _ in range(3):
            assert probe.poll(5000)
            probe.recv_multipart()


def test_what_the_store_has_no_more_is_told_as_a_gap(make_publisher):
    publisher = make_publisher(replay_bytes=1500)
    with _subscriber(publisher) as subscriber:
        subscriber.ready()
        subscriber._sub.setsockopt(zmq.UNSUBSCRIBE, b"sem/fault/")
        _wait_for_unsubscription(publisher)
        for number in range(30):
            publisher.publish("fault", fault(number))
        gap, *healed = [subscriber.receive(5), subscriber.receive(5)]
    assert isinstance(gap, Gap)
    assert (gap.first, gap.topic, gap.reason) == (0, "sem/fault/", "no longer in the replay store")
    assert _numbers(healed) == [gap.last + 1]


def test_without_healing_a_gap_is_told(make_publisher):
    publisher = make_publisher()
    with _subscriber(publisher, heal=False) as subscriber:
        subscriber.ready()
        subscriber._sub.setsockopt(zmq.UNSUBSCRIBE, b"sem/fault/")
        _wait_for_unsubscription(publisher)
        publisher.publish("fault", fault(0))
        assert subscriber.receive(5) == Gap("sem/fault/", 0, 0, "healing is off")


def test_a_late_joiner_can_have_the_run_from_its_start(make_publisher):
    publisher = make_publisher()
    for number in range(600):  # more than one answer holds
        publisher.publish("fault", fault(number))
    with _subscriber(publisher, from_start=True) as subscriber:
        assert _numbers(_take(subscriber, 600)) == list(range(600))


def test_a_restart_is_told_and_nothing_of_the_new_run_is_missed(make_publisher):
    first = make_publisher()
    with _subscriber(first) as subscriber:
        subscriber.ready()
        first.publish("fault", fault(0))
        assert _numbers(_take(subscriber, 1)) == [0]
        first.close()
        second = make_publisher(endpoint=first.endpoint, control=first.control_endpoint)
        second.publish("fault", fault(1))  # before the subscriber is back
        epoch, message = _take(subscriber, 2)
    assert epoch == NewEpoch(second.epoch, first.epoch)
    assert message.header["number"] == 1


def test_ready_says_when_nobody_publishes(free_endpoint):
    with Subscriber(free_endpoint) as subscriber, pytest.raises(SemdaemonError) as silent:
        subscriber.ready(0.2)
    assert silent.value.code == "not_ready"
    assert free_endpoint in silent.value.message
    assert silent.value.remedy


def test_an_address_that_is_none_is_refused_clearly():
    with pytest.raises(SemdaemonError) as refused:
        Subscriber("nonsense://x")
    assert refused.value.code == "endpoint_invalid"


@pytest.fixture
def free_endpoint():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


def test_an_address_in_use_names_itself_and_what_to_do(make_publisher):
    running = make_publisher()
    with pytest.raises(SemdaemonError) as busy:
        Publisher(Publish(endpoint=running.endpoint, control="")).start()
    assert busy.value.code == "endpoint_in_use"
    assert running.endpoint in busy.value.message
    assert "semdaemon status" in busy.value.remedy
    with pytest.raises(SemdaemonError) as busy:
        Publisher(Publish(endpoint="tcp://127.0.0.1:*", control=running.control_endpoint)).start()
    assert running.control_endpoint in busy.value.message


def test_addresses_are_free_again_after_close(make_publisher):
    for _ in range(3):
        publisher = make_publisher(endpoint="tcp://127.0.0.1:*")
        publisher.close()
        publisher.close()
        make_publisher(endpoint=publisher.endpoint, control=publisher.control_endpoint).close()


def test_publish_after_close_and_without_sockets_is_harmless(make_publisher):
    publisher = make_publisher(endpoint="", control="")
    publisher.publish("fault", fault())
    publisher.close()
    publisher.publish("fault", fault())


def test_close_sends_what_waits(make_publisher):
    publisher = make_publisher(subscriber_messages=5000)
    with _subscriber(publisher, receive_messages=5000) as subscriber:  # one that keeps up
        subscriber.ready()
        for number in range(1000):
            publisher.publish("fault", fault(number))
        publisher.close(linger_s=5)
        assert _numbers(_take(subscriber, 1000)) == list(range(1000))


@pytest.mark.parametrize(
    ("event", "header", "arrays", "code"),
    [
        ("surprise", {}, [], "unknown_event"),
        ("fault", {}, [], "bad_header"),
        ("score", {"tile_px": 128}, [], "bad_header"),
        ("score", {**SCORE, "tile_px": "wide"}, [], "bad_header"),
        ("frame", {"frame": FRAME}, [("refocused", np.array(["x"]))], "unsendable_array"),
    ],
)
def test_mistakes_of_the_caller_are_the_callers_error(make_publisher, event, header, arrays, code):
    publisher = make_publisher()
    with pytest.raises(SemdaemonError) as refused:
        publisher.publish(event, header, arrays)
    assert refused.value.code == code


def test_a_caller_cannot_forge_epoch_and_sequence(make_publisher):
    publisher = make_publisher()
    with _subscriber(publisher) as subscriber:
        subscriber.ready()
        publisher.publish("fault", {**fault(), "epoch": "forged", "sequence": 99, "event": "score"})
        (message,) = _take(subscriber, 1)
    assert (message.epoch, message.sequence, message.event) == (publisher.epoch, 0, "fault")


# -- control --


def test_status_is_answered_with_what_the_daemon_says(make_publisher):
    publisher = make_publisher(lambda: {"frames": {"seen": np.int64(3)}, "lag_s": float("nan")})
    publisher.publish("fault", fault())
    told = ask(publisher.control_endpoint, {"request": "status"})
    assert told["status"]["frames"] == {"seen": 3}
    assert told["status"]["lag_s"] is None
    assert told["instrument"] == "sem"
    assert told["epoch"] == publisher.epoch
    assert told["status"]["wire"]["replay_bytes"] >= 0


def test_a_status_that_fails_is_said_and_the_publisher_goes_on(make_publisher, caplog):
    publisher = make_publisher(lambda: 1 / 0)
    told = ask(publisher.control_endpoint, {"request": "status"})
    assert "ZeroDivisionError" in told["status"]["error"]
    assert ask(publisher.control_endpoint, {"request": "status"})["reply"] == "status"


def test_status_is_published_from_time_to_time(make_publisher, monkeypatch):
    monkeypatch.setattr("semdaemon.wire.publisher.STATUS_EVERY_S", 0.05)
    publisher = make_publisher(lambda: {"worker": "ready"}, heartbeat_s=0.02)
    with _subscriber(publisher, ("sem/status/",)) as subscriber:
        assert subscriber.receive(5).header["status"]["worker"] == "ready"


def test_nobody_there_is_said_plainly(free_endpoint):
    with pytest.raises(SemdaemonError) as silent:
        ask(free_endpoint, {"request": "status"}, timeout_s=0.2)
    assert silent.value.code == "no_answer"


@pytest.mark.parametrize("host", ["*", "0.0.0.0", "[::]", "[::1]"])  # noqa: S104 - while the test lasts
def test_a_daemon_is_asked_at_the_address_of_its_settings(make_publisher, host):
    """Nothing connects to all addresses, and over IPv6 nothing answered."""
    if host.startswith("["):
        try:
            socket.create_server((host.strip("[]"), 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("no IPv6 here")
    publisher = make_publisher(control=f"tcp://{host}:*", insecure=True)
    port = publisher.control_endpoint.rpartition(":")[2]
    assert ask(f"tcp://{host}:{port}", {"request": "status"})["reply"] == "status"


@pytest.mark.parametrize(
    ("request_text", "code"),
    [
        (b"", "bad_request"),
        (b"\xff\x00garbage", "bad_request"),
        (b"[" * 60_000, "bad_request"),
        (b"[1]", "bad_request"),
        (b"{}", "bad_request"),
        (b'{"request": 5}', "bad_request"),
        (b'{"request": "shutdown"}', "bad_request"),
        (b'{"request": "replay"}', "unknown_topic"),
        (b'{"request": "replay", "topic": {"a": 1}}', "unknown_topic"),
        (b'{"request": "replay", "topic": "sem/fault/", "from": -1}', "bad_request"),
        (b'{"request": "replay", "topic": "sem/fault/", "from": true}', "bad_request"),
        (b'{"request": "replay", "topic": "sem/fault/", "from": 1e99}', "bad_request"),
        (b'{"request": "snapshot", "topic": "nowhere/"}', "unknown_topic"),
    ],
)
def test_nonsense_requests_are_answered_with_an_error(make_publisher, dealer, request_text, code):
    publisher = make_publisher()
    publisher.publish("fault", fault())
    while "sem/fault/" not in ask(publisher.control_endpoint, {"request": "status"})["sequences"]:
        time.sleep(0.01)
    client = dealer(publisher)
    client.send(request_text)
    assert client.poll(5000)
    head = json.loads(client.recv_multipart()[0])
    assert (head["reply"], head["code"]) == ("error", code)


@pytest.fixture
def dealer():
    context = zmq.Context()
    clients = []

    def make(publisher, kind=zmq.DEALER):
        clients.append(context.socket(kind))
        clients[-1].connect(publisher.control_endpoint)
        return clients[-1]

    yield make
    context.destroy(linger=0)


def test_req_clients_and_wrong_part_counts_get_an_answer(make_publisher, dealer):
    publisher = make_publisher()
    client = dealer(publisher, zmq.REQ)
    for parts in ([b'{"request": "status"}'], [b"a", b"b", b"c"], [b""] * 5):
        client.send_multipart(parts)
        assert client.poll(5000)
        assert "reply" in json.loads(client.recv_multipart()[0])
    client = dealer(publisher)
    for parts in ([b"a", b"b"], [b"", b"", b"", b""], [b"x"] * 1000):
        client.send_multipart(parts)
        assert client.poll(5000)
        client.recv_multipart()
    assert ask(publisher.control_endpoint, {"request": "status"})["reply"] == "status"


def test_a_snapshot_is_the_last_message_of_a_topic(make_publisher, dealer):
    publisher = make_publisher()
    for number in range(3):
        publisher.publish("fault", fault(number))
    client = dealer(publisher)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        client.send_json({"request": "snapshot", "topic": "sem/fault/", "id": 7})
        head, *parts = client.recv_multipart()
        if json.loads(head).get("newest") == 2:
            break
    assert json.loads(head)["id"] == 7
    assert json.loads(head)["messages"] == [{"sequence": 2, "parts": 2}]
    assert json.loads(parts[1])["number"] == 2


def test_port_scanners_and_garbage_do_not_hurt(make_publisher):
    publisher = make_publisher()
    random = np.random.default_rng(5)
    for endpoint in (publisher.endpoint, publisher.control_endpoint):
        port = int(endpoint.rsplit(":", 1)[1])
        for said in (
            b"GET / HTTP/1.1\r\n\r\n",
            b"",
            random.bytes(5000),
            b"\xff" + b"\0" * 8 + b"\x7f" + b"x" * 500,
        ):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as scanner:
                scanner.sendall(said)
    with _subscriber(publisher) as subscriber:
        subscriber.ready()
        publisher.publish("fault", fault(1))
        assert _numbers(_take(subscriber, 1)) == [1]


def test_upstream_messages_to_the_publisher_are_ignored(make_publisher):
    publisher = make_publisher()
    with zmq.Context() as context, context.socket(zmq.XSUB) as rude:
        rude.linger = 0
        rude.connect(publisher.endpoint)
        for said in (
            b"hello",
            b"\x01semdaemon-ready/" + b"x" * 200,
            b"\x01semdaemon-ready/\xff\xfe/",
            b"\x01",
            b"",
        ):
            rude.send(said)
            rude.send_multipart([said, said])
        rude.send(b"\x01semdaemon-ready/polite/")
        assert rude.poll(5000)
    assert ask(publisher.control_endpoint, {"request": "status"})["reply"] == "status"


def test_an_absurdly_large_request_closes_only_that_connection(make_publisher, dealer):
    publisher = make_publisher()
    client = dealer(publisher)
    client.send(b"x" * 10_000_000)
    assert ask(publisher.control_endpoint, {"request": "status"}, 5)["reply"] == "status"


# -- bounds --


def test_a_subscriber_that_does_not_read_costs_bounded_memory_and_the_others_stay_complete(make_publisher):
    limit, size, count = 8 * 2**20, 2**20, 60
    publisher = make_publisher(queue_bytes=limit, replay_bytes=200 * 2**20, heartbeat_s=60)
    pixels = np.zeros((1024, 1024), np.uint8)
    pixels.flags.writeable = False
    with (
        zmq.Context() as context,
        context.socket(zmq.SUB) as stuck,
        _subscriber(publisher, ("sem/frame/",)) as good,
    ):
        stuck.linger = 0
        stuck.rcvhwm = 1
        stuck.setsockopt(zmq.SUBSCRIBE, b"")
        stuck.connect(publisher.endpoint)
        _publish_until(lambda: stuck.poll(20), publisher)
        good.ready()
        told = []
        for number in range(count):
            publisher.publish("frame", {"frame": FRAME, "number": number}, [("refocused", pixels)])
            told.append(good.receive(20))
            assert publisher.counters["in_flight_bytes"] <= limit + size
    assert _numbers(told) == list(range(count))
    assert publisher.counters["withheld"]["frame"] > 0
    assert good.healed > 0


def test_publish_never_blocks_and_says_what_it_shed(make_publisher):
    busy = threading.Event()
    publisher = make_publisher(status=lambda: {"busy": busy.wait(5)}, queue_bytes=2**20)
    picture = bytes(200_000)
    slowest_s = 0.0
    with _subscriber(publisher, ("sem/preview/",), timeout_s=2) as subscriber:
        busy.set()
        subscriber.ready()
        busy.clear()
        asking = threading.Thread(target=ask, args=(publisher.control_endpoint, {"request": "status"}, 10))
        asking.start()
        for number in range(60):
            begin = time.monotonic()
            publisher.publish(
                "preview", {"frame": FRAME, "number": number}, blobs=[("preview", "image/jpeg", picture)]
            )
            slowest_s = max(slowest_s, time.monotonic() - begin)
            time.sleep(0.005)
        busy.set()
        asking.join()
        told = list(subscriber)
    assert slowest_s < 1.0  # the thread stood still for longer
    shed = publisher.counters["shed"]["preview"]
    assert shed > 0
    lost = sum(gap.count for gap in told if isinstance(gap, Gap))
    assert lost == shed
    assert lost + sum(not isinstance(item, Gap) for item in told) == 60


# -- asyncio --


def test_the_asyncio_subscriber_does_the_same(make_publisher):
    publisher = make_publisher()

    async def listen():
        topics = ("sem/fault/",)
        async with AsyncSubscriber(
            publisher.endpoint, publisher.control_endpoint, topics, timeout_s=5
        ) as subscriber:
            await subscriber.ready()
            publisher.publish("fault", fault(0))
            told = [await subscriber.receive(5)]
            subscriber._sub.setsockopt(zmq.UNSUBSCRIBE, b"sem/fault/")
            await asyncio.to_thread(_wait_for_unsubscription, publisher)
            for number in (1, 2):
                publisher.publish("fault", fault(number))
            async for message in subscriber:
                told.append(message)
                if len(told) == 3:
                    break
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(subscriber.receive(), 0.2)
            return told, subscriber.healed

    told, healed = asyncio.run(listen())
    assert _numbers(told) == [0, 1, 2]
    assert healed == 2


def test_the_asyncio_subscriber_says_when_nobody_publishes(free_endpoint):
    async def listen():
        async with AsyncSubscriber(free_endpoint) as subscriber:
            await subscriber.ready(0.2)

    with pytest.raises(SemdaemonError) as silent:
        asyncio.run(listen())
    assert silent.value.code == "not_ready"


def test_one_message_that_cannot_be_sent_does_not_silence_the_others(make_publisher, monkeypatch, caplog):
    publisher = make_publisher()
    with _subscriber(publisher) as subscriber:
        subscriber.ready()
        monkeypatch.setattr("semdaemon.wire.publisher.encode", lambda *_: 1 / 0)
        publisher.publish("fault", fault(0))
        while not publisher.counters["errors"]:
            time.sleep(0.01)
        monkeypatch.undo()
        publisher.publish("fault", fault(1))
        told = _take(subscriber, 2)
    assert isinstance(told[0], Gap)
    assert told[1].header["number"] == 1
    assert publisher.alive
