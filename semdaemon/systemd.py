"""systemd's notification protocol; does nothing where no service manager asks for it."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_EXTEND_EVERY_S, _MOST_EXTENSIONS = 20.0, 180


def notify(state: str) -> bool:
    """Send e.g. ``READY=1`` or ``WATCHDOG=1``; False where nobody listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address or not hasattr(socket, "AF_UNIX"):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        try:
            channel.connect(address)
            channel.sendall(state.encode())
        except OSError:
            return False
    return True


def notify_reloading() -> bool:
    """Say that settings are being read anew; READY=1 must follow."""
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) if hasattr(time, "CLOCK_MONOTONIC") else 0
    return notify(f"RELOADING=1\nMONOTONIC_USEC={now // 1000}")


@contextmanager
def starting() -> Iterator[None]:
    """Ask for more time to start, again and again, for as long as the block runs (at most an hour)."""
    done = threading.Event()

    def ask() -> None:
        for _ in range(_MOST_EXTENSIONS):
            if not notify(f"EXTEND_TIMEOUT_USEC={int(3 * _EXTEND_EVERY_S * 1e6)}") or done.wait(
                _EXTEND_EVERY_S
            ):
                return

    asking = threading.Thread(target=ask, name="starting", daemon=True)
    asking.start()
    try:
        yield
    finally:
        done.set()
        asking.join()


def watchdog_interval_s() -> float | None:
    """Half the time that systemd waits before it restarts the service, or None without a watchdog."""
    meant_for = os.environ.get("WATCHDOG_PID", "")
    if meant_for and meant_for != str(os.getpid()):
        return None
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 2e6 if microseconds.isdigit() else None
