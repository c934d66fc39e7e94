"""Requests on the control socket (ROUTER) and their bounded answers.

``{"request": "status"}``, ``{"request": "snapshot", "topic": T}``,
``{"request": "replay", "topic": T, "from": N}`` and ``{"request": "frames", "after": POSITION}``.
An ``id`` in the request stands in the reply. All of them read; there is none that changes anything.
Each answer is one multipart message: a JSON head, then the parts of the messages that it lists under
``messages``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import zmq

from semdaemon.errors import SemdaemonError
from semdaemon.wire.headers import SCHEMA
from semdaemon.wire.keys import ClientKeys
from semdaemon.wire.messages import Part, plain
from semdaemon.wire.replay import ReplayStore, Sent

log = logging.getLogger(__name__)

BUSY = "busy"
REPLY_BYTES = 16 * 2**20
REPLY_MESSAGES = 256
MOST_FRAMES = 100
REQUESTS = ("status", "snapshot", "replay", "frames")


class Finished(Protocol):
    """The journal, as far as the control socket asks it; called in the publisher's thread, must be quick."""

    def position(self) -> int:
        """The newest position."""
        ...

    def page(self, after: int | None, since: datetime | None, limit: int) -> Mapping[str, Any]:
        """Keys ``frames``, ``position`` and ``more``; may raise `SemdaemonError`."""
        ...


@dataclass(frozen=True)
class Desk:
    """What answers are made of; belongs to the publisher's thread."""

    instrument: str
    epoch: str
    sequences: Mapping[str, int]
    store: ReplayStore
    status: Callable[[], Mapping[str, Any]]
    finished: Finished | None = None


def answer(request: bytes, desk: Desk) -> list[Part]:
    """Parts of the reply to one request; whatever comes in, an answer goes out."""
    try:
        asked = _parse(request)
    except SemdaemonError as error:
        return _refuse(error, None)
    number = _id_of(asked)
    try:
        said, sent = _ANSWERS[asked["request"]](asked, desk)
    except SemdaemonError as error:
        return _refuse(error, number)
    except Exception:  # another part's failure (a journal on a dying disk) must not silence the wire
        log.exception("A request could not be answered")
        return _refuse(SemdaemonError("cannot_answer", "It could not be answered; see the log."), number)
    head = {"schema": SCHEMA, "reply": asked["request"], "id": number, "epoch": desk.epoch, **said}
    head["messages"] = [{"sequence": one.sequence, "parts": len(one.parts)} for one in sent]
    return [_json(head), *(part for one in sent for part in one.parts)]


def busy(request: bytes) -> list[Part]:
    """Parts of the reply where too many answers wait to be read: ask again."""
    try:
        number = _id_of(_parse(request))
    except SemdaemonError:
        number = None
    error = SemdaemonError(BUSY, "Too many answers wait to be read.", remedy="Read them, then ask again.")
    return _refuse(error, number)


def _id_of(asked: Mapping[str, Any]) -> str | int | None:
    number = asked.get("id")
    return number if isinstance(number, str | int) else None


def envelope(parts: Sequence[bytes]) -> tuple[list[bytes], bytes]:
    """Split what a ROUTER received: return address (with the empty part of REQ clients) and the request.

    Requests of any other number of parts give an empty request, which is refused.
    """
    if len(parts) == 2:
        return [parts[0]], parts[1]
    if len(parts) == 3 and parts[1] == b"":
        return [parts[0], b""], parts[2]
    return [parts[0], b""] if len(parts) > 2 and parts[1] == b"" else [parts[0]], b""


def ask(
    endpoint: str, request: Mapping[str, Any], timeout_s: float = 2.0, curve: ClientKeys | None = None
) -> dict[str, Any]:
    """Ask a running daemon and wait for the head of its answer.

    Parameters
    ----------
    endpoint
        The control socket, e.g. ``tcp://127.0.0.1:5571``; ``*`` is asked on this machine.
    request
        e.g. ``{"request": "status"}``.
    curve
        Keys for a daemon that asks for them.

    Raises
    ------
    SemdaemonError
        ``no_answer`` where nothing answers in time, or the code that the daemon refused with.
    """
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        if curve is not None:
            curve.apply(socket)
        _connect(socket, endpoint)
        socket.send(json.dumps(dict(request)).encode())
        if not socket.poll(int(timeout_s * 1000)):
            raise SemdaemonError(
                "no_answer",
                f"Nothing answered at {endpoint} within {timeout_s:g} s: no daemon runs there"
                + (", or it asks for a key." if curve is None else ", or it does not know this key."),
                remedy="Start it with 'semdaemon run', or name the right address in publish.control.",
            )
        return read_reply(socket.recv_multipart())


def read_reply(parts: Sequence[Part]) -> dict[str, Any]:
    """Head of a reply as a dictionary; a refusal is raised."""
    try:
        head = json.loads(bytes(parts[0]))
    except (ValueError, RecursionError, IndexError):
        head = None
    if not isinstance(head, dict):
        raise SemdaemonError("bad_reply", "The answer is not JSON: is this a semdaemon control socket?")
    if head.get("reply") == "error":
        raise SemdaemonError(
            str(head.get("code", "refused")), str(head.get("message", "")), remedy=str(head.get("remedy", ""))
        )
    return head


