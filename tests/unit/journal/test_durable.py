"""What is on the disk, not only with the system, when a step returns: asked of the system itself."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_STEPS = """
import os, sys
from pathlib import Path
from semdaemon.journal import Journal, find_journal
from tests.unit.journal.test_journal import frame_of, seen_row
journal = Journal(find_journal(Path(sys.argv[1])))
def mark(name): os.write(2, f"<{name}>".encode())
first, second, third = (seen_row(journal, f"{n}.tif") for n in range(3))
journal.finish(third, "skipped")
for name, step in {
    "hold": lambda: journal.hold(first, "truncated", 0.0),
    "attempt": lambda: journal.attempt(first),
    "settle": lambda: journal.settle(first, frame_of("file:///a"), "s"),
    "scored": lambda: journal.scored(first, b"map", {}, needs_refocus=True),
    "refocused": lambda: journal.refocused(first, None, {}),
    "finish": lambda: journal.finish(first, "published"),
    "settle too": lambda: journal.settle(second, frame_of("file:///b"), "s"),
    "scored and published": lambda: journal.scored(second, b"map", {}, needs_refocus=False),
    "requeue": lambda: journal.requeue(first),
}.items():
    mark(name)
    step()
mark("end")
os._exit(0)
"""


@pytest.mark.skipif(sys.platform != "linux" or shutil.which("strace") is None, reason="needs strace")
def test_final_states_and_attempts_are_on_the_disk_before_they_return(tmp_path: Path) -> None:
    log = tmp_path / "calls"
    strace = ["strace", "-f", "-y", "-o", str(log), "-e", "trace=fsync,fdatasync,write"]
    done = subprocess.run(
        [*strace, sys.executable, "-c", _STEPS, str(tmp_path / "state")],
        capture_output=True, text=True, check=False,
        cwd=Path(__file__).parents[3],
    )  # fmt: skip
    if "ptrace" in done.stderr or not log.exists():
        pytest.skip("this machine does not let strace look")
    synced: dict[str, int] = {}
    step = ""
    for line in log.read_text().splitlines():
        if marked := re.search(r'write\(2<.*>, "<(.+)>"', line):
            step = marked[1]
            synced[step] = 0
        elif step and re.search(r"f(data)?sync\(.*journal\.sqlite3-wal", line):
            synced[step] += 1
    durable = {"attempt", "finish", "scored and published", "requeue"}
    assert {name for name, count in synced.items() if count} == durable, (synced, done.stderr)
