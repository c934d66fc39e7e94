"""What the journal and a restart cost after 100,000 frames.

``python -m pytest tests/endurance -m soak -s`` prints the figures.
``SEMDAEMON_ENDURANCE_FRAMES`` sets another number, ``--basetemp`` another disk.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from semdaemon.frame import Area, Frame, frame_id
from semdaemon.journal import Journal, find_journal
from semdaemon.settings import Folder
from semdaemon.sources import FolderSource, Sighting
from semdaemon.sources.backlog import Memory
from semdaemon.sources.scan import Rules, walk

FRAMES = int(os.environ.get("SEMDAEMON_ENDURANCE_FRAMES", "100000"))
THOUSAND = 1000
FOCUS_MAP_BYTES = 4200  # of a frame of 2048 x 2048 with tiles of 128
MIB = 2**20

pytestmark = [pytest.mark.soak, pytest.mark.timeout(7200)]


@dataclass(frozen=True)
class Cost:
    """One thousand frames: median time of one by the clock and on the processor, memory at the end."""

    wall_ms: float
    processor_ms: float
    rss_mib: float


def tell(*lines: str) -> None:
    sys.stdout.write("\n".join(("", *lines)) + "\n")


def sighting(number: int) -> Sighting:
    path = Path(f"/acquired/run 2026/day {number // 1000:03}/frame_{number:06}.tif")
    return Sighting("folder", path.as_uri(), path, path.relative_to("/acquired"), 8 * MIB, number + 1)


def whole_journey(journal: Journal, number: int, pixels: np.ndarray[Any, Any]) -> None:
    """Every step that the daemon takes for a frame; every second one is refocused."""
    seen = sighting(number)
    journal.see([seen])
    row = journal.next_to_settle()
    assert row is not None
    journal.hold(row.key, "still_changing", 0.0)
    row = journal.next_to_settle()
    assert row is not None
    journal.attempt(row.key)
    content = f"{number:064x}"
    assert journal.duplicate_of(content, "settings1", 0) is None
    area = Area.whole(pixels.shape)
    journal.settle(
        row.key,
        Frame(frame_id(content, seen.uri), "folder", seen.uri, pixels, content, area, (2e-9, 2e-9)),
        "settings1",
    )
    refocus = number % 2 == 0
    focus_map = number.to_bytes(4, "big") * (FOCUS_MAP_BYTES // 4)
    journal.scored(row.key, focus_map, {"verdicts": {"sharp": 200, "blurred": 56}}, needs_refocus=refocus)
    if refocus:
        row = journal.next_to_refocus()
        assert row is not None
        journal.attempt(row.key)
        journal.refocused(row.key, Path(f"/output/{number}.refocused.tif"), {"seconds": 1.5})
        journal.finish(row.key, "published", "refocused")


def test_the_last_thousand_frames_cost_what_the_first_did(tmp_path: Path) -> None:
    pixels = np.zeros((64, 64), np.uint16)
    process, costs = psutil.Process(), list[Cost]()
    with Journal(find_journal(tmp_path)) as journal:
        for start in range(0, FRAMES, THOUSAND):
            wall, processor = [], []
            for number in range(start, start + THOUSAND):
                began, worked = time.perf_counter(), time.thread_time()
                whole_journey(journal, number, pixels)
                wall.append(time.perf_counter() - began)
                processor.append(time.thread_time() - worked)
            rss_mib = process.memory_info().rss / MIB
            costs.append(Cost(1e3 * statistics.median(wall), 1e3 * statistics.median(processor), rss_mib))
        assert journal.counts()["published"] == FRAMES
        journal.integrity_check()
    size_mib = find_journal(tmp_path).stat().st_size / MIB
    first, last = costs[0], costs[-1]
    told = [f"{cost.processor_ms:.2f}/{cost.wall_ms:.2f}" for cost in costs[::10]]
    tell(f"{FRAMES} frames, {size_mib:.0f} MiB", f"first thousand {first}", f"last thousand  {last}")
    tell(f"every tenth thousand, ms a frame (processor/clock): {', '.join(told)}")
    assert last.processor_ms < 1.2 * first.processor_ms
    assert last.rss_mib < costs[min(5, len(costs) - 1)].rss_mib + 20


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small real files in a hundred folders."""
    root = tmp_path_factory.mktemp("acquired")
    for number in range(FRAMES):
        folder = root / f"day {number // 1000:03}"
        if number % 1000 == 0:
            folder.mkdir()
        (folder / f"frame_{number:06}.tif").write_bytes(b"II*\0")
    return root


def scanned(root: Path, deliver: Callable[[list[Sighting]], object]) -> None:
    """The first scan of a start, as the folder source does it."""
    look = Memory("all").begin(time.time())
    waiting = iter(look.news(walk(str(root), Rules(Folder()))))
    while some := [found for found, _ in zip(waiting, range(500), strict=False)]:
        deliver([_seen(root, *found) for found in some])


def _seen(root: Path, relative: str, size_bytes: int, mtime_ns: int) -> Sighting:
    path = root / relative
    return Sighting("folder", path.as_uri(), path, Path(relative), size_bytes, mtime_ns)


def test_a_restart_finds_known_files_again_within_ten_seconds(tree: Path, tmp_path: Path) -> None:
    with Journal(find_journal(tmp_path)) as journal:
        began = time.monotonic()
        scanned(tree, journal.see)
        first_s = time.monotonic() - began
    began = time.monotonic()
    with Journal(find_journal(tmp_path)) as journal:
        journal.recover()
        opened_s = time.monotonic() - began
        new = 0

        def see(some: list[Sighting]) -> None:
            nonlocal new
            new += journal.see(some)

        began = time.monotonic()
        scanned(tree, see)
        again_s = time.monotonic() - began
    tell(f"{FRAMES} files: first scan {first_s:.1f} s, opened {opened_s:.1f} s, known again {again_s:.1f} s")
    assert new == 0
    assert opened_s + again_s < 10


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[tuple[Path, Journal]]:
    root = tmp_path / "acquired"
    root.mkdir()
    with Journal(find_journal(tmp_path / "state")) as journal:
        yield root, journal


def test_a_burst_of_sixty_thousand_files_stays_in_the_journal_not_in_memory(
    watched: tuple[Path, Journal],
) -> None:
    root, journal = watched
    process, most = psutil.Process(), 0
    source = FolderSource(Folder(folders=(root,)))
    source.start(lambda some: journal.see(some))
    before = process.memory_info().rss
    began, files = time.monotonic(), 60_000
    try:
        for number in range(files):
            if number % 500 == 0:
                folder = root / f"tile {number // 5000}" / f"{number // 500}"
                folder.mkdir(parents=True)
                most = max(most, process.memory_info().rss)
            (folder / f"{number}.tif").write_bytes(b"II*\0")
        written_s = time.monotonic() - began
        while sum(journal.counts().values()) < files:
            most = max(most, process.memory_info().rss)
            assert time.monotonic() - began < 300
            time.sleep(0.1)
        seen_s = time.monotonic() - began
    finally:
        source.stop()
    grown = (most - before) / MIB
    tell(f"{files} files in {written_s:.1f} s, all seen after {seen_s:.1f} s, grown by {grown:.0f} MiB")
    assert grown < 100
