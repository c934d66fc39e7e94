"""Runs a command the way systemd would run it under a unit's sandboxing lines, without systemd.

    python sandbox.py UNIT WRITABLE COMMAND...

Applied, as root on Linux: SystemCallFilter=, MemoryDenyWriteExecute=, RestrictAddressFamilies= and
RestrictNamespaces= as one seccomp filter (libseccomp), CapabilityBoundingSet=, NoNewPrivileges=,
ProtectSystem=strict, PrivateTmp= and PrivateDevices= as mounts of a namespace of its own.
The folder WRITABLE is /tmp/writable inside. Not applied: User=, IPAddressDeny=, ProtectProc= and all
that needs control groups.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

MS_RDONLY, MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 1, 32, 4096, 8192, 16384, 1 << 18
KEPT_FLAGS = {"nosuid": 2, "nodev": 4, "noexec": 8, "noatime": 1024, "relatime": 1 << 21}
CLONE_NEWNS = 0x20000
NAMESPACES = (0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000, 0x2000000)
PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP = 38, 24
ALLOW, EPERM_ACTION, ENOSYS_ACTION = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
NOT_EQUAL, MASKED_EQUAL = 1, 7
PROT_WRITE, PROT_EXEC, SHM_EXEC = 2, 4, 0o100000
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
LIBC = ctypes.CDLL(None, use_errno=True)


class Argument(ctypes.Structure):
    """``struct scmp_arg_cmp``."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("a", ctypes.c_uint64),
        ("b", ctypes.c_uint64),
    )


def directives(unit: Path) -> dict[str, list[str]]:
    """Every ``key=value`` of a unit, in order."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        key, mark, value = line.partition("=")
        if mark and not line.startswith(("#", ";", "[")):
            found.setdefault(key, []).append(value)
    return found


def calls_of(name: str) -> set[str]:
    """A system call, or all of a set such as ``@system-service``."""
    if not name.startswith("@"):
        return {name}
    told = subprocess.run(
        ["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True
    ).stdout
    inside = [line.strip() for line in told.splitlines()[1:]]
    return set().union(*(calls_of(each) for each in inside if each and not each.startswith("#")))


def allowed(filters: list[str]) -> set[str]:
    """The system calls that lines of ``SystemCallFilter=`` leave, as systemd reads them."""
    calls = calls_of("@default")
    for line in filters:
        names = set().union(*(calls_of(name) for name in line.removeprefix("~").split()))
        calls = calls - names if line.startswith("~") else calls | names
    return calls


class Filter:
    """A seccomp filter that denies with an error, as systemd's do."""

    def __init__(self, default: int) -> None:
        self._lib = ctypes.CDLL("libseccomp.so.2")
        self._lib.seccomp_init.restype = ctypes.c_void_p
        self._context = ctypes.c_void_p(self._lib.seccomp_init(ctypes.c_uint32(default)))

    def rule(self, action: int, call: str, *arguments: Argument) -> None:
        number = self._lib.seccomp_syscall_resolve_name(call.encode())
        if number == -1:  # not one of this architecture
            return
        array = (Argument * max(1, len(arguments)))(*arguments)
        self._lib.seccomp_rule_add_array(
            self._context, ctypes.c_uint32(action), number, len(arguments), array
        )

    def load(self) -> None:
        if self._lib.seccomp_load(self._context) != 0:
            raise OSError("the seccomp filter could not be loaded")


def load_filters(unit: dict[str, list[str]]) -> None:
    """One filter a directive; the kernel takes the strictest answer of all."""
    if unit.get("MemoryDenyWriteExecute") == ["yes"]:
        both = PROT_WRITE | PROT_EXEC
        deny = Filter(ALLOW)
        deny.rule(EPERM_ACTION, "mmap", Argument(2, MASKED_EQUAL, both, both))
        for call in ("mprotect", "pkey_mprotect"):
            deny.rule(EPERM_ACTION, call, Argument(2, MASKED_EQUAL, PROT_EXEC, PROT_EXEC))
        deny.rule(EPERM_ACTION, "shmat", Argument(2, MASKED_EQUAL, SHM_EXEC, SHM_EXEC))
        deny.load()
    if families := unit.get("RestrictAddressFamilies"):
        deny = Filter(ALLOW)
        known = {getattr(socket, name) for name in families[0].split()}
        for family in set(range(45)) - known:
            deny.rule(EPERM_ACTION, "socket", Argument(0, MASKED_EQUAL, 0xFFFFFFFF, family))
        deny.load()
    if unit.get("RestrictNamespaces") == ["yes"]:
        deny = Filter(ALLOW)
        for flag in NAMESPACES:
            for call in ("clone", "unshare"):
                deny.rule(EPERM_ACTION, call, Argument(0, MASKED_EQUAL, flag, flag))
        deny.rule(ENOSYS_ACTION, "clone3")
        deny.rule(EPERM_ACTION, "setns")
        deny.load()
    if filters := unit.get("SystemCallFilter"):
        allow = Filter(EPERM_ACTION)
        for call in allowed(filters):
            allow.rule(ALLOW, call)
        allow.load()


def mount(source: str | None, target: str, kind: str | None, flags: int) -> None:
    done = LIBC.mount(
        None if source is None else source.encode(),
        target.encode(),
        None if kind is None else kind.encode(),
        ctypes.c_ulong(flags),
        None,
    )
    if done != 0:
        raise OSError(ctypes.get_errno(), f"mount {source} on {target}")


def own_devices(at: str) -> None:
    """A /dev with nothing of the hardware, as ``PrivateDevices=`` makes."""
    Path(at).mkdir()
    mount("tmpfs", at, "tmpfs", 0)
    for name in DEVICES:
        Path(at, name).touch()
        mount(f"/dev/{name}", f"{at}/{name}", None, MS_BIND)
    Path(at, "shm").mkdir()
    mount("/dev/shm", f"{at}/shm", None, MS_BIND)
    mount(at, "/dev", None, MS_MOVE)


def read_only() -> None:
    """Every mount of this namespace, as ``ProtectSystem=strict`` makes all but /dev, /proc and /sys."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        target, options = line.split()[4:6]
        if target == "/" or not target.startswith(("/dev", "/proc", "/sys")):
            flags = sum(flag for name, flag in KEPT_FLAGS.items() if name in options.split(","))
            mount(None, target, None, MS_REMOUNT | MS_BIND | MS_RDONLY | flags)


def set_mounts(unit: dict[str, list[str]], writable: Path) -> None:
    if LIBC.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    held = os.open(writable, os.O_PATH)  # its path is hidden by the new /tmp
    if unit.get("ProtectSystem") == ["strict"]:
        read_only()
    mount("tmpfs", "/tmp", "tmpfs", 0)
    Path("/tmp/writable").mkdir()
    mount(f"/proc/self/fd/{held}", "/tmp/writable", None, MS_BIND)
    mount(None, "/tmp/writable", None, MS_REMOUNT | MS_BIND)
    if unit.get("PrivateDevices") == ["yes"]:
        own_devices("/tmp/dev")
    os.close(held)


def main() -> None:
    unit, writable, command = directives(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3:]
    set_mounts(unit, writable)
    for capability in range(64):
        LIBC.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    load_filters(unit)
    os.chdir("/")
    os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main()
