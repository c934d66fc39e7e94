"""The PULL socket: frames come in whole, garbage is refused and counted, drops are told."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from semdaemon.errors import FrameError
from semdaemon.formats import read_frames
from semdaemon.journal import Journal
from semdaemon.settings import Limits, Pushed
from semdaemon.settings import Spool as SpoolSettings
from semdaemon.sources.pushed import PushedSource
from semdaemon.sources.pushmessage import SCHEMA, frame_of, parse_header
from semdaemon.sources.spool import Spool

LIMITS = Limits(max_pixels=1_000_000)


def picture(seed: int = 0, kind: str = "uint16", shape: tuple[int, int] = (48, 64)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 200, shape).astype(kind)


def header(pixels: np.ndarray, **more: Any) -> bytes:
    order = "big" if pixels.dtype.byteorder == ">" else "little"
    told = {"schema": SCHEMA, "shape": list(pixels.shape), "type": pixels.dtype.name, "endianness": order}
    return json.dumps({**told, **more}).encode()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal.sqlite3") as opened:
        yield opened


@pytest.fixture
def source(tmp_path: Path, journal: Journal) -> Iterator[Callable[..., PushedSource]]:
    opened: list[Any] = []

    def start(endpoint: str = "tcp://127.0.0.1:*", **spool_settings: int) -> PushedSource:
        spool = Spool(SpoolSettings(**spool_settings), tmp_path / "spool", journal)
        spool.start()
        made = PushedSource(Pushed(endpoint=endpoint), LIMITS, spool)
        opened.extend([spool, made])
        made.start(journal.see)
        return made

    yield start
    for each in reversed(opened):
        each.stop()


@pytest.fixture
def push() -> Iterator[Callable[..., None]]:
    context = zmq.Context()

    def send(endpoint: str, *messages: list[bytes]) -> None:
        with context.socket(zmq.PUSH) as socket:
            socket.connect(endpoint)
            for parts in messages:
                socket.send_multipart(parts)
            socket.close(5000)

    yield send
    context.term()


def until(done: Callable[[], bool], timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("kind", ["uint8", "uint16", ">u2", "int32", "float32"])
def test_a_pushed_frame_becomes_a_frame_with_all_that_was_told(
    kind: str, source: Callable[..., PushedSource], push: Callable[..., None], journal: Journal
) -> None:
    listening, pixels = source(), picture(kind=kind)
    told = {
        "acquired_at": "2026-03-01T18:00:00.250000+00:00",
        "pixel_size_m": [2.5e-9, 2e-9],
        "metadata": {"Stage": {"x": 1}, "Exposure": "30.0"},
    }
    push(listening.endpoint, [header(pixels, **told), pixels.tobytes()])
    until(lambda: journal.counts()["seen"] == 1)
    frame = read_frames(journal.rows()[0].path, limits=LIMITS)[0]
    assert (frame.pixels == pixels).all()
    assert frame.acquired_at == datetime(2026, 3, 1, 18, 0, 0, 250000, UTC)
    assert frame.pixel_size_m == (2.5e-9, 2e-9)
    assert dict(frame.metadata) == told["metadata"]


def test_micromanagers_tags_give_pixel_size_and_time() -> None:
    pixels = picture()
    tags = {"PixelSize_um": "0.5", "ReceivedTime": "2026-03-01 18:00:00.000 +0100", "PixelType": None}
    raw = header(pixels, vendor="micromanager", metadata=tags)
    frame = frame_of(parse_header(raw), pixels.tobytes(), LIMITS)
    assert frame.pixel_size_m == pytest.approx((5e-7, 5e-7))
    assert frame.acquired_at == datetime(2026, 3, 1, 17, tzinfo=UTC)
    assert frame.vendor == "micromanager"


GOOD = picture()
BAD: dict[str, list[bytes]] = {
    "one part": [header(GOOD)],
    "three parts": [header(GOOD), GOOD.tobytes(), b""],
    "very many parts": [b"x"] * 2000,
    "no JSON": [b"\xff\x00garbage", GOOD.tobytes()],
    "JSON of another kind": [b"[1, 2]", GOOD.tobytes()],
    "deep JSON": [b"[" * 100_000, GOOD.tobytes()],
    "no shape": [json.dumps({"schema": SCHEMA, "type": "uint16"}).encode(), GOOD.tobytes()],
    "another schema": [header(GOOD, schema="karabo-1.0"), GOOD.tobytes()],
    "a later major schema": [header(GOOD, schema="semdaemon-push-2.0"), GOOD.tobytes()],
    "negative sides": [header(GOOD, shape=[-48, -64]), GOOD.tobytes()],
    "sides as text": [header(GOOD, shape=["48", "64"]), GOOD.tobytes()],
    "too short": [header(GOOD), GOOD.tobytes()[:-1]],
    "too long": [header(GOOD), GOOD.tobytes() + b"\0"],
    "too many pixels": [header(GOOD, shape=[2**20, 2**20]), GOOD.tobytes()],
    "an object type": [header(GOOD, type="object"), GOOD.tobytes()],
    "colour": [header(np.zeros((4, 4, 3), np.uint8)), bytes(48)],
    "a time without a zone": [header(GOOD, acquired_at="2026-03-01T18:00:00"), GOOD.tobytes()],
    "a pixel of no size": [header(GOOD, pixel_size_m=[0.0, 1e-9]), GOOD.tobytes()],
    "a huge header": [header(GOOD, metadata={"a": "x" * 2**20}), GOOD.tobytes()],
}


def test_garbage_is_refused_counted_and_hinders_nothing(
    source: Callable[..., PushedSource], push: Callable[..., None], journal: Journal
) -> None:
    listening = source()
    push(listening.endpoint, *BAD.values(), [header(GOOD), GOOD.tobytes()])
    until(lambda: journal.counts()["seen"] == 1)
    health = listening.health()
    assert health.ok
    assert health.counters["refused"] == len(BAD)
    assert health.counters["taken"] == 1
    assert "last refused" in health.detail


@pytest.mark.parametrize("name", [name for name, parts in BAD.items() if len(parts) == 2])
def test_what_is_wrong_with_a_message_is_said(name: str) -> None:
    parts = BAD[name]
    with pytest.raises(FrameError) as caught:
        frame_of(parse_header(parts[0]), parts[1], LIMITS)
    assert caught.value.code in ("not_understood", "wrong_size", "too_large", "true_colour")


def test_random_bytes_never_raise_anything_else() -> None:
    rng = np.random.default_rng(5)
    whole = header(GOOD, metadata={"a": 1})
    for _ in range(500):
        raw = bytearray(whole)
        for _ in range(rng.integers(1, 6)):
            raw[rng.integers(len(raw))] = rng.integers(256)
        try:
            frame_of(parse_header(bytes(raw)), GOOD.tobytes(), LIMITS)
        except FrameError:
            continue


def test_unknown_keys_are_left_alone() -> None:
    assert parse_header(header(GOOD, schema="semdaemon-push-1.7", new_in_1_7=[1])).type == "uint16"


def test_what_senders_dropped_is_added_up(
    source: Callable[..., PushedSource], push: Callable[..., None], journal: Journal
) -> None:
    listening = source()
    messages = [
        [header(GOOD, sender=sender, dropped=dropped), GOOD.tobytes()]
        for sender, dropped in (("a", 0), ("a", 3), ("b", 2), ("a", 4))
    ]
    push(listening.endpoint, *messages)
    until(lambda: journal.counts()["seen"] == 4)
    assert listening.health().counters["dropped_by_senders"] == 6


def test_a_full_spool_is_a_fault_in_the_health(
    source: Callable[..., PushedSource], push: Callable[..., None], journal: Journal
) -> None:
    listening = source(max_bytes=20_000)
    push(listening.endpoint, *[[header(GOOD), GOOD.tobytes()]] * 5)
    until(lambda: listening.health().counters["dropped"] > 0)
    until(lambda: sum(listening.health().counters[name] for name in ("taken", "dropped")) == 5)
    health = listening.health()
    assert not health.ok
    assert "spool.max_bytes" in health.detail


def test_a_port_that_is_taken_is_a_fault_until_it_is_free(
    source: Callable[..., PushedSource], push: Callable[..., None], journal: Journal
) -> None:
    context = zmq.Context()
    holder = context.socket(zmq.PULL)
    port = holder.bind_to_random_port("tcp://127.0.0.1")
    listening = source(f"tcp://127.0.0.1:{port}")
    health = listening.health()
    assert not health.ok
    assert f"127.0.0.1:{port} cannot be bound" in health.detail
    holder.close(0)
    context.term()
    until(lambda: listening.health().ok)
    push(listening.endpoint, [header(GOOD), GOOD.tobytes()])
    until(lambda: journal.counts()["seen"] == 1)


def test_it_stops_at_once_and_frees_its_port(source: Callable[..., PushedSource]) -> None:
    listening = source()
    began = time.monotonic()
    listening.stop()
    assert time.monotonic() - began < 1.0
    again = source(listening.endpoint)
    assert again.health().ok
