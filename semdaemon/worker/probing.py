"""What a worker's test picture is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from semdaemon.refocus import probe
from semdaemon.refocus.probe import ProbeResult
from semdaemon.worker.exchange import Reply


class Prober:
    """Judges test pictures: against the answer in the weights' card or, where it has none, the first one.

    The first answer is kept as long as the settings stay, and no longer: an answer on disk that came from
    a device that was ill already would be believed for ever.
    """

    def __init__(self) -> None:
        self._stored: Mapping[str, Any] = {}
        self._first: Mapping[str, Any] = {}

    def stored_is(self, stored: Mapping[str, Any]) -> None:
        """The answer in the card of the weights that were loaded; empty where it has none."""
        self._stored = stored

    def judge(self, reply: Reply) -> ProbeResult:
        """How the probe ended."""
        if reply.failed:
            return ProbeResult(False, why=reply.said["message"])
        if probe.usable(self._stored):
            return probe.judge(reply.pixels, reply.mask, self._stored)
        if self._first:
            return probe.judge(reply.pixels, reply.mask, self._first, against="first")
        result = probe.judge(reply.pixels, reply.mask, {})
        if result.passed:
            self._first = probe.answer_from(reply.pixels)
        return result
