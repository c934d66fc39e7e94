"""Whether the settings' addresses are free, and who has them where they are not: the daemon, mostly."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semdaemon.errors import SemdaemonError
from semdaemon.finding import Finding
from semdaemon.journal import find_journal
from semdaemon.journal.lock import living_owner
from semdaemon.settings import Publish, Settings
from semdaemon.wire.control import ask
from semdaemon.wire.keys import ClientKeys

_ANSWER_S = 2.0


@dataclass(frozen=True)
class Wanted:
    """An address that the settings ask for; ``told`` is its name in a daemon's status, no ``host`` is all."""

    name: str
    told: str
    host: str
    port: int

    def refusal(self) -> OSError | None:
        """Why it cannot be had; None where it is free."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        with socket.socket(family) as probe:
            try:
                probe.bind((self.host, self.port))
            except OSError as error:
                return error
        return None


def ports(settings: Settings) -> Iterator[Finding]:
    """One line for a running daemon with all that it has, one for each other port, free or not."""
    wanted = list(_wanted(settings))
    taken = {each: refusal for each in wanted if (refusal := each.refusal()) is not None}
    if taken:
        running = _running(settings, taken)
        if running is not None:
            finding, own = running
            yield finding
            taken = {each: refusal for each, refusal in taken.items() if each not in own}
            wanted = [each for each in wanted if each not in own]
    for each in wanted:
        yield _port(each, taken.get(each))


def _wanted(settings: Settings) -> Iterator[Wanted]:
    asked = [
        ("publisher", "endpoint", settings.publish.endpoint),
        ("control", "control", settings.publish.control),
        ("pushed frames", "pushed", settings.pushed.endpoint),
    ]
    if settings.page.enabled:
        asked.append(("page", "page", f"tcp://{settings.page.host}:{settings.page.port}"))
    for name, told, endpoint in asked:
        host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
        if endpoint.startswith("tcp://") and port.isdigit() and int(port):
            yield Wanted(name, told, "" if host == "*" else host.strip("[]"), int(port))


def _port(wanted: Wanted, refusal: OSError | None) -> Finding:
    name = f"{wanted.name} port {wanted.port}"
    if refusal is None:
        return Finding(name, "ok", "free")
    remedy = "Find out which program has it, or choose another port."
    return Finding(name, "warn", f"in use or not allowed: {refusal}", remedy)


def _running(settings: Settings, taken: Mapping[Wanted, OSError]) -> tuple[Finding, list[Wanted]] | None:
    """What is to be said of a daemon that runs, and which of these addresses are its own."""
    status = _status(settings.publish)
    journal = find_journal(settings.daemon.state_dir)
    if status is None:
        pid = living_owner(settings.daemon.state_dir.expanduser())
        return None if pid is None else (_silent(pid, settings, taken), list(taken))
    told = status.get("addresses") or {}
    own = [each for each in taken if _port_of(str(told.get(each.told, ""))) == each.port]
    who = (
        f"{status.get('instrument', '?')}, version {status.get('version', '?')}, pid {status.get('pid', '?')}"
    )
    has = f"it has {_named(own)}" if own else "it has none of these addresses"
    theirs = str((status.get("journal") or {}).get("path", ""))
    if theirs and Path(theirs).resolve() == journal.resolve():
        return Finding("daemon", "ok", f"runs with these settings ({who}); {has}"), own
    return Finding(
        "daemon",
        "warn",
        f"another semdaemon runs ({who}, journal {theirs or 'unknown'}); {has}",
        "Stop it, or give one of the two other addresses: publish.endpoint, publish.control, "
        "pushed.endpoint, page.port.",
    ), own


def _silent(pid: int, settings: Settings, taken: Mapping[Wanted, OSError]) -> Finding:
    control = settings.publish.control
    said = f"does not answer at {control}" if control else "cannot be asked, its control socket is off"
    return Finding(
        "daemon",
        "warn" if control else "ok",
        f"runs as process {pid} with this state folder and {said}; in use, by it most likely: "
        f"{_named(taken)}",
        "It hangs, or its key cannot be read by this user: see its log and 'semdaemon status'."
        if control
        else "",
    )


def _status(publish: Publish) -> Mapping[str, Any] | None:
    """What a daemon at the control address says of itself; None where none answers."""
    if not publish.control:
        return None
    try:
        # Beside the daemon its own key serves, as for 'semdaemon status'.
        secret = None if publish.curve is None else publish.curve.secret_file
        keys = None if secret is None else ClientKeys.load(secret, secret)
        status = ask(publish.control, {"request": "status"}, _ANSWER_S, keys).get("status")
    except SemdaemonError:
        return None
    return status if isinstance(status, Mapping) else None


def _port_of(address: str) -> int | None:
    port = address.rstrip("/").rpartition(":")[2]
    return int(port) if port.isdigit() else None


def _named(addresses: Mapping[Wanted, Any] | list[Wanted]) -> str:
    return ", ".join(f"{each.name} {each.port}" for each in addresses)
