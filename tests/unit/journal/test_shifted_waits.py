"""A clock that is set moves the waits that began before, and no others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from semdaemon.journal import Journal
from semdaemon.sources import Sighting


@dataclass
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def _see(journal: Journal, name: str) -> None:
    path = Path("/data") / name
    journal.see([Sighting("folder", path.as_uri(), path, Path(name), 1, 1, 0.5)])


@pytest.mark.parametrize("jump_s", [7200.0, 30.0, -30.0, -7200.0])
def test_only_what_was_noticed_before_the_jump_is_moved(tmp_path: Path, jump_s: float) -> None:
    clock = Clock()
    with Journal(tmp_path / "journal.sqlite3", clock=clock) as journal:
        _see(journal, "before.tif")
        clock.now += 2.0 + jump_s
        _see(journal, "after.tif")
        journal.shift_waits(jump_s)
        waited_s = {row.path.name: clock.now - row.noticed_at for row in journal.rows()}
        due_in_s = {row.path.name: (row.check_at or 0.0) - clock.now for row in journal.rows()}
    assert waited_s == pytest.approx({"before.tif": 2.0, "after.tif": 0.0})
    assert due_in_s == pytest.approx({"before.tif": -1.5, "after.tif": 0.5})


def test_no_file_can_be_noticed_between_the_look_at_the_clock_and_the_shift(tmp_path: Path) -> None:
    within_transaction: list[bool] = []
    with Journal(tmp_path / "journal.sqlite3", clock=lambda: 1.0) as journal:
        writer = journal._database._writer
        assert writer is not None

        def clock() -> float:
            within_transaction.append(writer.in_transaction)
            return 1.0

        journal._clock = clock
        journal.shift_waits(-3600.0)
    assert within_transaction
    assert all(within_transaction)
