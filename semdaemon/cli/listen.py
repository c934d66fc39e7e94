"""``semdaemon listen``: a subscriber that prints what is published."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import click
import numpy as np
from rich.console import Console
from rich.text import Text

from semdaemon.advice.sentence import sentence
from semdaemon.cli.options import json_option, key_option, keys_from, server_key_option
from semdaemon.cli.printable import printable
from semdaemon.errors import SemdaemonError
from semdaemon.wire.client import CONTROL, ENDPOINT, Subscriber
from semdaemon.wire.messages import Message
from semdaemon.wire.stream import Gap, NewEpoch, Told

COLOURS = {
    "score": "cyan",
    "frame": "green",
    "advice": "yellow",
    "fault": "bold red",
    "gap": "bold yellow",
    "epoch": "bold yellow",
}
QUIET = ("heartbeat",)
SILENCE_S = 5.0


@click.command("listen")
@click.argument("endpoint", default=ENDPOINT)
@click.option("--control", help="Replay socket; by default the port after the endpoint's. '' heals nothing.")
@click.option("--topic", "topics", multiple=True, help="Prefix, e.g. sem/score/; may be given several times.")
@click.option("--count", type=click.IntRange(min=1), help="Stop after this many messages.")
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(min=0), help="Stop after silence of so many seconds."
)
@click.option("--from-start", is_flag=True, help="Begin with what the daemon still has of this run.")
@key_option
@server_key_option
@json_option
def command(
    endpoint: str,
    control: str | None,
    topics: tuple[str, ...],
    count: int | None,
    timeout_s: float | None,
    from_start: bool,
    key: Path | None,
    server_key: Path | None,
    as_json: bool,
) -> int:
    """Print what is published at ENDPOINT, one line a message; report gaps.

    Heartbeats are left out unless --topic asks for them. Ends with 1 where messages were lost for good.
    """
    say = _say_json if as_json else _say_text(Console(), Console(stderr=True))
    chosen = endpoint_pair(endpoint, control)
    curve = keys_from(key, server_key)
    lost = 0
    try:
        with Subscriber(*chosen, topics or ("",), from_start=from_start, curve=curve) as subscriber:
            _wait(subscriber, timeout_s, as_json=as_json)
            for told in _wanted(subscriber, count, timeout_s, everything=bool(topics)):
                lost += told.count if isinstance(told, Gap) else 0
                say(told)
    except KeyboardInterrupt:
        pass
    return 1 if lost else 0


def endpoint_pair(endpoint: str, control: str | None) -> tuple[str, str]:
    """Endpoint and control; the control socket is the next port unless told."""
    if control is not None:
        return endpoint, control
    head, _, port = endpoint.rpartition(":")
    if endpoint == ENDPOINT or not (head.startswith("tcp:") and port.isdecimal()):
        return endpoint, CONTROL if endpoint == ENDPOINT else ""
    return endpoint, f"{head}:{int(port) + 1}"


def _wait(subscriber: Subscriber, timeout_s: float | None, *, as_json: bool) -> None:
    # A listener may be started before the daemon: it says that it waits, then waits.
    try:
        subscriber.ready(2.0 if timeout_s is None else min(2.0, timeout_s))
    except SemdaemonError as error:
        if timeout_s is not None:
            raise
        if not as_json:
            Console(stderr=True).print(
                f"{error.message} Waiting for it; Ctrl-C ends.", style="yellow", markup=False
            )


def _wanted(
    subscriber: Subscriber, count: int | None, timeout_s: float | None, *, everything: bool
) -> Iterator[Told]:
    """Messages until there are enough or it is silent too long; heartbeats only where asked for."""
    told_count, heard, warned = 0, time.monotonic(), False
    while count is None or told_count < count:
        left_s = math.inf if timeout_s is None else timeout_s - (time.monotonic() - heard)
        if left_s <= 0:
            return
        told = subscriber.receive(min(left_s, SILENCE_S))
        if told is None:
            warned = _warn_of_silence(subscriber, warned=warned)
            continue
        warned = False
        if told.event in QUIET and not everything:
            continue
        heard = time.monotonic()
        told_count += 1
        yield told


def _warn_of_silence(subscriber: Subscriber, *, warned: bool) -> bool:
    # Once a silence: heartbeats come every second, so this is not just a quiet night.
    if not warned and subscriber.epoch and subscriber.silent_s >= SILENCE_S:
        click.echo(
            f"nothing heard for {subscriber.silent_s:.0f} s, no heartbeat: has the daemon gone?", err=True
        )
        return True
    return warned


def _say_json(told: Told) -> None:
    click.echo(json.dumps(as_json_object(told)))


def as_json_object(told: Told) -> dict[str, Any]:
    """A message as one JSON object: its header, small arrays as lists, the sizes of the rest."""
    if isinstance(told, Gap):
        return {
            "event": "gap",
            "topic": told.topic,
            "first": told.first,
            "last": told.last,
            "reason": told.reason,
        }
    if isinstance(told, NewEpoch):
        return {"event": "epoch", "epoch": told.epoch, "before": told.before}
    values = {name: _listed(array) for name, array in told.arrays.items() if array.size <= 4096}
    return {"topic": told.topic, **told.header, "healed": told.healed, "values": values}


def _listed(array: np.ndarray[Any, Any]) -> Any:
    if array.dtype.kind != "f":
        return array.tolist()
    nested = array.astype(object)
    nested[~np.isfinite(array)] = None
    return nested.tolist()


def _say_text(console: Console, aside: Console) -> Callable[[Told], None]:
    def say(told: Told) -> None:
        line = Text()
        at = (
            told.header["published_at"][11:23]
            if isinstance(told, Message)
            else time.strftime("%H:%M:%S.   ", time.gmtime())
        )
        line.append(f"{at} ", style="dim")
        line.append(f"{told.event:<9}", style=COLOURS.get(told.event, ""))
        line.append(printable(describe(told)))
        (console if isinstance(told, Message) else aside).print(line, soft_wrap=True, highlight=False)

    return say


def describe(told: Told) -> str:
    """What a message says, in one line."""
    if isinstance(told, Gap):
        return f"{told.topic} {told.count} lost for good ({told.first} to {told.last}): {told.reason}"
    if isinstance(told, NewEpoch):
        return "the daemon was started anew; sequences begin at 0"
    said = _DESCRIBE.get(told.event, _other)(told)
    return f"{told.sequence:>6}  {said}" + ("  [healed]" if told.healed else "")


def _name(header: Mapping[str, Any]) -> str:
    frame = header.get("frame") or {}
    uri = str(frame.get("uri") or "")
    return unquote(urlsplit(uri).path).rpartition("/")[2] or uri or str(header.get("part") or "no frame")


def _score(message: Message) -> str:
    header = message.header
    codes = message.arrays.get("verdict", np.zeros(0, np.uint8)).ravel()
    words = {int(code): word for code, word in header.get("verdicts", {}).items()}
    counts = [
        f"{int((codes == code).sum())} {word.replace('_', ' ')}" for code, word in sorted(words.items())
    ]
    sigma = message.arrays.get("sigma_px", np.zeros(0, np.float32))
    known = sigma[np.isfinite(sigma)]
    blur = f", blur {np.median(known):.2f} px" if known.size else ""
    return f"{_name(header)}: {', '.join(counts)} of {codes.size} tiles{blur}"


def _frame(message: Message) -> str:
    mask = message.arrays.get("mask")
    share = "" if mask is None or not mask.size else f"{float(mask.mean()):.0%} of it "
    weights = (message.header.get("weights") or {}).get("name", "?")
    return f"{_name(message.header)}: {share}refocused by network ({weights})"


def _advice(message: Message) -> str:
    return f"{_name(message.header)}: {sentence(message.header)}"


def _fault(message: Message) -> str:
    header = message.header
    remedy = f" What to do: {header['remedy']}" if header.get("remedy") else ""
    return f"{_name(header)}: {header.get('message')} [{header.get('code')}]{remedy}"


def _preview(message: Message) -> str:
    sizes = ", ".join(f"{blob.media_type} {len(blob.data) / 1000:.0f} kB" for blob in message.blobs.values())
    refocused = ", refocused by network" if message.header.get("refocused") else ""
    return f"{_name(message.header)}: {sizes}{refocused}"


def _status(message: Message) -> str:
    status = message.header.get("status", {})
    frames = ", ".join(f"{count} {state}" for state, count in (status.get("frames") or {}).items() if count)
    return f"worker {(status.get('worker') or {}).get('state', '?')}; {frames or 'no frames yet'}"


def _other(message: Message) -> str:
    return message.topic


_DESCRIBE: dict[str, Callable[[Message], str]] = {
    "score": _score,
    "frame": _frame,
    "advice": _advice,
    "fault": _fault,
    "preview": _preview,
    "status": _status,
}
