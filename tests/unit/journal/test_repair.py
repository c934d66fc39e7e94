"""Damaged journals: said clearly, repaired with everything that is left, the damaged file kept."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from semdaemon.errors import SemdaemonError
from semdaemon.journal import Journal, find_journal
from semdaemon.journal.repair import check, open_own_journal, repair
from semdaemon.journal.swap import finish_swap, salvaged_path
from tests.unit.journal.test_journal import Clock, frame_of, published_row, seen_row, sight

FRAMES = 400
PAGE = 4096


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal with history, closed in order."""
    folder = tmp_path_factory.mktemp("sound")
    with Journal(find_journal(folder), clock=Clock()) as journal:
        for number in range(FRAMES):
            key = seen_row(journal, f"day/{number:04}.tif", mtime_ns=number + 1)
            if number % 2:
                journal.settle(key, frame_of(journal.row(key).uri, f"{number:06x}"), "settings1")
                journal.scored(key, bytes(6000), {"number": number}, needs_refocus=False)
    return find_journal(folder)


@pytest.fixture
def path(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(sound, find_journal(tmp_path)))


def garbage_in_the_middle(path: Path) -> None:
    content = bytearray(path.read_bytes())
    start = len(content) // 2 // PAGE * PAGE
    content[start : start + 3 * PAGE] = os.urandom(3 * PAGE)
    path.write_bytes(content)


