"""Reading a frame of a stack for the pipeline: held, gone, replaced, and found without a follower."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stackwriting import StackWriter, noise

from semdaemon.errors import FrameError
from semdaemon.journal import Journal, Row
from semdaemon.settings import Limits, NDTiff
from semdaemon.sources.ndtiff.follower import TORN_AFTER_S, Follower
from semdaemon.sources.ndtiff.places import Places
from semdaemon.sources.ndtiff.reader import StackReader
from semdaemon.sources.settle import NotYet, Settled

GIVE_UP_S = 5.0


class Desk:
    """A journal, a stack, and what reads from it."""

    def __init__(self, folder: Path) -> None:
        self.writer = StackWriter(folder / "runs" / "run_1" / "run_NDTiffStack.tif").begin()
        self.journal = Journal(folder / "state" / "journal.sqlite3")
        self.places = Places()
        self.follower = Follower(self.writer.path, Path("run_1/run_NDTiffStack.tif"), self.places)
        self.reader = StackReader(NDTiff(give_up_s=GIVE_UP_S), Limits(), self.places)
        self.attempts = 0

    def rows(self, now: float = 0.0) -> list[Row]:
        steps = self.follower.look(now)
        self.journal.see([step.sighting for step in steps])
        self.follower.accept(steps)
        return sorted(self.journal.rows(limit=None), key=lambda row: row.key)

    def settle(self, row: Row, after_s: float = 0.0) -> Settled | NotYet:
        return self.reader.settle(row, row.noticed_at + after_s, self.count)

    def count(self) -> None:
        self.attempts += 1

    def code(self, row: Row, after_s: float = 0.0) -> str:
        with pytest.raises(FrameError) as caught:
            self.settle(row, after_s)
        return caught.value.code


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.journal.close()


def test_a_whole_frame_settles_at_once_and_counts_one_attempt(desk: Desk) -> None:
    desk.writer.add(noise(0))
    desk.writer.add(noise(1))
    row = desk.rows()[1]
    found = desk.settle(row)
    assert isinstance(found, Settled)
    assert np.array_equal(found.frames[0].pixels, noise(1))
    assert found.frames[0].uri == row.uri
    assert desk.attempts == 1
    again = desk.reader.read_again(row)
    assert again.content_sha256 == found.frames[0].content_sha256
    assert desk.reader.original(row) is None
    assert desk.reader.saved_at(row) == pytest.approx(time.time(), abs=60)


def test_frames_are_found_by_walking_where_no_follower_was(desk: Desk) -> None:
    for number in range(5):
        desk.writer.add(noise(number))
    rows = desk.rows()
    fresh = StackReader(NDTiff(), Limits(), Places())
    for number in (3, 0, 4):
        assert np.array_equal(fresh.read_again(rows[number]).pixels, noise(number))


def test_a_torn_frame_is_held_without_reading_then_a_fault(desk: Desk) -> None:
    desk.writer.add(noise(0), parts="dp")
    desk.rows(0.0)
    row = desk.rows(TORN_AFTER_S + 0.1)[0]
    held = desk.settle(row, 1.0)
    assert isinstance(held, NotYet)
    assert held.reason == "torn_frame"
    assert desk.attempts == 0
    assert desk.code(row, GIVE_UP_S + 0.1) == "truncated"


def test_a_torn_frame_that_became_whole_is_the_same_row_and_settles(desk: Desk) -> None:
    desk.writer.add(noise(0), parts="dp")
    desk.rows(0.0)
    torn = desk.rows(TORN_AFTER_S + 0.1)[0]
    desk.writer.add(noise(0))
    rows = desk.rows(3.0)
    assert [row.key for row in rows] == [torn.key]
    assert isinstance(desk.settle(rows[0]), Settled)


def test_a_deleted_dataset_is_vanished_and_a_share_that_is_gone_waits(desk: Desk) -> None:
    desk.writer.add(noise(0))
    row = desk.rows()[0]
    desk.writer.path.unlink()
    assert desk.code(row) == "vanished"
    runs = desk.writer.path.parent.parent
    runs.rename(runs.with_name("unmounted"))
    found = desk.settle(row)
    assert isinstance(found, NotYet)
    assert found.reason == "source_gone"
    with pytest.raises(FrameError):
        desk.reader.read_again(row)


def test_a_frame_that_a_replaced_stack_no_longer_has_is_vanished(desk: Desk) -> None:
    for number in range(3):
        desk.writer.add(noise(number))
    rows = desk.rows()
    StackWriter(desk.writer.path).begin({"Prefix": "another"}).add(noise(9))
    assert desk.code(rows[2]) == "vanished"
    assert desk.reader.read_again(rows[0]).content_sha256 != ""


def test_a_stack_that_was_cut_is_held_and_then_truncated(desk: Desk) -> None:
    desk.writer.add(noise(0))
    row = desk.rows()[0]
    with desk.writer.path.open("r+b") as file:
        file.truncate(desk.writer.at - 3000)
    held = desk.settle(row, 1.0)
    assert isinstance(held, NotYet)
    assert held.reason == "truncated"
    assert desk.code(row, GIVE_UP_S + 0.1) == "truncated"


def test_a_restart_makes_no_row_twice(desk: Desk) -> None:
    for number in range(4):
        desk.writer.add(noise(number))
    before = desk.rows()
    desk.follower = Follower(desk.writer.path, Path("run_1/run_NDTiffStack.tif"), Places())
    desk.writer.add(noise(4))
    desk.writer.close()
    after = desk.rows()
    assert [row.uri for row in after[:4]] == [row.uri for row in before]
    assert len(after) == 5
    assert {row.generation for row in after} == {0}
    assert replace(after[0], check_at=None) == replace(before[0], check_at=None)
