"""systemd's notification protocol; does nothing where no service manager asks for it."""

from __future__ import annotations

import os
import socket
import time


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


def watchdog_interval_s() -> float | None:
    """Half the time that systemd waits before it restarts the service, or None without a watchdog."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 2e6 if microseconds.isdigit() else None
