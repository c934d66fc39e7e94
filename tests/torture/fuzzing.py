"""Fuzzing as a scenario: the same figures, without a daemon."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from pathlib import Path

from .fuzz.runner import LONGEST_S, MEMORY_BYTES, RESIDENT_BYTES, Runner
from .results import Run, commit, conditions, now
from .scenario import Plan

FILES, PARSERS = 600_000, 600_000


def fuzz(plan: Plan, seed: int, command: str) -> Run:
    """Run every target; what is found lies in a folder that the problems name."""
    began_at, began = now(), time.monotonic()
    findings = Path(tempfile.mkdtemp(prefix="semdaemon-fuzz-findings-"))
    runner = Runner(seed, findings)
    try:
        tallies = runner.run(plan.number(FILES), plan.number(PARSERS))
    finally:
        runner.close()
    kinds: Counter[str] = Counter()
    for target in runner.targets:
        kinds[target.kind] += tallies[target.name].executions
    problems = [
        f"{name}: {mark} ({found['times']} times; input in {findings.name})"
        for name, tally in tallies.items()
        for mark, found in tally.findings.items()
    ]
    if not problems:
        findings.rmdir()
    figures: dict[str, float] = {
        "executions of readers of whole files": kinds["file"],
        "executions of parsers of messages, texts and blobs": kinds["parser"],
        "slowest input, s": round(max(tally.slowest_s for tally in tallies.values()), 2),
        "outcomes told apart": sum(len(tally.outcomes) for tally in tallies.values()),
    }
    return Run(
        scenario="fuzz",
        title="Fuzzing",
        did=f"{len(tallies)} readers and parsers given mutated input of "
        f"{sum(len(target.seeds) for target in runner.targets)} sound ones, in processes with "
        f"{MEMORY_BYTES >> 20} MiB of address space beyond their own: anything but a result or a "
        f"fault of ours, "
        f"more than {LONGEST_S:g} s, more than {RESIDENT_BYTES >> 20} MiB, a death or a hang is a finding",
        not_shown="Coverage: inputs are mutated along the formats' structure, not led by branches.",
        provoked={name: tally.executions for name, tally in tallies.items()},
        figures=figures,
        lost=None,
        problems=problems,
        seconds=round(time.monotonic() - began, 1),
        seed=seed,
        command=command,
        commit=commit(),
        began_at=began_at,
        conditions=conditions(),
    )
