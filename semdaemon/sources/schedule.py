"""When a folder is to be scanned next."""

from __future__ import annotations

import time

_REDELIVER_S = 60.0
# Most of the time that scans may take: a large tree is scanned less often rather than all the time.
_SCAN_SHARE, _POLLING_SHARE = 0.05, 0.25


class Schedule:
    """Whole scans, the quick ones between them while polling, and those that deliver everything again.

    All are due at first.
    """

    def __init__(self) -> None:
        self._scan_at, self._quick_at, self._redeliver_at = 0.0, 0.0, 0.0

    @property
    def scan_due(self) -> bool:
        return time.monotonic() >= self._scan_at

    @property
    def quick_due(self) -> bool:
        return time.monotonic() >= self._quick_at

    @property
    def redelivery_due(self) -> bool:
        return time.monotonic() >= self._redeliver_at

    def pause_s(self, *, polling: bool) -> float:
        """How long nothing is due."""
        due = min(self._scan_at, self._quick_at) if polling else self._scan_at
        return max(0.0, due - time.monotonic())

    def scan_now(self) -> None:
        """A scan is due."""
        self._scan_at = 0.0

    def scan_after(self, pause_s: float) -> None:
        """No scan before that."""
        self._scan_at = time.monotonic() + pause_s

    def scan_within(self, longest_s: float) -> None:
        """A scan then, if none is due before."""
        self._scan_at = min(self._scan_at, time.monotonic() + longest_s)

    def scanned(self, took_s: float, *, every_s: float, polling: bool, redelivered: bool) -> None:
        """Plan the next scan after one that took so long."""
        now = time.monotonic()
        share = _POLLING_SHARE if polling else _SCAN_SHARE
        self._scan_at = now + max(every_s, took_s * (1 / share - 1))
        self._quick_at = now + every_s
        if redelivered:
            self._redeliver_at = now + _REDELIVER_S

    def scanned_quickly(self, took_s: float, *, every_s: float) -> None:
        """Plan the next quick scan."""
        self._quick_at = time.monotonic() + max(every_s, took_s / _POLLING_SHARE)
