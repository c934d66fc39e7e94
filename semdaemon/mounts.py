"""What file system a path lies on.

Two parts must know it: the journal, because SQLite's write-ahead log does not work across machines,
and the folder source, because change events of other machines do not arrive through a network mount.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath, PureWindowsPath
from typing import Protocol

import psutil

_REMOTE = frozenset(
    {"9p", "acfs", "afp", "afpfs", "afs", "beegfs", "ceph", "cifs", "coda", "cvfs", "davfs", "drvfs", "gfs"}
    | {"gfs2", "glusterfs", "gpfs", "grpcfuse", "hgfs", "lustre", "macfuse", "ncpfs", "nfs", "nfs4", "ocfs2"}
    | {"orangefs", "osxfs", "panfs", "prl_fs", "pvfs2", "shfs", "smb", "smb2", "smb3", "smbfs", "sshfs"}
    | {"vboxsf", "virtiofs", "vmhgfs", "wekafs", "webdav"}
)


@dataclass(frozen=True, slots=True)
class Mount:
    """The file system below a path.

    Attributes
    ----------
    point
        Where it is mounted; empty where the system does not tell.
    kind
        Its type as the system names it (``ext4``, ``nfs4``, ``fuse.sshfs``, ``NTFS``).
    remote
        True where another machine can change files without this one being told.
    """

    point: str
    kind: str
    remote: bool


def mount_of(path: Path) -> Mount:
    """The file system that ``path`` lies on, or would lie on once created."""
    return mount_among(path.expanduser().resolve(), psutil.disk_partitions(all=True))


class Partition(Protocol):
    """One line of the system's table, as psutil gives it; on Windows ``opts`` holds the kind of drive."""

    @property
    def mountpoint(self) -> str: ...
    @property
    def fstype(self) -> str: ...
    @property
    def opts(self) -> str: ...


def mount_among(resolved: PurePath, table: Iterable[Partition]) -> Mount:
    """The entry of a mount table that a path lies on. The path is absolute and free of links."""
    if isinstance(resolved, PureWindowsPath):
        if _is_unc(resolved):
            return Mount(resolved.anchor, "unc", remote=True)
        resolved = PureWindowsPath(str(resolved).removeprefix("\\\\?\\"))
    # Later mounts hide earlier ones on the same point, hence the last of the longest.
    best = Mount("", "", remote=False)
    for entry in table:
        point = type(resolved)(entry.mountpoint)
        if (point == resolved or point in resolved.parents) and len(entry.mountpoint) >= len(best.point):
            remote = is_remote(entry.fstype) or "remote" in entry.opts.split(",")
            best = Mount(entry.mountpoint, entry.fstype, remote)
    return best


def _is_unc(path: PureWindowsPath) -> bool:
    """A share by its name; a mapped drive's letter resolves to that too. ``\\\\?\\C:`` is this machine's."""
    drive = path.drive.upper()
    if drive.startswith(("\\\\?\\", "\\\\.\\")):
        return drive.startswith("\\\\?\\UNC")
    return drive.startswith("\\\\")


def is_remote(kind: str) -> bool:
    """True for file system types that other machines write to; every FUSE one but block devices counts."""
    plain = kind.lower()
    return plain in _REMOTE or plain == "fuse" or plain.startswith("fuse.")
