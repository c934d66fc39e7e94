from __future__ import annotations

import os
import threading
import time

import pytest

from semdaemon.sources import hints
from semdaemon.sources.hints import Hints


def test_what_was_told_is_taken_once() -> None:
    told = Hints()
    told.add("a.tif", is_folder=False)
    told.add("a.tif", is_folder=False)
    told.add("sub", is_folder=True)
    assert told.take() == ({"a.tif", "sub" + os.sep}, False)
    assert told.take() == (set(), False)


def test_more_hints_than_are_kept_ask_for_a_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hints, "_MOST_HINTS", 2)
    told = Hints()
    for name in ("a", "b", "c"):
        told.add(name, is_folder=False)
    assert told.take() == ({"a", "b"}, True)
    told.add("d", is_folder=False)
    assert told.take() == ({"d"}, False)


@pytest.mark.parametrize("told", ["hint", "loss", "wake"])
def test_whoever_waits_is_woken_up(told: str) -> None:
    waiting = Hints()
    tell = {"hint": lambda: waiting.add("a", is_folder=False), "loss": waiting.lose, "wake": waiting.wake}
    teller = threading.Timer(0.05, tell[told])
    began = time.monotonic()
    teller.start()
    waiting.wait(30)
    assert time.monotonic() - began < 20
    teller.join()
