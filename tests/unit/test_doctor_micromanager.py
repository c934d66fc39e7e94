"""What the doctor says of Micro-Manager, where it is wanted."""

from __future__ import annotations

import socket

from semdaemon.doctor import _micromanager
from semdaemon.finding import Finding
from semdaemon.settings import MicroManager, Settings


def findings(**own: object) -> dict[str, Finding]:
    settings = Settings(micromanager=MicroManager(**own))  # type: ignore[arg-type]
    return {finding.check: finding for finding in _micromanager(settings)}


def test_nothing_is_asked_where_it_is_not_wanted() -> None:
    assert findings() == {}


def test_whether_its_server_runs() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        assert findings(enabled=True, port=port)["Micro-Manager"].state == "warn"
        server.listen()
        assert findings(enabled=True, port=port)["Micro-Manager"].state == "ok"
