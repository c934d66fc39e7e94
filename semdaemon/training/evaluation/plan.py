"""Which conditions are measured, and by which methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from semdaemon.training.evaluation import blind, classical, conditions
from semdaemon.training.evaluation.conditions import Condition
from semdaemon.training.evaluation.halves import HALVES
from semdaemon.training.evaluation.measuring import INPUT, NETWORK
from semdaemon.training.evaluation.scenes import Scene
from semdaemon.training.evaluation.unseen import PAIRS

ORACLES = tuple(classical.METHODS)
BLIND = tuple(blind.METHODS)

_QUICK_FRAMES = 8


@dataclass(frozen=True)
class Step:
    """A condition, and the names of the methods measured under it."""

    condition: Condition
    methods: tuple[str, ...]


def headline_steps() -> tuple[Step, ...]:
    """What the headline figures need, and nothing else: ``--quick``."""
    told = (INPUT, *ORACLES, NETWORK)
    return (
        *(Step(condition, told) for condition in (*conditions.IN_FOCUS, *conditions.HEADLINE)),
        *(Step(condition, told) for pair in PAIRS for condition in pair),
        *(Step(condition, (INPUT, NETWORK)) for condition in HALVES),
    )


def whole_steps() -> tuple[Step, ...]:
    """Everything: the headline's conditions and further ones, with the blind classical methods as well."""
    everything = (INPUT, *ORACLES, *BLIND, NETWORK)
    grid = sorted(
        (*conditions.IN_FOCUS, *conditions.HEADLINE, *conditions.FURTHER),
        key=lambda c: (conditions.KINDS.index(c.blur.kind), c.blur.strength_px, c.electrons_per_px),
    )
    paired = [step for step in headline_steps() if not isinstance(step.condition, conditions.Defocus)]
    return (*(Step(condition, everything) for condition in grid), *paired)


def quick_part(scenes: Sequence[Scene]) -> list[str]:
    """Names of the frames that stand for the whole set: evenly spread over it."""
    step = max(1, -(-len(scenes) // _QUICK_FRAMES))
    return [scene.name for scene in scenes[::step]]
