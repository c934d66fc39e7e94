"""The blur estimator: ``python -m semdaemon.training.focus train|export|context|survey``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

MODEL = Path(__file__).parents[2] / "focus" / "data" / "sigma.onnx"


def main() -> None:
    given = _arguments().parse_args()
    torch.set_num_threads(given.threads)
    {"train": _train, "export": _export, "context": _context, "survey": _survey}[given.command](given)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m semdaemon.training.focus", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train; goes on from a checkpoint found in --out")
    train.add_argument("--data", type=Path, required=True, help="folder of sharp frames")
    train.add_argument("--out", type=Path, required=True, help="folder of checkpoint and log")
    train.add_argument("--minutes", type=float, help="end by the clock")
    train.add_argument("--iterations", type=int, help="end by count: reproducible")
    train.add_argument("--from", dest="start_from", type=Path, help="start: .onnx or checkpoint")
    train.add_argument("--learning-rate", type=float, default=2e-3)
    train.add_argument("--seed", type=int, default=0)
    export = commands.add_parser("export", help="checkpoint to .onnx and card, calibrated")
    export.add_argument("--run", type=Path, required=True, help="the training's --out")
    export.add_argument("--data", type=Path, required=True, help="the folder it was trained on")
    export.add_argument("--model", type=Path, default=MODEL, help="where to write (default: the shipped one)")
    context = commands.add_parser("context", help="how far neighbours are believed, into the card")
    context.add_argument("--data", type=Path, required=True, help="the folder it was trained on")
    context.add_argument("--model", type=Path, default=MODEL)
    context.add_argument("--seed", type=int, default=0)
    survey = commands.add_parser("survey", help="bad input, tilt and astigmatism: tables of a page")
    survey.add_argument("--data", type=Path, required=True, help="folder with train/ and heldout/")
    survey.add_argument("--part", choices=("train", "heldout"), default="heldout")
    survey.add_argument("--seed", type=int, default=0)
    survey.add_argument("--page", type=Path, help="markdown page whose tables are written anew")
    for command in (train, export, context, survey):
        command.add_argument("--threads", type=int, default=1)
    return parser


def _train(given: argparse.Namespace) -> None:
    from semdaemon.training.focus.trainer import Plan, Trainer

    plan = Plan(
        given.data,
        given.out,
        minutes=given.minutes,
        iterations=given.iterations,
        seed=given.seed,
        learning_rate=given.learning_rate,
        start_from=given.start_from,
    )
    Trainer(plan).run()


def _export(given: argparse.Namespace) -> None:
    from semdaemon.training.focus.export import export

    export(given.run, given.data, given.model)


def _context(given: argparse.Namespace) -> None:
    from semdaemon.training.focus.context import into_card

    into_card(given.model, given.data, seed=given.seed, tell=_tell)


def _survey(given: argparse.Namespace) -> None:
    from semdaemon.training.focus.surveying import survey_tables, write_tables

    tables = survey_tables(given.data, given.part, seed=given.seed)
    if given.page:
        write_tables(given.page, tables)
    else:
        sys.stdout.write(tables)


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    main()
