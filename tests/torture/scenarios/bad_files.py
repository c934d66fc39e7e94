"""One file in ten is poison."""

from __future__ import annotations

import time

from ..lab import Lab
from ..poison import POISONS
from ..scenario import Plan, Scenario

FRAMES = 3000
_BACKLOG = 150


def act(lab: Lab, plan: Plan) -> None:
    """Sound frames with poison among them, in bursts."""
    poisons = list(POISONS)
    for number in range(plan.number(FRAMES)):
        kind = poisons[number // 10 % len(poisons)] if number % 10 == 5 else ""
        lab.did["poison files"] += bool(kind)
        lab.write(kind)
        while number % 20 == 0 and lab.waiting() > _BACKLOG:
            time.sleep(0.1)


SCENARIO = Scenario(
    name="poison",
    title="Poison files",
    did=f"one file in ten is one of {len(POISONS)} kinds: " + ", ".join(POISONS),
    not_shown="Poison that brings a codec down by a signal: none is known; fuzzing looks for it.",
    act=act,
)
