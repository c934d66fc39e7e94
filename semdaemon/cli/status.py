"""``semdaemon status``: asks the running daemon."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
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
    table.add_column(style="dim")
    table.add_column()
    for name, value in _lines(status, endpoint):
        table.add_row(name, Text(printable(value)))
    console.print(table)
    for fault in faults:
        console.print(Text(f"! {printable(fault)}", style="bold red"))


def _lines(status: Mapping[str, Any], endpoint: str) -> Iterator[tuple[str, str]]:
    instrument, version = status.get("instrument", "?"), status.get("version", "?")
    yield "daemon", f"{instrument}, version {version}, pid {status.get('pid', '?')}, at {endpoint}"
    yield "since", str(status.get("started_at", "?"))[:19].replace("T", " ") + " UTC"
    frames = status.get("frames") or {}
    yield "frames", ", ".join(f"{count} {state}" for state, count in frames.items() if count) or "none yet"
    yield "waiting", _waiting(float(status.get("oldest_waiting_s") or 0.0))
    yield "worker", _worker(status.get("worker") or {})
    for source in status.get("sources") or ():
        yield "source", _source(source)
    yield "output", str((status.get("output") or {}).get("folder", "?"))
    if url := (status.get("addresses") or {}).get("page"):
        reach = (status.get("page") or {}).get("reach", "this machine")
        yield "page", str(url) if reach == "this machine" else f"{url} (can be reached from {reach})"
    if wire := status.get("wire"):
        yield "published", _wire(wire)


def _source(source: Mapping[str, Any]) -> str:
    roots = [
        str(root.get("path", root) if isinstance(root, dict) else root) for root in source.get("roots", ())
    ]
    if roots:
        return f"{source.get('name')} by {source.get('watching', '?')}: {', '.join(roots)}"
    counted = ", ".join(f"{count} {name}" for name, count in (source.get("counters") or {}).items() if count)
    return (
        f"{source.get('name')}: {'; '.join(filter(None, (source.get('detail'), counted))) or 'nothing yet'}"
    )


def _waiting(oldest_s: float) -> str:
    return f"the oldest for {oldest_s:.0f} s" if oldest_s else "nothing"


def _worker(worker: Mapping[str, Any]) -> str:
    name = (worker.get("weights") or {}).get("name")
    known = [str(word) for word in (worker.get("state"), worker.get("device"), name) if word]
    restarts = f", {worker['restarts']} restarts" if worker.get("restarts") else ""
    return ", ".join(known) + restarts + _job(worker.get("job")) + _probe(worker)


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
