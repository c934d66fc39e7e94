"""``semdaemon status``: asks the running daemon."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from semdaemon.cli.options import (
    config_option,
    json_option,
    key_option,
    keys_from,
    server_key_option,
    settings_from,
)
from semdaemon.cli.printable import printable
from semdaemon.errors import SemdaemonError
from semdaemon.health import ready
from semdaemon.wire.control import ask
from semdaemon.wire.keys import ClientKeys


@click.command("status")
@config_option
@click.option("--control", help="The daemon's control socket, where it is not the one in the settings.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0.1), default=2.0, show_default=True)
@key_option
@server_key_option
@json_option
def command(
    config: Path | None,
    control: str | None,
    timeout_s: float,
    key: Path | None,
    server_key: Path | None,
    as_json: bool,
) -> int:
    """Ask the running daemon how it is; exit code 1 where none answers or something is wrong."""
    curve = keys_from(key, server_key)
    publish = None if control and curve else settings_from(config).publish
    endpoint = control or (publish.control if publish else "")
    if not endpoint:
        raise SemdaemonError(
            "control_off",
            "The settings switch the control socket off (publish.control is '').",
            remedy="Set publish.control, e.g. tcp://127.0.0.1:5571; the page's /api/status says the same.",
        )
    if curve is None and publish is not None and publish.curve is not None:
        # Beside the daemon its own key serves: whoever may read that file is the daemon's user.
        secret_file = publish.curve.secret_file
        curve = ClientKeys.load(secret_file, secret_file)
    told = ask(endpoint, {"request": "status"}, timeout_s, curve)
    status = told.get("status", {})
    faults = list(wrong(status))
    if as_json:
        click.echo(json.dumps({**status, "epoch": told.get("epoch"), "wrong": faults}))
    else:
        _show(status, faults, endpoint)
    return 1 if faults else 0


def wrong(status: Mapping[str, Any]) -> Iterator[str]:
    """What keeps it from its work, in words."""
    if "error" in status:
        yield f"the status could not be made: {status['error']}"
    yield from (f"{check.name}: {check.detail}" for check in ready(status) if check.state == "wrong")


def _show(status: Mapping[str, Any], faults: list[str], endpoint: str) -> None:
    console = Console()
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _lines(status, endpoint):
        table.add_row(name, Text(printable(value)))
    console.print(table)
    for check in ready(status):
        if check.state == "warning":
            console.print(Text(f"~ {printable(f'{check.name}: {check.detail}')}", style="yellow"))
    for fault in faults:
        console.print(Text(f"! {printable(fault)}", style="bold red"))


def _lines(status: Mapping[str, Any], endpoint: str) -> Iterator[tuple[str, str]]:
    instrument, version = status.get("instrument", "?"), status.get("version", "?")
    yield "daemon", f"{instrument}, version {version}, pid {status.get('pid', '?')}"
    yield "since", _since(str(status.get("started_at", "")))
    frames = status.get("frames") or {}
    yield "frames", ", ".join(f"{count} {state}" for state, count in frames.items() if count) or "none yet"
    yield "waiting", _waiting(float(status.get("oldest_waiting_s") or 0.0))
    yield "worker", _worker(status.get("worker") or {})
    for source in status.get("sources") or ():
        yield from _source(source)
    for name, place in (status.get("space") or {}).items():
        yield name, _place(place)
    if "space" not in status:
        yield "output", str((status.get("output") or {}).get("folder", "?"))
    yield from _addresses(status, endpoint)
    if wire := status.get("wire"):
        yield "sent", _wire(wire)
    if settings := status.get("settings"):
        yield "settings", _settings(settings)


def _since(started_at: str) -> str:
    try:
        started = datetime.fromisoformat(started_at)
    except ValueError:
        return started_at or "?"
    return f"{started:%Y-%m-%d %H:%M:%S} UTC, for {duration((datetime.now(UTC) - started).total_seconds())}"


_UNITS = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))


def duration(seconds: float) -> str:
    """Two units at most: 42 s, 3 min 5 s, 2 h 10 min, 12 d 3 h."""
    whole = max(0, round(seconds))
    for unit_s, unit, below_s, below in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= unit_s:
            rest = whole % unit_s // below_s
            return f"{whole // unit_s} {unit}" + (f" {rest} {below}" if rest else "")
    return f"{whole} s"


def _addresses(status: Mapping[str, Any], endpoint: str) -> Iterator[tuple[str, str]]:
    addresses = status.get("addresses") or {}
    if url := addresses.get("page"):
        reach = (status.get("page") or {}).get("reach", "this machine")
        yield "page", str(url) if reach == "this machine" else f"{url} (can be reached from {reach})"
    if publisher := addresses.get("endpoint"):
        yield "publisher", str(publisher)
    yield "control", str(addresses.get("control") or endpoint)
    if pushed := addresses.get("pushed"):
        yield "pushed to", f"{pushed} (frames that scripts push)"


def _source(source: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """One line a folder, or one for a source without folders."""
    name, roots = source.get("name"), source.get("roots") or ()
    state = "ok" if source.get("ok", True) else "waiting" if source.get("waiting") else "fault"
    for root in roots:
        if not isinstance(root, Mapping):
            yield "source", f"{name} by {source.get('watching', '?')}: {root}"
            continue
        known = "ok" if root.get("ok", True) else "fault"
        files = f", {root['files']} files" if root.get("files") else ""
        yield "source", f"{name} by {root.get('watching', '?')}: {root.get('path')} ({known}{files})"
    if not roots:
        counted = [f"{count} {event}" for event, count in (source.get("counters") or {}).items() if count]
        said = "; ".join(filter(None, (source.get("detail"), ", ".join(counted))))
        yield "source", f"{name}: {state}" + (f"; {said}" if said else "")


def _place(place: Mapping[str, Any]) -> str:
    free = place.get("free_bytes")
    return f"{place.get('folder', '?')}" + ("" if free is None else f" ({free / 2**30:.1f} GiB free)")


def _settings(settings: Mapping[str, Any]) -> str:
    said = [f"fingerprint {settings.get('fingerprint', '?')}"]
    if settings.get("reloads"):
        taken = ", ".join(settings.get("applied") or ()) or "nothing changed"
        said.append(f"reloaded {str(settings.get('reloaded_at', ''))[:19].replace('T', ' ')} UTC ({taken})")
    return ", ".join(said)


def _waiting(oldest_s: float) -> str:
    return f"the oldest for {duration(oldest_s)}" if oldest_s else "nothing"


def _worker(worker: Mapping[str, Any]) -> str:
    name = (worker.get("weights") or {}).get("name")
    auto = f"{name} (chosen: auto)" if name and worker.get("chosen") else name
    known = [str(word) for word in (worker.get("state"), worker.get("device"), auto) if word]
    number = worker.get("restarts") or 0
    restarts = f", replaced {number} time{'s' * (number > 1)} so far" if number else ""
    why = f" after: {worker.get('last_fault')}" if worker.get("state") in ("degraded", "restarting") else ""
    return ", ".join(known) + restarts + why + _job(worker.get("job")) + _probe(worker)


def _job(job: Mapping[str, Any] | None) -> str:
    if not job:
        return ""
    tiles = f"{job.get('tiles_done')} of {job.get('tiles_total')} tiles"
    return f"; frame {job.get('frame')} for {job.get('running_s')} s, {tiles}"


def _probe(worker: Mapping[str, Any]) -> str:
    probe = worker.get("probe")
    if not probe:
        return ""
    passed = "passed" if probe.get("passed") else f"FAILED ({probe.get('why')})"
    return f"; test picture {passed} at {str(worker.get('probed_at'))[11:19]} UTC"


def _wire(wire: Mapping[str, Any]) -> str:
    sent = ", ".join(
        f"{count} {event}" for event, count in (wire.get("sent") or {}).items() if event != "heartbeat"
    )
    kept_back = sum((wire.get("shed") or {}).values()) + sum((wire.get("withheld") or {}).values())
    return (sent or "nothing yet") + (f"; {kept_back} not sent for want of room" if kept_back else "")
