"""Log lines: the first of many same warnings are told, the rest summed up; frames are never left out."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from typing import Any

import pytest

from semdaemon.logs import Repeats


@pytest.fixture
def clock() -> list[float]:
    return [0.0]


@pytest.fixture
def told() -> list[logging.LogRecord]:
    return []


@pytest.fixture
def repeats(clock: list[float], told: list[logging.LogRecord]) -> Repeats:
    return Repeats(told.append, clock=lambda: clock[0])


def record(level: int = logging.ERROR, **said: Any) -> logging.LogRecord:
    return logging.makeLogRecord({"name": "semdaemon", "levelno": level, "msg": said})


def test_a_fault_that_stands_is_told_five_times_a_minute_and_then_counted(
    repeats: Repeats, clock: list[float], told: list[logging.LogRecord]
) -> None:
    passed = sum(repeats.filter(record(event="step failed", code="journal_write")) for _ in range(1000))
    assert (passed, told) == (5, [])
    clock[0] = 61.0
    assert repeats.filter(record(event="step failed", code="journal_write"))
    assert [each.msg["times"] for each in told] == [995]
    assert told[0].msg["of"] == "step failed"
    assert repeats.filter(told[0])  # the sum is told


def test_different_faults_do_not_hide_each_other(repeats: Repeats) -> None:
    for _ in range(20):
        repeats.filter(record(event="step failed", code="journal_write"))
    assert repeats.filter(record(event="step failed", code="unexpected"))
    assert repeats.filter(record(event="sink failed"))


def test_frames_and_what_is_no_warning_are_all_told(repeats: Repeats) -> None:
    for _ in range(100):
        assert repeats.filter(record(logging.WARNING, event="frame", state="failed"))
        assert repeats.filter(record(logging.INFO, event="worker ready"))


def test_ever_new_faults_take_no_memory_without_bound(repeats: Repeats) -> None:
    for number in range(5000):
        repeats.filter(record(event="odd", error=str(number)))
    assert len(repeats._tallies) <= 256


def test_the_sum_is_a_line_like_all_others() -> None:
    code = (
        "import structlog, semdaemon.logs as logs\n"
        "logs._WINDOW_S = 0.0\n"
        "logs._TOLD_FIRST = 0\n"
        "logs.configure_logging()\n"
        "for _ in range(2): structlog.get_logger('semdaemon').error('step failed', code='x')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["repeated"]
    assert {"of", "times", "level", "logger", "timestamp"} <= lines[0].keys()
    assert (lines[0]["of"], lines[0]["times"], lines[0]["logger"]) == ("step failed", 1, "semdaemon")


def test_the_pages_server_adds_no_lines_in_words_of_its_own_but_its_warnings() -> None:
    """``Started server process [4711]`` is no event with facts, and tells nothing: ``daemon ready`` does."""
    code = (
        "import logging; from starlette.applications import Starlette\n"
        "from semdaemon.logs import configure_logging; from semdaemon.page.server import PageServer\n"
        "configure_logging('debug')\n"
        "with PageServer(Starlette(), port=0): logging.getLogger('uvicorn.error').warning('odd request')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["event"], line["level"]) for line in lines if line["logger"].startswith("uvicorn")] == [
        ("odd request", "warning")
    ]
