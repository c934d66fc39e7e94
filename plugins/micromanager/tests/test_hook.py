"""The hook against a plain PULL socket: it sends what it is given and is never felt."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from inspect import signature
from typing import Any

import numpy as np
import pytest
import zmq
from semdaemon_hook import Refocus
from semdaemon_hook.message import SCHEMA

IMAGE = np.arange(64 * 48, dtype=np.uint16).reshape(64, 48)


class Dataset:
    """As ndstorage's datasets answer a callback."""

    def __init__(self, image: Any = IMAGE, **metadata: Any) -> None:
        self.image, self.metadata = image, metadata

    def read_image(self, **axes: Any) -> Any:
        return self.image

    def read_metadata(self, **axes: Any) -> dict[str, Any]:
        return self.metadata


class Daemon:
    """A PULL socket."""

    def __init__(self) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.PULL)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.port = self.socket.bind_to_random_port("tcp://127.0.0.1")
        self.endpoint = f"tcp://127.0.0.1:{self.port}"

    def next(self, timeout_s: float = 5.0) -> tuple[dict[str, Any], np.ndarray]:
        assert self.socket.poll(int(1000 * timeout_s)), "nothing came"
        header, pixels = self.socket.recv_multipart()
        told = json.loads(header)
        kind = np.dtype(told["type"]).newbyteorder("<" if told["endianness"] == "little" else ">")
        return told, np.frombuffer(pixels, kind).reshape(told["shape"])

    def close(self) -> None:
        self.socket.close(0)
        self.context.term()


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    made = Daemon()
    yield made
    made.close()


@pytest.fixture
def hook() -> Iterator[Callable[..., Refocus]]:
    made: list[Refocus] = []

    def make(endpoint: str) -> Refocus:
        made.append(Refocus(endpoint))
        return made[-1]

    yield make
    for each in made:
        each.close(0)


def connected(refocus: Refocus, daemon: Daemon) -> Refocus:
    """Push until the connection stands; what came is taken off."""
    deadline = time.monotonic() + 5
    while not refocus.counts.sent:
        refocus.push(IMAGE)
        assert time.monotonic() < deadline
        time.sleep(0.01)
    daemon.next()
    return refocus


def test_pycromanager_accepts_its_callables() -> None:
    refocus = Refocus()
    assert len(signature(refocus.image_saved_fn).parameters) == 2
    assert len(signature(refocus.image_process_fn).parameters) == 2
    refocus.close(0)


def test_a_saved_image_comes_with_its_tags(daemon: Daemon, hook: Callable[..., Refocus]) -> None:
    refocus = connected(hook(daemon.endpoint), daemon)
    tags = {
        "Camera": "C",
        "Exposure": "30.0",
        "PixelSize_um": np.float64(0.5),
        "odd": {1},
        "nan": float("nan"),
    }
    refocus.image_saved_fn({"time": 3, "channel": "BSE"}, Dataset(**tags))
    header, pixels = daemon.next()
    assert (pixels == IMAGE).all()
    assert header["schema"] == SCHEMA
    assert header["vendor"] == "micromanager"
    assert header["metadata"]["Axes"] == {"time": 3, "channel": "BSE"}
    assert header["metadata"]["PixelSize_um"] == 0.5
    assert header["metadata"]["nan"] == "NaN"
    assert "T" in header["acquired_at"]


def test_tags_that_say_when_are_left_to_say_it(daemon: Daemon, hook: Callable[..., Refocus]) -> None:
    refocus = connected(hook(daemon.endpoint), daemon)
    refocus.image_saved_fn({}, Dataset(ReceivedTime="2026-03-01 18:00:00.000 +0100"))
    assert daemon.next()[0]["acquired_at"] is None


def test_a_processed_image_is_handed_on_as_it_came_and_sent_as_it_was(
    daemon: Daemon, hook: Callable[..., Refocus]
) -> None:
    refocus = connected(hook(daemon.endpoint), daemon)
    image, metadata = np.full((600, 600), 7, np.uint8), {"Height": 600}
    handed_on = refocus.image_process_fn(image, metadata)
    assert handed_on[0] is image
    assert handed_on[1] is metadata
    image[:] = 0
    assert (daemon.next()[1] == 7).all()


@pytest.mark.parametrize("kind", ["uint8", ">u2", "<i4", "float32"])
def test_every_type_and_a_slice_come_as_they_are(
    kind: str, daemon: Daemon, hook: Callable[..., Refocus]
) -> None:
    refocus = connected(hook(daemon.endpoint), daemon)
    image = IMAGE.astype(kind)[::2, ::3]
    refocus.push(image, pixel_size_m=(2e-9, 1e-9))
    header, pixels = daemon.next()
    assert (pixels == image).all()
    assert header["pixel_size_m"] == [2e-9, 1e-9]


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.complex64), np.zeros((0, 4), np.uint8), None, "text"],
)
def test_what_is_no_grey_image_is_refused_without_a_word_to_the_acquisition(
    image: Any, daemon: Daemon, hook: Callable[..., Refocus]
) -> None:
    refocus = connected(hook(daemon.endpoint), daemon)
    refocus.image_saved_fn({}, Dataset(image))
    assert refocus.image_process_fn(image, None)[0] is image
    assert refocus.counts.refused == 2


def test_a_dataset_that_fails_is_counted_and_not_felt(daemon: Daemon, hook: Callable[..., Refocus]) -> None:
    refocus = connected(hook(daemon.endpoint), daemon)
    for _ in range(3):
        refocus.image_saved_fn({}, None)
    assert refocus.counts.failed == 3


