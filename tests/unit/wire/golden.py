"""Golden vectors: messages whose bytes may never change within ``semdaemon-1.0``.

``python tests/unit/wire/golden.py`` writes ``tests/data/wire``; a difference in git changes the format.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from semdaemon.wire.control import Desk, answer
from semdaemon.wire.messages import encode, topic_of
from semdaemon.wire.replay import ReplayStore

FOLDER = Path(__file__).resolve().parents[2] / "data" / "wire"
EPOCH = "6f9619ff-8b86-4d11-b42d-00c04fc964ff"
FRAME: dict[str, Any] = {
    "id": "00112233445566ff",
    "source": "folder",
    "uri": "file:///data/run%201/lath_0001.tif",
    "acquired_at": "2026-03-01T18:00:00+00:00",
    "shape": [2, 6],
    "type": "uint16",
    "pixel_size_m": [5e-09, 5e-09],
    "image_area": [0, 0, 2, 6],
    "page": 0,
}
ADVICE: dict[str, Any] = {
    "run": {"id": "89abcdef", "source": "ndtiff", "dataset": "night_1", "detector": "BSE",
            "position": "", "frames": 57},
    "state": "attention",
    "reasons": ["out_of_focus", "focus_drifts", "beyond_repair"],
    "retake": True,
    "regions": [{"area": [0, 4, 2, 6], "tiles": 1, "verdict": "beyond_repair"}],
    "sigma_px": 3.25, "sigma_nm": 16.25, "sharpest_px": 0.75,
    "position": {"x_um": 1500.0, "y_um": -20.5, "z_um": 12.0, "working_distance_um": None},
    "focus": {
        "axis": "stage_z", "at_um": 12.0, "target_um": 9.5, "magnitude_um": 2.5, "magnitude_sd_um": 0.5,
        "correction_um": -2.5, "correction_sd_um": 0.5, "candidates_um": [],
        "steepness_px_per_um": 1.25, "steepness_sd_px_per_um": 0.125,
        "drift_um_per_s": -0.03125, "drift_sd_um_per_s": 0.0078125,
    },
}  # fmt: skip
JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")


def messages() -> dict[str, list[bytes]]:
    """Event to the parts of one message."""
    return {event: [bytes(part) for part in parts] for event, parts in _encoded()}


def _encoded() -> Any:
    refocused = np.arange(12, dtype="<u2").reshape(2, 6) * 1000
    mask = np.zeros((2, 6), bool)
    mask[:, 3:] = True
    maps = [
        ("sigma_px", np.array([[0.5, 3.25, np.nan]], "<f4")),
        ("score", np.array([[0.75, 0.25, np.nan]], "<f4")),
        ("verdict", np.array([[0, 1, 3]], np.uint8)),
    ]
    verdicts = {"0": "sharp", "1": "blurred", "2": "beyond_repair", "3": "undecided"}
    yield _one("score", {"frame": FRAME, "tile_px": 2, "area": [0, 0, 2, 6], "verdicts": verdicts}, maps)
    yield _one("preview", {"frame": FRAME}, blobs=[("preview", "image/jpeg", JPEG)])
    network = {"refocused_by": "network", "weights": {"name": "light", "sha256": "ab" * 32}}
    yield _one("frame", {"frame": FRAME, **network}, [("refocused", refocused), ("mask", mask)])
    yield _one("advice", {"frame": FRAME, **ADVICE})
    fault = {"code": "truncated", "message": "lath_0002.tif ends early.", "remedy": "Copy it again."}
    yield _one("fault", {"frame": {"uri": "file:///data/lath_0002.tif"}, **fault})
    yield _one("status", {"status": {"frames": {"published": 1}, "worker": {"state": "ready"}}})
    beat = {"instrument": "sem", "interval_s": 1.0, "sequences": {"sem/score/": 0, "sem/fault/": 0}}
    yield _one("heartbeat", beat)


def frames_reply() -> bytes:
    """The reply to ``{"request": "frames", "after": 40, "id": 7}``."""
    refocused = {
        "position": 47, "at": "2026-03-01T18:00:04.120Z", "state": "published", "reason": "refocused",
        "detail": "", "number": 12, "id": "00112233445566ff", "source": "folder",
        "uri": "file:///data/run%201/lath_0001.tif", "page": 0, "shape": [2, 6], "type": "uint16",
        "pixel_size_m": [5e-09, 5e-09], "output": "file:///out/run%201/lath_0001.refocused.tif",
        "verdicts": {"sharp": 1, "blurred": 1, "beyond_repair": 0, "undecided": 1}, "median_sigma_px": 1.875,
    }  # fmt: skip
    broken = {
        "position": 51, "at": "2026-03-01T18:00:06.000Z", "state": "failed", "reason": "truncated",
        "detail": "lath_0002.tif ends early.", "number": 13, "id": "", "source": "folder",
        "uri": "file:///data/lath_0002.tif", "page": 0, "shape": None, "type": "", "pixel_size_m": None,
        "output": None, "verdicts": None, "median_sigma_px": None,
    }  # fmt: skip
    desk = Desk("sem", EPOCH, {}, ReplayStore(0), dict, _Told([refocused, broken]))
    (part,) = answer(b'{"request": "frames", "after": 40, "id": 7}', desk)
    return bytes(part)


class _Told:
    """A journal that says what it is given."""

    def __init__(self, frames: list[dict[str, Any]]) -> None:
        self._frames = frames

    def position(self) -> int:
        return 51

    def page(self, after: object, since: object, limit: int) -> dict[str, Any]:
        assert (after, since) == (40, None)
        return {"frames": self._frames, "position": 51, "more": False}


def _one(event: str, header: dict[str, Any], arrays: Any = (), blobs: Any = ()) -> tuple[str, Any]:
    first = {"event": event, "epoch": EPOCH, "sequence": 0, "published_at": "2026-03-01T18:00:01.250000Z"}
    return event, encode(topic_of("sem", event), {**first, **header}, arrays, blobs)


def write() -> None:
    """Write every vector: the parts as hexadecimal, and the header for people."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for event, parts in messages().items():
        vector = {"parts_hex": [part.hex() for part in parts], "header": json.loads(parts[1])}
        (FOLDER / f"{event}.json").write_text(json.dumps(vector, indent=2) + "\n", encoding="utf-8")
    reply = frames_reply()
    vector = {"parts_hex": [reply.hex()], "header": json.loads(reply)}
    (FOLDER / "reply_frames.json").write_text(json.dumps(vector, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
