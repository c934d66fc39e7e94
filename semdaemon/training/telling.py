"""How a training shows its progress: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

LINE_EVERY_S = 30.0
_BAR_EVERY_S = 0.5


@dataclass(frozen=True)
class Standing:
    """How a training stands: what its line of progress is made of."""

    iteration: int
    loss: float
    samples_per_s: float
    done: float
    left_s: float
    waiting: float

    def sentence(self) -> str:
        """Everything in one line."""
        line = (
            f"iteration {self.iteration}  loss {self.loss:.4f}  {self.samples_per_s:.1f} samples/s  "
            f"{100 * self.done:.1f} %  {_time(self.left_s)} left"
        )
        if self.waiting > 0.2:
            line += f"  ({100 * self.waiting:.0f} % waiting: more --workers)"
        return line


class Teller:
    """Shows progress and messages on standard error."""

    def __init__(self) -> None:
        self._bar = _bar() if sys.stderr.isatty() else None
        self._task = self._bar.add_task("", total=1.0) if self._bar else None
        self._told_at = 0.0

    def __enter__(self) -> Teller:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def due(self) -> bool:
        """Whether it is time for another line."""
        return time.monotonic() - self._told_at >= (_BAR_EVERY_S if self._bar else LINE_EVERY_S)

    def stands(self, standing: Standing) -> None:
        """Show how far it has come."""
        self._told_at = time.monotonic()
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=min(1.0, standing.done), description=standing.sentence())
        else:
            say(standing.sentence())

    def say(self, text: str) -> None:
        """A line that stays."""
        if self._bar:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            say(text)


def say(text: str) -> None:
    """A line on standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _bar() -> Progress | None:
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
    except ImportError:  # a bare training machine
        return None
    columns = (BarColumn(bar_width=24), TextColumn("{task.description}", markup=False))
    return Progress(*columns, console=Console(stderr=True), transient=False)


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
