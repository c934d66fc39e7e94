"""The system's clock is set hours forward and back."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from ..lab import Lab
from ..scenario import Plan, Scenario

_LIBRARIES = "/usr/lib/*/faketime/libfaketimeMT.so.1"
_OFFSET = Path(tempfile.gettempdir()) / "semdaemon-torture-clock"


def _library() -> str:
    return next((str(path) for path in Path("/").glob(_LIBRARIES.lstrip("/"))), "")


def lacks() -> str:
    return "" if _library() else "libfaketime not installed (Debian package faketime)"


def environment() -> dict[str, str]:
    """A clock that follows a file; monotonic time and files' times stay as they are."""
    _set("+0")
    return {
        "LD_PRELOAD": _library(), "FAKETIME_TIMESTAMP_FILE": str(_OFFSET), "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1",
    }  # fmt: skip


def act(lab: Lab, plan: Plan) -> None:
    """The clock jumps while frames come in; the time that a frame takes to its end must not jump with it."""
    until, number = plan.until, 0
    while number < 2 or time.monotonic() < until:
        hours = lab.rng.choice((-48, -9, -3, -1, -0.01, 0, 0.01, 1, 3, 9, 48))
        lab.write_many(6)
        time.sleep(lab.rng.uniform(0.0, 0.3))
        _set(f"{hours * 3600:+.0f}")
        lab.did["jumps of the clock by up to two days"] += 1
        lab.write_many(6)
        began = time.monotonic()
        lab.until(lambda: lab.waiting() <= 0, 60, f"frames go on after the clock went to {hours:+g} h")
        took_s = time.monotonic() - began
        lab.figures["longest until all were final after a jump, s"] = max(
            lab.figures.get("longest until all were final after a jump, s", 0.0), round(took_s, 2)
        )
        number += 1


def _set(offset: str) -> None:
    _OFFSET.write_text(offset + "\n")


SCENARIO = Scenario(
    name="clock",
    title="Clock jumps",
    did="the daemon's and the worker's clock set forward and back by up to 48 h (libfaketime) while frames come in",
    not_shown="A monotonic clock that jumps: no supported system has one.",
    act=act,
    environment=environment,
    lacks=lacks,
)
