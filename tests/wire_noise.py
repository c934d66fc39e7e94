"""What port scanners, wrong clients and worse say to a socket: random, but the same for the same seed.

For the tests and for longer runs: ``python tests/wire_noise.py SECONDS SEED HOST:PORT...``.
"""

from __future__ import annotations

import random
import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x01" + b"NULL" + bytes(16) + b"\x00" + bytes(31)
CURVE_GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x01" + b"CURVE" + bytes(15) + b"\x00" + bytes(31)
REQUESTS = (
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"POST /api/frames HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n\r\nxxxx",
    b"GET /" + b"A" * 70_000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    b"SSH-2.0-scan\r\n",
    b"\x00\x00\x00\x85\xffSMBr\x00\x00\x00\x00",
    b"EHLO scan\r\n",
)


def command(name: bytes, body: bytes = b"") -> bytes:
    """A ZMTP command frame with a short length."""
    text = bytes([len(name)]) + name + body
    return b"\x04" + bytes([len(text) & 0xFF]) + text


READY = {kind: command(b"READY", b"\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind) for kind in
         (b"SUB", b"DEALER", b"PUSH", b"XSUB", b"REQ", b"NONSENSE", b"X" * 80)}  # fmt: skip


def nothing(_: random.Random) -> list[bytes]:
    """A connection that says nothing."""
    return []


def bytes_of_all_kinds(rng: random.Random) -> list[bytes]:
    """Random bytes, in pieces."""
    return [rng.randbytes(rng.choice((1, 9, 64, 1000, 20_000))) for _ in range(rng.randint(1, 4))]


def other_protocols(rng: random.Random) -> list[bytes]:
    """HTTP, TLS, SSH, SMB, mail."""
    return [rng.choice(REQUESTS)]


def half_a_greeting(rng: random.Random) -> list[bytes]:
    """The beginning of ZMTP and then silence."""
    return [rng.choice((GREETING, CURVE_GREETING))[: rng.randint(1, 63)]]


def huge_sizes(rng: random.Random) -> list[bytes]:
    """A valid beginning, then a frame that says it has up to 2^63 bytes."""
    size = struct.pack(">Q", rng.choice((2**16 + 1, 2**31, 2**40, 2**63 - 1, 2**63, 2**64 - 1)))
    return [
        GREETING,
        rng.choice(list(READY.values())),
        bytes([rng.choice((2, 3, 6))]) + size,
        rng.randbytes(200),
    ]


def garbage_after_a_greeting(rng: random.Random) -> list[bytes]:
    """A valid greeting and random frames after it, with and without a valid handshake."""
    begin = [rng.choice((GREETING, CURVE_GREETING))]
    if rng.random() < 0.7:
        begin.append(rng.choice(list(READY.values())))
    return [*begin, *(rng.randbytes(rng.randint(1, 300)) for _ in range(rng.randint(1, 5)))]


def wrong_curve(rng: random.Random) -> list[bytes]:
    """The first words of CURVE with random keys."""
    hello = command(
        b"HELLO", b"\x01\x00" + bytes(72) + rng.randbytes(32) + rng.randbytes(8) + rng.randbytes(80)
    )
    return [CURVE_GREETING, hello, command(b"INITIATE", rng.randbytes(rng.randint(0, 200)))]


def rude_frames(rng: random.Random) -> list[bytes]:
    """A good peer as far as ZMTP goes that sends nonsense: subscriptions, requests, many parts."""
    kind = rng.choice((b"SUB", b"DEALER", b"PUSH", b"XSUB"))
    frames = []
    for _ in range(rng.randint(1, 40)):
        body = rng.choice((b"\x01", b"\x00", b"", b"{", b'{"request": "')) + rng.randbytes(
            rng.randint(0, 200)
        )
        frames.append(bytes([rng.choice((0, 0, 1)), len(body)]) + body)
    return [GREETING, READY[kind], b"".join(frames)]


KINDS: tuple[Callable[[random.Random], list[bytes]], ...] = (
    nothing,
    bytes_of_all_kinds,
    other_protocols,
    half_a_greeting,
    huge_sizes,
    garbage_after_a_greeting,
    wrong_curve,
    rude_frames,
)


def make_noise(
    addresses: Sequence[tuple[str, int]], seed: int, connections: int, *, kept_open: int = 20
) -> dict[str, int]:
    """Open so many connections one after the other, say something on each; returns how many of each kind.

    Parameters
    ----------
    kept_open
        The newest so many stay open, so that half-open connections are many at a time.
    """
    rng = random.Random(seed)
    made: dict[str, int] = {}
    opened: list[socket.socket] = []
    for _ in range(connections):
        kind = rng.choice(KINDS)
        made[kind.__name__] = made.get(kind.__name__, 0) + 1
        with suppress(OSError):  # hung up on, as it should be
            noisy = socket.create_connection(rng.choice(addresses), timeout=2)
            opened.append(noisy)
            pause_s = rng.choice((0.0, 0.0, 0.002))  # libzmq takes a handshake only word by word
            for piece in kind(rng):
                noisy.sendall(piece)
                time.sleep(pause_s)
        while len(opened) > kept_open:
            opened.pop(rng.randrange(len(opened))).close()
    for noisy in opened:
        noisy.close()
    return made


def main(seconds: str, seed: str, *addresses: str) -> None:
    """Make noise for so long, and say which seed it was."""
    parsed = [(a.rpartition(":")[0], int(a.rpartition(":")[2])) for a in addresses]
    end, number, total = time.monotonic() + float(seconds), int(seed), 0
    while time.monotonic() < end:
        total += sum(make_noise(parsed, number, 200).values())
        number += 1
    sys.stdout.write(f"{total} connections, seeds {seed} to {number - 1}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
