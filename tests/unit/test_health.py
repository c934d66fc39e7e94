"""What counts as alive and ready."""

from __future__ import annotations

from typing import Any

import pytest

from semdaemon.health import alive, answer, ready

GOOD: dict[str, Any] = {
    "threads_alive": True,
    "sources": [{"name": "folder", "ok": True, "detail": ""}],
    "worker": {"state": "ready"},
    "output": {"folder": "/out", "fault": None},
    "space": {"state": {"folder": "/state", "free_bytes": 2**40}},
    "settings": {"reload_error": None, "restart_needed": []},
}


def test_a_good_status_is_alive_and_ready() -> None:
    assert answer(alive(GOOD))[1]
    said, fine = answer(ready(GOOD))
    assert fine
    assert said["lacking"] == []
    assert {check["state"] for check in said["checks"]} == {"ok"}


def test_a_micro_manager_that_is_not_started_is_waited_for_and_no_fault() -> None:
    closed = {"name": "micromanager", "ok": False, "waiting": True, "detail": "nothing listens"}
    said, fine = answer(ready({**GOOD, "sources": [*GOOD["sources"], closed]}))
    assert fine
    assert [check["state"] for check in said["checks"] if "micromanager" in check["name"]] == ["waiting"]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"threads_alive": False, "watchdog": {"well": False, "why": "stands still"}}, "threads"),
        ({"sources": [{"name": "folder", "ok": False, "detail": "/data is not there"}]}, "source folder"),
        ({"worker": {"state": "degraded", "last_fault": "worker_died"}}, "worker"),
        ({"output": {"folder": "/out", "fault": "disk full"}}, "output"),
        ({"space": {"state": {"folder": "/state", "free_bytes": 2**20}}}, "room for state"),
    ],
)
def test_what_keeps_it_from_its_work_is_not_ready(change: dict[str, Any], name: str) -> None:
    said, fine = answer(ready({**GOOD, **change}))
    assert not fine
    assert [line.split(": ")[0] for line in said["lacking"]] == [name]


@pytest.mark.parametrize(
    "change",
    [
        {"space": {"output": {"folder": "/out", "free_bytes": 2**30}}},
        {"settings": {"reload_error": {"code": "settings_invalid", "message": "no such key"}}},
        {"settings": {"reload_error": None, "restart_needed": ["page.port"]}},
    ],
)
def test_what_a_person_should_look_after_is_a_warning_and_ready(change: dict[str, Any]) -> None:
    said, fine = answer(ready({**GOOD, **change}))
    assert fine
    assert "warning" in {check["state"] for check in said["checks"]}
