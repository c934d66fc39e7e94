"""Frames that came to an end: listed in order, page by page, at a cost that does not grow."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from semdaemon.journal import Journal
from semdaemon.journal.endings import MOST_FRAMES, MOST_STEPS
from semdaemon.sources import Sighting


class Clock:
    """Seconds that count by themselves."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journal(tmp_path: Path, clock: Clock) -> Iterator[Journal]:
    with Journal(tmp_path / "journal.sqlite3", clock=clock) as opened:
        yield opened


def _see(journal: Journal, *names: str) -> list[int]:
    before = journal.rows(limit=1)
    journal.see([Sighting("folder", f"file:///d/{n}", Path(f"/d/{n}"), Path(n), 1, 1) for n in names])
    first = before[0].key if before else 0
    return [row.key for row in journal.rows(newest_first=False, beyond=first)]


def _all(journal: Journal, after: int = 0, limit: int = MOST_FRAMES) -> list[Any]:
    found, more = [], True
    while more:
        page = journal.endings(after, limit)
        assert page.position >= after
        found, after, more = [*found, *page.endings], page.position, page.more
    return found


def test_ends_are_listed_in_the_order_in_which_they_came(journal):
    a, b, c = _see(journal, "a", "b", "c")
    journal.finish(b, "failed", "truncated", "ends early")
    journal.finish(a, "skipped", "vanished")
    told = _all(journal)
    assert [(each.row.key, each.state, each.reason) for each in told] == [
        (b, "failed", "truncated"),
        (a, "skipped", "vanished"),
    ]
    assert told[0].detail == "ends early"
    assert c not in [each.row.key for each in told]
    assert _all(journal, told[0].position) == told[1:]
    assert _all(journal, told[1].position) == []


def test_a_requeued_frame_is_listed_for_each_of_its_ends(journal):
    (key,) = _see(journal, "a")
    journal.finish(key, "failed", "truncated")
    position = journal.newest_position()
    journal.requeue(key)
    assert _all(journal, position) == []
    journal.finish(key, "skipped", "vanished")
    assert [each.state for each in _all(journal)] == ["failed", "skipped"]
    assert [each.state for each in _all(journal, position)] == ["skipped"]


@pytest.mark.parametrize("limit", [1, 3, 10**9])
def test_pages_of_any_size_tell_each_end_once(journal, limit):
    keys = _see(journal, *(f"{number}" for number in range(260)))
    for key in keys[::2]:
        journal.finish(key, "skipped", "vanished")
    told = _all(journal, limit=limit)
    assert [each.row.key for each in told] == keys[::2]
    assert len(journal.endings(0, limit).endings) <= min(limit, MOST_FRAMES)


def test_a_page_looks_at_a_bounded_number_of_steps_however_few_are_ends(journal):
    keys = _see(journal, *(f"{number}" for number in range(MOST_STEPS + 10)))
    journal.finish(keys[-1], "skipped", "vanished")
    first = journal.endings(0)
    assert (first.endings, first.position, first.more) == ([], MOST_STEPS, True)
    assert [each.row.key for each in _all(journal)] == [keys[-1]]


def test_a_moment_becomes_the_position_just_before_it(journal, clock):
    keys = _see(journal, *"abcdefgh")
    moments = []
    for key in keys:
        moments.append(clock.now + 0.5)
        journal.finish(key, "skipped", "vanished")
    for number, moment in enumerate(moments):
        told = _all(journal, journal.position_at(moment))
        assert [each.row.key for each in told] == keys[number:]
    assert journal.position_at(0.0) == 0
    assert journal.position_at(1e12) == journal.newest_position()


def test_dropped_history_is_not_listed_anew_and_no_position_is_given_out_twice(journal, clock):
    keys = _see(journal, "a", "b")
    for key in keys:
        journal.finish(key, "skipped", "vanished")
    newest = journal.newest_position()
    assert journal.drop_history(clock.now + 100, 10) == 2
    assert _all(journal, newest) == []
    journal.forget(keys)
    (late,) = _see(journal, "c")[-1:]
    journal.finish(late, "failed", "truncated")
    assert [each.row.key for each in _all(journal, newest)] == [late]


def test_an_empty_journal_has_no_ends(journal):
    assert journal.newest_position() == journal.position_at(5.0) == 0
    assert _all(journal) == []


def test_a_page_costs_the_same_after_a_hundred_thousand_frames(tmp_path):
    path = tmp_path / "journal.sqlite3"
    Journal(path).close()
    _fill(path, 100_000)
    with Journal(path, read_only=True) as journal:
        newest = journal.newest_position()
        assert newest == 300_000
        slowest_s = 0.0
        for after in (0, newest // 2, newest - 700, newest):
            before = time.perf_counter()
            page = journal.endings(after)
            journal.position_at(1e6 + after)
            slowest_s = max(slowest_s, time.perf_counter() - before)
            assert len(page.endings) == (MOST_FRAMES if after < newest else 0)
        assert slowest_s < 0.1  # 3 ms on an idle machine


def _fill(path: Path, frames: int) -> None:
    with sqlite3.connect(path) as connection:
        connection.executemany(
            "INSERT INTO frames (key, source, uri, path, relative, size_bytes, mtime_ns, state, noticed_at,"
            " seen_at, changed_at) VALUES (?, 'folder', ?, 'p', 'r', 1, 1, 'published', 1, 1, 1)",
            ((key, f"file:///{key}") for key in range(1, frames + 1)),
        )
        steps = ("seen", "settled", "published")
        connection.executemany(
            "INSERT INTO events (number, key, at, state) VALUES (?, ?, ?, ?)",
            ((n + 1, n // 3 + 1, 1e6 + n, steps[n % 3]) for n in range(3 * frames)),
        )
    connection.close()
