"""Measurements that are tests of their own: run here, and the lines that they print are kept."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from .results import REPOSITORY, Run, commit, conditions, now

_OWN_LINES = re.compile(
    r"^(=+ |[\w/]+\.py |platform |rootdir|configfile|plugins|timeout|collected|\.+ *\[|$|\.$"
    r"|\.?\d{4}-\d\d-\d\d \d\d:)"
)


@dataclass(frozen=True)
class Measured:
    """A test file that prints its figures.

    Attributes
    ----------
    arguments
        For pytest.
    """

    name: str
    title: str
    did: str
    not_shown: str
    arguments: tuple[str, ...]


MEASURED = {
    each.name: each
    for each in (
        Measured(
            "journal",
            "100,000 frames through the journal",
            "every step of 100,000 frames; a restart that finds 100,000 known files; 60,000 new files seen",
            "Frames with pixels: those are in the burst.",
            ("tests/endurance/test_journal_endurance.py", "-m", "soak"),
        ),
        Measured(
            "subscribers",
            "32 subscribers, 8 of them stuck",
            "32 subscribers in processes of their own: 8 never read, one comes late, one is cut off for 30 s",
            "A real network between them.",
            ("tests/system/test_wire_crowd.py", "-m", "slow"),
        ),
        Measured(
            "scanners",
            "A minute of four scanners",
            "four processes that send noise to every socket of a daemon for a minute",
            "Scanners that know the protocols by heart: fuzzing knows them.",
            ("tests/system/test_wire_noise.py", "-m", "slow"),
        ),
    )
}


def lacks(measured: Measured) -> str:
    """Why it cannot be run; empty where it can."""
    return "" if (REPOSITORY / measured.arguments[0]).is_file() else f"{measured.arguments[0]} is not there"


def measure(measured: Measured) -> Run:
    """Run the tests and keep what they print."""
    began_at, began = now(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-s", *measured.arguments, f"--junitxml={report}"]
        said = subprocess.run(
            command, cwd=REPOSITORY, capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )  # fmt: skip
        passed, failed = _counted(report)
    return Run(
        scenario=measured.name,
        title=measured.title,
        did=measured.did,
        not_shown=measured.not_shown,
        provoked={"tests passed": passed},
        figures={},
        lost=None,
        problems=[f"test failed: {name}" for name in failed] or ([] if passed else ["no test ran"]),
        seconds=round(time.monotonic() - began, 1),
        seed=0,
        command=f"{_where()}python -m pytest -s {' '.join(measured.arguments)}",
        commit=commit(),
        began_at=began_at,
        conditions=conditions(),
        told=_told(said.stdout),
    )


def _where() -> str:
    """The disk that was chosen for it, as part of the command."""
    return f"TMPDIR={os.environ['TMPDIR']} " if "TMPDIR" in os.environ else ""


def _counted(report: Path) -> tuple[int, list[str]]:
    if not report.is_file():
        return 0, []
    cases = list(ET.parse(report).iter("testcase"))  # noqa: S314 - written by pytest a moment ago
    failed = [
        str(case.get("name"))
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    ]
    skipped = [case for case in cases if case.find("skipped") is not None]
    return len(cases) - len(failed) - len(skipped), failed


def _told(output: str) -> list[str]:
    """The lines that are not pytest's."""
    end = re.split(r"\n=+ (?:FAILURES|ERRORS|short test summary)", output)[0]
    lines = (line.strip() for line in end.splitlines())
    lines = (
        line for line in lines if not re.fullmatch(r"\d+ (passed|failed|skipped).*|-+ generated xml.*", line)
    )
    return [line for line in lines if line and not _OWN_LINES.match(line)]
