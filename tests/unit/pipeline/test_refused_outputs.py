"""Outputs that cannot be saved: one frame alone fails and the queue goes on; a place is waited for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.pipeline.night import Night


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    made = Night(tmp_path)
    yield made
    made.journal.close()


def test_a_path_that_one_frame_alone_cannot_have_fails_that_frame_and_the_queue_goes_on(night: Night) -> None:
    night.out.mkdir()
    (night.out / "day").write_text("a file")
    good = [night.scored("a.tif"), night.scored("b.tif")]
    bad = night.scored("day/c.tif")
    good.append(night.scored("d.tif"))
    night.turns()
    assert night.outcome(bad) == ("failed", "output_path_refused")
    assert [night.outcome(key) for key in good] == [("published", "refocused")] * 3
    assert night.worker.jobs == 4  # each frame was refocused once
    (fault,) = night.faults
    assert fault["code"] == "output_path_refused"
    assert fault["frame"]["uri"].endswith("/day/c.tif")
    assert night.pipeline.output_fault is None
    (night.out / "day").unlink()
    night.journal.requeue(bad)  # what the remedy says
    assert night.outcome(bad) == ("seen", "requeued")


def test_a_place_that_takes_nothing_is_waited_for_however_long(night: Night) -> None:
    night.out.write_text("a file")
    keys = [night.scored("a.tif"), night.scored("day/b.tif")]
    night.turns(200)
    assert [night.outcome(key) for key in keys] == [("scored", "")] * 2
    assert [fault["code"] for fault in night.faults] == ["output_unwritable"]
    assert night.worker.jobs == 1
    night.out.unlink()
    night.turns()
    assert [night.outcome(key) for key in keys] == [("published", "refocused")] * 2
    assert night.pipeline.output_fault is None


def test_a_fault_of_the_output_ends_where_the_frame_that_waited_for_it_vanishes(night: Night) -> None:
    night.out.write_text("a file")
    key = night.scored("a.tif")
    night.turns(3)
    assert night.pipeline.output_fault is not None
    (night.acquired / "a.tif").unlink()
    night.turns(3)
    assert night.pipeline.output_fault is not None  # it still takes nothing, whoever waits
    night.out.unlink()
    night.turns(5)
    assert night.outcome(key) == ("failed", "not_found")
    assert night.pipeline.output_fault is None
