"""What the doctor says of addresses: a daemon that runs is one line, not one for each of its sockets."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from semdaemon.finding import Finding
from semdaemon.journal import find_journal
from semdaemon.journal.lock import WriterLock
from semdaemon.ports import ports
from semdaemon.settings import Publish, Settings
from semdaemon.wire.publisher import Publisher

NAMES = ("publisher", "control", "pushed", "page")


def free_ports(number: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Machine:
    """One machine with a daemon's settings, and what listens on it."""

    def __init__(self, state: Path, held: ExitStack) -> None:
        self._held, self.port = held, dict(zip(NAMES, free_ports(4), strict=True))
        at = {name: f"tcp://127.0.0.1:{port}" for name, port in self.port.items()}
        sections: Any = {
            "daemon": {"state_dir": state},
            "publish": {"endpoint": at["publisher"], "control": at["control"]},
            "pushed": {"endpoint": at["pushed"]},
            "page": {"port": self.port["page"]},
        }
        self.settings, self.at = Settings(**sections), at

    def listen(self, *names: str) -> None:
        """Some program that says nothing."""
        for name in names:
            server = self._held.enter_context(socket.socket())
            server.bind(("127.0.0.1", self.port[name]))
            server.listen()

    def daemon(self, state: Path, **addresses: str) -> None:
        """The sockets of a daemon's publisher, which answers with its status."""
        told = {
            "endpoint": self.at["publisher"],
            "control": self.at["control"],
            "pushed": self.at["pushed"],
            "page": f"http://127.0.0.1:{self.port['page']}/",
        }
        status = {
            "version": "1.2.3",
            "pid": 4711,
            "instrument": "sem",
            "journal": {"path": str(find_journal(state))},
            "addresses": {**told, **addresses},
        }
        publisher = Publisher(self.settings.publish, "sem", status=lambda: status)
        self._held.callback(publisher.close)
        publisher.start()

    def findings(self) -> list[Finding]:
        return list(ports(self.settings))


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with ExitStack() as held:
        yield Machine(tmp_path, held)


def test_addresses_that_nobody_has_are_free(machine: Machine) -> None:
    assert [(each.state, each.detail) for each in machine.findings()] == [("ok", "free")] * 4


def test_a_running_daemon_of_these_settings_is_one_line(machine: Machine, tmp_path: Path) -> None:
    machine.daemon(tmp_path)
    machine.listen("pushed", "page")
    (finding,) = machine.findings()
    assert (finding.check, finding.state, finding.remedy) == ("daemon", "ok", "")
    assert "pid 4711" in finding.detail
    assert all(str(port) in finding.detail for port in machine.port.values())


@pytest.mark.parametrize("everywhere", ["*", "0.0.0.0"])  # noqa: S104 - for as long as the test lasts
def test_addresses_that_listen_everywhere_are_free_or_the_daemons(
    machine: Machine, tmp_path: Path, everywhere: str
) -> None:
    """As docs/security.md has them; an asterisk was looked up as a name, and called in use."""
    at = {name: f"tcp://{everywhere}:{machine.port[name]}" for name in ("publisher", "control")}
    publish = Publish(endpoint=at["publisher"], control=at["control"], insecure=True)
    machine.settings = machine.settings.model_copy(update={"publish": publish})
    assert [each.detail for each in machine.findings()] == ["free"] * 4
    machine.daemon(tmp_path)
    daemon, *rest = machine.findings()
    assert (daemon.check, daemon.state) == ("daemon", "ok")
    assert [each.detail for each in rest] == ["free"] * 2


def test_a_port_that_another_program_has_is_told_beside_a_running_daemon(
    machine: Machine, tmp_path: Path
) -> None:
    machine.daemon(tmp_path, pushed="")  # it could not have that one
    machine.listen("pushed", "page")
    daemon, pushed = machine.findings()
    assert (daemon.check, daemon.state) == ("daemon", "ok")
    assert str(machine.port["pushed"]) not in daemon.detail
    assert (pushed.check, pushed.state) == (f"pushed frames port {machine.port['pushed']}", "warn")


def test_a_daemon_of_other_settings_is_one_line_with_what_to_do(machine: Machine, tmp_path: Path) -> None:
    machine.daemon(tmp_path / "other")
    machine.listen("pushed", "page")
    (finding,) = machine.findings()
    assert (finding.check, finding.state) == ("daemon", "warn")
    assert str(tmp_path / "other") in finding.detail
    assert "publish.endpoint" in finding.remedy


def test_another_program_at_our_addresses_is_told_for_each(machine: Machine) -> None:
    machine.listen("control", "page")
    found = {each.check.split()[0]: each.state for each in machine.findings()}
    assert found == {"publisher": "ok", "control": "warn", "pushed": "ok", "page": "warn"}


def test_a_daemon_that_does_not_answer_is_known_by_its_state_folder(machine: Machine, tmp_path: Path) -> None:
    machine.listen(*NAMES)
    lock = WriterLock(tmp_path)
    try:
        (finding,) = machine.findings()
    finally:
        lock.release()
    assert (finding.check, finding.state) == ("daemon", "warn")
    assert "does not answer" in finding.detail
    assert finding.remedy


def test_a_daemon_that_was_killed_is_not_taken_for_a_running_one(machine: Machine, tmp_path: Path) -> None:
    killed = subprocess.Popen([sys.executable, "-c", ""])
    killed.wait()
    (tmp_path / "journal.owner.json").write_text(json.dumps({"pid": killed.pid, "since": 1e12}))
    machine.listen("page")
    assert [each.state for each in machine.findings()].count("warn") == 1
    assert "daemon" not in [each.check for each in machine.findings()]
