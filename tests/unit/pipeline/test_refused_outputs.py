"""Outputs that cannot be saved: one frame alone fails and the queue goes on; a place is waited for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from semdaemon.advice import Follower
from semdaemon.fingerprint import networks_of
from semdaemon.focus import BLURRED, FocusMap, load_scorer
from semdaemon.formats import read_frames
from semdaemon.frame import Frame
from semdaemon.inforce import InForce, Live
from semdaemon.journal import Journal, find_journal
from semdaemon.metrics import Metrics
from semdaemon.outbound import Outbound
from semdaemon.outputs import Outputs
from semdaemon.pipeline import Journey, Pipeline, RecentFrames
from semdaemon.settings import Folder, Output, Settings
from semdaemon.sources import Sighting
from semdaemon.sources.reader import FileReader
from semdaemon.standing import StandingFault
from semdaemon.worker import WorkerAnswer

WEIGHTS = {"name": "light", "sha256": "0" * 64, "sigma_max_px": 4.0}


class QuickWorker:
    """Changes every pixel at once; what a network makes of them is tested elsewhere."""

    available, degraded = True, False
    jobs = 0

    def start(self) -> None:
        return

    def describe(self) -> dict[str, Any]:
        return {"state": "ready"}

    def refocus(self, frame: Frame, focus_blob: bytes) -> WorkerAnswer:
        self.jobs += 1
        return WorkerAnswer(
            frame.pixels ^ 1,
            np.ones(frame.shape, bool),
            [],
            (0.0, 1.0),
            WEIGHTS,
            "cpu",
            0.1,
            {"name": "whole"},
        )


class Steady:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Night:
    """A daemon's second half with an acquisition and an output folder, and a clock that is turned by hand."""

    def __init__(self, folder: Path) -> None:
        self.acquired, self.out = folder / "acquired", folder / "out"
        settings = Settings(folder=Folder(folders=(self.acquired,)), output=Output(folder=self.out))
        files, self.metrics, self.steady = FileReader(settings.folder, settings.limits), Metrics(), Steady()
        scorer, networks = load_scorer("f4n", settings.focus), networks_of(settings)
        self.in_force = InForce(settings, settings.focus, scorer, files, {}, networks)
        self.faults: list[dict[str, Any]] = []
        outbound = Outbound(settings.publish, self, [], self.metrics)
        self.journal = Journal(find_journal(folder / "state"))
        journey = Journey(Live(self.in_force), self.journal, outbound, self.metrics, RecentFrames())
        self.worker: Any = QuickWorker()
        self.pipeline = Pipeline(journey, Follower(), self.worker)
        assert self.pipeline.refocusing is not None
        self.pipeline.refocusing.outputs = Outputs(
            lambda error: outbound.part_fault(error, part="output"),
            StandingFault(clock=self.steady),
            lambda _: None,
        )

    def publish(self, event: str, header: dict[str, Any], *_: object) -> None:
        if event == "fault":
            self.faults.append(header)

    def scored(self, name: str) -> int:
        """A frame that was scored and waits to be refocused; its number."""
        path = self.acquired / name
        path.parent.mkdir(parents=True, exist_ok=True)
        seed = sum(map(ord, name))
        tifffile.imwrite(path, np.random.default_rng(seed).integers(0, 255, (128, 128), np.uint8))
        about = path.stat()
        self.journal.see(
            [Sighting("folder", path.as_uri(), path, Path(name), about.st_size, about.st_mtime_ns)]
        )
        (row,) = self.journal.rows(limit=1)
        (frame,) = read_frames(path, source="folder", limits=Settings().limits)
        one = np.ones((1, 1), np.float32)
        blurred = np.full((1, 1), BLURRED, np.uint8)
        map_ = FocusMap(128, frame.image_area, one, one, one, blurred, "test")
        self.journal.settle(row.key, frame, self.in_force.fingerprint)
        self.journal.scored(row.key, map_.to_bytes(), {}, needs_refocus=True)
        return row.key

    def turns(self, most: int = 40) -> None:
        """The refocusing thread's steps, and time that goes by where it has nothing to do."""
        for _ in range(most):
            if not self.pipeline.restore():
                self.steady.now += 31.0

    def outcome(self, key: int) -> tuple[str, str]:
        row = self.journal.row(key)
        return row.state, row.reason


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
    night.turns(3)
    assert night.pipeline.output_fault is not None
    (night.acquired / "a.tif").unlink()
    night.turns(3)
    assert night.pipeline.output_fault is not None  # it still takes nothing, whoever waits
    night.out.unlink()
    night.turns(5)
    assert night.outcome(key) == ("failed", "not_found")
    assert night.pipeline.output_fault is None
