"""Sound messages of every socket, and damage that keeps them messages."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from semdaemon.wire.messages import encode

from . import mutate
from .seeds import EPOCH, joined, split

_HOOK = Path(__file__).resolve().parents[3] / "plugins" / "micromanager"
_FRAME: dict[str, Any] = {
    "id": "00112233445566ff", "source": "folder", "uri": "file:///data/a.tif", "acquired_at": None,
    "shape": [2, 6], "type": "uint16", "pixel_size_m": [5e-9, 5e-9], "image_area": [0, 0, 2, 6], "page": 0,
}  # fmt: skip


def published() -> list[bytes]:
    """One message of each kind, as `seeds.joined` writes it."""
    maps = [
        ("sigma_px", np.array([[0.5, 3.25, np.nan]], "<f4")),
        ("verdict", np.array([[0, 1, 3]], np.uint8)),
    ]
    pixels = [("refocused", np.arange(12, dtype=">u2").reshape(2, 6)), ("mask", np.zeros((2, 6), bool))]
    sequences = {"sem/score/": 3, "sem/fault/": 0}
    pulse = {"instrument": "sem", "interval_s": 1.0, "sequences": sequences}
    return [
        _message("score", 3, {"frame": _FRAME, "tile_px": 2}, maps),
        _message(
            "frame", 0, {"frame": _FRAME, "refocused_by": "network", "weights": {"name": "light"}}, pixels
        ),
        _message("preview", 1, {"frame": _FRAME}, blobs=[("preview", "image/jpeg", b"\xff\xd8\xff\xd9")]),
        _message("fault", 0, {"code": "truncated", "message": "m", "remedy": "r"}),
        _message("heartbeat", 9, pulse),
        _message("ready", 0, pulse, topic="semdaemon-ready/x/"),
    ]


def _message(
    event: str, sequence: int, header: dict[str, Any], arrays: Any = (), blobs: Any = (), topic: str = ""
) -> bytes:
    head = {
        "event": event,
        "epoch": EPOCH,
        "sequence": sequence,
        "published_at": "2026-03-01T18:00:01Z",
        **header,
    }
    return joined(encode(topic or f"sem/{event}/", head, arrays, blobs))


def requests() -> list[bytes]:
    """What may be asked at the control socket."""
    return [
        json.dumps(each).encode()
        for each in (
            {"request": "status", "id": 1},
            {"request": "snapshot", "topic": "sem/score/", "id": "a"},
            {"request": "replay", "topic": "sem/score/", "from": 2, "id": 3},
            {"request": "frames", "after": 4, "limit": 3, "id": 4},
            {"request": "frames", "since": "2026-03-01T18:00:00Z"},
        )
    ]


def replies() -> list[bytes]:
    """Answers of the control socket, and what is published: a client may be told either."""
    score = split(published()[0])
    head = {"schema": "semdaemon-1.0", "reply": "replay", "id": 1, "epoch": EPOCH, "topic": "sem/score/",
            "newest": 3, "next": 4, "more": False,
            "messages": [{"sequence": 3, "parts": len(score)}]}  # fmt: skip
    refused = {
        "schema": "semdaemon-1.0",
        "reply": "error",
        "id": 1,
        "code": "bad_request",
        "message": "m",
        "remedy": "",
    }
    ended = {"position": 3, "at": "2026-03-01T18:00:00Z", "state": "published", "reason": "sharp",
             "number": 3, "id": "00", "source": "folder", "uri": "file:///data/a.tif", "page": 0}  # fmt: skip
    frames = {"schema": "semdaemon-1.0", "reply": "frames", "id": 1, "epoch": EPOCH, "frames": [ended],
              "position": 3, "more": False}  # fmt: skip
    heads = [joined([json.dumps(each).encode()]) for each in (refused, frames)]
    return [joined([json.dumps(head).encode(), *score]), *heads, *published()]


def advice() -> list[bytes]:
    """What the daemon advises, as the hook hears it."""
    header = {"schema": "semdaemon-1.0", "event": "advice", "state": "attention", "reasons": ["out_of_focus"],
              "retake": True, "run": {"name": "run_1"}, "frame": {"uri": "file:///data/a.tif"},
              "focus": {"at_um": 1.5, "correction_um": -0.4, "correction_sd_um": 0.1, "magnitude_um": 0.4,
                        "magnitude_sd_um": 0.1, "candidates_um": [-0.4, 0.4]}}  # fmt: skip
    return [joined([b"sem/advice/", json.dumps(header).encode()])]


def pushed() -> list[bytes]:
    """Frames as hooks push them."""
    header: dict[str, Any] = {
        "schema": "semdaemon-push-1.0", "shape": [32, 32], "type": "uint8", "pixel_size_m": [2e-9, 2e-9],
        "acquired_at": "2026-03-01T18:00:01+00:00", "vendor": "micromanager",
        "metadata": {"PixelSizeUm": "0.1"}, "sender": "abc", "dropped": 3, "endianness": "little",
    }  # fmt: skip
    wide = {**header, "shape": [32, 16], "type": "uint16", "endianness": "big"}
    return [joined([json.dumps(each).encode(), bytes(1024)]) for each in (header, wide)]


def damaged(rng: Random, data: bytes) -> bytes:
    """One part damaged as what it is, or parts left out, doubled, swapped."""
    parts = split(data)
    what, at = rng.random(), rng.randrange(len(parts))
    if what < 0.65:
        header = next((n for n, part in enumerate(parts) if part[:1] == b"{"), 0)
        parts[header] = mutate.json_text(rng, parts[header])
    elif what < 0.8:
        parts[at] = mutate.damaged(rng, parts[at])
    elif what < 0.87:
        del parts[at]
    elif what < 0.94:
        parts.insert(at, parts[rng.randrange(len(parts))])
    else:
        rng.shuffle(parts)
    return joined(parts)


def advised(data: bytes) -> str:
    """The hook's parser never raises: an acquisition script hangs on what a hook raises."""
    _with_hook()
    from semdaemon_hook.advised import parse

    return "no advice" if parse(split(data)) is None else "advice"


def _with_hook() -> None:
    if str(_HOOK) not in sys.path:
        sys.path.insert(0, str(_HOOK))


def hooked(data: bytes) -> str:
    """Any tags go into the hook's message, which the daemon then understands."""
    _with_hook()
    from semdaemon_hook.message import message

    from semdaemon.sources.pushmessage import parse_header

    try:
        tags = json.loads(data)
    except (ValueError, RecursionError):
        return "no JSON"
    if not isinstance(tags, dict):
        return "no object"
    header, _ = message(np.zeros((8, 8), np.uint8), tags, vendor="micromanager", sender="s", dropped=0)
    parse_header(header)
    return "understood"
