"""Live mode over the bridge: the real pycromanager client, and a server that hangs, dies and comes back."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from semdaemon.formats import read_frames
from semdaemon.journal import Journal
from semdaemon.settings import Limits, MicroManager
from semdaemon.settings import Spool as SpoolSettings
from semdaemon.sources.micromanager import MicroManagerSource
from semdaemon.sources.spool import Spool
from semdaemon.sources.unsaved import UnsavedFrame

pytest.importorskip("pycromanager", reason="needs the extra 'micromanager'")

CONNECTED_S = 40.0  # a child imports pycromanager on a machine that others use
BACK_S = 5.0
needs_stopping = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no SIGSTOP on this platform")


class Watched(Spool):
    """The spool, with the time at which each image came."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.images: list[tuple[int, float]] = []

    def take(self, source: str, frame: UnsavedFrame) -> bool:
        self.images.append((int(str(frame.metadata["ImageNumber"])), time.monotonic()))
        return super().take(source, frame)

    @property
    def numbers(self) -> list[int]:
        return [number for number, _ in self.images]


class Server:
    """The stand-in in a process of its own."""

    def __init__(self, port: int, *options: str) -> None:
        script = str(Path(__file__).with_name("mm_server.py"))
        self.process = subprocess.Popen(
            [sys.executable, script, "--port", str(port), *options], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert json.loads(self.process.stdout.readline()) == {"ready": True}

    def end(self) -> str:
        """Kill it; returns what it complained about."""
        stdout = self.process.stdout
        assert stdout is not None
        if not stdout.closed:
            self.process.kill()
            self.said = stdout.read()
            self.process.wait(10)
            stdout.close()
        return self.said


class Bench:
    """A source with its spool and journal, and the server that it watches."""

    def __init__(self, home: Path) -> None:
        self.home = home
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.journal = Journal(home / "journal.sqlite3")
        self.spool = Watched(SpoolSettings(), home / "spool", self.journal)
        self.spool.start()
        self.source: MicroManagerSource | None = None
        self.servers: list[Server] = []

    def server(self, *options: str) -> Server:
        self.servers.append(Server(self.port, *options))
        return self.servers[-1]

    def watch(self, **settings: Any) -> MicroManagerSource:
        chosen = MicroManager(enabled=True, port=self.port, **settings)
        self.source = MicroManagerSource(chosen, Limits(), self.spool)
        self.source.start(self.journal.see)
        return self.source

    def until(self, done: Callable[[], Any], timeout_s: float = CONNECTED_S) -> None:
        deadline = time.monotonic() + timeout_s
        while not done():
            about = None if self.source is None else self.source.health()
            assert time.monotonic() < deadline, f"{about}, {len(self.spool.images)} images"
            time.sleep(0.01)

    def until_images(self, more: int, timeout_s: float = CONNECTED_S) -> None:
        wanted = len(self.spool.images) + more
        self.until(lambda: len(self.spool.images) >= wanted, timeout_s)

    def stop(self) -> float:
        """Seconds that it took."""
        began = time.monotonic()
        if self.source is not None:
            self.source.stop()
        self.spool.stop()
        return time.monotonic() - began


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    took_s = made.stop()
    complaints = [server.end() for server in made.servers]
    made.journal.close()
    assert took_s < 2.0
    assert "forbidden" not in "".join(complaints)


def seen_once(numbers: list[int], allowed_to_miss: float) -> None:
    assert len(set(numbers)) == len(numbers), "an image was told twice"
    assert numbers == sorted(numbers)
    expected = numbers[-1] - numbers[0] + 1
    assert len(numbers) >= (1 - allowed_to_miss) * expected, f"{len(numbers)} of {expected} images"


def test_every_new_image_is_seen_once_with_its_tags(bench: Bench) -> None:
    bench.server("--fps", "20", "--size", "256")
    source = bench.watch()
    bench.until_images(50)
    seen_once(bench.spool.numbers, allowed_to_miss=0.3)  # none on a quiet machine: see the slow test
    assert source.health().ok
    bench.until(lambda: source.health().counters["taken"] >= 50)
    row = bench.journal.rows(newest_first=False, limit=1)[0]
    frame = read_frames(row.path, limits=Limits())[0]
    number = bench.spool.numbers[0]
    assert frame.shape == (256, 256)
    assert frame.pixels.dtype == "uint16"
    assert frame.pixels[0, 0] == number % 200
    assert frame.metadata["ImageNumber"] == str(number)
    assert frame.pixel_size_m == (1e-6, 1e-6)
    assert frame.acquired_at is not None


@pytest.mark.slow
def test_at_20_large_frames_a_second_none_is_missed(bench: Bench) -> None:
    bench.server("--fps", "20", "--size", "1024")
    source = bench.watch()
    bench.until_images(600, 120)
    seen_once(bench.spool.numbers, allowed_to_miss=0.0)
    assert source.health().counters["missed"] == 0


def test_what_lies_in_the_buffer_from_before_is_nobodys_news(bench: Bench) -> None:
    bench.server("--images", "1")
    source = bench.watch()
    bench.until(lambda: source.health().ok)
    time.sleep(0.6)
    assert bench.spool.images == []
    assert "live mode is off" in source.health().detail


def test_an_empty_buffer_is_no_fault(bench: Bench) -> None:
    bench.server("--images", "0")
    source = bench.watch()
    bench.until(lambda: source.health().ok)
    time.sleep(1.0)
    assert source.health().counters["restarts"] == 0


@needs_stopping
def test_frames_come_again_after_it_hung_and_after_it_was_killed_and_restarted(bench: Bench) -> None:
    server = bench.server()
    source = bench.watch()
    bench.until_images(5)

    server.process.send_signal(signal.SIGSTOP)
    bench.until(lambda: not source.health().ok, 20)
    assert "hangs" in source.health().detail or "no answer" in source.health().detail
    before = time.monotonic()
    source.wake()
    source.health()
    assert time.monotonic() - before < 0.1
    time.sleep(1.0)
    server.process.send_signal(signal.SIGCONT)
    back_at = time.monotonic()
    bench.until_images(3, 20)
    thawed_s = time.monotonic() - back_at
    assert thawed_s < 2 * BACK_S  # within BACK_S on a quiet machine

    server.end()
    bench.until(lambda: "Micro-Manager is closed" in source.health().detail, 30)
    time.sleep(1.0)
    bench.server()
    back_at = time.monotonic()
    bench.until_images(3, 20)
    restarted_s = time.monotonic() - back_at
    assert restarted_s < 2 * BACK_S
    assert source.health().counters["restarts"] >= 2
    print(f"three images again {thawed_s:.2f} s after it thawed, {restarted_s:.2f} s after it restarted")  # noqa: T201


def test_a_quick_restart_is_noticed_too(bench: Bench) -> None:
    server = bench.server()
    bench.watch()
    bench.until_images(3)
    server.end()
    bench.server()
    back_at = time.monotonic()
    bench.until_images(3, 20)
    assert time.monotonic() - back_at < 2 * BACK_S


def test_it_waits_for_a_micro_manager_that_is_not_there_and_takes_it_when_it_comes(bench: Bench) -> None:
    source = bench.watch()
    bench.until(lambda: "nothing listens" in source.health().detail)
    assert not source.health().ok
    bench.server()
    came_at = time.monotonic()
    bench.until_images(1)
    assert time.monotonic() - came_at < BACK_S


def test_a_port_that_something_else_holds_is_said(bench: Bench) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", bench.port))
        holder.listen()
        source = bench.watch()
        bench.until(lambda: "another program has the port" in source.health().detail)
        assert not source.health().ok


def test_colour_is_refused_clearly(bench: Bench) -> None:
    bench.server("--pixel-type", "RGB32")
    source = bench.watch()
    bench.until(lambda: source.health().counters["refused"] > 2)
    assert not source.health().ok
    assert "8bit or 16bit" in source.health().detail
    assert bench.spool.images == []


def test_versions_that_do_not_belong_together_are_said(bench: Bench) -> None:
    bench.server("--version", "4.0.0")
    source = bench.watch()
    bench.until(lambda: source.health().ok)
    assert "4.0.0" in source.health().detail
    assert "update" in source.health().detail


def test_a_worn_child_is_replaced_without_an_image_told_twice(bench: Bench) -> None:
    bench.server("--fps", "20")
    source = bench.watch(recycle_polls=60)
    bench.until(lambda: source.health().counters["recycled"] >= 1, 60)
    bench.until_images(5)
    seen_once(bench.spool.numbers, allowed_to_miss=0.5)
    assert source.health().counters["restarts"] == 0


def test_fewer_images_are_taken_where_fewer_are_wanted(bench: Bench) -> None:
    bench.server("--fps", "20")
    source = bench.watch(interval_s=1.0)
    bench.until_images(3)
    numbers = bench.spool.numbers
    assert all(after - before >= 19 for before, after in pairwise(numbers))
    assert source.health().ok
    assert source.health().counters["restarts"] == 0


@needs_stopping
def test_it_stops_at_once_while_micro_manager_hangs(bench: Bench) -> None:
    server = bench.server()
    bench.watch()
    bench.until_images(3)
    server.process.send_signal(signal.SIGSTOP)
    time.sleep(0.5)
    took_s = bench.stop()
    print(f"the source ended in {took_s:.2f} s")  # noqa: T201
    assert took_s < 2.0


@needs_stopping
def test_the_daemon_scores_live_mode_and_leaves_at_once_while_it_hangs(
    bench: Bench, tmp_path: Path, daemon: Callable[..., Any]
) -> None:
    server = bench.server("--fps", "2")
    (tmp_path / "acquisition").mkdir()
    running = daemon(
        tmp_path / "acquisition",
        refocus={"enabled": False},
        micromanager={"enabled": True, "port": bench.port},
    )
    running.wait_final(3)
    assert {row.source for row in running.rows()} == {"micromanager"}
    assert running.counts()["failed"] == 0
    server.process.send_signal(signal.SIGSTOP)
    time.sleep(0.5)
    children = psutil.Process(running.process.pid).children(recursive=True)
    began = time.monotonic()
    assert running.stop() == 0
    took_s = time.monotonic() - began
    print(f"the daemon ended in {took_s:.2f} s")  # noqa: T201
    assert took_s < 4.0  # 2 s on a quiet machine
    assert not psutil.wait_procs(children, timeout=5)[1], "a child outlived the daemon"


@needs_stopping
def test_the_child_dies_with_a_daemon_that_is_killed(
    bench: Bench, tmp_path: Path, daemon: Callable[..., Any]
) -> None:
    server = bench.server("--fps", "2")
    (tmp_path / "acquisition").mkdir()
    running = daemon(
        tmp_path / "acquisition",
        refocus={"enabled": False},
        micromanager={"enabled": True, "port": bench.port},
    )
    running.wait_for(lambda counts: sum(counts.values()) > 0, 60)
    server.process.send_signal(signal.SIGSTOP)
    children = psutil.Process(running.process.pid).children(recursive=True)
    assert children
    running.kill()
    assert not psutil.wait_procs(children, timeout=10)[1]


def demo_camera() -> dict[str, Any]:
    adapters = pytest.importorskip("mm_test_adapters").device_adapter_path()
    return {
        "python_backend": True,
        "adapter_path": str(adapters),
        "config_file": str(Path(adapters) / "MMConfig_demo.cfg"),
        "exposure_ms": 50.0,
    }


def test_a_camera_of_its_own_without_the_window(bench: Bench) -> None:
    source = bench.watch(**demo_camera())
    bench.until_images(10)
    assert source.health().ok
    row = bench.journal.rows(limit=1)[0]
    frame = read_frames(row.path, limits=Limits())[0]
    assert frame.shape == (512, 512)
    assert frame.pixel_size_m == (1e-6, 1e-6)
    assert source.health().counters["refused"] == 0


def test_a_configuration_that_is_not_there_is_said(bench: Bench) -> None:
    source = bench.watch(**{**demo_camera(), "config_file": "/no/such.cfg"})
    bench.until(lambda: "/no/such.cfg" in source.health().detail)
    assert not source.health().ok


def test_the_command_line_takes_the_port(bench: Bench, tmp_path: Path) -> None:
    bench.server("--fps", "2")
    settings = tmp_path / "semdaemon.toml"
    settings.write_text(
        '[publish]\nendpoint = ""\n[page]\nenabled = false\n[pushed]\nendpoint = ""\n'
        "[refocus]\nenabled = false\n"
    )
    state = tmp_path / "state"
    command = [sys.executable, "-m", "semdaemon", "run", "-c", str(settings), "--state", str(state)]
    with subprocess.Popen(
        [*command, "--micromanager", str(bench.port), "--output", str(tmp_path / "output")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:  # fmt: skip
        try:
            bench.until(lambda: list(state.glob("spool/micromanager/*.tif")), 90)
        finally:
            process.terminate()
            process.wait(30)