def split_messages(head: Mapping[str, Any], parts: Sequence[Part]) -> list[list[Part]]:
    """The messages behind the head of a reply, each as its parts."""
    messages = []
    at = 1
    for entry in head.get("messages", []):
        count = int(entry["parts"])
        messages.append(list(parts[at : at + count]))
        at += count
    return messages


def _connect(socket: zmq.Socket[bytes], endpoint: str) -> None:
    socket.ipv6 = "[" in endpoint
    try:
        socket.connect(_on_this_machine(endpoint))
    except zmq.ZMQError as error:
        raise SemdaemonError(
            "endpoint_invalid",
            f"{endpoint!r} is not an address that can be connected to: {error}.",
            remedy="Expected e.g. tcp://127.0.0.1:5571.",
        ) from error


def _on_this_machine(endpoint: str) -> str:
    """Where to ask a daemon that listens at all addresses: nothing can be connected to those."""
    for everywhere, here in (("*", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("[::]", "[::1]")):  # noqa: S104
        endpoint = endpoint.replace(f"tcp://{everywhere}:", f"tcp://{here}:")
    return endpoint


def _parse(request: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(request)
    except (ValueError, RecursionError) as error:
        raise _bad("a request is one part of JSON") from error
    if not isinstance(asked, dict) or not isinstance(asked.get("request"), str):
        raise _bad('a request is an object with the key "request"')
    if asked["request"] not in REQUESTS:
        raise _bad(f"{asked['request'][:64]!r} is not a request; known are {', '.join(REQUESTS)}")
    return asked


def _status(_asked: Mapping[str, Any], desk: Desk) -> tuple[dict[str, Any], list[Sent]]:
    told = {"instrument": desk.instrument, "sequences": dict(desk.sequences), "status": plain(desk.status())}
    return told, []


def _snapshot(asked: Mapping[str, Any], desk: Desk) -> tuple[dict[str, Any], list[Sent]]:
    topic = _topic(asked, desk)
    newest = desk.store.newest(topic)
    return {"topic": topic, "newest": desk.sequences[topic]}, [newest] if newest else []


def _replay(asked: Mapping[str, Any], desk: Desk) -> tuple[dict[str, Any], list[Sent]]:
    topic = _topic(asked, desk)
    first = asked.get("from", 0)
    if isinstance(first, bool) or not isinstance(first, int) or first < 0:
        raise _bad('"from" is a sequence number, 0 or more')
    sent = desk.store.since(topic, first, REPLY_BYTES, REPLY_MESSAGES)
    newest = desk.sequences[topic]
    after = sent[-1].sequence + 1 if sent else newest + 1
    return {"topic": topic, "newest": newest, "next": after, "more": after <= newest}, sent


def _frames(asked: Mapping[str, Any], desk: Desk) -> tuple[dict[str, Any], list[Sent]]:
    if desk.finished is None:
        raise SemdaemonError("no_journal", "This publisher has no journal to tell from.")
    after, limit = asked.get("after"), asked.get("limit", MOST_FRAMES)
    if after is not None and not _is_number(after, 0):
        raise _bad('"after" is a position, 0 or more')
    if not _is_number(limit, 1):
        raise _bad('"limit" is a number, 1 or more')
    return dict(desk.finished.page(after, _moment(asked.get("since")), min(limit, MOST_FRAMES))), []


def _is_number(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**63


def _moment(text: object) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(str(text))
        moment.timestamp()
    except (ValueError, OverflowError) as error:
        raise _bad('"since" is a time such as 2026-03-01T18:00:00Z') from error
    if moment.tzinfo is None:
        raise _bad('"since" needs its zone, e.g. 2026-03-01T18:00:00Z')
    return moment


_ANSWERS: dict[str, Callable[[Mapping[str, Any], Desk], tuple[dict[str, Any], list[Sent]]]] = {
    "status": _status,
    "snapshot": _snapshot,
    "replay": _replay,
    "frames": _frames,
}


def _topic(asked: Mapping[str, Any], desk: Desk) -> str:
    topic = asked.get("topic")
    if isinstance(topic, str) and topic in desk.sequences:
        return topic
    raise SemdaemonError(
        "unknown_topic",
        f"Nothing was published on {str(topic)[:128]!r} since this publisher started.",
        remedy=f"Topics so far: {', '.join(sorted(desk.sequences)) or 'none'}.",
    )


def _refuse(error: SemdaemonError, number: object) -> list[Part]:
    head = {"schema": SCHEMA, "reply": "error", "id": number}
    return [_json({**head, "code": error.code, "message": error.message, "remedy": error.remedy})]


def _json(value: object) -> bytes:
    return json.dumps(plain(value), separators=(",", ":"), allow_nan=False).encode()


def _bad(what: str) -> SemdaemonError:
    return SemdaemonError("bad_request", f"Not understood: {what}.", remedy="See docs/wire-format.md.")
