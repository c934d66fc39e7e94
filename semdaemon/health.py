"""How the daemon is, judged from its status: what `/healthz`, `/readyz` and `semdaemon status` say.

Alive means that restarting would not help: its threads turn. Ready means that it can do its main job now.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["ok", "waiting", "warning", "wrong"]

LOW_SPACE_BYTES = 2 * 2**30
NO_SPACE_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    ``waiting`` is for what a person starts when it is needed (Micro-Manager): no fault, nothing to repair.
    ``warning`` is for what a person should look after while everything still works.
    """

    name: str
    state: State
    detail: str = ""


def alive(status: Mapping[str, Any]) -> list[Check]:
    """What a restart could repair."""
    return [_threads(status)]


def ready(status: Mapping[str, Any]) -> list[Check]:
    """Everything that the main job needs: threads, sources, worker, output, journal, room, settings."""
    found = [_threads(status), *map(_source, status.get("sources") or ()), _worker(status)]
    return [*found, _output(status), _journal(status), *_room(status), _settings(status)]


def answer(checks: Iterable[Check]) -> tuple[dict[str, Any], bool]:
    """What is answered in JSON, and whether nothing is wrong."""
    all_checks = list(checks)
    lacking = [f"{check.name}: {check.detail}" for check in all_checks if check.state == "wrong"]
    return {"ok": not lacking, "lacking": lacking, "checks": [asdict(c) for c in all_checks]}, not lacking


def _threads(status: Mapping[str, Any]) -> Check:
    if status.get("threads_alive", True):
        return Check("threads", "ok")
    why = (status.get("watchdog") or {}).get("why") or "a working thread stands still"
    return Check("threads", "wrong", why)


def _source(source: Mapping[str, Any]) -> Check:
    name, detail = f"source {source.get('name')}", str(source.get("detail") or "")
    if source.get("ok", True):
        return Check(name, "ok", detail)
    return Check(name, "waiting" if source.get("waiting") else "wrong", detail)


def _worker(status: Mapping[str, Any]) -> Check:
    worker = status.get("worker") or {}
    state = str(worker.get("state", ""))
    if state == "degraded":
        return Check("worker", "wrong", f"refocusing pauses, scoring goes on: {worker.get('last_fault')}")
    if state == "restarting":
        return Check("worker", "warning", f"is started again after: {worker.get('last_fault')}")
    return Check("worker", "ok", state)


def _output(status: Mapping[str, Any]) -> Check:
    output = status.get("output") or {}
    if fault := output.get("fault"):
        return Check("output", "wrong", str(fault))
    return Check("output", "ok", str(output.get("folder", "")))


def _journal(status: Mapping[str, Any]) -> Check:
    journal = status.get("journal") or {}
    if fault := journal.get("fault"):
        return Check("journal", "wrong", str(fault))
    return Check("journal", "ok", str(journal.get("path", "")))


def _room(status: Mapping[str, Any]) -> Iterator[Check]:
    for name, left in (status.get("space") or {}).items():
        free = left.get("free_bytes")
        if free is None:
            continue
        state: State = "wrong" if free < NO_SPACE_BYTES else "warning" if free < LOW_SPACE_BYTES else "ok"
        yield Check(f"room for {name}", state, f"{free / 2**30:.1f} GiB free in {left.get('folder')}")


def _settings(status: Mapping[str, Any]) -> Check:
    settings = status.get("settings") or {}
    if error := settings.get("reload_error"):
        return Check("settings", "warning", f"the last reload failed, the old ones hold: {error['message']}")
    if keys := settings.get("restart_needed"):
        return Check("settings", "warning", f"a restart is needed for {', '.join(keys)}")
    return Check("settings", "ok")
