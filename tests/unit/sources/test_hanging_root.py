"""A folder on a share that does not answer: told, whatever its thread was doing when it began to hang."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from semdaemon.settings import Folder
from semdaemon.sources import root as root_module
from semdaemon.sources.folder import FolderSource


def test_a_folder_that_hangs_at_its_first_question_is_not_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is there at all is asked every second, a scan is made every minute: the former hangs."""
    monkeypatch.setattr(root_module, "_HANGS_S", 0.2)
    answers, asked = threading.Event(), root_module._why_missing
    answers.set()

    def ask(path: Path) -> str:
        assert answers.wait(60)
        return asked(path)

    monkeypatch.setattr(root_module, "_why_missing", ask)
    source = FolderSource(Folder(folders=(tmp_path,)))
    source.start(lambda _: None)
    try:
        until(lambda: source.health().last_scan_at is not None)
        assert source.health().ok
        answers.clear()
        until(lambda: not source.health().ok)
        assert "has not come back" in source.health().detail
        answers.set()
        until(lambda: source.health().ok)
    finally:
        answers.set()
        source.stop()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
