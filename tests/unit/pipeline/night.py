"""The second half of a daemon: real files, outputs and journal, and a worker that answers at once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
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
from semdaemon.settings import Folder, Output, Refocus, Settings
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

    newest_s = 1e9

    def __init__(self, folder: Path) -> None:
        self.acquired, self.out = folder / "acquired", folder / "out"
        watched = Folder(folders=(self.acquired,), settle_s=0.0, hold_s=0.0)
        # Everything is blurred enough: what is refocused is not what is tested here.
        everywhere = Refocus(everywhere=True)
        settings = Settings(folder=watched, output=Output(folder=self.out), refocus=everywhere)
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

    def seen(self, name: str, root: Path | None = None) -> int:
        """A frame that a source saw, newer than those before it; its number."""
        path = (root or self.acquired) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        seed = sum(map(ord, name))
        tifffile.imwrite(path, np.random.default_rng(seed).integers(0, 255, (128, 128), np.uint8))
        self.newest_s += 1
        os.utime(path, (self.newest_s, self.newest_s))
        about = path.stat()
        self.journal.see(
            [Sighting("folder", path.as_uri(), path, Path(name), about.st_size, about.st_mtime_ns)]
        )
        (row,) = self.journal.rows(limit=1)
        return row.key

    def scored(self, name: str, root: Path | None = None) -> int:
        """A frame that was scored and waits to be refocused, newer than those before it; its number."""
        row = self.journal.row(self.seen(name, root))
        (frame,) = read_frames(row.path, source="folder", limits=Settings().limits)
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
