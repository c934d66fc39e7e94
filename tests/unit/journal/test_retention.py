"""What is forgotten, what never is, and that frames do not wait for it."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from semdaemon.clock import ClockWatch
from semdaemon.journal import Journal, find_journal
from semdaemon.retention import Retention, is_gone
from semdaemon.sources import Sighting
from tests.unit.journal.test_journal import Clock, frame_of

DAY_S = 86_400.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journal(tmp_path: Path, clock: Clock) -> Iterator[Journal]:
    with Journal(find_journal(tmp_path / "state"), clock=clock) as opened:
        yield opened


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "acquired"
    folder.mkdir()
    return folder


def sighting(root: Path, name: str) -> Sighting:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"frame")
    return Sighting("folder", path.as_uri(), path, Path(name), 5, 7)


def published(journal: Journal, root: Path, name: str) -> int:
    seen = sighting(root, name)
    journal.see([seen])
    key = journal.find(seen.uri)[0].key
    journal.settle(key, frame_of(seen.uri, name), "settings1")
    journal.scored(key, bytes(5000), {"sharp": 1}, needs_refocus=False)
    return key


def retention(journal: Journal, clock: Clock, keep_days: float = 30.0) -> Retention:
    return Retention(journal, lambda: keep_days, wall=clock)


def test_old_frames_lose_history_and_map_but_stay_known(journal: Journal, root: Path, clock: Clock) -> None:
    old = published(journal, root, "old.tif")
    clock.now += 40 * DAY_S
    new = published(journal, root, "new.tif")
    assert retention(journal, clock).sweep() == (1, 0)
    row = journal.row(old)
    assert (row.state, row.focus_blob, row.dropped_at) == ("published", None, clock.now)
    assert [event.reason for event in journal.history(old)] == ["history_dropped"]
    assert journal.see([sighting(root, "old.tif")]) == 0  # no new frame: its identity is kept
    assert journal.row(new).focus_blob is not None
    assert len(journal.history(new)) == 4
    assert retention(journal, clock).sweep() == (0, 0)


def test_frames_on_their_way_are_never_touched(journal: Journal, root: Path, clock: Clock) -> None:
    journal.see([sighting(root, "waiting.tif")])
    requeued = published(journal, root, "requeued.tif")
    clock.now += 400 * DAY_S
    journal.requeue(requeued)
    assert retention(journal, clock).sweep() == (0, 0)
    assert len(journal.history(requeued)) == 5


def test_a_frame_without_history_can_be_requeued(journal: Journal, root: Path, clock: Clock) -> None:
    key = published(journal, root, "a.tif")
    clock.now += 40 * DAY_S
    retention(journal, clock).sweep()
    again = journal.requeue(key)
    assert (again.state, again.dropped_at, again.redelivered) == ("seen", None, True)


def test_a_row_goes_only_with_its_file(journal: Journal, root: Path, clock: Clock) -> None:
    keys = [published(journal, root, name) for name in ("kept.tif", "day/gone.tif", "gone.tif")]
    clock.now += 40 * DAY_S
    shutil.rmtree(root / "day")
    (root / "gone.tif").unlink()
    newer = published(journal, root, "newer.tif")
    assert retention(journal, clock).sweep() == (3, 2)
    assert [row.key for row in journal.rows()] == [newer, keys[0]]
    assert journal.counts()["published"] == 2


def test_the_newest_row_stays_until_there_is_a_newer_one(journal: Journal, root: Path, clock: Clock) -> None:
    """Else a position in the journal could be given out twice, and a reader that goes by it miss a frame."""
    published(journal, root, "gone.tif")
    clock.now += 40 * DAY_S
    (root / "gone.tif").unlink()
    assert retention(journal, clock).sweep() == (1, 0)


def test_a_file_that_is_gone_lately_keeps_its_row(journal: Journal, root: Path, clock: Clock) -> None:
    key = published(journal, root, "a.tif")
    (root / "a.tif").unlink()
    clock.now += 10 * DAY_S
    assert retention(journal, clock).sweep() == (0, 0)
    assert journal.row(key).state == "published"


def test_an_unmounted_share_makes_nothing_gone(journal: Journal, root: Path, clock: Clock) -> None:
    published(journal, root, "day/a.tif")
    clock.now += 40 * DAY_S
    shutil.rmtree(root / "day")  # what is left is the empty folder on which the share was mounted
    assert retention(journal, clock).sweep() == (1, 0)
    root.rmdir()
    assert retention(journal, clock).sweep() == (0, 0)
    assert journal.counts()["published"] == 1


def test_nothing_is_forgotten_where_nothing_is_to_be(journal: Journal, root: Path, clock: Clock) -> None:
    published(journal, root, "a.tif")
    clock.now += 4000 * DAY_S
    assert retention(journal, clock, keep_days=0).sweep() == (0, 0)


def test_a_clock_that_jumped_a_year_ahead_makes_nothing_old(
    journal: Journal, root: Path, clock: Clock
) -> None:
    published(journal, root, "a.tif")
    steady = Clock()
    watch = ClockWatch(wall=clock, steady=steady)
    kept = Retention(journal, lambda: 30.0, wall=clock, clock=watch)
    clock.now += 365 * DAY_S
    assert kept.sweep() == (0, 0)
    steady.now += 365 * DAY_S  # it really passed
    assert kept.sweep() == (1, 0)


def test_space_is_given_back_bit_by_bit(journal: Journal, root: Path, clock: Clock) -> None:
    for number in range(120):
        published(journal, root, f"{number}.tif")
    with journal._database.write() as connection:
        before = connection.execute("PRAGMA page_count").fetchone()[0]
    clock.now += 40 * DAY_S
    assert retention(journal, clock).sweep() == (120, 0)
    with journal._database.write() as connection:
        after = connection.execute("PRAGMA page_count").fetchone()[0]
    assert after < before / 2
    journal.integrity_check()


def test_frames_do_not_wait_while_old_ones_are_dropped(journal: Journal, root: Path, clock: Clock) -> None:
    for number in range(200):
        published(journal, root, f"{number}.tif")
    clock.now += 40 * DAY_S
    sweeping = threading.Thread(target=retention(journal, clock).sweep)
    sweeping.start()
    waits = []
    while sweeping.is_alive():
        began = time.monotonic()
        journal.see([sighting(root, f"new {len(waits)}.tif")])
        waits.append(time.monotonic() - began)
        time.sleep(0.01)
    assert len(waits) > 10
    assert sorted(waits)[len(waits) // 2] < 0.1, sorted(waits)
    assert max(waits) < 2.0, sorted(waits)[-3:]  # a busy machine holds anybody up


def test_a_file_that_cannot_be_reached_is_not_gone(root: Path) -> None:
    class Hidden(type(root)):  # type: ignore[misc]
        def lstat(self) -> object:
            raise PermissionError(13, "Permission denied")

    from semdaemon.journal.keeping import Old

    assert not is_gone(Old(1, Hidden(root / "a.tif"), Path("a.tif")))
