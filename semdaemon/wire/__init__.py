"""ZeroMQ: what the daemon says to other programs. The format is written down in ``docs/wire-format.md``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from semdaemon.wire.client import AsyncSubscriber, Subscriber
    from semdaemon.wire.control import ask
    from semdaemon.wire.keys import ClientKeys
    from semdaemon.wire.messages import Blob, Message, decode, encode, frame_header
    from semdaemon.wire.publisher import Publisher
    from semdaemon.wire.stream import Gap, NewEpoch, Position

__all__ = [
    "AsyncSubscriber",
    "Blob",
    "ClientKeys",
    "Gap",
    "Message",
    "NewEpoch",
    "Position",
    "Publisher",
    "Subscriber",
    "ask",
    "decode",
    "encode",
    "frame_header",
]

_HOMES = {
    "AsyncSubscriber": "client",
    "Subscriber": "client",
    "ask": "control",
    "Blob": "messages",
    "ClientKeys": "keys",
    "Message": "messages",
    "decode": "messages",
    "encode": "messages",
    "frame_header": "messages",
    "Publisher": "publisher",
    "Gap": "stream",
    "NewEpoch": "stream",
    "Position": "stream",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
