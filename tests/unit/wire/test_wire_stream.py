"""Gaps, duplicates and restarts, without sockets."""

from __future__ import annotations

from semdaemon.wire.messages import Message
from semdaemon.wire.stream import Missing, NewEpoch, Stream

A, B, HEART = "sem/score/", "sem/fault/", "sem/heartbeat/"


def _message(topic, sequence, epoch="one", **more):
    return Message(topic, topic.split("/")[-2], {"epoch": epoch, "sequence": sequence, **more})


def _ready(epoch="one", **sequences):
    named = {f"sem/{event}/": number for event, number in sequences.items()}
    return Message(
        "semdaemon-ready/x/",
        "ready",
        {"epoch": epoch, "sequence": 0, "sequences": named, "instrument": "sem"},
    )


def _beat(number, epoch="one", **sequences):
    named = {f"sem/{event}/": latest for event, latest in sequences.items()}
    return _message(HEART, number, epoch, sequences=named)


def test_messages_in_order_are_told_as_they_come():
    stream = Stream(("sem/",))
    stream.feed(_ready(score=4))
    first, second = _message(A, 5), _message(A, 6)
    assert stream.feed(first) == [first]
    assert stream.feed(second) == [second]


def test_a_jump_is_missing_messages_before_the_one_that_came():
    stream = Stream(("",))
    stream.feed(_ready(score=4))
    late = _message(A, 8)
    assert stream.feed(late) == [Missing(A, 5, 7, "one"), late]


def test_topics_count_for_themselves():
    stream = Stream(("",))
    stream.feed(_ready(score=4, fault=0))
    for message in (_message(A, 5), _message(B, 1), _message(A, 6), _message(B, 2)):
        assert stream.feed(message) == [message]


def test_what_was_had_already_is_not_told_twice():
    stream = Stream(("",))
    stream.feed(_ready(score=4))
    assert stream.feed(_message(A, 4)) == []
    stream.feed(_message(A, 5))
    assert stream.feed(_message(A, 5)) == []


def test_a_heartbeat_shows_a_gap_though_nothing_follows():
    stream = Stream((A,))
    stream.feed(_ready(score=4))
    assert stream.feed(_beat(0, score=6, fault=9)) == [Missing(A, 5, 6, "one")]
    assert stream.feed(_beat(1, score=6, fault=9)) == []


def test_a_topic_that_began_after_the_echo_begins_at_zero():
    stream = Stream(("",))
    stream.feed(_ready())
    late = _message(A, 2)
    assert stream.feed(late) == [Missing(A, 0, 1, "one"), late]


def test_before_the_echo_the_first_message_is_where_the_stream_begins():
    stream = Stream(("",))
    first = _message(A, 17)
    assert stream.feed(first) == [first]
    assert stream.feed(_ready(score=17)) == []


def test_the_echo_after_a_reconnect_shows_what_was_missed():
    stream = Stream(("",))
    stream.feed(_ready(score=4))
    assert stream.feed(_ready(score=9)) == [Missing(A, 5, 9, "one")]


def test_a_restarted_publisher_is_told_and_wanted_from_its_start():
    stream = Stream((A,))
    stream.feed(_ready(score=4))
    assert stream.feed(_ready("two", score=1)) == [NewEpoch("two", "one"), Missing(A, 0, 1, "two")]
    message = _message(A, 2, "two")
    assert stream.feed(message) == [message]


def test_a_message_of_a_new_epoch_before_its_echo_is_told_too():
    stream = Stream((A,))
    stream.feed(_ready(score=4))
    message = _message(A, 1, "two")
    assert stream.feed(message) == [NewEpoch("two", "one"), Missing(A, 0, 0, "two"), message]


def test_from_start_wants_everything():
    stream = Stream((A,), from_start=True)
    assert stream.feed(_ready(score=2)) == [Missing(A, 0, 2, "one")]


def test_heartbeats_of_a_late_joiner_are_no_gap():
    stream = Stream(("",))
    stream.feed(_ready(score=0))
    for beat in (_beat(41, score=0), _beat(44, score=0)):
        assert stream.feed(beat) == [beat]


def test_nonsense_in_a_heartbeat_is_ignored():
    stream = Stream((A,))
    stream.feed(_ready(score=0))
    for told in (None, [], {"sem/score/": "7"}, {"sem/score/": -3}, {"sem/score/": True}):
        assert stream.feed(_message(HEART, 1, sequences=told)) == []
