"""What a reload says of settings that hold for a part of the daemon alone."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from semdaemon.daemon.parts import in_force
from semdaemon.daemon.reload import Reloading
from semdaemon.inforce import Live
from semdaemon.metrics import Metrics
from semdaemon.settings import Settings
from semdaemon.sources.folder import FolderSource
from semdaemon.sources.micromanager import MicroManagerSource
from semdaemon.sources.ndtiff import NDTiffSource
from semdaemon.sources.pushed import PushedSource

Made = Callable[..., Any]


def settings(**limits: int) -> Settings:
    return Settings(focus={"scorer": "f4n"}, limits=limits)  # type: ignore[arg-type]


def pushed(start: Settings) -> Any:
    return PushedSource(start.pushed, start.limits, SimpleNamespace())  # type: ignore[arg-type]


def micromanager(start: Settings) -> Any:
    return MicroManagerSource(start.micromanager, start.limits, SimpleNamespace())  # type: ignore[arg-type]


def folder(start: Settings) -> Any:
    return FolderSource(start.folder)


class Desk:
    """A daemon with one source; nothing of it runs."""

    def __init__(self, source: Made) -> None:
        start = settings()
        self.file = start
        stacks = NDTiffSource(start.ndtiff)
        parts: Any = SimpleNamespace(
            live=Live(in_force(start, stacks)),
            stacks=stacks,
            sources=(source(start),),
            outbound=SimpleNamespace(reload=lambda _: None),
        )
        self.reloading = Reloading(lambda: self.file, parts, Metrics())

    def reload(self, file: Settings) -> tuple[list[str], list[str]]:
        self.file = file
        self.reloading.reload()
        told = self.reloading.describe()
        assert told["reload_error"] is None
        return told["applied"], told["restart_needed"]


@pytest.mark.parametrize("source", [pushed, micromanager])
def test_limits_need_a_restart_for_frames_from_memory_and_that_is_told(source: Made) -> None:
    desk = Desk(source)
    assert desk.reload(settings(max_pixels=1000)) == (["limits.max_pixels"], ["limits.max_pixels"])
    # Another reload changes nothing, and the old limit still holds for what is pushed.
    assert desk.reload(settings(max_pixels=1000)) == ([], ["limits.max_pixels"])
    assert desk.reload(settings()) == (["limits.max_pixels"], [])


def test_limits_of_files_need_none() -> None:
    assert Desk(folder).reload(settings(max_pixels=1000)) == (["limits.max_pixels"], [])
