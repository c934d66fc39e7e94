"""The acquisition folder goes away and comes back."""

from __future__ import annotations

import time
from pathlib import Path

from ..lab import Lab
from ..mounts import lacks_mounts, run, unmount
from ..scenario import Plan, Scenario

_STORE = "store"


def prepare(lab: Lab) -> None:
    """What is acquired lies in a store that is mounted as the acquisition folder."""
    store = lab.home / _STORE
    store.mkdir()
    lab.store = store
    run("mount", "--bind", store, lab.roots[0])
    lab.at_end(lambda: unmount(lab.roots[0]))


def act(lab: Lab, plan: Plan) -> None:
    """Unmounted in the middle of a burst, with files that come meanwhile; renamed and back as well."""
    store, root, until, number = lab.home / _STORE, lab.roots[0], plan.until, 0
    while number < 2 or time.monotonic() < until:
        lab.write_many(12)
        lab.pause(0.0, 0.5)
        (_unmounted if number % 2 == 0 else _renamed)(lab, store, root)
        lab.write_many(3)
        lab.until(lambda: lab.waiting() <= 10, 60, "work goes on after the folder is back")
        number += 1


def _unmounted(lab: Lab, store: Path, root: Path) -> None:
    unmount(root)
    lab.write_many(4)
    lab.pause(0.1, 5.0)
    run("mount", "--bind", store, root)
    lab.did["acquisition folder unmounted and back, with new files"] += 1


def _renamed(lab: Lab, store: Path, root: Path) -> None:
    unmount(root)
    away = root.with_name("away")
    root.rename(away)
    lab.write_many(4)
    lab.pause(0.1, 5.0)
    away.rename(root)
    run("mount", "--bind", store, root)
    lab.did["acquisition folder renamed and back, with new files"] += 1


SCENARIO = Scenario(
    name="unmount",
    title="Acquisition folder unmounted, renamed",
    did="in the middle of a burst, for up to 5 s, with files that are written meanwhile",
    not_shown="A share whose server hangs rather than vanishes: see the network-like mount.",
    act=act,
    prepare=prepare,
    lacks=lacks_mounts,
)
