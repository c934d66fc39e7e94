"""Scored frames whose folder is gone: they wait, and it is said what for."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
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
from semdaemon.pipeline.reach import Reach
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
    until(lambda: all(night.outcome(key)[0] == "published" for key in sound), night.pipeline.restore)
    until(lambda: night.pipeline.away != "", night.pipeline.restore)
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
    until(lambda: all(night.outcome(key)[0] == "published" for key in keys), night.pipeline.restore)
    assert night.pipeline.away == ""
    night.journal.close()


class Share:
    """Stands in for a disk that is asked, and hangs until it is let go; a real one is below."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._answers = folder, threading.Event()
        self.asked = 0

    def ask(self, folder: Path) -> None:
        if folder == self._folder:
            self.asked += 1
            assert self._answers.wait(60)

    def answer(self) -> None:
        self._answers.set()


def test_a_folder_that_hangs_holds_up_no_frame_of_another_one_to_be_refocused(tmp_path: Path) -> None:
    night, share = Night(tmp_path), Share(tmp_path / "share")
    assert night.pipeline.refocusing is not None
    night.pipeline.refocusing.reach = Reach(share.ask)
    sound = [night.scored(f"{n}.tif") for n in range(3)]
    hanging = [night.scored(f"new{n}.tif", tmp_path / "share") for n in range(3)]
    until(lambda: all(night.outcome(key)[0] == "published" for key in sound), night.pipeline.restore)
    until(lambda: night.pipeline.away != "", night.pipeline.restore)
    assert [night.outcome(key) for key in hanging] == [("scored", "")] * 3
    assert str(tmp_path / "share") in night.pipeline.away
    assert share.asked == 1  # one thread hangs, not one for each try
    share.answer()
    until(lambda: all(night.outcome(key)[0] == "published" for key in hanging), night.pipeline.restore)
    until(lambda: night.pipeline.away == "", night.pipeline.restore)
    night.journal.close()


def test_a_folder_that_hangs_holds_up_no_frame_of_another_one_to_be_scored(tmp_path: Path) -> None:
    night, share = Night(tmp_path), Share(tmp_path / "share")
    night.pipeline.scoring.reach = Reach(share.ask)
    sound = [night.seen(f"{n}.tif") for n in range(3)]
    hanging = [night.seen(f"new{n}.tif", tmp_path / "share") for n in range(3)]
    looks_until(night, lambda: all(night.outcome(key)[0] == "scored" for key in sound))
    assert [night.outcome(key)[0] for key in hanging] == ["seen"] * 3
    assert night.pipeline.silent == f"{tmp_path / 'share'} does not answer"
    assert night.pipeline.look_due_at() is None  # else its thread would turn without rest
    share.answer()
    looks_until(night, lambda: all(night.outcome(key)[0] == "scored" for key in hanging))
    assert night.pipeline.silent == ""
    night.journal.close()


def looks_until(night: Night, done: Callable[[], bool]) -> None:
    until(done, night.pipeline.look)


def until(done: Callable[[], bool], step: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline
        if not step():
            time.sleep(0.02)


@pytest.fixture
def hung(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """A mounted share with its server, which can be stopped."""
    store, point = tmp_path / "store", tmp_path / "share"
    store.mkdir()
    point.mkdir()
    uncached = ("-f", "-o", "attr_timeout=0,entry_timeout=0")
    server = subprocess.Popen(["bindfs", *uncached, str(store), str(point)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while not point.is_mount() and server.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    if not point.is_mount():
        server.kill()
        server.wait(10)
        pytest.skip("nothing can be mounted here")
    yield point, server
    server.send_signal(signal.SIGCONT)
    server.kill()
    server.wait(10)
    subprocess.run(["umount", "-l", str(point)], capture_output=True, check=False)


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or shutil.which("bindfs") is None,
    reason="a share of our own needs root on Linux, and bindfs",
)
def test_frames_of_a_sound_folder_are_scored_and_refocused_while_a_real_share_hangs(
    tmp_path: Path, hung: tuple[Path, subprocess.Popen[bytes]]
) -> None:
    point, server = hung
    night = Night(tmp_path)
    waiting = night.scored("waits.tif", point)
    sound = [night.seen("a.tif")]
    late = night.seen("late.tif", point)
    server.send_signal(signal.SIGSTOP)
    mended = threading.Timer(25.0, server.send_signal, (signal.SIGCONT,))
    mended.start()
    try:
        looks_until(night, lambda: night.outcome(sound[0])[0] == "scored")
        while night.outcome(sound[0])[0] == "scored":
            night.pipeline.restore()
        assert mended.is_alive()  # all that before the share answered again
        assert night.outcome(sound[0]) == ("published", "refocused")
        assert [night.outcome(key)[0] for key in (waiting, late)] == ["scored", "seen"]
    finally:
        mended.cancel()
        server.send_signal(signal.SIGCONT)
    looks_until(night, lambda: night.outcome(late)[0] == "scored")
    until(
        lambda: [night.outcome(key)[0] for key in (waiting, late)] == ["published"] * 2,
        night.pipeline.restore,
    )
    night.journal.close()
