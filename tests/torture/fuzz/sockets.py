"""Parsers of what comes through a socket, at both of its ends."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from semdaemon.daemon.finished import FinishedFrames
from semdaemon.errors import SemdaemonError
from semdaemon.journal import Journal
from semdaemon.sources import Sighting
from semdaemon.sources.pushmessage import frame_of, parse_header
from semdaemon.wire.control import Desk, answer, busy, envelope, read_reply, split_messages
from semdaemon.wire.dialogue import Ask, Conversation
from semdaemon.wire.messages import decode, encode
from semdaemon.wire.replay import ReplayStore

from . import messages, mutate, seeds
from .target import LIMITS, Run, Target


def sockets(folder: Path) -> list[Target]:
    """Publisher, control socket, client, pushed frames, hook."""
    published, replies = messages.published(), messages.replies()
    return [
        Target("wire: decode", "parser", 16, published, messages.damaged, _decode),
        Target("wire: requests at the control socket", "parser", 14, messages.requests(), mutate.json_text,
               _ask(folder)),
        Target("wire: replies and streams at a client", "parser", 12, replies, messages.damaged, _client),
        Target("pushed frames", "parser", 14, messages.pushed(), messages.damaged, _pushed),
        Target("hook: metadata into a message", "parser", 4, [seeds.MICROMANAGER], mutate.json_text,
               messages.hooked),
        Target("hook: advice from the daemon", "parser", 4, messages.advice(), messages.damaged,
               messages.advised),
    ]  # fmt: skip


def _decode(data: bytes) -> str:
    message = decode(seeds.split(data))
    return f"read, {message.event[:10]}"


def _ask(folder: Path) -> Run:
    store = ReplayStore(2**20)
    topics = {"sem/score/": 4, "sem/fault/": 0}
    for topic, newest in topics.items():
        for sequence in range(newest + 1):
            store.add(topic, sequence, encode(topic, {"event": "score", "sequence": sequence}))
    desk: list[Desk] = []

    def run(data: bytes) -> str:
        if not desk:  # in the process that asks: a journal is no thing to inherit
            told = {"frames": {"seen": 1}}
            desk.append(Desk("sem", seeds.EPOCH, topics, store, lambda: told, _finished(folder)))
        parts = answer(envelope([b"peer", data])[1], desk[0])
        envelope([b"peer", b"", data, data]), envelope([data]), busy(data)
        head = json.loads(bytes(parts[0]))
        if head.get("code") == "cannot_answer":
            raise AssertionError("something raised in the answer, and was only logged")
        return str(head.get("code") or head["reply"])

    return run


def _finished(folder: Path) -> FinishedFrames:
    for left in folder.glob("asked.sqlite3*"):
        left.unlink()
    journal = Journal(folder / "asked.sqlite3")
    names = [Path(f"/data/{number}.tif") for number in range(20)]
    journal.see([Sighting("folder", name.as_uri(), name, Path(name.name), 9, 9) for name in names])
    for row in journal.rows()[:12]:
        journal.finish(row.key, "failed", "truncated", "it ends early", "copy it again")
    return FinishedFrames(journal)


def _client(data: bytes) -> str:
    parts = seeds.split(data)
    with suppress(SemdaemonError):
        head = read_reply(parts)
        with suppress(
            KeyError, TypeError, ValueError, ArithmeticError
        ):  # what `dialogue` takes for malformed
            split_messages(head, parts)
    return _conversation(parts)


def _conversation(parts: list[bytes]) -> str:
    """A client that is told the parts as a message, then as the answer to whatever it asks."""
    talk = Conversation(("",), heal=True, from_start=True, last_value=True)
    told = 0
    for dialogue in (talk.next_told(0.0), talk.next_told(0.0), talk.next_told(0.0)):
        told += _driven(dialogue, parts) is not None
    with suppress(SemdaemonError):
        _driven(talk.catch_up(0, None), parts)
    return f"malformed {talk.malformed}, told {told}"


def _driven(dialogue: Any, parts: list[bytes]) -> object:
    """Drive a dialogue with the same parts as message and as answer; what it returns."""
    command: Any = next(dialogue, None)
    for turn in range(12):
        if command is None:
            break
        if isinstance(command, Ask):
            command.is_answered_by(parts)
        try:
            command = dialogue.send(parts if isinstance(command, Ask) or turn == 0 else None)
        except StopIteration as end:
            return end.value
    return None


def _pushed(data: bytes) -> str:
    parts = seeds.split(data)
    if len(parts) != 2:
        return "parts"
    frame_of(parse_header(parts[0]), parts[1], LIMITS)
    return "frame"
