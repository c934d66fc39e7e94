"""What every source is, what it delivers, and how it says that it is well."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Sighting:
    """A file that a source saw, complete or not.

    Attributes
    ----------
    relative
        Below the source's root; the output's place follows from it.
    settle_s
        How long its size and time must stay the same before a look is worth it, seconds.
    """

    source: str
    uri: str
    path: Path
    relative: Path
    size_bytes: int
    mtime_ns: int
    settle_s: float = 0.0


Deliver = Callable[[Sequence[Sighting]], None]
Watching = Literal["events", "polling", "nothing"]


@dataclass(frozen=True, slots=True)
class RootHealth:
    """How one folder of a source is.

    Attributes
    ----------
    ok
        The folder is there and is being looked at.
    detail
        What is wrong, or worth knowing; empty where there is nothing to say.
    files
        Matching files found by the last scan.
    left_out
        Files that the backlog policy left alone at the start.
    last_scan_at, last_scan_s
        When the last whole scan ended (seconds since 1970) and what it took; None before the first.
    """

    path: Path
    ok: bool
    detail: str
    watching: Watching
    files: int = 0
    left_out: int = 0
    last_scan_at: float | None = None
    last_scan_s: float | None = None


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """How a source is; ``watching`` and ``last_scan_at`` are those of its worst root.

    ``counters`` counts since the start what a source took and what it could not.
    ``waiting`` says of a source that is not ``ok`` that nothing is broken: a program that a person starts
    when it is needed does not run.
    """

    name: str
    ok: bool
    detail: str
    watching: Watching
    roots: tuple[RootHealth, ...] = ()
    last_scan_at: float | None = None
    counters: Mapping[str, int] = field(default_factory=dict)
    waiting: bool = False


@runtime_checkable
class Source(Protocol):
    """Where frames come from; entry point group ``semdaemon.sources``.

    The daemon calls ``start`` once, ``wake`` and ``health`` at any time from any thread, ``stop`` once.
    ``deliver`` is called from the source's own threads, several perhaps; it may raise `SemdaemonError`
    (a full disk), and then the same sightings are due again. A file may be delivered any number of times,
    and must be whenever its size or time changed.
    """

    @property
    def name(self) -> str: ...

    def start(self, deliver: Deliver) -> None:
        """Begin to look; returns at once. A root that is not there yet is no error."""

    def stop(self) -> None:
        """End every thread; nothing is delivered afterwards."""

    def wake(self) -> None:
        """Look again now."""

    def health(self) -> SourceHealth:
        """How it is; quick, and truthful while a scan hangs."""
