"""Full, read-only and removed: the disks that are written to."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from ..lab import Lab
from ..mounts import lacks_mounts, mount_tmpfs, remount, unmount
from ..scenario import Plan, Scenario

OUTPUT_BYTES, STATE_BYTES = 48 * 2**20, 24 * 2**20


def prepare(lab: Lab) -> None:
    """Output and state on small file systems of their own."""
    for folder, size in ((lab.output, OUTPUT_BYTES), (lab.state, STATE_BYTES)):
        mount_tmpfs(folder, str(size))
        lab.at_end(lambda folder=folder: unmount(folder))  # type: ignore[misc]


def act(lab: Lab, plan: Plan) -> None:
    """One trouble after the other, each while frames come in."""
    troubles: tuple[Callable[[Lab], None], ...] = (
        _full_output,
        _read_only_output,
        _removed_output,
        _full_state,
    )
    until, number = plan.until, 0
    while number < len(troubles) or time.monotonic() < until:
        troubles[number % len(troubles)](lab)
        lab.until(lambda: lab.waiting() <= 5, 60, "work goes on after the disk is well again")
        _make_room(lab)
        number += 1


def _full_output(lab: Lab) -> None:
    filler = _fill(lab.output / "filler")
    lab.write_many(6, "blurred")
    lab.pause(1.0, 3.0)
    filler.unlink()
    lab.did["output disk filled and freed"] += 1


def _full_state(lab: Lab) -> None:
    filler = _fill(lab.state / "filler")
    lab.write_many(10)
    lab.pause(1.0, 3.0)
    filler.unlink()
    lab.did["state disk filled and freed"] += 1


def _read_only_output(lab: Lab) -> None:
    if not remount(lab.output, "ro"):
        return
    lab.write_many(6, "blurred")
    lab.pause(1.0, 3.0)
    remount(lab.output, "rw")
    lab.did["output disk remounted read-only and back"] += 1


def _removed_output(lab: Lab) -> None:
    lab.write_many(6, "blurred")
    lab.pause(0.0, 0.6)
    _remove_outputs(lab)
    lab.write_many(4, "blurred")
    lab.did["output folder emptied while frames are saved"] += 1


def _make_room(lab: Lab) -> None:
    """The small disk must not stay full of good outputs."""
    if shutil.disk_usage(lab.output).free < OUTPUT_BYTES // 3:
        _remove_outputs(lab)


def _remove_outputs(lab: Lab) -> None:
    """As an operator who clears up; whatever stood there is lost by hand, not by the daemon."""
    for path in list(lab.output.rglob("*")):
        if path.suffix == ".tif" and not path.name.startswith("."):
            lab.lost_by_hand.add(path)
        if path.is_file():
            path.unlink(missing_ok=True)
    for path in sorted(lab.output.rglob("*"), reverse=True):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


def _fill(path: Path) -> Path:
    piece = bytes(65536)
    with path.open("wb", buffering=0) as file:
        for size in (65536, 4096, 512):
            try:
                while file.write(piece[:size]):
                    continue
            except OSError:
                continue
    return path


SCENARIO = Scenario(
    name="disk",
    title="Disk full, read-only, emptied",
    did=f"output ({OUTPUT_BYTES >> 20} MiB) and state ({STATE_BYTES >> 20} MiB) on small file systems of "
    "their own: filled to the last byte for 1 to 3 s and freed, output remounted read-only and back, output "
    "folder emptied while frames are saved",
    not_shown="A disk that loses what it confirmed, or answers with I/O errors.",
    act=act,
    prepare=prepare,
    lacks=lacks_mounts,
)
