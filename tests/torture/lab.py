"""A daemon that is tortured: its folders, its process, and everything that was written for it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any

import psutil

from semdaemon.settings import toml_value

from .frames import SIDE_PX, FrameMaker, Written, sha256_of
from .poison import POISONS
from .recorder import Recorder

Sections = dict[str, dict[str, Any]]
FINAL = ("published", "failed", "skipped")
START_S = 90.0
_ORPHAN_S = 30.0

QUICK: Sections = {
    "daemon": {"drain_s": 5.0},
    "folder": {"settle_s": 0.05, "hold_s": 0.3, "give_up_s": 2.0, "rescan_s": 1.0, "poll_s": 0.3},
    "worker": {"device": "cpu", "threads": 1, "backoff_s": 0.1, "max_restarts": 1_000_000},
    "publish": {"preview": False, "heartbeat_s": 0.5, "subscriber_messages": 100_000},
    "page": {"port": 0},
    "pushed": {"endpoint": "tcp://127.0.0.1:*"},
}
"""Short waits, so that much fits into an hour; everything else is as shipped."""


class Lab:
    """Folders, one daemon at a time, and what was written. Removes everything at the end but what it judged.

    Parameters
    ----------
    sections
        Settings beside `QUICK`.
    roots
        Names of acquisition folders below the laboratory's own. Files are written into `store`, which is the
        first of them or what a scenario mounts there.
    environment
        For the daemon's process.
    pace
        Of the pauses between faults; the small version of a scenario does not wait for effect.
    side_px
        Of the frames.
    """

    def __init__(
        self,
        seed: int,
        sections: Sections | None = None,
        *,
        roots: tuple[str, ...] = ("acquisition",),
        environment: dict[str, str] | None = None,
        home: Path | None = None,
        pace: float = 1.0,
        side_px: int = SIDE_PX,
    ) -> None:
        self.rng, self.pace = Random(seed), pace
        self.home = Path(tempfile.mkdtemp(prefix="semdaemon-torture-", dir=home)).resolve()
        self.roots = [self.home / name for name in roots]
        self.output, self.state, self.log = (
            self.home / "output",
            self.home / "state",
            self.home / "daemon.log",
        )
        for folder in (*self.roots, self.output, self.state):
            folder.mkdir()
        self.refocuses = (sections or {}).get("refocus", {}).get("enabled", True)
        self.maker = FrameMaker(seed, side_px)
        self.written: dict[Path, Written] = {}
        self.did: Counter[str] = Counter()
        self.lost_by_hand: set[Path] = set()
        self.notes: list[str] = []
        self.remarks: list[str] = []
        self.figures: dict[str, float] = {}
        self.store = self.roots[0]
        self.process: subprocess.Popen[bytes] | None = None
        self._environment = {**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})}
        self._started_at, self._cleanups = 0, list[Callable[[], None]]()
        self._writing = threading.Lock()
        endpoint, control = (f"tcp://127.0.0.1:{port}" for port in _free_ports(2))
        self._config = self.home / "semdaemon.toml"
        self._config.write_text(_toml(self._settings(sections or {}, endpoint, control)), encoding="utf-8")
        self.recorder = Recorder(endpoint, control)

    def _settings(self, given: Sections, endpoint: str, control: str) -> Sections:
        own: Sections = {
            "folder": {"folders": [str(root) for root in self.roots]},
            "output": {"folder": str(self.output)},
            "daemon": {"state_dir": str(self.state)},
            "publish": {"endpoint": endpoint, "control": control},
        }
        names = {*QUICK, *own, *given}
        return {n: {**QUICK.get(n, {}), **own.get(n, {}), **given.get(n, {})} for n in sorted(names)}

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self.recorder.close()
        while self._cleanups:
            self._cleanups.pop()()
        shutil.rmtree(self.home, ignore_errors=True)

    def at_end(self, cleanup: Callable[[], None]) -> None:
        """Undo something when the laboratory closes; last in, first out."""
        self._cleanups.append(cleanup)

    # -- the daemon ----------------------------------------------------------------------------------------

    def start(self, *, wait: bool = True) -> None:
        """Start the daemon; with ``wait`` it takes frames in when this returns."""
        offset = self._started_at = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "semdaemon", "run", "-c", str(self._config)],
                stdout=log, stderr=log, env=self._environment, start_new_session=True,
            )  # fmt: skip
        self.did["starts of the daemon"] += 1
        if wait:
            self.wait_ready(offset)

    def wait_ready(self, offset: int = 0) -> None:
        """Until it says so."""
        self.until(lambda: '"daemon ready"' in self._said(offset) or not self.running, START_S, "ready")
        if not self.running:
            raise AssertionError(f"the daemon ended at once:\n{self._said(offset)[-3000:]}")

    def said_since_start(self, event: str) -> bool:
        """Whether the daemon that was started last has logged this event."""
        return f'"event": "{event}"' in self._said(self._started_at)

    @property
    def addresses(self) -> dict[str, str]:
        """What the daemon said when it was ready last."""
        ready = [line for line in self._said(0).splitlines() if '"daemon ready"' in line]
        return dict(json.loads(ready[-1])) if ready else {}

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def worker(self) -> psutil.Process | None:
        """The process that refocuses; None where none is up."""
        try:
            children = psutil.Process(self.process.pid).children() if self.process is not None else []
            return next((child for child in children if "spawn_main" in " ".join(child.cmdline())), None)
        except psutil.Error:
            return None

    def kill(self) -> None:
        """``kill -9``, and wait until the system has taken it away; its worker ends by itself."""
        if self.process is None:
            return
        children = psutil.Process(self.process.pid).children(recursive=True) if self.running else []
        self.process.kill()
        self.process.wait(10)
        self.process, began = None, time.monotonic()
        _, alive = psutil.wait_procs(children, timeout=_ORPHAN_S)
        took_s = round(time.monotonic() - began, 2)
        name = "longest that a process outlived its killed daemon, s"
        self.figures[name] = max(self.figures.get(name, 0.0), took_s)
        for child in alive:
            with contextlib.suppress(psutil.Error):
                self.notes.append(f"left behind for {_ORPHAN_S:g} s: {' '.join(child.cmdline())[-160:]}")
                child.kill()

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self, timeout_s: float = 60.0) -> int:
        """An orderly end; its exit status."""
        assert self.process is not None
        self.process.terminate()
        status = self.process.wait(timeout_s)
        self.process = None
        return status

    def rss_bytes(self) -> int:
        """Memory of the daemon itself, without its worker."""
        assert self.process is not None
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def pause(self, low_s: float, high_s: float) -> None:
        """Wait for a random time, so that the next fault meets the daemon at a random moment."""
        time.sleep(self.rng.uniform(low_s, high_s) * self.pace)

    # -- frames --------------------------------------------------------------------------------------------

    def write(self, kind: str = "", name: str = "") -> Written:
        """A new file, all at once or in two pieces.

        Parameters
        ----------
        kind
            ``sharp``, ``blurred``, a poison's name; empty is sharp or blurred at random.
        """
        with self._writing:
            kind = kind or self.rng.choice(("sharp", "sharp", "blurred"))
            good = self.maker.make(kind if kind in ("sharp", "blurred") else "sharp", self.rng)
            suffix, expected, data = ".tif", ("published",), good
            if kind in POISONS:
                suffix, expected, maker = POISONS[kind]
                data = maker(self.rng, good)
            file = name or f"f{len(self.written):07}{suffix}"
            made = Written(self.roots[0] / file, sha256_of(data), kind, expected)
            self.written[made.path] = made
            pause_s = 0.03 if self.rng.random() < 0.1 else 0.0
        path = self.store / file
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb", buffering=0) as out:
            out.write(data[: len(data) // 2])
            if pause_s:
                time.sleep(pause_s)
            out.write(data[len(data) // 2 :])
        return made

    def write_many(self, number: int, kind: str = "") -> list[Written]:
        return [self.write(kind) for _ in range(number)]

    # -- the journal, by plain SQL -------------------------------------------------------------------------

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Rows of the journal, read beside whatever runs."""
        path = self.state / "journal.sqlite3"
        if not path.exists():
            return []
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=10)
        connection.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in connection.execute(sql)]
        except sqlite3.OperationalError:
            return []  # not made yet, or its disk is full: asked again
        finally:
            connection.close()

    def states(self) -> Counter[str]:
        return Counter(
            {r["state"]: r["n"] for r in self.query("SELECT state, COUNT(*) n FROM frames GROUP BY state")}
        )

    def waiting(self) -> int:
        """Files written that have not come to an end, those without a row included."""
        final = self.query(
            "SELECT COUNT(*) n FROM frames WHERE page = 0 AND state IN ('published','failed','skipped')"
        )
        return len(self.written) - (final[0]["n"] if final else 0)

    def until(self, done: Callable[[], bool], timeout_s: float, what: str) -> bool:
        """Whether it came about in time; noted where it did not."""
        deadline = time.monotonic() + timeout_s
        while not done():
            if time.monotonic() > deadline:
                self.notes.append(f"waited {timeout_s:.0f} s in vain: {what}")
                return False
            time.sleep(0.05)
        return True

    def finish(self, timeout_s: float = 300.0) -> None:
        """Let it come to an end: a daemon that runs, every frame final, an orderly stop."""
        if not self.running:
            self.start()
        self.until(lambda: self.waiting() <= 0, timeout_s, f"every frame final, {self.waiting()} open")
        self.recorder.catch_up()
        time.sleep(0.2)  # the last messages reach the receivers
        self.figures["exit status of the last stop"] = self.stop()

    def requeue_innocent(self, timeout_s: float) -> int:
        """What an operator does about sound frames that were set aside: requeue them. How many those were."""
        innocent = {str(path) for path, written in self.written.items() if written.good}
        aside = [
            r
            for r in self.query("SELECT key, path, reason, detail FROM frames WHERE state = 'failed'")
            if r["path"] in innocent
        ]
        if not aside:
            return 0
        for reason, number in Counter(row["reason"] for row in aside).items():
            self.figures[f"set aside: {reason}"] = number
        self.remarks.append(f"set aside, e.g.: {aside[0]['detail'][-200:]}")
        self.start()
        keys = [str(row["key"]) for row in aside]
        command = [sys.executable, "-m", "semdaemon", "requeue", "-c", str(self._config), *keys]
        said = subprocess.run(command, check=False, capture_output=True, text=True)
        if said.returncode:
            self.notes.append(f"requeue: {said.stderr.strip()[-300:]}")
        self.finish(timeout_s)
        return len(aside)

    def _said(self, offset: int) -> str:
        if not self.log.exists():
            return ""
        with self.log.open("rb") as file:
            file.seek(offset)
            return file.read().decode(errors="replace")

    def log_counts(self) -> Counter[str]:
        """What nobody should ever read in the daemon's log; the first traceback is a remark."""
        text = self._said(0)
        if (at := text.find("Traceback (most recent")) >= 0:
            self.remarks.append(f"a traceback: {' / '.join(text[at : at + 3000].splitlines()[-3:])[-300:]}")
        return Counter(
            {
                "tracebacks": text.count("Traceback (most recent"),
                "unexpected": text.count('"code": "unexpected"'),
            }
        )


def resume(process: psutil.Process | None) -> None:
    """SIGCONT, whatever became of it."""
    if process is not None:
        try:
            process.send_signal(signal.SIGCONT)
        except psutil.Error:
            return


def _free_ports(number: int) -> list[int]:
    held = [socket.socket() for _ in range(number)]
    for each in held:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


def _toml(sections: Sections) -> str:
    lines: list[str] = []
    for name, values in sections.items():
        lines += [f"[{name}]", *(f"{key} = {toml_value(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"
