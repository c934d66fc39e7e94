"""A journal with frames in every standing, and the page that shows it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from semdaemon.focus import FocusMap
from semdaemon.formats import read_frames
from semdaemon.formats.output import write_refocused
from semdaemon.journal import Journal
from semdaemon.page.app import create_app
from semdaemon.page.changes import Changes
from semdaemon.page.pictures import Pictures
from semdaemon.page.server import PageServer
from semdaemon.settings import Limits
from semdaemon.sources import Sighting

SHAPE = (256, 384)


@dataclass
class World:
    """A journal as a daemon would leave it, without the daemon."""

    folder: Path
    journal: Journal
    told: dict[str, Any] = field(default_factory=dict)
    changes: Changes = field(default_factory=Changes)

    def add(self, name: str) -> int:
        """A file is written and seen; its number."""
        path = self.folder / name
        seed = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)
        pixels = np.random.default_rng(seed).integers(20, 200, SHAPE).astype(np.uint8)
        tifffile.imwrite(path, pixels, resolution=(2e6, 2e6), resolutionunit="CENTIMETER")
        stat = path.stat()
        seen = Sighting("folder", path.as_uri(), path, Path(name), stat.st_size, stat.st_mtime_ns)
        self.journal.see([seen])
        self.changes.announce()
        return self.journal.rows(limit=1)[0].key

    def score(self, key: int, *, needs_refocus: bool = False, **told: Any) -> None:
        """It is read and gets a focus map with every verdict in it."""
        frame = self._frame(key)
        verdict = np.array([[0, 1, 2], [3, 1, 0]], np.uint8)
        sigma = np.array([[0.6, 3.5, 16], [np.nan, 2.2, 0.8]], np.float32)
        score = np.array([[0.97, 0.01, 0], [np.nan, 0.1, 0.9]], np.float32)
        focus = FocusMap(128, frame.image_area, sigma, sigma * 0.1, score, verdict, "test 1")
        self.journal.settle(key, frame, "fingerprint")
        summary = {"verdicts": focus.counts(), "median_sigma_px": focus.median_sigma_px(), **told}
        self.journal.scored(key, focus.to_bytes(), summary, needs_refocus, reason="sharp")
        self.changes.announce()

    def refocus(self, key: int) -> None:
        """The right half is made anew and saved."""
        self.score(key, needs_refocus=True)
        frame, row = self._frame(key), self.journal.row(key)
        mask = np.zeros(SHAPE, bool)
        mask[:, 192:] = True
        pixels = frame.pixels.copy()
        pixels[mask] = 255 - pixels[mask]
        output = self.folder / "output" / f"{key}.refocused.tif"
        weights = {"name": "light", "sha256": "ab" * 32}
        write_refocused(
            output,
            frame=frame,
            refocused=pixels,
            mask=mask,
            focus=FocusMap.from_bytes(row.focus_blob or b""),
            provenance={"weights": weights},
        )
        self.journal.refocused(key, output, {"weights": weights, "seconds": 1.5})
        self.journal.finish(key, "published", "refocused")
        self.changes.announce()

    def fail(self, key: int, message: str = "the file ends early") -> None:
        """It could not be read."""
        self.journal.finish(key, "failed", "truncated", message, "Copy it again.")
        self.changes.announce()

    def _frame(self, key: int) -> Any:
        return read_frames(self.journal.row(key).path, limits=Limits())[0]

    def status(self) -> dict[str, Any]:
        """As the daemon says it."""
        said = {
            "instrument": "sem",
            "frames": self.journal.counts(),
            "oldest_waiting_s": self.journal.oldest_waiting_s(),
            "worker": {"state": "ready", "device": "cpu", "restarts": 0},
            "sources": [{"name": "folder", "ok": True, "watching": "events", "roots": [str(self.folder)]}],
            "output": {"folder": str(self.folder / "output"), "fault": None},
            "threads_alive": True,
        }
        return {**said, **self.told}

    def app(self) -> Any:
        """The page's application over this journal."""
        pictures = Pictures(self.journal, Limits(), 2**24)
        return create_app(
            journal=self.journal,
            pictures=pictures.get,
            status=self.status,
            metrics=lambda: b"semdaemon_frames_seen_total 3\n",
            changed=self.changes,
        )


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An empty journal."""
    journal = Journal(tmp_path / "journal.sqlite3")
    yield World(tmp_path, journal)
    journal.close()


@pytest.fixture
def page(world: World) -> Iterator[PageServer]:
    """The page on a free port."""
    with PageServer(world.app(), port=0) as server:
        yield server
