"""The faults, one module a kind."""

from __future__ import annotations

from ..scenario import Scenario
from . import bad_files, burst, clock, disk, kill, noise, share, stop, unmount

SCENARIOS: dict[str, Scenario] = {
    module.SCENARIO.name: module.SCENARIO
    for module in (kill, bad_files, stop, disk, unmount, clock, share, noise, burst)
}
