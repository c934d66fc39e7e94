"""Damage that fuzzing found: told as a damaged journal, by whatever error SQLite shows it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from semdaemon.errors import SemdaemonError
from semdaemon.journal import Journal
from semdaemon.sources import Sighting

SEEN = Sighting("folder", "file:///a.tif", Path("/a.tif"), Path("a.tif"), 1, 1)


def _journal(folder: Path) -> Path:
    path = folder / "journal.sqlite3"
    with Journal(path) as journal:
        journal.see([SEEN])
    return path


def _ask(path: Path) -> None:
    with Journal(path, read_only=True) as journal:
        journal.counts()
        journal.rows()


def _asked(path: Path) -> str:
    with pytest.raises(SemdaemonError) as caught:
        _ask(path)
    return caught.value.code


@pytest.mark.parametrize("change", ["summary = 'no JSON'", "relative = x'00', summary = '{'"])
def test_a_row_that_no_journal_wrote_is_damage(tmp_path: Path, change: str) -> None:
    path = _journal(tmp_path)
    connection = sqlite3.connect(path)
    connection.execute(f"UPDATE frames SET {change}")  # noqa: S608 - our own words
    connection.commit()
    connection.close()
    assert _asked(path) == "journal_damaged"


@pytest.mark.parametrize(
    "quoted", [b"CREATE TABLE counts", b"CREATE TABLE frames", b"CREATE INDEX frames_open"]
)
def test_a_schema_that_is_no_text_is_damage(tmp_path: Path, quoted: bytes) -> None:
    path = _journal(tmp_path)
    raw = bytearray(path.read_bytes())
    at = raw.index(quoted)
    raw[at + 7 : at + len(quoted)] = b"\xff" * (len(quoted) - 7)
    path.write_bytes(bytes(raw))
    assert _asked(path) == "journal_damaged"


def test_a_claim_of_a_gigabyte_takes_no_memory(tmp_path: Path) -> None:
    path = _journal(tmp_path)
    with Journal(path) as journal, journal._database.write() as connection, pytest.raises(sqlite3.DataError):
        connection.execute("SELECT zeroblob(1000000000)").fetchone()