def cut_in_half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def first_page_gone(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(bytes(PAGE) + content[PAGE:])


def header_gone(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(b"#" * 16 + content[16:])


def index_wrong(path: Path) -> None:
    """The tables hold together, an index of theirs does not: queries would miss frames."""
    with sqlite3.connect(path) as connection:
        root = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'frames_by_path'"
        ).fetchone()[0]
    connection.close()
    content = bytearray(path.read_bytes())
    content[(root - 1) * PAGE : root * PAGE] = b"\xff" * PAGE
    path.write_bytes(content)


DAMAGES: dict[str, tuple[Callable[[Path], None], int]] = {
    "garbage_in_the_middle": (garbage_in_the_middle, FRAMES - 120),
    "cut_in_half": (cut_in_half, 1),
    "first_page_gone": (first_page_gone, FRAMES),
    "header_gone": (header_gone, FRAMES),
    "index_wrong": (index_wrong, FRAMES),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_and_what_is_left_is_saved(path: Path, damage: str) -> None:
    make, at_least = DAMAGES[damage]
    make(path)
    before = path.read_bytes()
    with pytest.raises(SemdaemonError) as raised:
        check(path)
    assert raised.value.code == "journal_damaged"
    assert "doctor --repair" in raised.value.remedy
    repaired = repair(path)
    assert repaired.kept.read_bytes() == before  # nothing of it is touched
    assert at_least <= repaired.frames <= FRAMES
    check(path)
    with Journal(path) as journal:
        rows = journal.rows()
        assert len(rows) == repaired.frames == sum(journal.counts().values())
        for row in rows:
            number = int(row.path.stem)
            assert (row.mtime_ns, row.state) == (number + 1, "published" if number % 2 else "seen")
            assert row.redelivered == (row.state == "seen")  # its end may be among what was lost
        saved = {row.path for row in rows}
        again = [sight(f"day/{number:04}.tif", mtime_ns=number + 1) for number in range(FRAMES)]
        assert journal.see(again) == FRAMES - len(saved)  # known ones stay known, lost ones come back
        assert all(row.redelivered for row in journal.rows() if row.path not in saved)


def test_a_daemon_repairs_its_journal_by_itself(path: Path) -> None:
    garbage_in_the_middle(path)
    (path.parent / "journal.owner.json").write_text("{}")  # its last owner was killed
    with pytest.raises(SemdaemonError) as raised:
        Journal(path)
    assert raised.value.code == "journal_damaged"
    with open_own_journal(path) as journal:
        assert sum(journal.counts().values()) > FRAMES // 2
    assert len(list(path.parent.glob("journal.damaged-*.sqlite3"))) == 1
    assert [each for each in path.parent.iterdir() if each.name.startswith("repair-")] == []


def test_a_foreign_file_is_never_moved_by_a_daemon_but_by_a_person(tmp_path: Path) -> None:
    path = find_journal(tmp_path)
    path.write_bytes(b"holiday pictures" * 500)
    with pytest.raises(SemdaemonError) as raised:
        open_own_journal(path)
    assert raised.value.code == "journal_damaged"
    repaired = repair(path)
    assert (repaired.frames, repaired.kept.read_bytes()) == (0, b"holiday pictures" * 500)
    with Journal(path) as journal:
        assert journal.rows() == []


def test_an_emptied_journal_starts_anew_and_doubts_what_is_older(path: Path) -> None:
    path.write_bytes(b"")
    with open_own_journal(path) as journal:
        journal.see([sight("old.tif"), sight("new.tif", mtime_ns=2**62)])
        assert [row.redelivered for row in journal.find("old.tif")] == [True]
        assert [row.redelivered for row in journal.find("new.tif")] == [False]


def test_a_first_page_of_zeros_is_repaired_by_the_daemon_too(path: Path) -> None:
    first_page_gone(path)
    with open_own_journal(path) as journal:
        assert sum(journal.counts().values()) == FRAMES


def test_what_a_killed_repair_left_is_cleared_away(path: Path) -> None:
    (path.parent / "repair-abc").mkdir()
    (path.parent / "repair-abc" / "copy-journal.sqlite3").write_bytes(b"half")
    with Journal(path):
        assert not (path.parent / "repair-abc").exists()


def test_a_journal_that_never_was_doubts_nothing(tmp_path: Path) -> None:
    with open_own_journal(find_journal(tmp_path)) as journal:
        journal.see([sight("old.tif")])
        assert not journal.rows()[0].redelivered


def test_a_log_that_is_missing_after_a_kill_is_noticed(path: Path) -> None:
    with Journal(path):
        shutil.copytree(path.parent, path.parent / "killed")  # as kill -9 would leave it
    killed = path.parent / "killed" / path.name
    assert (killed.parent / "journal.owner.json").exists()
    killed.with_name(killed.name + "-wal").unlink()
    with Journal(killed) as journal:
        journal.see([sight("lost.tif")])
        assert journal.find("lost.tif")[0].redelivered
        assert all(row.redelivered for row in journal.rows("seen"))
        assert not any(row.redelivered for row in journal.rows("published"))


def test_a_log_that_is_there_after_a_kill_loses_nothing(path: Path) -> None:
    with Journal(path) as journal:
        key = published_row(journal, "late.tif")
        shutil.copytree(path.parent, path.parent / "killed")
    with Journal(path.parent / "killed" / path.name) as journal:
        assert journal.row(key).state == "published"
        journal.see([sight("next.tif")])
        assert not journal.find("next.tif")[0].redelivered


def test_a_repair_beside_a_daemon_is_refused(path: Path) -> None:
    with Journal(path), pytest.raises(SemdaemonError) as raised:
        repair(path)
    assert raised.value.code == "journal_locked"


def test_a_journal_of_a_newer_version_is_not_repaired(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(SemdaemonError) as raised:
        repair(path)
    assert raised.value.code == "journal_newer"
    assert list(path.parent.glob("*damaged*")) == []


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_a_swap_that_was_interrupted_is_finished_at_the_next_start(path: Path, moved: int) -> None:
    """After each of its steps: before the log, the log gone, the journal gone."""
    salvaged = Path(shutil.copy(path, salvaged_path(path)))
    log = path.with_name(path.name + "-wal")
    log.write_bytes(b"belongs to the damaged one")
    garbage_in_the_middle(path)
    for each in (log, path)[:moved]:
        each.replace(path.with_name("kept " + each.name))
    with Journal(path) as journal:
        assert sum(journal.counts().values()) == FRAMES
    assert not salvaged.exists()
    assert not log.exists()


def test_without_a_repaired_journal_nothing_is_swapped(path: Path) -> None:
    assert finish_swap(path) is None
    assert path.exists()


def test_a_full_disk_stops_a_repair_and_leaves_everything(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    garbage_in_the_middle(path)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(SemdaemonError) as raised:
        repair(path)
    assert raised.value.code == "journal_unwritable"
    assert path.read_bytes() == before
