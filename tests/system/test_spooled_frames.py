"""Frames from memory through the whole daemon: killed in between, refocused, and cleared away."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from semdaemon.formats.output import read_output
from semdaemon.formats.verify import verify
from semdaemon.simulate import half_blurred
from semdaemon.sources.pushmessage import SCHEMA


def push(endpoint: str, *frames: np.ndarray) -> None:
    context = zmq.Context()
    socket = context.socket(zmq.PUSH)
    socket.connect(endpoint)
    for number, frame in enumerate(frames):
        header = {
            "schema": SCHEMA, "shape": frame.shape, "type": frame.dtype.name,
            "pixel_size_m": [2e-9, 2e-9], "metadata": {"number": number},
        }  # fmt: skip
        socket.send_multipart([json.dumps(header).encode(), frame.tobytes()])
    socket.close()
    context.term()


def noise(seed: int, side: int = 512) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (side, side)).astype(np.uint8)


def test_frames_that_were_taken_outlive_a_killed_daemon(tmp_path: Path, daemon: Callable[..., Any]) -> None:
    (tmp_path / "acquisition").mkdir()
    running = daemon(tmp_path / "acquisition", refocus={"enabled": False}, spool={"keep_bytes": 0})
    push(running.addresses["pushed"], *[noise(seed) for seed in range(12)])
    running.wait_for(lambda counts: sum(counts.values()) == 12, 30)
    running.kill()
    running.start()
    counts = running.wait_final(12)
    assert counts["published"] == 12
    spool = running.state / "spool" / "pushed"
    deadline = time.monotonic() + 20
    while list(spool.iterdir()):
        assert time.monotonic() < deadline, "finished frames stay in the spool"
        time.sleep(0.1)


@pytest.mark.timeout(300)
def test_a_pushed_frame_is_refocused_and_its_output_holds_without_the_spool(
    tmp_path: Path, daemon: Callable[..., Any]
) -> None:
    (tmp_path / "acquisition").mkdir()
    sharp = noise(0, 256).astype(np.float32) / 255
    original, _, _ = half_blurred(sharp, 4.0, 200.0, np.random.default_rng(1), 8)
    running = daemon(tmp_path / "acquisition", refocus={"everywhere": True}, spool={"keep_bytes": 0})
    push(running.addresses["pushed"], original)
    running.wait_final(1, 200)
    row = running.rows()[0]
    assert row.reason == "refocused", running.tail()
    deadline = time.monotonic() + 20
    while row.path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert row.output.relative_to(running.output).parts[0] == "pushed"
    output = read_output(row.output)
    assert (output.original == original).all()
    assert verify(row.output).ok
