"""What the worker's faults mean for a frame: counted on disk, excused where the worker was ill, told once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semdaemon.errors import SemdaemonError, WorkerError
from semdaemon.frame import Area, Frame
from semdaemon.journal import Journal, Row, find_journal
from semdaemon.metrics import Metrics
from semdaemon.pipeline.workerwatch import MOST_ILLNESSES, WorkerWatch
from semdaemon.sources import Sighting


@dataclass
class ScriptedWorker:
    """Stands in for the supervisor, whose own faults are tests/system/test_worker_faults.py."""

    starts: list[WorkerError | None] = field(default_factory=list)
    degraded: bool = False
    state: str = "ready"
    available: bool = True
    probes: int = 0
    code: str = "worker_died"

    def start(self) -> None:
        error = self.starts.pop(0) if self.starts else None
        if error is not None:
            raise error

    def probe(self) -> bool:
        self.probes += 1
        self.degraded, self.state = False, "ready"
        return True

    def describe(self) -> dict[str, Any]:
        return {"last_fault": f"it says {self.code}", "last_code": self.code, "state": self.state}


@dataclass
class Told:
    parts: list[tuple[str, str]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def part_fault(self, error: SemdaemonError, *, part: str) -> None:
        self.parts.append((part, error.code))
        self.said.append(error.message)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(find_journal(tmp_path)) as made:
        yield made


@pytest.fixture
def row(journal: Journal, tmp_path: Path) -> Row:
    path = tmp_path / "a.tif"
    journal.see([Sighting("folder", path.as_uri(), path, Path("a.tif"), 10, 10, 0.0)])
    found = journal.next_to_settle()
    assert found is not None
    frame = Frame("0" * 16, "folder", found.uri, np.zeros((8, 8), np.uint8), "0" * 64, Area(0, 0, 8, 8))
    journal.settle(found.key, frame, "f")
    journal.scored(found.key, b"", {}, True)
    return journal.row(found.key)


@pytest.fixture
def worker() -> ScriptedWorker:
    return ScriptedWorker()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def watch(worker: ScriptedWorker, journal: Journal, told: Told) -> WorkerWatch:
    return WorkerWatch(worker, journal, told, Metrics())  # type: ignore[arg-type]


def died() -> WorkerError:
    return WorkerError("worker_died", "The worker process ended (exit code -9).")


def lose(watch: WorkerWatch, row: Row, error: WorkerError) -> None:
    watch.journal.attempt(row.key)
    watch.lost(row, error)


def test_a_frame_over_which_two_workers_died_is_quarantined_with_what_happened(
    watch: WorkerWatch, row: Row
) -> None:
    for deaths in range(2):
        assert watch.verdict(row) is None, deaths
        lose(watch, row, died())
        assert watch.is_up()
    guilty = watch.verdict(row)
    assert guilty is not None
    assert guilty.code == "quarantined"
    assert "2 worker processes" in guilty.message
    assert "exit code -9" in guilty.message
    assert row.path.name in guilty.message
    assert guilty.remedy


def test_deaths_outlive_the_daemon_and_are_told_by_why(watch: WorkerWatch, row: Row, tmp_path: Path) -> None:
    lose(watch, row, died())
    watch.journal.close()
    with Journal(find_journal(tmp_path)) as again:
        again.recover()
        assert again.losses(row.key).counted == 1
        steps = [(event.state, event.reason, event.detail) for event in again.history(row.key)]
        assert steps[-1][:2] == ("scored", "worker_lost")
        assert steps[-1][2].startswith("worker_died: ")
        assert again.row(row.key).attempts == 1


def test_a_death_is_taken_back_where_the_fresh_worker_fails_its_probe(
    watch: WorkerWatch, row: Row, worker: ScriptedWorker
) -> None:
    for _ in range(3):
        lose(watch, row, died())
        worker.starts = [WorkerError("probe_failed", "The worker does not refocus the test picture.")]
        assert not watch.is_up()
    losses = watch.journal.losses(row.key)
    assert (losses.counted, losses.in_all) == (0, 3)
    assert watch.journal.row(row.key).attempts == 0
    assert watch.verdict(row) is None


def test_a_pause_and_a_stop_excuse_nothing(watch: WorkerWatch, row: Row, worker: ScriptedWorker) -> None:
    lose(watch, row, died())
    for code in ("worker_degraded", "worker_stopping"):
        worker.starts = [WorkerError(code, "not now")]
        assert not watch.is_up()
    assert watch.journal.losses(row.key).counted == 1


def test_a_sick_worker_counts_nothing_but_what_always_coincides_is_no_accident(
    watch: WorkerWatch, row: Row
) -> None:
    for _ in range(MOST_ILLNESSES):
        assert watch.verdict(row) is None
        lose(watch, row, WorkerError("worker_sick", "and the test picture fails too"))
        assert watch.journal.losses(row.key).counted == 0
        assert watch.journal.row(row.key).attempts == 0
    guilty = watch.verdict(row)
    assert guilty is not None
    assert guilty.code == "quarantined"


@pytest.mark.parametrize("code", ["worker_gone", "worker_stopping", "worker_degraded"])
def test_what_is_no_fault_of_the_frame_costs_it_no_attempt(watch: WorkerWatch, row: Row, code: str) -> None:
    for _ in range(5):
        lose(watch, row, WorkerError(code, "not now"))
    assert watch.journal.row(row.key).attempts == 0
    assert watch.journal.losses(row.key).in_all == 0


def test_no_memory_in_two_fresh_workers_is_told_as_that(watch: WorkerWatch, row: Row) -> None:
    for _ in range(2):
        assert watch.verdict(row) is None
        lose(watch, row, WorkerError("out_of_memory", "Memory is too small for this frame."))
        assert watch.is_up()
    guilty = watch.verdict(row)
    assert guilty is not None
    assert guilty.code == "out_of_memory"


def test_requeue_begins_anew(watch: WorkerWatch, row: Row) -> None:
    for _ in range(2):
        lose(watch, row, died())
    watch.journal.finish(row.key, "failed", "quarantined")
    watch.journal.requeue(row.key)
    assert watch.verdict(row) is None
    assert watch.journal.losses(row.key).in_all == 0


def test_degraded_is_told_once_and_once_that_it_is_over(
    watch: WorkerWatch, worker: ScriptedWorker, told: Told
) -> None:
    failure = WorkerError("weights_missing", "There are no weights.")
    worker.degraded, worker.state = True, "degraded"
    worker.starts = [failure] * 5
    for _ in range(5):
        assert not watch.is_up()
    assert told.parts == [("worker", "worker_degraded")]
    watch.come_back()  # nothing waits, and it works again
    assert told.parts == [("worker", "worker_degraded"), ("worker", "worker_recovered")]
    assert worker.probes == 1
    watch.come_back()
    assert worker.probes == 1


def test_another_problem_while_it_is_degraded_is_told_too_each_once(
    watch: WorkerWatch, worker: ScriptedWorker, told: Told
) -> None:
    """The driver was mended, and now the weights are gone: nobody would look for them."""
    worker.degraded, worker.state = True, "degraded"
    for worker.code in ("worker_died", "worker_died", "weights_missing", "worker_died", "weights_missing"):
        watch.tell()
    assert [code for _, code in told.parts] == ["worker_degraded"] * 2
    assert "worker_died" in told.said[0]
    assert "weights_missing" in told.said[1]
    worker.degraded = False
    watch.tell()
    watch.tell()
    assert [code for _, code in told.parts][2:] == ["worker_recovered"]
    worker.degraded = True
    watch.tell()
    assert [code for _, code in told.parts][3:] == ["worker_degraded"]  # a new time, told anew


def test_a_degraded_worker_in_its_pause_is_left_alone(watch: WorkerWatch, worker: ScriptedWorker) -> None:
    worker.degraded, worker.state, worker.available = True, "degraded", False
    watch.come_back()
    assert worker.probes == 0
