"""Puts unit files in place and takes them away; never over or along with what somebody changed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from semdaemon import __version__
from semdaemon.errors import SemdaemonError

_MARK = "# Written by 'semdaemon service install'"


def unit_folder(*, user: bool) -> Path:
    """Where systemd looks for units that an administrator, or a user, put there."""
    if not user:
        return Path("/etc/systemd/system")
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"


def user_exists(name: str) -> bool:
    """Whether this machine knows the account that the service is to run as."""
    if sys.platform == "win32":
        return True
    import pwd

    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def signed(text: str) -> str:
    """The unit with a first line by which a later change can be told."""
    return f"{_MARK} {__version__}, sha256 {_digest(text)}. Changes belong into a drop-in beside it.\n{text}"


def write_unit(path: Path, text: str, *, force: bool) -> bool:
    """Write a unit; False where the same one was there.

    Raises
    ------
    SemdaemonError
        ``unit_changed`` where another hand was at the one that is there, ``unit_unwritable``.
    """
    if path.exists():
        before = _read(path)
        if before == signed(text):
            return False
        if not _is_ours(before) and not force:
            raise _changed(path, "overwritten")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(signed(text), encoding="utf-8")
    except OSError as error:
        raise _unwritable(path, error) from error
    return True


def require_ours(path: Path, *, force: bool) -> None:
    """Refuse to touch a unit that another hand was at.

    Raises
    ------
    SemdaemonError
        ``unit_changed``.
    """
    if path.exists() and not force and not _is_ours(_read(path)):
        raise _changed(path, "removed")


def remove_unit(path: Path) -> bool:
    """Remove a unit; False where none is there. Drop-ins stay."""
    if not path.exists():
        return False
    try:
        path.unlink()
    except OSError as error:
        raise _unwritable(path, error) from error
    return True


def instances(folder: Path) -> list[str]:
    """Names of the instances of ``semdaemon@.service`` that are enabled."""
    found = folder.glob("*.wants/semdaemon@?*.service")
    return sorted({path.name.removeprefix("semdaemon@").removesuffix(".service") for path in found})


def systemd_runs(*, user: bool) -> bool:
    """True where a manager is there to be told (a container often has none)."""
    if not Path("/run/systemd/system").is_dir():
        return False
    return not user or Path(os.environ.get("XDG_RUNTIME_DIR", "/nonexistent"), "systemd").is_dir()


def systemctl(arguments: Sequence[str], *, user: bool) -> None:
    """Tell systemd something.

    Raises
    ------
    SemdaemonError
        ``systemctl_failed`` with what it said.
    """
    command = ["systemctl", *(["--user"] if user else []), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise SemdaemonError("systemctl_failed", f"{' '.join(command)} failed: {done.stderr.strip()}")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise _unwritable(path, error) from error


def _is_ours(text: str) -> bool:
    first, _, rest = text.partition("\n")
    return first.startswith(_MARK) and f"sha256 {_digest(rest)}." in first


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _changed(path: Path, what: str) -> SemdaemonError:
    return SemdaemonError(
        "unit_changed",
        f"{path} was written or changed by another hand, and is not {what}.",
        remedy=f"Move the changes into {path.name}.d/local.conf beside it, or give --force.",
    )


def _unwritable(path: Path, error: OSError) -> SemdaemonError:
    return SemdaemonError(
        "unit_unwritable",
        f"{path}: {error.strerror or error}.",
        remedy="System units need root (sudo); --user installs for yourself alone.",
    )
