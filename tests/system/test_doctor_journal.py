"""``semdaemon doctor`` and a damaged journal, as a person meets them; and a daemon that finds one.

``python -m pytest tests/system/test_doctor_journal.py -m slow``
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from semdaemon.journal import Journal, find_journal
from semdaemon.sources import Sighting

pytestmark = pytest.mark.slow

PAGE = 4096
FILES = 300


def semdaemon(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "semdaemon", *words], capture_output=True, text=True, check=False
    )


def filled(state: Path, root: Path) -> Path:
    """A journal of files that exist, half of them finished."""
    root.mkdir()
    pixels = np.random.default_rng(1).integers(0, 255, (64, 64), np.uint8)
    sightings = []
    for number in range(FILES):
        path = root / f"{number:04}.tif"
        tifffile.imwrite(path, pixels + np.uint8(number % 7))
        about = path.stat()
        sightings.append(
            Sighting("folder", path.as_uri(), path, Path(path.name), about.st_size, about.st_mtime_ns)
        )
    with Journal(find_journal(state)) as journal:
        journal.see(sightings)
        for row in journal.rows():
            journal.finish(row.key, "failed", "constant", "because " + "x" * 200)
    return find_journal(state)


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    start = len(content) // 3 // PAGE * PAGE
    content[start : start + 8 * PAGE] = os.urandom(8 * PAGE)
    path.write_bytes(content)


def test_doctor_finds_and_repairs_a_damaged_journal(tmp_path: Path) -> None:
    path = filled(tmp_path / "state", tmp_path / "acquired")
    whole = semdaemon("doctor", "--repair", "--state", str(path.parent))
    assert whole.returncode == 0
    assert "nothing to repair" in whole.stdout
    damage(path)
    listed = semdaemon("frames", "--state", str(path.parent), "--json")
    if listed.returncode:
        assert "doctor --repair" in listed.stderr
    done = semdaemon("doctor", "--repair", "--state", str(path.parent), "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert "damaged file is now" in told["detail"]
    (kept,) = path.parent.glob("journal.damaged-*.sqlite3")
    assert str(kept) in told["detail"]
    listed = semdaemon("frames", "--state", str(path.parent), "--json")
    assert 0 < len(listed.stdout.splitlines()) < FILES
    again = semdaemon("doctor", "--repair", "--state", str(path.parent))
    assert "nothing to repair" in again.stdout


def test_a_daemon_goes_on_with_what_is_left_of_its_journal(
    tmp_path: Path, daemon: Callable[..., Any]
) -> None:
    root = tmp_path / "acquired"
    path = filled(tmp_path / "daemon0" / "state", root)
    with Journal(path, read_only=True) as journal:
        before = {row.path for row in journal.rows()}
    damage(path)
    running = daemon(root, refocus={"enabled": False})
    counts = running.wait_final(FILES, 100)
    assert sum(counts.values()) == FILES  # every file has its row, and only one
    rows = running.rows()
    assert {row.path for row in rows} == before
    saved = [row for row in rows if row.reason == "constant"]
    assert len(saved) >= FILES // 3
    assert all(row.redelivered for row in rows if row not in saved)
    assert '"journal repaired"' in running.log.read_text()
    assert running.stop() == 0
