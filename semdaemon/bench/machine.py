"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib import metadata

import psutil

from semdaemon.machine import processor_name

BUSY = 0.5
"""Load per processor above which other programs take part in what is measured."""


@dataclass(frozen=True)
class Machine:
    """Processor, its logical processors, load over the last minute a processor, and versions."""

    processor: str
    processors: int
    load_per_processor: float
    system: str
    python: str
    torch: str

    @property
    def busy(self) -> bool:
        """True where other programs were at work when it was looked."""
        return self.load_per_processor > BUSY


def this_machine() -> Machine:
    """As it is now."""
    count = os.cpu_count() or 1
    return Machine(
        processor_name(),
        count,
        round(psutil.getloadavg()[0] / count, 2),
        platform.platform(terse=True),
        platform.python_version(),
        metadata.version("torch"),
    )
