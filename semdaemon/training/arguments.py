"""The command line of the bare training loop."""

from __future__ import annotations

import argparse
from pathlib import Path

from semdaemon.training.plan import NETWORKS, Plan, adapted, recipe_of, spec_of
from semdaemon.training.recipe import RECIPES


def parser() -> argparse.ArgumentParser:
    """Options of ``python -m semdaemon.training.loop``: those of ``semdaemon train`` that need no more."""
    parser = argparse.ArgumentParser(description="Train a refocusing network; resumes by itself.")
    parser.add_argument("--data", type=Path, help="folder of sharp frames; without it, simulated scenes")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint and log")
    parser.add_argument("--network", choices=sorted(NETWORKS), default="light")
    parser.add_argument("--recipe", choices=sorted(RECIPES), default="ours")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, help="schedule by the clock (default 60)")
    length.add_argument("--iterations", type=int, help="schedule by iterations: reproducible")
    parser.add_argument("--stop-after-minutes", type=float, help="save and stop then, to be gone on with")
    parser.add_argument("--from", dest="start_from", type=Path, help="weights or checkpoint to start from")
    parser.add_argument("--first-batch", type=int, default=0, help="count batches on from here: other crops")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--crop", type=int, help="side of a crop in pixels")
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--radius-px", type=float, help="one known disc radius (the non-blind setting)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, help="threads of torch")
    parser.add_argument("--workers", type=int, help="processes that make pairs (default 0; up to 8 on a GPU)")
    parser.add_argument("--validation-fraction", type=float, default=0.15)
    return parser


def plan_of(given: argparse.Namespace) -> Plan:
    """The plan that a command line describes."""
    recipe = recipe_of(given.network, given.recipe)
    return Plan(
        data=given.data,
        out=given.out,
        spec=spec_of(given.network, recipe),
        recipe=adapted(recipe, given.batch, given.learning_rate, given.radius_px, given.crop),
        single_scale=given.network == "srn",
        minutes=given.minutes,
        iterations=given.iterations,
        seed=given.seed,
        start_from=given.start_from,
        first_batch=given.first_batch,
        device=given.device,
        threads=given.threads,
        validation_fraction=given.validation_fraction,
        workers=given.workers,
        stop_after_minutes=given.stop_after_minutes,
    )
