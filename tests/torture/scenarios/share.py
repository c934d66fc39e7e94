"""A folder of another machine: no events, dead ends, silence."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from ..lab import Lab
from ..mounts import lacks_mounts, run, unmount
from ..scenario import Plan, Scenario

_STORE = "store"


class _Share:
    """A FUSE mount of the store at the acquisition folder."""

    def __init__(self, lab: Lab) -> None:
        self.store, self.root = lab.home / _STORE, lab.roots[0]
        self.process: subprocess.Popen[bytes] | None = None

    def mount(self) -> None:
        self.process = subprocess.Popen(
            ["bindfs", "-f", "-o", "attr_timeout=0,entry_timeout=0", str(self.store), str(self.root)],
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while not _is_mount(self.root) and time.monotonic() < deadline:
            time.sleep(0.02)

    def die(self) -> None:
        """The server goes: who looks gets ENOTCONN until it is unmounted."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def clear(self) -> None:
        self.die()
        unmount(self.root)


def _is_mount(path: Path) -> bool:
    try:
        return path.is_mount()
    except OSError:
        return False


_SHARES: dict[int, _Share] = {}


def prepare(lab: Lab) -> None:
    """Files are written into the store, and seen through the mount, as from another machine."""
    share = _SHARES[id(lab)] = _Share(lab)
    share.store.mkdir()
    lab.store = share.store
    share.mount()
    lab.at_end(share.clear)


def act(lab: Lab, plan: Plan) -> None:
    """Server dies and comes back; server stands still; files come meanwhile."""
    share, until, number = _SHARES[id(lab)], plan.until, 0
    while number < 2 or time.monotonic() < until:
        lab.write_many(10)
        lab.pause(0.0, 1.0)
        (_died if number % 2 == 0 else _silent)(lab, share)
        lab.write_many(4)
        lab.until(lambda: lab.waiting() <= 10, 90, "work goes on after the share is back")
        number += 1


def _died(lab: Lab, share: _Share) -> None:
    share.die()
    lab.write_many(4)
    lab.pause(0.1, 4.0)  # "Transport endpoint is not connected"
    unmount(share.root)
    lab.pause(0.0, 2.0)  # an empty folder
    share.mount()
    lab.did["server of the share killed (ENOTCONN), unmounted, mounted again"] += 1


def _silent(lab: Lab, share: _Share) -> None:
    if share.process is None:
        return
    run("kill", "-STOP", str(share.process.pid))
    lab.write_many(4)
    lab.pause(0.1, 6.0)
    run("kill", "-CONT", str(share.process.pid))
    lab.did["server of the share stopped for up to 6 s and on"] += 1


SCENARIO = Scenario(
    name="share",
    title="Network-like mount",
    did="a FUSE mount (bindfs) as acquisition folder, written to from behind, so that no event arrives; "
    "its server killed (every look gives ENOTCONN), or standing still (every look hangs), and back",
    not_shown="A real SMB or NFS server, its caches and its locks.",
    act=act,
    prepare=prepare,
    lacks=lambda: lacks_mounts("bindfs"),
)
