"""Beside a service manager: what it is told and when, and how a stop ends within its bound."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
import tifffile

from semdaemon.simulate import scene

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux")

STUCK_SINK = """
import pathlib, time

class Sink:
    def scored(self, header, focus):
        pathlib.Path(__file__).with_name("stuck").touch()
        time.sleep(1000)

    def refocused(self, header, path): ...
    def failed(self, header, code, message): ...
    def close(self):
        time.sleep(1000)
"""


class ServiceManager:
    """The receiving end of systemd's notification socket."""

    def __init__(self) -> None:
        self.name = f"semdaemon-test-{os.getpid()}-{time.monotonic_ns()}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + self.name)
        self.told: list[str] = []

    def environment(self, watchdog_s: float) -> dict[str, str]:
        return {"NOTIFY_SOCKET": "@" + self.name, "WATCHDOG_USEC": str(int(watchdog_s * 1e6))}

    def listen(self, for_s: float) -> list[str]:
        """What comes in this time, line by line."""
        end, new = time.monotonic() + for_s, []
        while (left_s := end - time.monotonic()) > 0:
            self._socket.settimeout(left_s)
            try:
                new += self._socket.recv(65536).decode().splitlines()
            except TimeoutError:
                break
        self.told += new
        return new

    def wait_for(self, line: str, timeout_s: float = 20.0) -> list[str]:
        """Everything up to the datagram that has this line."""
        end, new = time.monotonic() + timeout_s, []
        while not any(each.startswith(line) for each in new):
            assert time.monotonic() < end, f"{line} did not come: {self.told[-20:]}"
            new += self.listen(0.05)
        return new

    def feeding(self, times: int) -> list[str]:
        """Everything until the watchdog was fed that often from now on."""
        self.listen(0.05)  # what was told before does not count
        return [line for _ in range(times) for line in self.wait_for("WATCHDOG=1")]

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager() -> Iterator[ServiceManager]:
    made = ServiceManager()
    yield made
    made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "acquired"
    made.mkdir()
    return made


def frame(side_px: int = 128, seed: int = 1) -> np.ndarray:
    unit = scene("particles", (side_px, side_px), seed, 10e-9)
    noise = np.random.default_rng(seed).normal(0, 4, unit.shape)
    return np.clip(unit * 200 + 20 + noise, 0, 255).astype(np.uint8)


def with_stuck_sink(tmp_path: Path) -> dict[str, str]:
    """An installed distribution whose sink never comes back."""
    site = tmp_path / "site"
    about = site / "stuck_sink-0.dist-info"
    about.mkdir(parents=True)
    (site / "stuck_sink.py").write_text(STUCK_SINK)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: stuck-sink\nVersion: 0\n")
    (about / "entry_points.txt").write_text("[semdaemon.sinks]\nstuck = stuck_sink:Sink\n")
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))}


def until(done: Callable[[], bool], what: str, timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.02)


def stopped(running: Any, *, by: int = signal.SIGTERM, again_after_s: float | None = None) -> float:
    """Seconds from the signal to the end; the exit code is 0 and no process is left."""
    children = psutil.Process(running.process.pid).children(recursive=True)
    began = time.monotonic()
    running.process.send_signal(by)
    if again_after_s is not None:
        time.sleep(again_after_s)
        running.process.send_signal(by)
    assert running.process.wait(60) == 0, running.tail()
    took_s = time.monotonic() - began
    until(lambda: not any(map(lives, children)), "the children's end", 5)
    return took_s


def lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def busy_worker(running: Any) -> psutil.Process:
    until(lambda: running.status()["worker"]["state"] == "busy", "a job in the worker")
    return psutil.Process(running.status()["worker"]["pid"])


def test_systemd_is_told_of_ready_alive_reloading_and_stopping(
    folder: Path, manager: ServiceManager, daemon: Callable[..., Any]
) -> None:
    running = daemon(folder, environment=manager.environment(1.0), refocus={"enabled": False})
    assert manager.wait_for("READY=1")[-1] == "READY=1"
    assert "STATUS=no frame yet" in manager.feeding(times=3)

    os.kill(running.process.pid, signal.SIGHUP)
    reloading = manager.wait_for("READY=1")
    at_us = int(next(line for line in reloading if line.startswith("MONOTONIC_USEC=")).partition("=")[2])
    assert reloading.index("RELOADING=1") < reloading.index("READY=1")
    assert 0 <= time.clock_gettime(time.CLOCK_MONOTONIC) - at_us / 1e6 < 20

    assert stopped(running) < 5
    assert "STOPPING=1" in manager.listen(0.1)


