"""The spool: frames from memory as files, bounded, delivered, and gone when their journey has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from semdaemon.errors import SemdaemonError
from semdaemon.formats import read_frames
from semdaemon.journal import Journal
from semdaemon.settings import Limits
from semdaemon.settings import Spool as SpoolSettings
from semdaemon.sources import Sighting
from semdaemon.sources.settle import Settled
from semdaemon.sources.spool import Spool, spooled_reader
from semdaemon.sources.unsaved import UnsavedFrame, checked_pixels, write_unsaved

Made = Callable[..., Spool]


def picture(seed: int = 0, side: int = 64) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4000, (side, side)).astype(np.uint16)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "state" / "journal.sqlite3") as opened:
        yield opened


@pytest.fixture
def spool(tmp_path: Path, journal: Journal) -> Iterator[Made]:
    made: list[Spool] = []

    def make(**settings: int) -> Spool:
        made.append(Spool(SpoolSettings(**settings), tmp_path / "state" / "spool", journal))
        made[-1].start()
        return made[-1]

    yield make
    for each in made:
        each.stop()


def end(journal: Journal, frames: int = 1000) -> None:
    """Finish waiting frames, oldest first, as the pipeline would."""
    for row in journal.rows(only=("seen", "held"), limit=frames, newest_first=False):
        journal.finish(row.key, "failed", "test")


def test_pixels_and_all_that_was_told_come_back_from_the_file(tmp_path: Path) -> None:
    taken_at = datetime(2026, 3, 1, 18, 0, 0, 250000, UTC)
    told = {"Camera": "µCam", "Exposure": "30.0", "Gain": 2, "PixelType": None}
    frame = UnsavedFrame(picture(), taken_at, (2.5e-9, 2e-9), "micromanager", told, ("odd",))
    path = tmp_path / "a.tif"
    write_unsaved(path, frame)
    read = read_frames(path, source="micromanager", limits=Limits())[0]
    assert (read.pixels == frame.pixels).all()
    assert read.pixels.dtype == np.uint16
    assert read.acquired_at == taken_at
    assert read.pixel_size_m == (2.5e-9, 2e-9)
    assert read.vendor == "micromanager"
    assert dict(read.metadata) == told
    assert "odd" in read.warnings
    assert [each.name for each in tmp_path.iterdir()] == ["a.tif"]


@pytest.mark.parametrize("kind", ["uint8", "uint32", "int16", "float32", ">u2"])
def test_every_pixel_type_comes_back_as_it_was(tmp_path: Path, kind: str) -> None:
    pixels = picture().astype(kind)
    write_unsaved(tmp_path / "a.tif", UnsavedFrame(pixels))
    read = read_frames(tmp_path / "a.tif", limits=Limits())[0]
    assert (read.pixels == pixels).all()
    assert read.pixels.dtype == np.dtype(kind).newbyteorder("=")
    assert (read.vendor, read.pixel_size_m) == (None, None)


def test_bytes_that_do_not_fit_their_shape_are_refused() -> None:
    with pytest.raises(SemdaemonError) as caught:
        checked_pixels(b"\0" * 100, (8, 8), np.dtype("uint16"))
    assert caught.value.code == "wrong_size"
    with pytest.raises(SemdaemonError) as caught:
        checked_pixels(b"\0" * 64 * 16, (8, 8), np.dtype("complex128"))
    assert caught.value.code == "unsupported_dtype"


def test_a_taken_frame_is_delivered_and_complete_at_once(spool: Made, journal: Journal) -> None:
    kept = spool()
    kept.attach("pushed", journal.see)
    assert kept.take("pushed", UnsavedFrame(picture()))
    row = journal.next_to_settle()
    assert row is not None
    assert row.source == "pushed"
    assert row.relative.parts[0] == "pushed"
    found = spooled_reader(Limits()).settle(row, row.seen_at, lambda: None)
    assert isinstance(found, Settled)
    assert (found.frames[0].pixels == picture()).all()


def test_the_same_picture_twice_is_two_frames(spool: Made, journal: Journal) -> None:
    kept = spool()
    kept.attach("pushed", journal.see)
    for _ in range(2):
        assert kept.take("pushed", UnsavedFrame(picture()))
    assert journal.counts()["seen"] == 2


def test_a_full_spool_drops_the_incoming_frame_and_counts_it(spool: Made, journal: Journal) -> None:
    kept = spool(max_bytes=3 * 10_000)
    kept.attach("pushed", journal.see)
    taken = [kept.take("pushed", UnsavedFrame(picture(seed))) for seed in range(5)]
    assert taken == [True, True, True, False, False]
    tally = kept.tally("pushed")
    assert (tally["taken"], tally["dropped"]) == (3, 2)
    assert "spool.max_bytes" in tally["fault"]
    assert journal.counts()["seen"] == 3
    end(journal, 1)
    kept.sweep()
    assert kept.take("pushed", UnsavedFrame(picture(9)))
    assert kept.tally("pushed")["fault"] == ""


def test_another_reason_to_drop_frames_is_told_too(spool: Made, journal: Journal, tmp_path: Path) -> None:
    """The spool was full, then its disk refused: with the first alone told nobody would look at the disk."""
    kept = spool(max_bytes=10_000)
    kept.attach("pushed", journal.see)
    with capture_logs() as logged:
        assert [kept.take("pushed", UnsavedFrame(picture(seed))) for seed in range(3)] == [True, False, False]
        end(journal)
        kept.sweep()
        folder = tmp_path / "state" / "spool" / "pushed"
        folder.rename(tmp_path / "aside")
        folder.write_text("a file")
        assert [kept.take("pushed", UnsavedFrame(picture(seed))) for seed in range(2)] == [False, False]
    told = [line["code"] for line in logged if line["event"] == "frames are dropped"]
    assert told == ["spool_full", "spool_unwritable"]


def test_finished_frames_go_but_for_the_newest(spool: Made, journal: Journal, tmp_path: Path) -> None:
    kept = spool(keep_bytes=2 * 10_000)
    kept.attach("pushed", journal.see)
    for seed in range(4):
        kept.take("pushed", UnsavedFrame(picture(seed)))
    files = sorted((tmp_path / "state" / "spool" / "pushed").iterdir())
    kept.sweep()
    assert all(file.exists() for file in files)  # they wait
    end(journal)
    kept.sweep()
    assert [file.exists() for file in files] == [False, False, True, True]


def test_nothing_finished_is_kept_where_nothing_may_be(spool: Made, journal: Journal, tmp_path: Path) -> None:
    kept = spool(keep_bytes=0)
    kept.attach("pushed", journal.see)
    kept.take("pushed", UnsavedFrame(picture()))
    end(journal)
    kept.sweep()
    assert not list((tmp_path / "state" / "spool" / "pushed").iterdir())
    assert kept.describe()["kept_bytes"] == 0


def test_what_an_earlier_run_left_is_delivered_again_and_cleared(
    spool: Made, journal: Journal, tmp_path: Path
) -> None:
    folder = tmp_path / "state" / "spool" / "pushed"
    folder.mkdir(parents=True)
    left = folder / "20260301T180000.000000Z-000000.tif"
    write_unsaved(left, UnsavedFrame(picture()))
    torn = folder / "20260301T180001.000000Z-000001.tif.part"
    torn.write_bytes(b"II*")
    kept = spool(keep_bytes=0)
    kept.attach("pushed", journal.see)
    assert not torn.exists()
    assert [row.path for row in journal.rows()] == [left]
    end(journal)
    kept.sweep()
    assert not left.exists()


def test_frames_that_the_journal_refuses_stay_due(spool: Made, journal: Journal) -> None:
    refusing = [True]

    def deliver(sightings: Sequence[Sighting]) -> None:
        if refusing[0]:
            raise SemdaemonError("journal_write", "the disk is full")
        journal.see(sightings)

    kept = spool()
    kept.attach("pushed", deliver)
    assert kept.take("pushed", UnsavedFrame(picture(0)))
    assert journal.counts()["seen"] == 0
    refusing[0] = False
    assert kept.take("pushed", UnsavedFrame(picture(1)))
    assert journal.counts()["seen"] == 2


def test_a_folder_that_cannot_be_written_costs_the_frame_not_the_source(
    spool: Made, journal: Journal, tmp_path: Path
) -> None:
    kept = spool()
    kept.attach("pushed", journal.see)
    (tmp_path / "state" / "spool").mkdir(exist_ok=True)
    blocked = tmp_path / "state" / "spool" / "pushed"
    blocked.write_text("a file where a folder should be")
    assert not kept.take("pushed", UnsavedFrame(picture()))
    assert "cannot be written" in kept.tally("pushed")["fault"]
    blocked.unlink()
    assert kept.take("pushed", UnsavedFrame(picture()))


def test_a_finished_frame_that_is_requeued_keeps_its_file(spool: Made, journal: Journal) -> None:
    kept = spool(keep_bytes=10_000)
    kept.attach("pushed", journal.see)
    kept.take("pushed", UnsavedFrame(picture(0)))
    end(journal)
    kept.sweep()
    first = journal.rows()[0]
    journal.requeue(first.key)
    kept.take("pushed", UnsavedFrame(picture(1)))
    for row in journal.rows(only="seen", newest_first=True, limit=1):
        journal.finish(row.key, "failed", "test")
    kept.sweep()
    assert first.path.exists()
