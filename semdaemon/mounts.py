"""What file system a path lies on.

Two parts must know it: the journal, because SQLite's write-ahead log does not work across machines,
and the folder source, because change events of other machines do not arrive through a network mount.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil

_REMOTE = frozenset(
    {"9p", "acfs", "afp", "afpfs", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "drvfs", "gfs", "gfs2"}
    | {"glusterfs", "gpfs", "grpcfuse", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "osxfs", "panfs", "prl_fs"}
    | {"pvfs2", "shfs", "smb", "smb2", "smb3", "smbfs", "sshfs", "vboxsf", "virtiofs", "vmhgfs", "webdav"}
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
    resolved = path.expanduser().resolve()
    if str(resolved).startswith("\\\\"):
        return Mount(resolved.anchor, "unc", remote=True)
    # Later mounts hide earlier ones on the same point, hence the last of the longest.
    best = Mount("", "", remote=False)
    for entry in psutil.disk_partitions(all=True):
        point = Path(entry.mountpoint)
        if (point == resolved or point in resolved.parents) and len(entry.mountpoint) >= len(best.point):
            remote = is_remote(entry.fstype) or "remote" in entry.opts.split(",")
            best = Mount(entry.mountpoint, entry.fstype, remote)
    return best


def is_remote(kind: str) -> bool:
    """True for file system types that other machines write to; every FUSE one but block devices counts."""
    plain = kind.lower()
    return plain in _REMOTE or plain == "fuse" or plain.startswith("fuse.")