def test_an_address_that_is_none_is_not_felt(hook: Callable[..., Refocus]) -> None:
    refocus = hook("no address")
    refocus.push(IMAGE)
    assert refocus.counts.failed >= 1


def test_without_a_daemon_everything_is_dropped_counted_and_fast(hook: Callable[..., Refocus]) -> None:
    refocus = hook("tcp://127.0.0.1:1")
    image = np.zeros((1024, 1024), np.uint16)
    began = time.monotonic()
    for _ in range(100):
        refocus.push(image)
    assert time.monotonic() - began < 1.0
    assert (refocus.counts.sent, refocus.counts.dropped) == (0, 100)


def test_a_daemon_that_takes_nothing_costs_frames_not_time(
    daemon: Daemon, hook: Callable[..., Refocus]
) -> None:
    daemon.socket.setsockopt(zmq.RCVHWM, 1)
    refocus = connected(hook(daemon.endpoint), daemon)
    image = np.zeros((1024, 1024), np.uint16)
    began, longest_s = time.monotonic(), 0.0
    while refocus.counts.dropped < 50:
        before = time.monotonic()
        refocus.push(image)
        longest_s = max(longest_s, time.monotonic() - before)
        assert time.monotonic() - began < 20
    assert longest_s < 0.5
    assert refocus.counts.sent < 2000


def test_it_finds_a_daemon_that_comes_later_and_tells_it_what_was_dropped(
    hook: Callable[..., Refocus],
) -> None:
    reserved = Daemon()
    endpoint = reserved.endpoint
    reserved.close()
    refocus = hook(endpoint)
    for _ in range(5):
        refocus.push(IMAGE)
    assert refocus.counts.dropped == 5
    late = Daemon()
    late.socket.bind(endpoint)
    deadline = time.monotonic() + 10
    while not late.socket.poll(10):
        refocus.push(IMAGE)
        assert time.monotonic() < deadline
    assert late.next()[0]["dropped"] >= 5
    late.close()


def test_many_threads_share_one_hook(daemon: Daemon, hook: Callable[..., Refocus]) -> None:
    refocus = connected(hook(daemon.endpoint), daemon)
    before = refocus.counts.sent + refocus.counts.dropped
    threads = [threading.Thread(target=lambda: [refocus.push(IMAGE) for _ in range(50)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    counts = refocus.counts
    assert counts.failed == 0
    assert counts.sent + counts.dropped - before == 400


def test_a_pickled_hook_connects_anew(daemon: Daemon, hook: Callable[..., Refocus]) -> None:
    copy = pickle.loads(pickle.dumps(hook(daemon.endpoint)))
    connected(copy, daemon)
    copy.close(0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_sends_on_a_connection_of_its_own(
    daemon: Daemon, hook: Callable[..., Refocus]
) -> None:
    refocus = connected(hook(daemon.endpoint), daemon)
    child = os.fork()
    if child == 0:
        deadline = time.monotonic() + 5
        refocus.push(IMAGE, {"who": "child"})
        while not refocus.counts.sent and time.monotonic() < deadline:
            time.sleep(0.01)
            refocus.push(IMAGE, {"who": "child"})
        refocus.close(1.0)
        os._exit(0 if refocus.counts.failed == 0 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert daemon.next()[0]["metadata"] == {"who": "child"}
    refocus.push(IMAGE, {"who": "parent"})
    assert daemon.next()[0]["metadata"] == {"who": "parent"}


def test_the_scripts_end_never_waits_and_never_crashes(daemon: Daemon) -> None:
    script = (
        "import time; import numpy as np; from semdaemon_hook import Refocus; r = Refocus(%r)\n"
        "time.sleep(0.05)\n"
        "for _ in range(30): r.push(np.zeros((2048, 2048), np.uint16))\n"
        "print('done', flush=True)"
    )
    for endpoint in ("tcp://127.0.0.1:1", *[daemon.endpoint] * 6):
        with subprocess.Popen([sys.executable, "-c", script % endpoint], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == b"done"
            assert process.wait(5.0) == 0


def test_with_keys_it_is_heard_and_pickled_with_them_and_a_missing_key_is_not_felt(
    tmp_path: Any, hook: Callable[..., Refocus]
) -> None:
    from zmq.auth import create_certificates, load_certificate

    server_public, server_secret = create_certificates(tmp_path, "server")
    _, secret = create_certificates(tmp_path, "scope")
    listening = Daemon.__new__(Daemon)
    listening.context = zmq.Context()
    listening.socket = listening.context.socket(zmq.PULL)
    listening.socket.curve_server = True
    listening.socket.curve_secretkey = load_certificate(server_secret)[1]
    port = listening.socket.bind_to_random_port("tcp://127.0.0.1")
    endpoint = f"tcp://127.0.0.1:{port}"
    try:
        refocus = Refocus(endpoint, server_key=server_public, key=secret)
        connected(refocus, listening)
        again = pickle.loads(pickle.dumps(refocus))
        refocus.close(0)
        connected(again, listening).close(0)
    finally:
        listening.close()
    wrong = Refocus(endpoint, server_key=server_public, key=tmp_path / "no.key_secret")
    wrong.push(IMAGE)
    assert wrong.counts.failed >= 1
    assert Refocus(endpoint, key=secret).counts.failed == 1
