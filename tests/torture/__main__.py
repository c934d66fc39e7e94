"""Make go wrong what can go wrong, count what was lost, and keep the figures.

Each scenario runs real daemons on folders of its own and is judged against the journal (plain SQL), the
output folder and everything that was published. The exit status is 1 where anything was not as it must be.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from . import results
from .fuzzing import fuzz
from .measured import MEASURED, lacks, measure
from .results import Run
from .scenario import Plan, Scenario, play
from .scenarios import SCENARIOS

NAMES = [*SCENARIOS, "fuzz", *MEASURED]


def main(given: list[str] | None = None) -> int:
    """Play the scenarios that were asked for, one after the other."""
    arguments = _arguments(given)
    plan, good = Plan(arguments.minutes, arguments.scale), True
    for name in arguments.scenario or NAMES:
        if why := _lacks(name):
            print(f"{name}: skipped, {why}", flush=True)
            continue
        run = _run(name, plan, arguments.seed)
        results.append(arguments.json, run)
        _print(run)
        good = good and not run.problems
    return 0 if good else 1


def _lacks(name: str) -> str:
    if name in MEASURED:
        return lacks(MEASURED[name])
    return SCENARIOS[name].lacks() if name in SCENARIOS else ""


def _run(name: str, plan: Plan, seed: int) -> Run:
    command = f"python -m tests.torture --scenario {name} --minutes {plan.minutes:g} --scale {plan.scale:g}"
    if name in MEASURED:
        return measure(MEASURED[name])
    play_it = fuzz if name == "fuzz" else partial(_played, SCENARIOS[name])
    return play_it(plan, seed, f"{command} --seed {seed}")


def _arguments(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--scenario", action="append", choices=NAMES, help="may be repeated; default: all")
    parser.add_argument("--minutes", type=float, default=3.0, help="for scenarios that go on for a time")
    parser.add_argument("--scale", type=float, default=1.0, help="of numbers of kills, files and executions")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, default=results.DEFAULT, help="file of figures, added to")
    return parser.parse_args(given)


def _played(scenario: Scenario, plan: Plan, seed: int, command: str) -> Run:
    began_at = results.now()
    lab, verdict, seconds = play(scenario, plan, seed)
    counted = {**verdict.counts, "outputs verified": verdict.outputs, "outputs bad": verdict.outputs_bad}
    return Run(
        scenario=scenario.name,
        title=scenario.title,
        did=scenario.did,
        not_shown=scenario.not_shown,
        provoked={what: number for what, number in lab.did.items() if number},
        figures={
            **counted,
            "published frames whose score no subscriber heard": verdict.unheard,
            "messages repeated without saying so": verdict.twice_unsaid,
            **lab.figures,
        },
        lost=verdict.lost,
        problems=[*verdict.problems, *(note for note in lab.notes if note not in verdict.problems)],
        told=lab.remarks,
        seconds=round(seconds, 1),
        seed=seed,
        command=command,
        commit=results.commit(),
        began_at=began_at,
        conditions=results.conditions(),
    )


def _print(run: Run) -> None:
    print(f"{run.scenario}: {run.seconds:.0f} s, lost {run.lost}, {'; '.join(run.problems) or 'no problem'}")
    for what, number in {**run.provoked, **run.figures}.items():
        print(f"    {what}: {number:g}")
    print("".join(f"    {line}\n" for line in run.told), end="")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
