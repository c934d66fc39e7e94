"""What a scenario is, and how one is played: provoke, let it come to an end, judge."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .frames import SIDE_PX
from .lab import Lab, Sections
from .oracle import Verdict, judge


@dataclass(frozen=True)
class Plan:
    """How long or how often.

    Attributes
    ----------
    minutes
        For scenarios that go on for a time.
    scale
        Of numbers of kills, files and executions; 1 is what the document shows.
    """

    minutes: float = 3.0
    scale: float = 1.0

    def number(self, whole: int) -> int:
        return max(1, round(whole * self.scale))

    @property
    def until(self) -> float:
        """Monotonic time at which a scenario ends that begins now."""
        return time.monotonic() + 60.0 * self.minutes


@dataclass(frozen=True)
class Scenario:
    """One kind of fault.

    Attributes
    ----------
    did
        What was done, for the table.
    not_shown
        What this does not prove.
    act
        Provokes; the daemon runs when it is called (unless ``starts`` is False), and may not when it returns.
    lacks
        Why it cannot be played here; empty where it can.
    prepare
        Makes the laboratory ready before the daemon starts (mounts).
    kills
        Whether daemons are killed: then a score may be sent and not heard.
    """

    name: str
    title: str
    did: str
    not_shown: str
    act: Callable[[Lab, Plan], None]
    sections: Sections = field(default_factory=dict)
    prepare: Callable[[Lab], None] = lambda _: None
    lacks: Callable[[], str] = lambda: ""
    environment: Callable[[], dict[str, str]] = dict
    kills: bool = False
    fast_folder: bool = False
    patience_s: float = 300.0
    side_px: int = SIDE_PX


def play(scenario: Scenario, plan: Plan, seed: int) -> tuple[Lab, Verdict, float]:
    """The laboratory (closed), the verdict, and how many seconds it took."""
    began = time.monotonic()
    home = Path("/dev/shm") if scenario.fast_folder and Path("/dev/shm").is_dir() else None
    with Lab(
        seed, scenario.sections, environment=scenario.environment(), home=home, side_px=scenario.side_px
    ) as lab:
        scenario.prepare(lab)
        lab.start()
        scenario.act(lab, plan)
        lab.finish(scenario.patience_s)
        requeued = lab.requeue_innocent(scenario.patience_s)
        verdict = judge(lab)
        if verdict.unheard and not scenario.kills:
            verdict.problems.append(f"{verdict.unheard} published frames whose score nobody heard")
        lab.figures["sound frames set aside with a reason, then requeued"] = requeued
        verdict.problems += [note for note in lab.notes if note.startswith("waited")]
        for what, number in lab.log_counts().items():
            lab.figures[f"{what} in the daemon's log"] = number
    return lab, verdict, time.monotonic() - began
