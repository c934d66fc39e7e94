"""A real daemon in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from semdaemon.journal import Journal, find_journal
from semdaemon.settings import toml_value

START_S = 60.0


class RunningDaemon:
    """``semdaemon run`` as a child process, on free ports."""

    def __init__(self, folder: Path, home: Path, sections: dict[str, dict[str, Any]]) -> None:
        self.home, self.folder = home, folder
        self.state, self.output = home / "state", home / "output"
        self.log = home / "daemon.log"
        self.config = home / "semdaemon.toml"
        home.mkdir(parents=True, exist_ok=True)
        defaults: dict[str, dict[str, Any]] = {
            "folder": {"folders": [str(folder)]},
            "output": {"folder": str(self.output)},
            "daemon": {"state_dir": str(self.state), "drain_s": 5.0},
            "publish": {"endpoint": "tcp://127.0.0.1:*", "control": "tcp://127.0.0.1:*"},
            "pushed": {"endpoint": "tcp://127.0.0.1:*"},
            "page": {"port": 0},
            "worker": {"device": "cpu", "threads": 1},
        }
        self.sections = {
            name: {**defaults.get(name, {}), **sections.get(name, {})} for name in {*defaults, *sections}
        }
        self.write_settings()
        self.environment: dict[str, str] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.addresses: dict[str, str] = {}

    def write_settings(self, **changed: dict[str, Any]) -> None:
        """The settings file anew, with these keys changed."""
        for name, values in changed.items():
            self.sections[name] = {**self.sections.get(name, {}), **values}
        lines = []
        for name, values in self.sections.items():
            lines += [f"[{name}]", *(f"{key} = {toml_value(value)}" for key, value in values.items())]
        self.config.write_text("\n".join(lines), encoding="utf-8")

    def status(self) -> dict[str, Any]:
        """What its page says of every part."""
        return dict(httpx.get(self.addresses["page"] + "api/status", timeout=10).json())

    def start(self) -> RunningDaemon:
        offset = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "semdaemon", "run", "-c", str(self.config)],
                stdout=log,
                stderr=log,
                env={**os.environ, "OMP_NUM_THREADS": "1", **self.environment},
            )
        self.addresses = self._ready(offset)
        return self

    def _ready(self, offset: int) -> dict[str, str]:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            text = self.log.read_bytes()[offset:].decode(errors="replace")
            for line in text.splitlines():
                if '"daemon ready"' in line:
                    return dict(json.loads(line))
            assert self.process is not None
            assert self.process.poll() is None, f"the daemon ended at once:\n{text}"
            time.sleep(0.05)
        raise AssertionError(f"the daemon was not ready after {START_S} s:\n{text}")

    def kill(self) -> None:
        """kill -9, as an operator, a power switch or the system's out-of-memory killer would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def stop(self, timeout_s: float = 60.0) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(timeout_s)

    def counts(self) -> dict[str, int]:
        with Journal(find_journal(self.state), read_only=True) as journal:
            return dict(journal.counts())

    def rows(self) -> list[Any]:
        with Journal(find_journal(self.state), read_only=True) as journal:
            return list(journal.rows(limit=None))

    def wait_for(self, done: Callable[[dict[str, int]], bool], timeout_s: float) -> dict[str, int]:
        deadline = time.monotonic() + timeout_s
        while True:
            counts = self.counts()
            if done(counts):
                return counts
            assert time.monotonic() < deadline, f"not done after {timeout_s} s: {counts}\n{self.tail()}"
            time.sleep(0.1)

    def wait_final(self, frames: int, timeout_s: float = 100.0) -> dict[str, int]:
        return self.wait_for(lambda c: c["published"] + c["failed"] + c["skipped"] >= frames, timeout_s)

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    def rss_bytes(self) -> int:
        assert self.process is not None
        return int(psutil.Process(self.process.pid).memory_info().rss)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Callable[..., RunningDaemon]]:
    """``daemon(folder, section={key: value})`` starts one; it is stopped at the end of the test."""
    started: list[RunningDaemon] = []

    def start(
        folder: Path, /, *, environment: dict[str, str] | None = None, **sections: dict[str, Any]
    ) -> RunningDaemon:
        made = RunningDaemon(folder, tmp_path / f"daemon{len(started)}", sections)
        made.environment = environment or {}
        started.append(made)
        return made.start()

    yield start
    for made in started:
        if made.process is not None and made.process.poll() is None:
            made.process.kill()
            made.process.wait(10)
