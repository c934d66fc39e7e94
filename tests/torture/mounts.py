"""Mounts that a scenario makes and takes away; needs root on Linux."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path


def lacks_mounts(*programs: str) -> str:
    """Why mounts cannot be made here; empty where they can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "mounting needs root on Linux"
    missing = [name for name in ("mount", "umount", *programs) if shutil.which(name) is None]
    return f"{', '.join(missing)} not installed" if missing else ""


def run(*command: str | Path) -> bool:
    """Whether a program ended well."""
    return subprocess.run([str(part) for part in command], capture_output=True, check=False).returncode == 0


def mount_tmpfs(folder: Path, size: str) -> None:
    """A small file system of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    if not run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder):
        raise OSError(f"no tmpfs at {folder}")


def unmount(folder: Path) -> None:
    """Away, at once for those who come, later for those who have files open."""
    if not run("umount", folder):
        run("umount", "-l", folder)


def remount(folder: Path, how: str) -> bool:
    """``ro`` or ``rw``."""
    return run("mount", "-o", f"remount,{how}", folder)
