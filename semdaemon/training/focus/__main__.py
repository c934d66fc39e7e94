"""``python -m semdaemon.training.focus train|export|evaluate``."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from semdaemon.training.focus.trainer import Plan, Trainer


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m semdaemon.training.focus", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train the blur estimator; goes on from a checkpoint in --out")
    train.add_argument("--data", type=Path, required=True, help="folder of sharp frames")
    train.add_argument("--out", type=Path, required=True, help="folder of checkpoint and log")
    train.add_argument("--minutes", type=float, default=None)
    train.add_argument("--iterations", type=int, default=None)
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    Trainer(Plan(given.data, given.out, minutes=given.minutes, iterations=given.iterations, seed=given.seed)).run()


if __name__ == "__main__":
    main()
