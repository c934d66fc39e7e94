"""Scored frames whose folder is gone: they wait, and it is said what for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tifffile

from semdaemon.advice import Follower
from semdaemon.daemon.freespace import FreeSpace
from semdaemon.daemon.looking import REFOCUS, halves
from semdaemon.fingerprint import networks_of
from semdaemon.focus import BLURRED, FocusMap, load_scorer
from semdaemon.formats import read_frames
from semdaemon.inforce import InForce, Live
from semdaemon.journal import Journal, find_journal
from semdaemon.metrics import Metrics
from semdaemon.outbound import Outbound
from semdaemon.pipeline import Journey, Pipeline, RecentFrames
from semdaemon.settings import Folder, Settings
from semdaemon.sources import Sighting
from semdaemon.sources.reader import FileReader
from tests.unit.pipeline.night import Night


class IdleWorker:
    """Up, and given nothing to do: what it does with a frame is tested elsewhere."""

    available, degraded = True, False
    patience_s, quiet_s, signs = 60.0, None, 0

    def start(self) -> None:
        return

    def describe(self) -> dict[str, Any]:
        return {"state": "ready"}


def scored(journal: Journal, path: Path, fingerprint: str) -> None:
    about = path.stat()
    journal.see([Sighting("folder", path.as_uri(), path, Path(path.name), about.st_size, about.st_mtime_ns)])
    (frame,) = read_frames(path, source="folder", limits=Settings().limits)
    one = np.ones((1, 1), np.float32)
    map_ = FocusMap(128, frame.image_area, one, one, one, np.full((1, 1), BLURRED, np.uint8), "test")
    journal.settle(1, frame, fingerprint)
    journal.scored(1, map_.to_bytes(), {}, needs_refocus=True)


def excuse(pipeline: Pipeline, worker: Any) -> str:
    """What the watchdog is told of the refocusing half."""
    journey = pipeline.journey
    parts: Any = SimpleNamespace(
        live=journey.live,
        journal=journey.journal,
        pipeline=pipeline,
        worker=worker,
        sources=(),
        free_space=FreeSpace(),
    )
    thread: Any = SimpleNamespace(name=REFOCUS, failing="", still_for_s=0.0, advances=0)
    (half,) = halves(parts, [thread])
    assert half.waiting
    return half.excuse


def test_a_scored_frame_of_a_folder_that_nobody_watches_any_more_waits_with_an_excuse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No source is ill because of it; without an excuse the watchdog would restart the daemon for ever."""
    monkeypatch.setattr("semdaemon.pipeline.refocusing._PAUSE_S", 0.0)
    disk = tmp_path / "disk"
    disk.mkdir()
    path = disk / "a.tif"
    tifffile.imwrite(path, np.random.default_rng(1).integers(0, 255, (128, 128), np.uint8))
    settings = Settings(folder=Folder(folders=()))
    files, metrics = FileReader(settings.folder, settings.limits), Metrics()
    scorer, networks = load_scorer("f4n", settings.focus), networks_of(settings)
    in_force = InForce(settings, settings.focus, scorer, files, {}, networks)
    outbound = Outbound(settings.publish, None, [], metrics)
    with Journal(find_journal(tmp_path / "state")) as journal:
        scored(journal, path, in_force.fingerprint)
        journey = Journey(Live(in_force), journal, outbound, metrics, RecentFrames())
        worker: Any = IdleWorker()
        pipeline = Pipeline(journey, Follower(), worker)
        disk.rename(tmp_path / "unplugged")
        for _ in range(5):
            assert not pipeline.restore()
        assert str(disk) in pipeline.away
        assert excuse(pipeline, worker) == pipeline.away
        assert (journal.row(1).state, journal.row(1).attempts) == ("scored", 0)
        (tmp_path / "unplugged" / "a.tif").unlink()
        (tmp_path / "unplugged").rename(disk)
        assert pipeline.restore()
        assert pipeline.away == ""
        assert journal.row(1).reason == "not_found"


def test_a_folder_that_is_gone_holds_up_no_frame_of_another_one(tmp_path: Path) -> None:
    """Its frames were the newest and the oldest, so every turn of the queue was theirs, and then a pause."""
    night, share = Night(tmp_path), tmp_path / "acquired-too"  # a name that begins like the other one's
    gone = [night.scored("old.tif", share)]
    sound = [night.scored(f"{n}.tif") for n in range(5)]
    gone += [night.scored(f"new{n}.tif", share) for n in range(5)]
    share.rename(tmp_path / "unplugged")
    for _ in range(10):  # in less than the pause after a folder is found gone
        night.pipeline.restore()
    assert [night.outcome(key) for key in sound] == [("published", "refocused")] * 5
    assert [night.outcome(key) for key in gone] == [("scored", "")] * 6
    assert str(share) in night.pipeline.away
    night.journal.close()


def test_frames_of_a_folder_that_is_back_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semdaemon.pipeline.refocusing._PAUSE_S", 0.0)
    night = Night(tmp_path)
    keys = [night.scored(f"{n}.tif") for n in range(3)]
    night.acquired.rename(tmp_path / "unplugged")
    night.turns(5)
    assert night.pipeline.away
    (tmp_path / "unplugged").rename(night.acquired)
    night.turns(5)
    assert [night.outcome(key) for key in keys] == [("published", "refocused")] * 3
    assert night.pipeline.away == ""
    night.journal.close()
