"""The journal: states, history, queue order, restart, one writer."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from semdaemon import mounts
from semdaemon.errors import SemdaemonError
from semdaemon.frame import Area, Frame, frame_id
from semdaemon.journal import Journal, find_journal, schema
from semdaemon.journal import database as journal_database


@dataclass(frozen=True)
class Seen:
    source: str
    uri: str
    path: Path
    relative: Path
    size_bytes: int
    mtime_ns: int
    settle_s: float = 0.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def sight(name: str = "a.tif", size_bytes: int = 10, mtime_ns: int = 5) -> Seen:
    path = Path("/acquired") / name
    return Seen("folder", path.as_uri(), path, Path(name), size_bytes, mtime_ns)


def frame_of(uri: str, content: str = "c0ffee", page: int = 0) -> Frame:
    pixels = np.zeros((40, 50), np.uint16)
    area, size_m = Area.whole(pixels.shape), (2e-9, 3e-9)
    return Frame(frame_id(content, uri), "folder", uri, pixels, content, area, size_m, page=page)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journal(tmp_path: Path, clock: Clock) -> Iterator[Journal]:
    with Journal(find_journal(tmp_path), clock=clock) as opened:
        yield opened


def seen_row(journal: Journal, name: str = "a.tif", mtime_ns: int = 5) -> int:
    journal.see([sight(name, mtime_ns=mtime_ns)])
    return journal.find(name)[0].key


def settled_row(journal: Journal, name: str = "a.tif", content: str = "c0ffee") -> int:
    key = seen_row(journal, name)
    journal.settle(key, frame_of(journal.row(key).uri, content), "settings1")
    return key


def published_row(journal: Journal, name: str = "a.tif") -> int:
    key = settled_row(journal, name)
    journal.scored(key, b"map", {"sharp": 1}, needs_refocus=False)
    return key


def code_of(raised: pytest.ExceptionInfo[SemdaemonError]) -> str:
    return raised.value.code


def test_whole_journey_is_kept_with_its_history(journal: Journal, clock: Clock) -> None:
    key = seen_row(journal)
    clock.now += 1
    journal.hold(key, "still_changing", clock.now + 0.3)
    clock.now += 1
    journal.settle(key, frame_of(journal.row(key).uri), "settings1")
    clock.now += 1
    journal.scored(key, b"\x00map", {"blurred": 3}, needs_refocus=True)
    clock.now += 1
    journal.refocused(key, Path("/out/a.refocused.tif"), {"psnr": 30.5})
    clock.now += 1
    journal.finish(key, "published", "refocused")
    row = journal.row(key)
    assert (row.state, row.reason, row.final) == ("published", "refocused", True)
    assert (row.shape, row.dtype, row.pixel_size_m) == ((40, 50), "uint16", (2e-9, 3e-9))
    assert row.focus_blob == b"\x00map"
    assert row.output == Path("/out/a.refocused.tif")
    assert row.summary == {"blurred": 3, "psnr": 30.5}
    assert (row.seen_at, row.settled_at, row.scored_at, row.refocused_at, row.finished_at) == (
        1000, 1002, 1003, 1004, 1005
    )  # fmt: skip
    states = [event.state for event in journal.history(key)]
    assert states == ["seen", "held", "settled", "scored", "refocused", "published"]
    assert journal.counts()["published"] == 1
    assert sum(journal.counts().values()) == 1


def test_scored_with_nothing_to_refocus_is_published_at_once(journal: Journal) -> None:
    row = journal.row(published_row(journal))
    assert (row.state, row.reason) == ("published", "nothing_to_refocus")
    assert [e.state for e in journal.history(row.key)] == ["seen", "settled", "scored", "published"]


def test_a_known_file_seen_again_changes_nothing(journal: Journal) -> None:
    assert journal.see([sight(), sight("b.tif")]) == 2
    assert journal.see([sight(), sight("b.tif")]) == 0
    assert len(journal.rows()) == 2


def test_a_file_that_grows_while_waited_for_stays_one_row(journal: Journal, clock: Clock) -> None:
    key = seen_row(journal)
    journal.attempt(key)
    journal.hold(key, "truncated", clock.now + 100)
    clock.now += 5
    assert journal.see([sight(size_bytes=20, mtime_ns=6)]) == 0
    row = journal.row(key)
    assert (row.size_bytes, row.mtime_ns, row.noticed_at, row.attempts) == (20, 6, clock.now, 0)
    assert journal.next_to_settle(clock.now) is not None


def test_a_file_overwritten_after_it_was_read_is_a_new_frame(journal: Journal) -> None:
    first = published_row(journal)
    assert journal.see([sight(size_bytes=99, mtime_ns=9)]) == 1
    second, kept = journal.find("a.tif")
    assert (second.generation, second.state, kept.key, kept.state) == (1, "seen", first, "published")
    assert journal.history(second.key)[0].reason == "changed_since"


def test_a_file_that_was_gone_and_is_back_goes_on(journal: Journal) -> None:
    key = seen_row(journal)
    journal.finish(key, "skipped", "vanished")
    assert journal.see([sight()]) == 0
    row = journal.row(key)
    assert (row.state, row.reason, row.finished_at) == ("seen", "came_back", None)
    journal.finish(key, "skipped", "duplicate_content")
    journal.see([sight()])
    assert journal.row(key).state == "skipped"


def test_holding_again_for_the_same_reason_does_not_fill_the_history(journal: Journal, clock: Clock) -> None:
    key = seen_row(journal)
    for _ in range(5):
        journal.hold(key, "still_changing", clock.now)
    assert [event.state for event in journal.history(key)] == ["seen", "held"]


def test_hold_notes_what_the_file_has_now(journal: Journal, clock: Clock) -> None:
    key = seen_row(journal)
    clock.now += 3
    journal.hold(key, "still_changing", clock.now, size_bytes=10, mtime_ns=5)
    assert journal.row(key).noticed_at == clock.now - 3
    journal.hold(key, "still_changing", clock.now, size_bytes=11, mtime_ns=6)
    row = journal.row(key)
    assert (row.size_bytes, row.mtime_ns, row.noticed_at) == (11, 6, clock.now)


@pytest.mark.parametrize("state", ["published", "failed", "skipped"])
def test_a_final_state_stays(journal: Journal, state: str) -> None:
    key = settled_row(journal)
    journal.finish(key, state, "because")  # type: ignore[arg-type]
    for change in (
        lambda: journal.finish(key, "published"),
        lambda: journal.hold(key, "x", 0),
        lambda: journal.scored(key, b"", {}, needs_refocus=True),
        lambda: journal.refocused(key, None, {}),
    ):
        with pytest.raises(SemdaemonError) as raised:
            change()
        assert code_of(raised) == "journal_transition"
    assert journal.row(key).state == state
    assert journal.row(key).focus_blob is None  # the refused change left nothing behind


def test_steps_cannot_be_left_out(journal: Journal) -> None:
    key = seen_row(journal)
    with pytest.raises(SemdaemonError) as raised:
        journal.refocused(key, None, {})
    assert code_of(raised) == "journal_transition"


def test_unknown_frame_and_state_are_named(journal: Journal) -> None:
    with pytest.raises(SemdaemonError) as raised:
        journal.row(77)
    assert code_of(raised) == "no_such_frame"
    with pytest.raises(SemdaemonError) as raised:
        journal.rows(only="lost")
    assert code_of(raised) == "no_such_state"


def test_newest_comes_first_but_the_oldest_does_not_starve(journal: Journal, clock: Clock) -> None:
    for number in range(20):
        seen_row(journal, f"{number:02}.tif", mtime_ns=number)
    taken = []
    for _ in range(8):
        row = journal.next_to_settle(clock.now)
        assert row is not None
        taken.append(row.mtime_ns)
        journal.finish(row.key, "skipped")
    assert taken == [19, 18, 17, 0, 16, 15, 14, 1]


def test_refocus_queue_is_fair_too_and_brings_the_map(journal: Journal) -> None:
    for number in range(5):
        key = seen_row(journal, f"{number}.tif", mtime_ns=number)
        journal.settle(key, frame_of(str(number)), "s")
        journal.scored(key, f"map{number}".encode(), {}, needs_refocus=True)
    blobs = []
    for _ in range(5):
        row = journal.next_to_refocus()
        assert row is not None
        blobs.append(row.focus_blob)
        journal.finish(row.key, "published")
    assert blobs == [b"map4", b"map3", b"map2", b"map0", b"map1"]
    assert journal.next_to_refocus() is None


def test_held_frames_wait_until_they_are_due(journal: Journal, clock: Clock) -> None:
    key = seen_row(journal)
    journal.hold(key, "still_changing", clock.now + 2)
    assert journal.next_to_settle() is None
    assert journal.next_check_at() == clock.now + 2
    clock.now += 2
    found = journal.next_to_settle()
    assert found is not None
    assert found.key == key


def test_attempts_count_what_never_came_to_an_end(journal: Journal, clock: Clock) -> None:
    key = seen_row(journal)
    assert [journal.attempt(key), journal.attempt(key)] == [1, 2]
    journal.hold(key, "truncated", clock.now)
    assert journal.attempt(key) == 1


def test_a_released_attempt_does_not_count(journal: Journal) -> None:
    key = seen_row(journal)
    journal.attempt(key)
    journal.release(key)
    assert journal.row(key).attempts == 0
    journal.release(key)
    assert journal.row(key).attempts == 0


def test_a_clock_that_was_set_back_does_not_hold_frames(journal: Journal, clock: Clock) -> None:
    key = seen_row(journal)
    journal.hold(key, "truncated", clock.now + 1)
    clock.now -= 86_400
    assert journal.next_to_settle() is not None


def test_same_content_under_another_name_is_found(journal: Journal) -> None:
    first = settled_row(journal, "a.tif", "same")
    second = seen_row(journal, "b.tif")
    found = journal.duplicate_of("same", "settings1", 0, key=second)
    assert found is not None
    assert found.key == first
    assert journal.duplicate_of("same", "settings1", 0, key=first) is None
    assert journal.duplicate_of("same", "other settings", 0, key=second) is None
    assert journal.duplicate_of("same", "settings1", 1, key=second) is None
    journal.finish(first, "failed", "worker_lost")
    assert journal.duplicate_of("same", "settings1", 0, key=second) is None


def test_pages_have_rows_of_their_own(journal: Journal) -> None:
    key = seen_row(journal)
    page = journal.add_page(key, 2)
    assert (page.page, page.uri, page.path) == (2, sight().uri + "#page=2", sight().path)
    assert journal.add_page(key, 2).key == page.key
    journal.settle(page.key, frame_of(page.uri, page=2), "s")
    assert journal.add_page(key, 2).state == "settled"


def test_requeue_starts_a_frame_again(journal: Journal) -> None:
    key = published_row(journal)
    again = journal.requeue(key)
    assert (again.state, again.attempts, again.requeues) == ("seen", 0, 1)
    assert (again.output, again.summary) == (None, {})
    assert again.finished_at is None
    assert journal.next_to_settle() is not None
    assert journal.history(key)[-1].reason == "requeued"
    assert journal.counts()["published"] == 0


def test_requeue_refuses_what_is_on_its_way_or_overwritten(journal: Journal) -> None:
    key = settled_row(journal)
    with pytest.raises(SemdaemonError) as raised:
        journal.requeue(key)
    assert code_of(raised) == "still_on_its_way"
    journal.finish(key, "skipped")
    journal.see([sight(size_bytes=11)])
    with pytest.raises(SemdaemonError) as raised:
        journal.requeue(key)
    assert code_of(raised) == "superseded"


def test_restart_takes_up_every_open_frame(tmp_path: Path, clock: Clock) -> None:
    with Journal(find_journal(tmp_path), clock=clock) as journal:
        held = seen_row(journal, "held.tif")
        journal.hold(held, "truncated", clock.now + 1e6)
        settled = settled_row(journal, "settled.tif")
        scored, refocused = settled_row(journal, "scored.tif"), settled_row(journal, "refocused.tif")
        for key in (scored, refocused):
            journal.scored(key, b"m", {}, needs_refocus=True)
        journal.refocused(refocused, Path("/out/x.tif"), {})
        done = published_row(journal, "done.tif")
    with Journal(find_journal(tmp_path), clock=clock) as journal:
        before = journal.recover()
        assert before == {"seen": 0, "held": 1, "settled": 1, "scored": 1, "refocused": 1}
        states = {row.key: row.state for row in journal.rows()}
        assert states == {
            held: "held", settled: "seen", scored: "scored", refocused: "scored", done: "published"
        }  # fmt: skip
        assert journal.row(settled).content_sha256 == ""
        assert journal.next_check_at() == clock.now


def test_find_takes_number_id_path_and_name(journal: Journal) -> None:
    key = settled_row(journal, "day 1/a.tif")
    row = journal.row(key)
    for text in (str(key), row.frame_id, row.frame_id[:6], row.uri, str(row.path), "day 1/a.tif", "a.tif"):
        assert [found.key for found in journal.find(text)] == [key], text
    assert journal.find("b.tif") == []
    assert journal.find(".tif") == []


@pytest.mark.skipif(os.name == "nt", reason="Windows names are text")
def test_a_name_that_is_no_text_is_kept(journal: Journal) -> None:
    path = Path(os.fsdecode(b"/acquired/caf\xe9.tif"))
    journal.see([replace(sight(), path=path, relative=Path(path.name), uri=path.as_uri())])
    assert journal.rows()[0].path == path
    assert [row.path for row in journal.find(str(path))] == [path]
    assert [row.path for row in journal.find(path.name)] == [path]
    journal.finish(1, "failed", "not_an_image", detail=f"{path} is no image")
    assert "caf" in journal.row(1).detail


def test_rows_can_be_had_page_by_page(journal: Journal) -> None:
    journal.see([sight(f"{number}.tif") for number in range(5)])
    assert [row.key for row in journal.rows(limit=2)] == [5, 4]
    assert [row.key for row in journal.rows(limit=2, beyond=4)] == [3, 2]
    assert [row.key for row in journal.rows("seen", newest_first=False, beyond=3)] == [4, 5]


def test_oldest_waiting_is_the_age_of_what_is_open(journal: Journal, clock: Clock) -> None:
    assert journal.oldest_waiting_s(clock.now) == 0.0
    key = seen_row(journal)
    clock.now += 12
    seen_row(journal, "b.tif")
    assert journal.oldest_waiting_s(clock.now) == 12
    journal.finish(key, "skipped")
    assert journal.oldest_waiting_s(clock.now) == 0


def test_a_second_daemon_is_refused_with_the_first_ones_pid(journal: Journal) -> None:
    with pytest.raises(SemdaemonError, match=str(os.getpid())) as raised:
        Journal(journal.path)
    assert code_of(raised) == "journal_locked"


def test_the_lock_is_free_after_close_and_close_may_come_twice(tmp_path: Path) -> None:
    for _ in range(2):
        journal = Journal(find_journal(tmp_path))
        journal.close()
        journal.close()
    with pytest.raises(SemdaemonError) as raised:
        journal.counts()
    assert code_of(raised) == "journal_closed"


def test_reader_and_guest_work_beside_the_daemon(journal: Journal, clock: Clock) -> None:
    key = published_row(journal)
    with Journal(journal.path, read_only=True) as reader:
        assert reader.row(key).state == "published"
        with pytest.raises(SemdaemonError) as raised:
            reader.requeue(key)
        assert code_of(raised) == "journal_read_only"
    with Journal(journal.path, beside=True, clock=clock) as guest:
        guest.requeue(key)
    found = journal.next_to_settle()
    assert found is not None
    assert found.key == key


def test_reading_a_journal_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(SemdaemonError) as raised:
        Journal(find_journal(tmp_path), read_only=True)
    assert code_of(raised) == "journal_missing"
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_journal_is_refused_and_left_alone(tmp_path: Path) -> None:
    find_journal(tmp_path).write_bytes(b"holiday pictures" * 500)
    with pytest.raises(SemdaemonError) as raised:
        Journal(find_journal(tmp_path))
    assert code_of(raised) == "journal_damaged"
    assert find_journal(tmp_path).read_bytes().startswith(b"holiday")


def test_integrity_check_passes_on_a_good_journal_and_not_on_a_damaged_one(tmp_path: Path) -> None:
    with Journal(find_journal(tmp_path)) as journal:
        for number in range(300):
            seen_row(journal, f"{number}.tif")
        journal.integrity_check()
    content = bytearray(find_journal(tmp_path).read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4096] = b"\xff" * 4096
    find_journal(tmp_path).write_bytes(content)
    with pytest.raises(SemdaemonError) as raised, Journal(find_journal(tmp_path), read_only=True) as journal:
        journal.integrity_check()
    assert code_of(raised) == "journal_damaged"


def test_a_journal_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    Journal(find_journal(tmp_path)).close()
    with sqlite3.connect(find_journal(tmp_path)) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    for options in ({}, {"read_only": True}):
        with pytest.raises(SemdaemonError) as raised:
            Journal(find_journal(tmp_path), **options)
        assert code_of(raised) == "journal_newer"


def test_a_state_folder_on_a_network_mount_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount = mounts.Mount("/share", "nfs4", remote=True)
    monkeypatch.setattr(journal_database, "mount_of", lambda path: mount)
    with pytest.raises(SemdaemonError, match="nfs4") as raised:
        Journal(find_journal(tmp_path))
    assert code_of(raised) == "state_on_network"


def test_a_full_disk_refuses_the_step_and_leaves_the_rest_as_it_was(journal: Journal) -> None:
    key = settled_row(journal)
    with journal._database.write() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(SemdaemonError) as raised:
        journal.scored(key, b"x" * 1_000_000, {}, needs_refocus=True)
    assert code_of(raised) == "journal_write"
    assert journal.row(key).state == "settled"
    with journal._database.write() as connection:
        connection.execute("PRAGMA max_page_count = 1000000")
    journal.scored(key, b"x" * 1_000_000, {}, needs_refocus=True)
    assert len(journal.row(key).focus_blob or b"") == 1_000_000


def test_a_journal_of_an_older_version_is_migrated_in_one_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal(find_journal(tmp_path)) as journal:
        published_row(journal)

    def fails(connection: sqlite3.Connection) -> None:
        connection.execute("ALTER TABLE frames ADD COLUMN colour TEXT")
        raise sqlite3.OperationalError("power cut")

    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    monkeypatch.setitem(schema._MIGRATIONS, schema.VERSION - 1, fails)
    with pytest.raises(SemdaemonError):
        Journal(find_journal(tmp_path))
    with pytest.raises(SemdaemonError) as raised:
        Journal(find_journal(tmp_path), read_only=True)
    assert code_of(raised) == "journal_older"
    seen_versions: list[int] = []
    monkeypatch.setitem(
        schema._MIGRATIONS, schema.VERSION - 1, lambda c: seen_versions.append(schema.version_of(c))
    )
    with Journal(find_journal(tmp_path)) as journal:
        assert journal.counts()["published"] == 1
    assert seen_versions == [schema.VERSION - 1]


def test_many_threads_lose_nothing(journal: Journal) -> None:
    def one(thread: int) -> None:
        for number in range(25):
            key = published_row(journal, f"{thread}-{number}.tif")
            assert journal.row(key).state == "published"

    threads = [threading.Thread(target=one, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert journal.counts()["published"] == 100


_VICTIM = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.unit.journal.test_journal import Journal, find_journal, seen_row
journal = Journal(find_journal(Path(sys.argv[1])))
for number in range(1_000_000):
    key = seen_row(journal, f"{number}.tif")
    journal.attempt(key)
    print(key, flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX; the journal's code is the same")
def test_kill_minus_nine_loses_nothing_and_frees_the_lock(tmp_path: Path) -> None:
    repository = Path(__file__).resolve().parents[3]
    victim = subprocess.Popen(
        [sys.executable, "-c", _VICTIM, str(tmp_path), str(repository)],
        stdout=subprocess.PIPE, cwd=repository, text=True,
    )  # fmt: skip
    assert victim.stdout is not None
    told = [int(victim.stdout.readline()) for _ in range(30)]
    time.sleep(0.02)
    victim.send_signal(signal.SIGKILL)
    told += [int(line) for line in victim.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    victim.wait()
    victim.stdout.close()
    with Journal(find_journal(tmp_path)) as journal:
        journal.integrity_check()
        known = {row.key: row.attempts for row in journal.rows()}
        assert all(known[key] == 1 for key in told)
        assert journal.recover()["seen"] == len(known)
