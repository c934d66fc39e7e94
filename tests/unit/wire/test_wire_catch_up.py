"""Late joiners, subscribers that come back, and what the journal still knows."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import pytest
import zmq
from wire_samples import fault

from semdaemon.errors import SemdaemonError
from semdaemon.settings import Publish
from semdaemon.wire.client import AsyncSubscriber, Subscriber
from semdaemon.wire.control import REQUESTS, ask
from semdaemon.wire.publisher import Publisher
from semdaemon.wire.stream import Gap, LastValue, NewEpoch, Position, Stream

TOPICS = ("sem/fault/", "sem/status/")


class Finished:
    """A journal of frames 1 to ``count``, each ended at its own position."""

    def __init__(self, count: int) -> None:
        self.count, self.since = count, None

    def position(self) -> int:
        return self.count

    def page(self, after, since, limit):
        self.since = since
        begin = after or 0
        if begin > self.count:
            raise SemdaemonError("unknown_position", "It is another journal.")
        last = min(self.count, begin + limit)
        frames = [
            {
                "position": number, "at": "2026-03-01T18:00:00.000Z", "state": "published", "reason": "sharp",
                "number": number, "id": "", "source": "folder", "uri": f"file:///{number}.tif",
            }
            for number in range(begin + 1, last + 1)
        ]  # fmt: skip
        return {"frames": frames, "position": last, "more": last < self.count}


@pytest.fixture
def publisher_of(request):
    made = []

    def start(finished=None, **settings):
        chosen = {
            "endpoint": "tcp://127.0.0.1:*",
            "control": "tcp://127.0.0.1:*",
            "heartbeat_s": 0.1,
            **settings,
        }
        made.append(Publisher(Publish(**chosen), finished=finished).start())
        return made[-1]

    yield start
    for publisher in made:
        publisher.close(linger_s=0)


def _subscriber(publisher, topics=("sem/fault/",), **options):
    return Subscriber(publisher.endpoint, publisher.control_endpoint, topics, timeout_s=5, **options)


def _sent(publisher, count, first=0):
    for number in range(first, first + count):
        publisher.publish("fault", fault(number))
    while (
        ask(publisher.control_endpoint, {"request": "status"})["sequences"].get("sem/fault/")
        != first + count - 1
    ):
        pass


def _numbers(subscriber, count):
    return [subscriber.receive(5).header["number"] for _ in range(count)]


# -- the last value --


def test_a_late_joiner_first_gets_the_last_value_of_each_topic_and_nothing_twice(publisher_of):
    publisher = publisher_of()
    _sent(publisher, 5)
    with _subscriber(publisher, TOPICS) as subscriber:
        subscriber.ready()
        told = [subscriber.receive(5) for _ in range(2)]
        publisher.publish("fault", fault(5))
        told.append(subscriber.receive(5))
        assert subscriber.receive(0.3) is None
    by_topic = {topic: [m for m in told if m.topic == topic] for topic in TOPICS}
    assert [m.header["number"] for m in by_topic["sem/fault/"]] == [4, 5]
    assert [m.healed for m in by_topic["sem/fault/"]] == [True, False]
    assert len(by_topic["sem/status/"]) == 1
    assert subscriber.healed == 0  # nothing was lost


def test_without_it_the_stream_begins_with_what_comes(publisher_of):
    publisher = publisher_of()
    _sent(publisher, 5)
    with _subscriber(publisher, last_value=False) as subscriber:
        subscriber.ready()
        publisher.publish("fault", fault(5))
        assert _numbers(subscriber, 1) == [5]


def test_a_last_value_that_the_store_has_no_more_is_no_loss(publisher_of):
    publisher = publisher_of(replay_bytes=0)
    _sent(publisher, 3)
    with _subscriber(publisher) as subscriber:
        subscriber.ready()
        assert subscriber.receive(0.3) is None
        publisher.publish("fault", fault(3))
        assert _numbers(subscriber, 1) == [3]


def test_only_wanted_topics_are_asked_for_and_none_that_came_by_itself():
    stream = Stream(("sem/score/", "sem/fault/"), last_value=True)
    from test_wire_stream import _message, _ready

    stream.feed(_message("sem/score/", 4))
    assert stream.feed(_ready(score=4, fault=2, frame=9)) == [LastValue("sem/fault/", 2, "one")]


# -- going on where one was --


def test_a_subscriber_goes_on_where_the_one_before_it_was(publisher_of):
    publisher = publisher_of(Finished(7))
    with _subscriber(publisher) as first:
        first.ready()
        _sent(publisher, 3)
        assert _numbers(first, 2) == [0, 1]
        position = first.position
    assert (position.epoch, position.sequences["sem/fault/"], position.journal) == (publisher.epoch, 2, 7)
    _sent(publisher, 300, first=3)
    with _subscriber(publisher, position=position) as second:
        assert _numbers(second, 301) == list(range(2, 303))
        publisher.publish("fault", fault(303))
        assert _numbers(second, 1) == [303]


def test_what_was_not_handed_out_yet_is_not_past(publisher_of):
    publisher = publisher_of()
    with _subscriber(publisher, from_start=True) as first:
        _sent(publisher, 10)
        assert _numbers(first, 1) == [0]
        assert first.position.sequences["sem/fault/"] == 1


def test_a_restart_in_between_is_told_and_the_new_run_is_complete(publisher_of):
    gone = Position("another epoch", {"sem/fault/": 99}, 3)
    publisher = publisher_of(Finished(5))
    _sent(publisher, 2)
    with _subscriber(publisher, position=gone) as subscriber:
        assert subscriber.receive(5) == NewEpoch(publisher.epoch, "another epoch")
        assert _numbers(subscriber, 2) == [0, 1]
        assert [frame.position for frame in subscriber.catch_up()] == [4, 5]


# -- from the journal --


def test_what_is_lost_as_a_message_is_in_the_journal(publisher_of):
    finished = Finished(10)
    publisher = publisher_of(finished, replay_bytes=0)
    with _subscriber(publisher) as subscriber:
        subscriber.ready()
        subscriber._sub.setsockopt(zmq.UNSUBSCRIBE, b"sem/fault/")
        finished.count = 260
        _sent(publisher, 250)
        assert isinstance(subscriber.receive(5), Gap)
        caught = [frame.position for frame in subscriber.catch_up()]
        assert caught == list(range(11, 261))
        assert list(subscriber.catch_up()) == []
        finished.count = 262
        assert [frame.uri for frame in subscriber.catch_up()] == ["file:///261.tif", "file:///262.tif"]
        assert len(list(subscriber.catch_up(after=0))) == 262
        moment = datetime(2026, 3, 1, 18, tzinfo=UTC)
        list(subscriber.catch_up(since=moment))
        assert finished.since is None  # of later pages: the position goes on


def test_the_asyncio_subscriber_catches_up_too(publisher_of):
    publisher = publisher_of(Finished(150))

    async def catch_up():
        async with AsyncSubscriber(publisher.endpoint, publisher.control_endpoint, TOPICS) as subscriber:
            await subscriber.ready()
            before = [frame async for frame in subscriber.catch_up()]
            return before, [frame.number async for frame in subscriber.catch_up(after=20)]

    assert asyncio.run(catch_up()) == ([], list(range(21, 151)))


def test_a_position_of_another_journal_is_said(publisher_of):
    publisher = publisher_of(Finished(5))
    with _subscriber(publisher) as subscriber, pytest.raises(SemdaemonError) as unknown:
        list(subscriber.catch_up(after=6))
    assert unknown.value.code == "unknown_position"


def test_a_publisher_without_a_journal_says_so(publisher_of):
    publisher = publisher_of()
    with _subscriber(publisher) as subscriber, pytest.raises(SemdaemonError) as none:
        list(subscriber.catch_up())
    assert none.value.code == "no_journal"


def test_a_journal_that_fails_is_said_and_the_publisher_goes_on(publisher_of):
    finished = Finished(5)
    finished.page = lambda *_: 1 / 0
    finished.position = lambda: 1 / 0
    publisher = publisher_of(finished)
    with _subscriber(publisher) as subscriber:
        subscriber.ready()
        with pytest.raises(SemdaemonError) as failed:
            list(subscriber.catch_up())
        assert failed.value.code == "cannot_answer"
        publisher.publish("fault", fault(1))
        assert _numbers(subscriber, 1) == [1]


@pytest.mark.parametrize(
    "bad",
    [
        *({"after": after} for after in (-1, True, "1", 1.5, 2**63, [1])),
        *({"since": since} for since in ("yesterday", "2026-03-01T18:00:00", 5, "9999-99-99", "\x00")),
        *({"limit": limit} for limit in (0, -1, "1", True)),
    ],
)
def test_nonsense_in_the_request_is_refused(publisher_of, bad):
    publisher = publisher_of(Finished(5))
    with pytest.raises(SemdaemonError) as refused:
        ask(publisher.control_endpoint, {"request": "frames", **bad})
    assert refused.value.code == "bad_request"


# -- nothing can be changed --


def test_the_control_socket_only_reads(publisher_of):
    """No request changes what the others answer, whatever stands in it."""
    publisher = publisher_of(Finished(5), heartbeat_s=60)
    _sent(publisher, 3)

    def state():
        told = {}
        for request in ({"request": "snapshot", "topic": "sem/fault/"}, {"request": "frames"}):
            told[request["request"]] = ask(publisher.control_endpoint, request)
        status = ask(publisher.control_endpoint, {"request": "status"})
        counters = status["status"]["wire"]
        return (
            told,
            status["sequences"],
            {k: counters[k] for k in ("sent", "shed", "withheld", "replay_bytes")},
        )

    before = state()
    tempting = (
        "requeue",
        "stop",
        "shutdown",
        "set",
        "delete",
        "reload",
        "publish",
        "subscribe",
        "__class__",
        "",
    )
    with zmq.Context() as context, context.socket(zmq.DEALER) as client:
        client.linger = 0
        client.connect(publisher.control_endpoint)
        for word in (*REQUESTS, *tempting):
            for more in (
                {},
                {"topic": "sem/fault/", "from": 0},
                {"frames": [], "position": 0, "state": "seen"},
            ):
                client.send(json.dumps({"request": word, "epoch": "x", "sequence": 0, **more}).encode())
                assert client.poll(5000)
                head = json.loads(client.recv_multipart()[0])
                assert (head["reply"] == "error") == (word not in REQUESTS or head.get("code") is not None)
    assert state() == before
    assert set(REQUESTS) == {"status", "snapshot", "replay", "frames"}
