"""Noise at every socket of a daemon that works: bytes, half messages, wrong protocols, a port scan."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from random import Random
from urllib.parse import urlsplit

import zmq

from ..fuzz import messages, mutate
from ..fuzz.seeds import split
from ..lab import Lab
from ..scenario import Plan, Scenario

# A ZMTP 3 greeting and a READY command of a DEALER, to be damaged.
_GREETING = b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\0NULL" + bytes(16) + b"\0" + bytes(31)
_READY = b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x06DEALER"
_HTTP = (
    b"GET /api/frames?limit=10&only=failed HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n",
    b"GET /api/frames/1/original HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
    b"GET /static/../../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n{",
)


def act(lab: Lab, plan: Plan) -> None:
    """Everything at once against every port, while frames come in; then all must still answer."""
    ports = {what: urlsplit(address).port or 0 for what, address in lab.addresses.items() if "://" in address}
    ways: tuple[Callable[[Lab, dict[str, int], Random], None], ...] = (
        _bytes,
        _zmtp,
        _http,
        _control,
        _push,
        _scan,
    )
    rng, until, turn = Random(lab.rng.random()), plan.until, 0
    while turn < 2 or time.monotonic() < until:
        if lab.waiting() < 20:
            lab.write_many(4)
        for way in ways:
            way(lab, ports, rng)
        turn += 1
    _still_answers(lab, ports)


def _say(port: int, data: bytes, wait_s: float = 0.0) -> bytes:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as line:
            line.sendall(data)
            line.settimeout(wait_s or 0.001)
            return line.recv(4096)
    except OSError:
        return b""


def _bytes(lab: Lab, ports: dict[str, int], rng: Random) -> None:
    for port in ports.values():
        _say(port, rng.randbytes(rng.choice((1, 10, 100, 10_000))))
        lab.did["connections with random bytes"] += 1


def _zmtp(lab: Lab, ports: dict[str, int], rng: Random) -> None:
    for what in ("endpoint", "control", "pushed"):
        _say(ports[what], mutate.damaged(rng, _GREETING + _READY + b"\0\x05hello" + b"\x02" + b"\xff" * 8))
        lab.did["damaged ZMTP handshakes and frames"] += 1


def _http(lab: Lab, ports: dict[str, int], rng: Random) -> None:
    for request in _HTTP:
        damaged = mutate.damaged(rng, request) if rng.random() < 0.8 else request
        said = _say(ports["page"], damaged, 0.2)
        lab.did["damaged HTTP requests"] += 1
        if said.startswith(b"HTTP/1.1 5"):
            lab.notes.append(f"waited for no 5xx in vain: {damaged[:200]!r} got {said[:60]!r}")


def _control(lab: Lab, ports: dict[str, int], rng: Random) -> None:
    requests = [mutate.json_text(rng, rng.choice(messages.requests())) for _ in range(20)]
    _to_socket(zmq.DEALER, ports["control"], [[request] for request in requests], rng)
    lab.did["damaged requests at the control socket"] += len(requests)


def _push(lab: Lab, ports: dict[str, int], rng: Random) -> None:
    sent = [split(messages.damaged(rng, rng.choice(messages.pushed()))) or [b""] for _ in range(10)]
    refused = [parts for parts in sent if not _is_frame(parts)]
    _to_socket(zmq.PUSH, ports["pushed"], refused, rng)
    lab.did["damaged messages at the socket for pushed frames"] += len(refused)


def _is_frame(parts: list[bytes]) -> bool:
    """Damage that leaves a frame would be taken in, rightly, and nobody wrote that as a file."""
    from semdaemon.errors import SemdaemonError
    from semdaemon.settings import Limits
    from semdaemon.sources.pushmessage import frame_of, parse_header

    try:
        frame_of(parse_header(parts[0]), parts[1] if len(parts) == 2 else b"", Limits())
    except SemdaemonError:
        return False
    return len(parts) == 2


def _to_socket(kind: int, port: int, sent: list[list[bytes]], rng: Random) -> None:
    with zmq.Context() as context, context.socket(kind) as line:
        line.linger = 200
        line.sndtimeo = 500
        line.connect(f"tcp://127.0.0.1:{port}")
        for parts in sent:
            try:
                line.send_multipart(parts)
            except zmq.Again:
                return


def _scan(lab: Lab, ports: dict[str, int], rng: Random) -> None:
    for port in ports.values():
        for _ in range(3):  # connect and go, as a scanner does
            _say(port, b"")
        lab.did["port scans"] += 1


def _still_answers(lab: Lab, ports: dict[str, int]) -> None:
    from semdaemon.wire.control import ask

    status = ask(f"tcp://127.0.0.1:{ports['control']}", {"request": "status"}, 10)
    page = _say(ports["page"], b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", 5)
    if "status" not in status or b" 200 " not in page[:40]:
        lab.notes.append(f"waited for answers after the noise in vain: {page[:80]!r}")


SCENARIO = Scenario(
    name="noise",
    title="Noise at every socket",
    did="random bytes, damaged ZMTP, HTTP, requests and pushed frames, and port scans at all four sockets "
    "while frames come in",
    not_shown="A flood that fills the machine's network or its table of connections.",
    act=act,
)
