"""A real daemon whose disks fill up, whose clock is set, and into whose folder odd names are put.

``python -m pytest tests/system/test_durability.py -m slow``
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from semdaemon.formats.verify import verify
from semdaemon.journal import Journal, find_journal
from semdaemon.simulate import half_blurred, scene

pytestmark = pytest.mark.slow

linux_root = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="mounting a small disk needs root on Linux"
)


def picture(seed: int) -> np.ndarray:
    pixels, _, _ = half_blurred(
        scene("particles", (256, 256), 3, 10e-9), 5.0, 200.0, np.random.default_rng(seed), 8
    )
    return pixels


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MiB."""
    point = tmp_path / "small"
    point.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(point)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.decode().strip()}")
    yield point
    subprocess.run(["umount", "-l", str(point)], capture_output=True, check=False)


def until(done: Callable[[], object], running: Any, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline, running.tail()
        time.sleep(0.1)


def fill(disk: Path, leave_bytes: int = 0) -> Path:
    """A file that takes all room that is left but so much."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while (free := shutil.disk_usage(disk).free - leave_bytes) > 0:
                file.write(bytes(min(free, 65_536)))
        except OSError:
            pass
    return filler


@linux_root
@pytest.mark.timeout(200)
def test_a_full_state_disk_loses_nothing_and_ends_by_itself(
    small: Path, tmp_path: Path, daemon: Callable[..., Any]
) -> None:
    folder = tmp_path / "acquisition"
    folder.mkdir()
    running = daemon(folder, daemon={"state_dir": str(small / "state")}, refocus={"enabled": False})
    running.state = small / "state"
    tifffile.imwrite(folder / "before.tif", picture(0))
    running.wait_for(lambda c: c["published"] == 1, 60)
    filler = fill(small)
    for number in range(10):
        tifffile.imwrite(folder / f"during{number}.tif", picture(number + 1))
    until(lambda: running.status()["journal"]["fault"], running)
    told = running.log.read_text()
    time.sleep(3.0)
    more = running.log.read_text()[len(told) :]
    assert running.process.poll() is None
    assert len(more.splitlines()) < 20, more  # no line for every try
    filler.unlink()
    counts = running.wait_for(lambda c: c["published"] == 11, 60)
    assert sum(counts.values()) == 11
    until(lambda: not running.status()["journal"]["fault"], running)
    log = running.log.read_text()
    assert log.count('"journal refused"') == log.count('"journal can be written again"')
    assert all(row.attempts == 0 for row in running.rows())
    assert running.stop() == 0


@linux_root
@pytest.mark.timeout(200)
def test_a_full_output_disk_holds_frames_without_wearing_them_out(
    small: Path, tmp_path: Path, daemon: Callable[..., Any]
) -> None:
    folder = tmp_path / "acquisition"
    folder.mkdir()
    running = daemon(folder, output={"folder": str(small / "output")})
    running.output = small / "output"
    filler = fill(small)
    for number in range(3):
        tifffile.imwrite(folder / f"{number}.tif", picture(number))
    until(lambda: running.status()["output"]["fault"], running)
    time.sleep(6.0)  # more tries than attempts that a frame has
    assert running.counts()["scored"] == 3
    assert all(row.attempts == 0 for row in running.rows())
    assert running.log.read_text().count('"output refused"') == 1
    assert not [path for path in small.rglob("*") if path.is_file() and path != filler]
    filler.unlink()
    running.wait_for(lambda c: c["published"] == 3, 90)
    assert running.log.read_text().count('"output can be written again"') == 1
    outputs = list(running.output.rglob("*.tif"))
    assert len(outputs) == 3
    assert all(verify(path).ok for path in outputs)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
@pytest.mark.timeout(200)
def test_odd_names_make_the_whole_journey(tmp_path: Path, daemon: Callable[..., Any]) -> None:
    folder = tmp_path / "acquisition"
    folder.mkdir()
    os.mkfifo(folder / "pipe.tif")
    (folder / "link.tif").symlink_to("/dev/zero")
    names = [b"caf\xe9.tif", b"line\nbreak.tif", b"x" * 251 + b".tif", b"CON.tif", b"..tif"]
    for number, name in enumerate(names):
        whole = tmp_path / "whole.tif"
        tifffile.imwrite(whole, picture(number))
        whole.rename(os.fsdecode(os.path.join(os.fsencode(folder), name)))  # noqa: PTH118
    old, ahead = folder / "1970.tif", folder / "2099.tif"
    for number, (path, at) in enumerate(((old, 0), (ahead, 4_070_908_800))):
        tifffile.imwrite(path, picture(10 + number))
        os.utime(path, (at, at))
    (folder / os.fsdecode(b"bad\xe9\n.tif")).write_bytes(b"this is no image")
    running = daemon(folder, folder={"hold_s": 0.5, "ignore": ["*.part"]})
    counts = running.wait_final(len(names) + 3, 120)
    failed = {row.path.name: row.reason for row in running.rows() if row.state == "failed"}
    assert list(failed.values()) == ["not_an_image"], (failed, counts)
    refocused = [row for row in running.rows() if row.reason == "refocused"]
    assert len(refocused) >= len(names)
    for row in refocused:
        assert verify(row.output).ok
        assert row.output.parent == running.output
    assert running.stop() == 0


_CLOCK = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


@pytest.mark.skipif(not Path(_CLOCK).exists(), reason="needs libfaketime (Debian: apt install faketime)")
@pytest.mark.timeout(200)
def test_a_clock_that_is_set_while_frames_wait_holds_none_and_takes_none_twice(
    tmp_path: Path, daemon: Callable[..., Any]
) -> None:
    folder, clock = tmp_path / "acquisition", tmp_path / "clock"
    folder.mkdir()
    clock.write_text("+0")
    environment = {
        "LD_PRELOAD": _CLOCK,
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }
    running = daemon(folder, environment=environment, refocus={"enabled": False}, folder={"give_up_s": 6.0})
    whole = tmp_path / "whole.tif"
    tifffile.imwrite(whole, picture(99), rowsperstrip=16)
    content = whole.read_bytes()
    for number, offset in enumerate(("+0", "-3h", "+5h", "-1d", "+0")):
        unfinished = folder / f"unfinished{number}.tif"
        unfinished.write_bytes(content[: len(content) // 2])
        running.wait_for(lambda c: c["held"] == 1, 30)
        clock.write_text(offset)
        tifffile.imwrite(folder / f"{number}.tif", picture(number))
        running.wait_for(lambda c, n=number: c["published"] == 2 * n + 1, 30)
        assert running.counts()["held"] == 1  # its patience is not over because the clock says so
        tifffile.imwrite(whole, picture(50 + number), rowsperstrip=16)
        unfinished.write_bytes(whole.read_bytes())
        running.wait_for(lambda c, n=number: c["published"] == 2 * n + 2, 30)
    assert running.counts() == {**dict.fromkeys(running.counts(), 0), "published": 10}
    assert running.log.read_text().count('"the clock was set"') >= 4
    with Journal(find_journal(running.state), read_only=True) as journal:
        assert all(row.generation == 0 for row in journal.rows())
