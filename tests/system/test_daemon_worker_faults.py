"""Poison frames, exceptions and lack of memory in a running daemon: each frame ends once, with its reason."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from plugs import semdaemon_faulty_engine as faulty

from semdaemon.formats.verify import verify
from semdaemon.journal import Journal, find_journal
from semdaemon.refocus.weights import SHIPPED
from semdaemon.simulate import half_blurred, scene
from semdaemon.wire.client import Subscriber

PLUGS = Path(__file__).parent / "plugs"


def half_sharp(height: int = 256) -> np.ndarray:
    sample = scene("particles", (height, 256), 3, 10e-9)
    pixels, _, _ = half_blurred(sample, 5.0, 200.0, np.random.default_rng(height), 8)
    return np.asarray(pixels)


@pytest.fixture
def plugged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The faulty engine as an installed distribution, for the processes that this test starts."""
    site = tmp_path / "site"
    about = site / "semdaemon_faulty_engine-0.dist-info"
    about.mkdir(parents=True)
    shutil.copy(PLUGS / "semdaemon_faulty_engine.py", site)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: semdaemon-faulty-engine\nVersion: 0\n")
    target = "semdaemon_faulty_engine:FaultyEngine"
    (about / "entry_points.txt").write_text(f"[semdaemon.engines]\nfaulty = {target}\n")
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


def losses(running: Any, name: str) -> list[str]:
    with Journal(find_journal(running.state), read_only=True) as journal:
        found = journal.find(name)
        events = journal.history(found[0].key) if found else []
    return [event.detail for event in events if event.reason == "worker_lost"]


def wait_until(done: Callable[[], bool], timeout_s: float, what: str, running: Any) -> None:
    deadline = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline, f"{what}: not after {timeout_s} s\n{running.tail()}"
        time.sleep(0.05)


@pytest.mark.timeout(200)
@pytest.mark.usefixtures("plugged")
def test_a_frame_that_kills_two_workers_is_quarantined_though_the_daemon_was_killed_in_between(
    tmp_path: Path, daemon: Callable[..., Any]
) -> None:
    folder = tmp_path / "acquisition"
    folder.mkdir()
    running = daemon(folder, refocus={"engine": "faulty", "audit": False}, worker={"backoff_s": 1.5})
    tifffile.imwrite(folder / "dies.tif", half_sharp(faulty.DIES))
    wait_until(lambda: len(losses(running, "dies.tif")) == 1, 60, "the first death", running)
    running.kill()  # in the pause before the worker's next start
    for name, height in (
        ("raises", faulty.RAISES),
        ("no_memory", faulty.NO_MEMORY),
        ("smaller_tiles", faulty.SMALLER_TILES),
        ("good", 256),
    ):
        tifffile.imwrite(folder / f"{name}.tif", half_sharp(height))
    running.start()
    addresses = running.addresses
    told: dict[str, dict[str, dict[str, Any]]] = {"fault": {}, "frame": {}}
    with Subscriber(
        addresses["endpoint"], addresses["control"], topics=("sem/fault/", "sem/frame/"), timeout_s=60
    ) as subscriber:
        for message in subscriber:
            uri = (message.header.get("frame") or {}).get("uri", "")
            told[message.event][Path(uri).name] = dict(message.header)
            if len(told["fault"]) == 3 and len(told["frame"]) == 2:
                break
    running.wait_final(5)
    rows = {row.path.stem: row for row in running.rows()}
    assert {name: (row.state, row.reason) for name, row in rows.items()} == {
        "dies": ("failed", "quarantined"),
        "raises": ("failed", "worker_exception"),
        "no_memory": ("published", "out_of_memory"),
        "smaller_tiles": ("published", "refocused"),
        "good": ("published", "refocused"),
    }
    assert len(losses(running, "dies.tif")) == 2
    assert all("exit code 9" in detail for detail in losses(running, "dies.tif"))
    codes = {name: header["code"] for name, header in told["fault"].items()}
    assert codes == {
        "dies.tif": "quarantined",
        "raises.tif": "worker_exception",
        "no_memory.tif": "out_of_memory",
    }
    assert told["frame"]["good.tif"]["rung"]["name"] == "as_set"
    assert_stepped_down(running, told["frame"]["smaller_tiles.tif"], rows["smaller_tiles"])
    assert rows["no_memory"].output is None


def assert_stepped_down(running: Any, header: dict[str, Any], row: Any) -> None:
    rung = {"name": "smaller_tiles", "tile_px": 128, "device": "cpu"}
    assert header["rung"] == rung
    assert row.summary["rung"] == rung
    assert json.loads(row.output.with_suffix(".json").read_text(encoding="utf-8"))["rung"] == rung
    assert verify(row.output).ok
    log = running.log.read_text(encoding="utf-8")
    assert "tiles of 256 px" in log  # each step is told as it is taken


@pytest.mark.timeout(120)
def test_degraded_is_told_once_scoring_goes_on_and_it_recovers_by_itself(
    tmp_path: Path, daemon: Callable[..., Any]
) -> None:
    folder, weights = tmp_path / "acquisition", tmp_path / "mine.safetensors"
    folder.mkdir()
    running = daemon(folder, refocus={"weights": str(weights)}, worker={"backoff_s": 0.3})
    codes: list[str] = []
    with Subscriber(
        running.addresses["endpoint"], running.addresses["control"], topics=("sem/fault/",), timeout_s=60
    ) as subscriber:
        subscriber.ready()
        for number in range(3):
            tifffile.imwrite(folder / f"frame{number}.tif", half_sharp() // (number + 1))
        running.wait_for(lambda c: c["scored"] == 3, 30)
        starts = "worker failed"
        wait_until(lambda: running.log.read_text().count(starts) >= 2, 40, "a second attempt", running)
        assert "mine.safetensors" in running.log.read_text()
        assert running.counts()["scored"] == 3
        assert {row.attempts for row in running.rows()} == {0}
        shutil.copy(SHIPPED / "light.json", weights.with_suffix(".json"))
        shutil.copy(SHIPPED / "light.safetensors", weights)
        for message in subscriber:
            codes.append(message.header["code"])
            if codes[-1] == "worker_recovered":
                assert message.header["part"] == "worker"
                break
    assert codes == ["worker_degraded", "worker_recovered"]
    running.wait_for(lambda c: c["published"] == 3, 60)
