"""All frames under all conditions, on one core or several; the figures do not depend on how many."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass

from semdaemon.refocus.allocator import keep_big_blocks
from semdaemon.refocus.weights import WeightsCard
from semdaemon.training.evaluation.case import Method
from semdaemon.training.evaluation.measuring import Outcome, measure, methods_of
from semdaemon.training.evaluation.plan import Step
from semdaemon.training.evaluation.scenes import Scene

Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class Work:
    """What is measured, in a form that other processes can be sent.

    Attributes
    ----------
    scenes
        Each with its number in the whole set, which seeds its noise: a part of the set gets the same noise.
    """

    card: WeightsCard
    scenes: tuple[tuple[int, Scene], ...]
    steps: tuple[Step, ...]
    device: str
    crop_px: int
    seed: int

    def tasks(self) -> Iterator[tuple[int, int]]:
        """Pairs of index into ``scenes`` and index into ``steps``."""
        for scene in range(len(self.scenes)):
            for step in range(len(self.steps)):
                yield scene, step

    def do(self, task: tuple[int, int], methods: dict[str, Method]) -> list[Outcome]:
        (number, scene), step = self.scenes[task[0]], self.steps[task[1]]
        return measure(
            scene, step.condition, methods, step.methods, crop_px=self.crop_px, seed=self.seed + number
        )


def work_on(
    card: WeightsCard,
    scenes: Sequence[Scene],
    steps: Sequence[Step],
    *,
    device: str = "auto",
    crop_px: int = 320,
    seed: int = 0,
    only: Sequence[str] = (),
) -> Work:
    """The work on scenes, or on those of them that ``only`` names; each is cut down to what it needs."""
    chosen = tuple(
        (number, scene.around(crop_px))
        for number, scene in enumerate(scenes)
        if not only or scene.name in only
    )
    return Work(card, chosen, tuple(steps), device, crop_px, seed)


def run(work: Work, *, jobs: int = 0, tell: Tell | None = None) -> list[Outcome]:
    """Do the work.

    Parameters
    ----------
    jobs
        Processes; 0 for one a core that this process may use.
    tell
        Called with the number of tasks done and of all tasks.

    Returns
    -------
    Outcomes in the order of scenes, then conditions, then methods, whatever ``jobs`` is.
    """
    tasks = list(work.tasks())
    jobs = min(jobs or cores(), len(work.scenes))
    if jobs > 1:
        return _in_pool(work, tasks, jobs, tell)
    keep_big_blocks()
    methods, found = methods_of(work.card, work.device), []
    for done, task in enumerate(tasks, 1):
        found += work.do(task, methods)
        if tell:
            tell(done, len(tasks))
    return found


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _in_pool(work: Work, tasks: list[tuple[int, int]], jobs: int, tell: Tell | None) -> list[Outcome]:
    found: dict[tuple[int, int], list[Outcome]] = {}
    # spawned, not forked: torch's threads do not survive a fork, and Windows has none
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(work,)) as pool:
        futures = {pool.submit(_one, task): task for task in tasks}
        try:
            for done, future in enumerate(as_completed(futures), 1):
                found[futures[future]] = future.result()
                if tell:
                    tell(done, len(tasks))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [outcome for task in tasks for outcome in found[task]]


_mine: tuple[Work, dict[str, Method]]
"""Set once in each process of the pool."""


def _begin(work: Work) -> None:
    global _mine
    keep_big_blocks()
    _mine = work, methods_of(work.card, work.device)


def _one(task: tuple[int, int]) -> list[Outcome]:
    work, methods = _mine
    return work.do(task, methods)
