"""Outputs that cannot be saved: one frame alone fails and the queue goes on; a place is waited for."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from semdaemon.formats import output
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


def test_a_disk_that_fails_for_one_frame_while_it_takes_others_fails_that_frame(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad sector under its folder: what is answered sounds like a disk that fails altogether."""
    write = output.write_tiff

    def with_a_bad_sector(path: Path, *rest: Any) -> None:
        if "bad" in path.name:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        write(path, *rest)

    monkeypatch.setattr(output, "write_tiff", with_a_bad_sector)
    bad = night.scored("bad.tif")
    night.turns(40)
    assert night.outcome(bad) == ("scored", "")  # alone it says nothing of the disk but that it fails
    good = []
    for number in range(6):
        good.append(night.scored(f"{number}.tif"))
        night.turns(10)
    assert night.outcome(bad) == ("failed", "output_path_refused")
    assert [night.outcome(key) for key in good] == [("published", "refocused")] * 6
    assert night.pipeline.output_fault is None


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
    night.turns(20)
    assert night.pipeline.output_fault is not None
    (night.acquired / "a.tif").unlink()
    night.turns(20)
    assert night.pipeline.output_fault is not None  # it still takes nothing, whoever waits
    night.out.unlink()
    night.turns(20)
    assert night.outcome(key) == ("failed", "not_found")
    assert night.pipeline.output_fault is None
