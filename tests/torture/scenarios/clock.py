"""The system's clock is set hours forward and back."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ..lab import Lab
from ..scenario import Plan, Scenario

_SOURCE = Path(__file__).resolve().parents[1] / "clock_shim.c"
_FOLDER = Path(tempfile.gettempdir()) / f"semdaemon-torture-clock-{os.getpid()}"
_OFFSET, _LIBRARY = _FOLDER / "offset", _FOLDER / "clock.so"


def lacks() -> str:
    if sys.platform != "linux":
        return "LD_PRELOAD as Linux has it"
    return "" if shutil.which("cc") else "no C compiler for the shim that shifts the clock"


def environment() -> dict[str, str]:
    """A wall clock that follows a file; libfaketime breaks the sleeps of Python 3.11, hence our own shim."""
    _FOLDER.mkdir(exist_ok=True)
    command = ["cc", "-shared", "-fPIC", "-O2", "-o", str(_LIBRARY), str(_SOURCE)]
    subprocess.run(command, check=True, capture_output=True)
    _set(0.0)
    return {"LD_PRELOAD": str(_LIBRARY), "TORTURE_CLOCK": str(_OFFSET)}


def prepare(lab: Lab) -> None:
    """The shim goes with the laboratory."""
    lab.at_end(lambda: shutil.rmtree(_FOLDER, ignore_errors=True))


def act(lab: Lab, plan: Plan) -> None:
    """The clock jumps while frames come in; the time that a frame takes to its end must not jump with it."""
    until, number = plan.until, 0
    while number < 2 or time.monotonic() < until:
        hours = lab.rng.choice((-48, -9, -3, -1, -0.01, 0, 0.01, 1, 3, 9, 48))
        lab.write_many(6)
        lab.pause(0.0, 0.3)
        _set(3600.0 * hours)
        lab.did["jumps of the clock by up to two days"] += 1
        lab.write_many(6)
        began = time.monotonic()
        lab.until(lambda: lab.waiting() <= 0, 60, f"frames go on after the clock went to {hours:+g} h")
        took_s = time.monotonic() - began
        lab.figures["longest until all were final after a jump, s"] = max(
            lab.figures.get("longest until all were final after a jump, s", 0.0), round(took_s, 2)
        )
        number += 1


def _set(offset_s: float) -> None:
    temporary = _OFFSET.with_suffix(".new")
    temporary.write_text(f"{offset_s:.0f}")
    temporary.replace(_OFFSET)


SCENARIO = Scenario(
    name="clock",
    title="Clock jumps",
    did="clock of daemon and worker set forward and back by up to 48 h (preloaded shim) while frames come in",
    not_shown="A monotonic clock that jumps: no supported system has one.",
    act=act,
    environment=environment,
    prepare=prepare,
    lacks=lacks,
)