def test_a_stuck_sink_is_not_fed_and_a_stop_still_ends(
    folder: Path, tmp_path: Path, manager: ServiceManager, daemon: Callable[..., Any]
) -> None:
    environment = {**manager.environment(0.5), **with_stuck_sink(tmp_path)}
    running = daemon(
        folder,
        environment=environment,
        refocus={"enabled": False},
        daemon={"sinks": ["stuck"], "stall_s": 1.0, "drain_s": 1.0},
    )
    manager.wait_for("WATCHDOG=1")
    tifffile.imwrite(folder / "a.tif", frame())
    until((tmp_path / "site" / "stuck").exists, "the frame at the sink")
    manager.wait_for("STATUS=1 settled; thread score is at one step")
    assert "WATCHDOG=1" not in manager.listen(1.2)
    health = httpx.get(running.addresses["page"] + "healthz")
    assert health.status_code == 503
    assert "thread score is at one step" in health.json()["lacking"][0]
    # Two seconds for what was given up, half a second for the sink's own close.
    assert stopped(running, again_after_s=0.2) < 0.2 + 2 + 0.5 + 3


@pytest.mark.slow
def test_a_stop_with_a_stuck_sink_ends_within_drain_and_patience(
    folder: Path, tmp_path: Path, daemon: Callable[..., Any]
) -> None:
    off = {"refocus": {"enabled": False}, "daemon": {"sinks": ["stuck"], "drain_s": 1.0}}
    running = daemon(folder, environment=with_stuck_sink(tmp_path), **off)
    tifffile.imwrite(folder / "a.tif", frame())
    until((tmp_path / "site" / "stuck").exists, "the frame at the sink")
    # drain_s, two seconds for what was given up, five for the sink's own close.
    assert 1 + 2 + 5 <= stopped(running) < 1 + 2 + 5 + 4
    assert '"stuck": ["sinks"]' in running.log.read_text()


def test_a_share_that_is_gone_is_an_excuse_and_does_not_stop_the_feeding(
    folder: Path, manager: ServiceManager, daemon: Callable[..., Any]
) -> None:
    environment = manager.environment(0.5)
    running = daemon(
        folder,
        environment=environment,
        refocus={"enabled": False},
        daemon={"stall_s": 0.2},
        folder={"settle_s": 0.5, "rescan_s": 0.2},
    )
    tifffile.imwrite(folder / "a.tif", frame())
    running.wait_for(lambda counts: counts["seen"] + counts["held"] == 1, 20)
    folder.rename(folder.with_name("unmounted"))
    until(lambda: not running.status()["sources"][-2]["ok"], "the source's fault")
    manager.feeding(times=3)
    assert httpx.get(running.addresses["page"] + "healthz").status_code == 200
    assert httpx.get(running.addresses["page"] + "readyz").status_code == 503
    folder.with_name("unmounted").rename(folder)
    running.wait_final(1)
    assert running.counts()["published"] == 1


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_an_idle_worker_that_hangs_is_found_by_the_probe_and_replaced(
    folder: Path, manager: ServiceManager, daemon: Callable[..., Any]
) -> None:
    running = daemon(folder, environment=manager.environment(10.0), refocus={"everywhere": True})
    tifffile.imwrite(folder / "a.tif", frame())
    running.wait_final(1)
    worker = psutil.Process(running.status()["worker"]["pid"])
    worker.send_signal(signal.SIGSTOP)
    until(lambda: not lives(worker), "the hanging worker's end", 120)
    assert running.process.poll() is None
    tifffile.imwrite(folder / "b.tif", frame(seed=2))
    running.wait_final(2)
    assert running.counts()["published"] == 2


def test_a_job_in_the_worker_is_finished_while_it_drains(folder: Path, daemon: Callable[..., Any]) -> None:
    running = daemon(folder, refocus={"everywhere": True}, daemon={"drain_s": 60.0})
    tifffile.imwrite(folder / "a.tif", frame(512))
    busy_worker(running)
    stopped(running)
    assert running.counts()["published"] == 1
    assert len(list(running.output.rglob("*.refocused.tif"))) == 1


def test_a_worker_that_hangs_is_given_up_when_the_drain_ends_and_its_frame_waits(
    folder: Path, manager: ServiceManager, daemon: Callable[..., Any]
) -> None:
    environment = manager.environment(0.5)
    running = daemon(
        folder, environment=environment, refocus={"everywhere": True}, daemon={"drain_s": 1.0, "stall_s": 0.5}
    )
    tifffile.imwrite(folder / "a.tif", frame(768))
    busy_worker(running).send_signal(signal.SIGSTOP)
    # Within the time that a job may take the daemon is well: its worker's time-out is another matter.
    manager.feeding(times=4)
    assert 1.0 <= stopped(running) < 1.0 + 5.0
    assert running.counts()["scored"] == 1


@pytest.mark.slow
def test_a_second_signal_gives_a_hanging_worker_up_at_once(folder: Path, daemon: Callable[..., Any]) -> None:
    running = daemon(folder, refocus={"everywhere": True}, daemon={"drain_s": 100.0})
    tifffile.imwrite(folder / "a.tif", frame(768))
    busy_worker(running).send_signal(signal.SIGSTOP)
    assert stopped(running, by=signal.SIGINT, again_after_s=0.5) < 6.0
    assert running.counts()["scored"] == 1
