"""How much memory a job takes and how much there is, asked before it is taken: nobody is killed for it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import psutil

from semdaemon.errors import FrameError

FRAME_BYTES_PER_PX = 60
"""Peak of the worker process above what it holds at rest, for each pixel of the image area.
`tests/system/test_worker_memory.py` (slow) measures 42 to 50, and fails above this."""

ACTIVATIONS = 12
"""So many activations of a tile are held at once, on the device; 9 measured with oneDNN on a CPU."""

_SPARE_BYTES = 64 * 2**20
_SHM, _CGROUPS = Path("/dev/shm"), Path("/sys/fs/cgroup")  # noqa: S108 - asked for its size only


@dataclass(frozen=True, slots=True)
class TileCost:
    """What a network takes for a tile.

    Attributes
    ----------
    activation_bytes_per_px
        One activation, for each pixel of the tile with its halo.
    halo_px
        On each side.
    """

    activation_bytes_per_px: float
    halo_px: int

    def bytes(self, tile_px: int) -> int:
        """A tile's peak."""
        return int(ACTIVATIONS * self.activation_bytes_per_px * (tile_px + 2 * self.halo_px) ** 2)


def job_bytes(pixels: int, tile_px: int | None, cost: TileCost, *, on_host: bool) -> int:
    """What one job takes of the host's memory at its peak, bytes; a bound, not a mean.

    Parameters
    ----------
    on_host
        The device is the CPU, so that tiles are in the same memory.
    """
    tile = cost.bytes(tile_px) if on_host and tile_px is not None else 0
    return FRAME_BYTES_PER_PX * pixels + tile


def available_bytes() -> int:
    """Memory that this process may still take: the machine's, or its control groups' where that is less."""
    free = int(psutil.virtual_memory().available)
    return min([free, *_control_group_rooms()])


def room_lacking(needed_bytes: int) -> str:
    """Why there is not enough; empty where there is."""
    there = available_bytes() - _SPARE_BYTES
    if needed_bytes <= there:
        return ""
    return f"needs {needed_bytes / 2**20:.0f} MiB, {max(0, there) / 2**20:.0f} MiB are free"


def require_shared(needed_bytes: int) -> None:
    """Raise where a block of shared memory would not fit.

    Linux makes the block all the same, and kills the process that writes to it.

    Raises
    ------
    FrameError
        ``out_of_memory``.
    """
    said = room_lacking(needed_bytes)
    if not said and _SHM.is_dir():
        free = shutil.disk_usage(_SHM).free
        if needed_bytes > free:
            said = f"needs {needed_bytes / 2**20:.0f} MiB, {_SHM} has {free / 2**20:.0f} MiB free"
    if said:
        raise no_room(said)


def no_room(said: str) -> FrameError:
    """The error of a frame that cannot be handed to the worker."""
    return FrameError(
        "out_of_memory",
        f"Shared memory is too small for this frame: {said}.",
        remedy="Free memory; in a container start it with a larger --shm-size; then 'semdaemon requeue'.",
    )


def _control_group_rooms() -> list[int]:
    """What each control group above this process has left (Linux, version 2); empty elsewhere."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    own = next((line[3:] for line in lines if line.startswith("0::")), None)
    if own is None:
        return []
    group = _CGROUPS / own.lstrip("/")
    rooms = [_room(each) for each in (group, *group.parents) if each.is_relative_to(_CGROUPS)]
    return [room for room in rooms if room is not None]


def _room(group: Path) -> int | None:
    try:
        most = (group / "memory.max").read_text(encoding="ascii").strip()
        used = int((group / "memory.current").read_text(encoding="ascii"))
        stat = (group / "memory.stat").read_text(encoding="ascii")
    except (OSError, ValueError):
        return None
    if not most.isdigit():
        return None
    # File pages that nobody uses are given back on demand.
    idle = next((int(line.split()[1]) for line in stat.splitlines() if line.startswith("inactive_file ")), 0)
    return max(0, int(most) - used + idle)
