"""The training loop: ``python -m semdaemon.training.loop --data DIR --out DIR --minutes 90``.

Needs torch, numpy, scipy, safetensors, tifffile and Pillow, nothing else of the daemon, so that it runs
on a bare GPU machine as it does on one core.
A checkpoint found in the output folder means going on from it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from semdaemon.errors import SemdaemonError
from semdaemon.refocus.allocator import keep_big_blocks
from semdaemon.training import checkpoint, course
from semdaemon.training.arguments import parser, plan_of
from semdaemon.training.plan import Plan
from semdaemon.training.stopping import TrainingStoppedError
from semdaemon.training.telling import say
from semdaemon.training.trainer import Trainer

__all__ = ["Plan", "main", "train"]


def train(plan: Plan) -> Path:
    """Run a plan to its end; gives the path of the checkpoint, or of the best weights where they are kept.

    Raises
    ------
    TrainingStoppedError
        Saved and stopped before the end, by a signal or at the end of a slice of time.
    SemdaemonError
        What is wrong with the frames, the checkpoint, the start or the loss.
    """
    keep_big_blocks()
    if plan.threads:
        torch.set_num_threads(plan.threads)
    trainer = Trainer(plan)
    course.run(trainer)
    best = plan.out / checkpoint.BEST
    return best if plan.patience and best.exists() else trainer.path


def main(arguments: list[str] | None = None) -> int:
    """Command line of the loop; gives the exit code."""
    try:
        say(str(train(plan_of(parser().parse_args(arguments)))))
    except TrainingStoppedError as stopped:
        say(str(stopped))
        return stopped.exit_code
    except SemdaemonError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
