"""The byte-bounded queue and the replay store."""

from __future__ import annotations

import numpy as np

from semdaemon.wire.outbox import HEADER_BYTES, Letter, Outbox
from semdaemon.wire.replay import ReplayStore


def _letter(event, size):
    return Letter(event, {}, [("a", np.zeros(size, np.uint8))])


def _events(outbox):
    letters = []
    while (letter := outbox.get()) is not None:
        letters.append((letter.event, letter.shed))
    return letters


def test_letters_leave_in_the_order_in_which_they_came():
    outbox = Outbox(10**6)
    for event in ("score", "preview", "frame", "fault"):
        outbox.put(_letter(event, 10))
    assert [event for event, _ in _events(outbox)] == ["score", "preview", "frame", "fault"]
    assert outbox.waiting_bytes == 0
    assert outbox.get() is None


def test_oldest_previews_are_shed_first_then_oldest_frames_and_never_a_score_before_them():
    outbox = Outbox(10_000)
    for event in ("score", "preview", "frame", "preview", "frame"):
        outbox.put(_letter(event, 1000))
    assert outbox.shed == {"preview": 1}
    outbox.put(_letter("score", 1000))
    outbox.put(_letter("frame", 1000))
    assert outbox.shed == {"preview": 2, "frame": 1}
    assert outbox.waiting_bytes <= 10_000
    assert _events(outbox) == [
        ("score", False),
        ("preview", True),
        ("frame", True),
        ("preview", True),
        ("frame", False),
        ("score", False),
        ("frame", False),
    ]


def test_one_letter_larger_than_the_bound_still_goes():
    outbox = Outbox(1000)
    outbox.put(_letter("frame", 50_000))
    assert outbox.shed == {}
    assert outbox.get().size_bytes == 50_000 + HEADER_BYTES


def test_a_million_bytes_of_faults_stay_bounded_too():
    outbox = Outbox(100 * HEADER_BYTES)
    for _ in range(500):
        outbox.put(Letter("fault", {}))
    assert outbox.waiting_bytes <= 100 * HEADER_BYTES
    assert outbox.shed == {"fault": 400}
    assert len(outbox) == 500


def test_replay_keeps_to_its_bound_and_takes_room_from_the_heaviest_topic():
    store = ReplayStore(10_000)
    for number in range(50):
        store.add("sem/score/", number, [b"t", b"x" * 20])
        store.add("sem/frame/", number, [b"t", b"x" * 1000])
        assert store.total_bytes <= 10_000
    assert len(store.since("sem/score/", 0, 10**6, 10**6)) == 50
    frames = store.since("sem/frame/", 0, 10**6, 10**6)
    assert [sent.sequence for sent in frames] == list(range(50 - len(frames), 50))
    assert len(frames) == 8


def test_replay_answers_are_bounded_but_never_empty_where_there_is_something():
    store = ReplayStore(10_000)
    for number in range(5):
        store.add("t", number, [b"x" * 1000])
    assert [s.sequence for s in store.since("t", 1, 10, 99)] == [1]
    assert [s.sequence for s in store.since("t", 1, 2500, 99)] == [1, 2]
    assert [s.sequence for s in store.since("t", 0, 10**6, 3)] == [0, 1, 2]
    assert store.since("t", 5, 10, 10) == []
    assert store.since("unknown", 0, 10, 10) == []


def test_a_message_larger_than_the_store_is_not_kept():
    store = ReplayStore(100)
    store.add("t", 0, [b"x" * 101])
    assert store.newest("t") is None
    store.add("t", 1, [b"x"])
    assert store.newest("t").sequence == 1
