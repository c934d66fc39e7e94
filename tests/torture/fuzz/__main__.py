"""``python -m tests.torture.fuzz``: fuzz alone and print a summary by target and outcome."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from .runner import Runner


def main() -> int:
    """Fuzz; 1 where something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture.fuzz", description=__doc__)
    parser.add_argument("--files", type=int, default=4000, help="executions of readers of files")
    parser.add_argument("--parsers", type=int, default=6000, help="executions of parsers")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    arguments = parser.parse_args()
    began = time.monotonic()
    runner = Runner(arguments.seed, arguments.findings)
    try:
        tallies = runner.run(arguments.files, arguments.parsers)
    finally:
        runner.close()
    for name, tally in tallies.items():
        print(
            f"{name}: {tally.executions} executions, {tally.seconds:.1f} s, slowest {tally.slowest_s:.2f} s"
        )
        print("   ", dict(tally.outcomes.most_common(12)))
        for mark, found in tally.findings.items():
            print("    FINDING", mark, json.dumps(found))
    print(f"{sum(t.executions for t in tallies.values())} executions in {time.monotonic() - began:.0f} s")
    return int(any(tally.findings for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())
