"""The paper's three settings and our recipe step by step: ``python -m semdaemon.training.experiments``.

What is done is skipped and what was cut short goes on, so the same command repeats, resumes and reports.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from semdaemon.errors import SemdaemonError
from semdaemon.refocus.allocator import keep_big_blocks
from semdaemon.training.device import device_of
from semdaemon.training.experiments import page, plot
from semdaemon.training.experiments.catalogue import PUBLISHED_SCALE, REHEARSAL, SCALES, everything
from semdaemon.training.experiments.running import Series, run
from semdaemon.training.pages import check_section


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 0 when all experiments asked for are done."""
    given = _parser().parse_args(arguments)
    keep_big_blocks()
    torch.set_num_threads(given.threads)
    try:
        _run(given)
    except SemdaemonError as error:
        _say(f"Error: {error}")
        return 1
    except KeyboardInterrupt:
        _say("Stopped; the same command goes on from here.")
        return 130
    return 0


def _run(given: argparse.Namespace) -> None:
    device = device_of(given.device or "auto")  # first: a folder is claimed for the scale that it decides
    scale = SCALES[given.scale or (PUBLISHED_SCALE if device.type == "cuda" else REHEARSAL).name]
    if given.page:
        plot.check_available()
        check_section(given.page, page.SECTION)
    experiments = [e for e in everything(scale) if not given.only or e.name in given.only]

    def write(results: dict[str, Any]) -> None:
        if given.page:
            page.write(given.page, results)

    series = Series(given.data, given.out, scale.name, given.seed, str(device))
    results = run(experiments, series, _say, write)
    if not given.page:
        sys.stdout.write(page.section(results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m semdaemon.training.experiments", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with train/ and heldout/; else simulated scenes")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("semdaemon-experiments"),
        help="one folder an experiment: checkpoint, curve, result (default: %(default)s)",
    )
    parser.add_argument(
        "--scale", choices=sorted(SCALES), help="default: published with CUDA, rehearsal without"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=_names(), help="some experiments only")
    parser.add_argument("--page", type=Path, help="page to write; picture and JSON go beside it")
    parser.add_argument("--device", help="cuda, cpu, mps, ...; default: CUDA where there is one")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default: %(default)s)")
    return parser


def _names() -> list[str]:
    return [experiment.name for experiment in everything(REHEARSAL)]


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
