"""Which file system a path lies on: tables as real machines have them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

import psutil
import pytest

from semdaemon.errors import SemdaemonError
from semdaemon.journal import Journal, find_journal
from semdaemon.mounts import mount_among


@dataclass(frozen=True)
class Line:
    mountpoint: str
    fstype: str
    opts: str = "rw,relatime"


LINUX = [
    Line("/", "ext4"),
    Line("/dev", "devtmpfs"),
    Line("/proc", "proc"),
    Line("/home", "autofs", "rw,fd=49,pgrp=1,indirect"),
    Line("/home/jürgen", "nfs4", "rw,vers=4.2,hard,proto=tcp,sec=sys"),
    Line("/mnt/sem data", "cifs", "rw,vers=3.1.1,cache=strict,username=sem"),
    Line("/mnt/sem data/local scratch", "xfs"),
    Line("/mnt/old", "ext4"),
    Line("/mnt/old", "nfs", "rw,vers=3"),
    Line("/media/usb", "fuseblk", "rw,user_id=0,group_id=0"),
    Line("/media/laptop", "fuse.sshfs", "rw,nosuid,nodev"),
    Line("/media/host", "9p", "rw,trans=virtio"),
    Line("/media/vm", "vboxsf"),
    Line("/media/cloud", "fuse.rclone"),
    Line("/var/lib/docker/overlay2/x/merged", "overlay"),
    Line("/run", "tmpfs"),
]
MACOS = [
    Line("/", "apfs", "ro,local,rootfs,dovolfs,journaled,multilabel"),
    Line("/System/Volumes/Data", "apfs", "rw,local,nobrowse"),
    Line("/Volumes/SEM", "smbfs", "rw,nosuid,nodev"),
    Line("/Volumes/stick", "exfat", "rw,local"),
    Line("/Volumes/dav", "webdav", "rw"),
    Line("/Volumes/ssh", "macfuse", "rw"),
]
WINDOWS = [
    Line("C:\\", "NTFS", "rw,fixed"),
    Line("D:\\", "exFAT", "rw,removable"),
    Line("Z:\\", "NTFS", "rw,remote"),
    Line("Y:\\", "", "remote"),
]
POSIX, WIN = PurePosixPath, PureWindowsPath


@pytest.mark.parametrize(
    ("path", "table", "kind", "remote"),
    [
        (POSIX("/var/lib/semdaemon"), LINUX, "ext4", False),
        (POSIX("/home/jürgen/.local/state/semdaemon"), LINUX, "nfs4", True),
        (POSIX("/home/somebody/state"), LINUX, "autofs", False),
        (POSIX("/mnt/sem data/run"), LINUX, "cifs", True),
        (POSIX("/mnt/sem data/local scratch/state"), LINUX, "xfs", False),
        (POSIX("/mnt/sem data2"), LINUX, "ext4", False),
        (POSIX("/mnt/old/state"), LINUX, "nfs", True),
        (POSIX("/media/usb/state"), LINUX, "fuseblk", False),
        (POSIX("/media/laptop"), LINUX, "fuse.sshfs", True),
        (POSIX("/media/host/x"), LINUX, "9p", True),
        (POSIX("/media/vm/x"), LINUX, "vboxsf", True),
        (POSIX("/media/cloud/x"), LINUX, "fuse.rclone", True),
        (POSIX("/var/lib/docker/overlay2/x/merged/state"), LINUX, "overlay", False),
        (POSIX("/run/user/1000"), LINUX, "tmpfs", False),
        (POSIX("/System/Volumes/Data/Users/a"), MACOS, "apfs", False),
        (POSIX("/Volumes/SEM/state"), MACOS, "smbfs", True),
        (POSIX("/Volumes/stick"), MACOS, "exfat", False),
        (POSIX("/Volumes/dav"), MACOS, "webdav", True),
        (POSIX("/Volumes/ssh"), MACOS, "macfuse", True),
        (WIN(r"C:\ProgramData\semdaemon"), WINDOWS, "NTFS", False),
        (WIN(r"c:\users\sem"), WINDOWS, "NTFS", False),
        (WIN(r"\\?\C:\very\long"), WINDOWS, "NTFS", False),
        (WIN(r"D:\state"), WINDOWS, "exFAT", False),
        (WIN(r"Z:\state"), WINDOWS, "NTFS", True),
        (WIN(r"Y:\state"), WINDOWS, "", True),
        (WIN(r"\\server\share\state"), WINDOWS, "unc", True),
        (WIN(r"\\?\UNC\server\share\state"), WINDOWS, "unc", True),
        (WIN(r"\\wsl.localhost\Debian\home"), WINDOWS, "unc", True),
        (POSIX("/anything"), [], "", False),
    ],
)
def test_the_file_system_below_a_path(path: PurePath, table: list[Line], kind: str, remote: bool) -> None:
    found = mount_among(path, table)
    assert (found.kind, found.remote) == (kind, remote)


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "9p", "smb3"])
def test_a_state_folder_on_another_machines_disk_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    table = [Line("/", "ext4"), Line(str(tmp_path.resolve()), kind)]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: table)  # noqa: A006 (psutil's own word)
    with pytest.raises(SemdaemonError, match=kind) as raised:
        Journal(find_journal(tmp_path / "state"))
    assert raised.value.code == "state_on_network"
    assert "local disk" in raised.value.remedy
