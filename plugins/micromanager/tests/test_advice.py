"""The receiver of advice against a plain PUB socket: it hands on what is good and is never felt."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from inspect import signature
from typing import Any

import pytest
import zmq
from semdaemon_hook import Advice, Refocus
from semdaemon_hook.advised import MOST_BYTES, parse

TOPIC = b"sem/advice/"


def header(run: str = "run_1", **changed: Any) -> dict[str, Any]:
    focus = {
        "axis": "stage_z", "at_um": 10.0, "correction_um": -2.0, "correction_sd_um": 0.2, "candidates_um": [],
        "magnitude_um": 2.0, "magnitude_sd_um": 0.2,
    }  # fmt: skip
    focus.update({key: changed.pop(key) for key in list(changed) if key in focus})
    told = {"schema": "semdaemon-1.0", "event": "advice", "run": {"id": "89abcdef", "dataset": run},
            "frame": {"uri": "file:///x"}, "state": "attention", "reasons": ["out_of_focus"], "retake": False,
            "focus": focus, "epoch": "e", "sequence": 0}  # fmt: skip
    return {**told, **changed}


class Daemon:
    """A PUB socket."""

    def __init__(self, endpoint: str = "tcp://127.0.0.1:*") -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.XPUB)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.bind(endpoint)
        self.endpoint = self.socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def wait(self) -> None:
        assert self.socket.poll(5000), "nobody subscribed"
        assert self.socket.recv() == b"\1" + TOPIC

    def say(self, *parts: bytes, **changed: Any) -> None:
        self.socket.send_multipart([TOPIC, *(parts or [json.dumps(header(**changed)).encode()])])

    def close(self) -> None:
        self.socket.close(0)
        self.context.term()


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    made = Daemon()
    yield made
    made.close()


@pytest.fixture
def listen(daemon: Daemon) -> Iterator[Callable[..., Advice]]:
    made: list[Advice] = []

    def start(run: Any = "run_1", **options: Any) -> Advice:
        made.append(Advice(run, daemon.endpoint, **options))
        daemon.wait()
        return made[-1]

    yield start
    for each in made:
        each.close()


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 5
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return found


def told(advice: Advice, daemon: Daemon, **changed: Any) -> None:
    """One advice, and wait until it is here."""
    good = advice.counts.good
    daemon.say(**changed)
    until(lambda: advice.counts.good > good)


def test_pycromanager_accepts_its_hook() -> None:
    advice = Advice("run_1", "tcp://127.0.0.1:1")
    assert len(signature(advice.pre_hardware_hook_fn).parameters) == 1
    advice.close()


def test_the_newest_advice_about_the_run_is_kept(daemon: Daemon, listen: Callable[..., Advice]) -> None:
    advice = listen()
    assert advice.latest() is None
    daemon.say(run="run_2")
    told(advice, daemon, correction_um=-3.0)
    told(advice, daemon, retake=True, reasons=["beyond_repair"])
    newest = advice.latest()
    assert newest is not None
    assert (newest.retake, newest.reasons, newest.correction_um) == (True, ("beyond_repair",), -2.0)
    assert advice.counts.other == 1
    assert advice.take() is newest
    assert advice.take() is None
    assert advice.latest() is newest


def test_a_hook_hears_about_its_own_frames(daemon: Daemon, listen: Callable[..., Advice]) -> None:
    refocus = Refocus("tcp://127.0.0.1:1")
    advice = listen(refocus)
    told(advice, daemon, run=refocus.name)
    refocus.close(0)


def test_what_is_advised_is_added_within_its_limits(daemon: Daemon, listen: Callable[..., Advice]) -> None:
    advice = listen(limit_um=1.5, total_um=2.5)
    assert advice.correct(10.0) == 10.0
    told(advice, daemon)
    assert advice.correct(10.0) == 8.5  # -2 was asked for, 1.5 is the most at a time
    assert advice.correct(10.0) == 8.5  # each advice once
    told(advice, daemon, at_um=8.5, correction_um=-5.0)
    assert advice.correct(10.0) == 7.5  # the most in all
    assert advice.offset_um == -2.5
    assert advice.counts.applied == 2


def test_advice_about_a_frame_from_before_a_correction_asks_for_the_same_place(
    daemon: Daemon, listen: Callable[..., Advice]
) -> None:
    advice = listen(limit_um=5.0)
    advice.correct(10.0)
    told(advice, daemon)
    assert advice.correct(10.0) == 8.0
    told(advice, daemon)  # again about a frame at 10
    assert advice.correct(10.0) == 8.0


def test_advice_about_a_place_that_was_never_asked_for_moves_nothing(
    daemon: Daemon, listen: Callable[..., Advice]
) -> None:
    advice = listen()
    advice.correct(10.0)
    told(advice, daemon, at_um=300.0)
    assert advice.correct(10.0) == 10.0
    assert advice.counts.stale == 1


def test_a_stack_moves_about_the_middle_that_it_is_told(
    daemon: Daemon, listen: Callable[..., Advice]
) -> None:
    advice = listen(limit_um=5.0)
    for z in (8.0, 10.0, 12.0):
        advice.correct(z, focus_um=10.0)
    told(advice, daemon, at_um=12.0, correction_um=-1.0)  # focus lies at 11, not at 10
    assert advice.correct(8.0, focus_um=10.0) == 9.0


@pytest.mark.parametrize(
    "changed",
    [
        {"correction_um": None},
        {"correction_um": None, "candidates_um": [1.0, -1.0]},
        {"correction_um": 0.1, "magnitude_um": 0.1, "magnitude_sd_um": 0.2},
        {"reasons": ["beyond_repair"]},
        {"at_um": None},
        {"correction_um": float("nan")},
        {"correction_um": 1e400},
        {"correction_um": "2"},
        {"correction_um": True},
    ],
)
def test_advice_that_does_not_know_moves_nothing(
    changed: dict[str, Any], daemon: Daemon, listen: Callable[..., Advice]
) -> None:
    advice = listen()
    advice.correct(10.0)
    told(advice, daemon, **changed)
    assert advice.correct(10.0) == 10.0


def test_the_likelier_side_is_tried_only_where_that_is_asked_for(
    daemon: Daemon, listen: Callable[..., Advice]
) -> None:
    advice = listen(explore=True)
    advice.correct(10.0)
    told(advice, daemon, correction_um=None, candidates_um=[0.5, -0.5])
    assert advice.correct(10.0) == 10.5


def test_old_advice_is_not_followed(daemon: Daemon, listen: Callable[..., Advice]) -> None:
    advice = listen(max_age_s=0.05)
    advice.correct(10.0)
    told(advice, daemon)
    time.sleep(0.06)
    assert advice.latest() is None
    assert advice.correct(10.0) == 10.0


def test_events_are_corrected_and_everything_else_is_left_as_it_is(
    daemon: Daemon, listen: Callable[..., Advice]
) -> None:
    advice = listen(limit_um=5.0)
    event = {"axes": {"time": 0}, "z": 10.0}
    assert advice.pre_hardware_hook_fn(event) is event
    told(advice, daemon)
    assert advice.pre_hardware_hook_fn({"axes": {}, "z": 10.0})["z"] == 8.0
    assert [each["z"] for each in advice.pre_hardware_hook_fn([{"z": 10}, {"z": 11.0}])] == [8.0, 9.0]
    for odd in (None, "x", {"axes": {}}, {"z": None}, {"z": "3"}, [None, {"z": []}]):
        assert advice.pre_hardware_hook_fn(odd) is odd
    assert advice.counts.failed == 0


GARBAGE = [
    (b"",), (b"{}",), (b"[1]",), (b"\xff\xfe",), (b"[" * 100_000,), (b"1", b"2"),
    (b" " * (MOST_BYTES - 100),), (json.dumps({**header(), "schema": "semdaemon-2.0"}).encode(),),
    (json.dumps({**header(), "event": "score"}).encode(),), (json.dumps({**header(), "run": None}).encode(),),
    (json.dumps({**header(), "focus": []}).encode(),), (json.dumps({**header(), "state": "?"}).encode(),),
    (json.dumps({**header(), "reasons": 3}).encode(),), (json.dumps({**header(), "frame": 3}).encode(),),
]  # fmt: skip


def test_garbage_is_counted_and_what_follows_is_heard(daemon: Daemon, listen: Callable[..., Advice]) -> None:
    advice = listen()
    for parts in GARBAGE:
        assert parse([TOPIC, *parts]) is None
        daemon.say(*parts)
    told(advice, daemon)
    assert advice.counts.garbage == len(GARBAGE)
    assert advice.counts.failed == 0


def test_without_a_daemon_there_is_no_advice_and_no_waiting() -> None:
    began = time.monotonic()
    with Advice("run_1", "tcp://127.0.0.1:1") as advice:
        assert [advice.correct(float(n)) for n in range(1000)] == list(map(float, range(1000)))
        assert advice.latest() is None
        assert time.monotonic() - began < 0.5


def test_an_address_that_is_none_is_not_felt() -> None:
    with Advice("run_1", "no address") as advice:
        assert advice.correct(3.0) == 3.0


def test_keys_that_are_missing_are_counted_and_not_felt() -> None:
    with Advice("run_1", "tcp://127.0.0.1:1", server_key="missing.key", key="missing.key_secret") as advice:
        assert advice.correct(3.0) == 3.0
        assert advice.counts.failed >= 1


def test_a_daemon_that_dies_and_comes_back_is_heard_again(listen: Callable[..., Advice]) -> None:
    first = Daemon()
    advice = Advice("run_1", first.endpoint, limit_um=5.0)
    first.wait()
    advice.correct(10.0)
    told(advice, first)
    assert advice.correct(10.0) == 8.0
    endpoint = first.endpoint
    first.close()
    assert advice.correct(10.0) == 8.0  # what was advised stays
    second = Daemon(endpoint)
    second.wait()
    told(advice, second, epoch="another", at_um=8.0, correction_um=1.0)
    assert advice.correct(10.0) == 9.0
    advice.close()
    second.close()


def test_another_program_at_the_port_is_not_felt() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        stop = threading.Event()

        def babble() -> None:
            server.settimeout(0.05)
            while not stop.is_set():
                try:
                    peer, _ = server.accept()
                    with peer:
                        peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 100)
                except OSError:
                    continue

        thread = threading.Thread(target=babble)
        thread.start()
        with Advice("run_1", f"tcp://127.0.0.1:{server.getsockname()[1]}") as advice:
            time.sleep(0.3)
            assert advice.correct(1.0) == 1.0
            assert advice.counts.good == 0
        stop.set()
        thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_listens_on_a_connection_of_its_own(
    daemon: Daemon, listen: Callable[..., Advice]
) -> None:
    advice = listen()
    child = os.fork()
    if child == 0:
        advice.latest()
        deadline = time.monotonic() + 5
        while not advice.counts.good and time.monotonic() < deadline:
            time.sleep(0.01)
        os._exit(0 if advice.counts.good else 1)
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
        daemon.say()
        time.sleep(0.02)
    assert ended[1] == 0
    told(advice, daemon)


def test_the_scripts_end_never_waits_and_never_crashes(daemon: Daemon) -> None:
    script = (
        "from semdaemon_hook import Advice; a = Advice('r', %r); a.correct(1.0); print('done', flush=True)"
    )
    for endpoint in ("tcp://127.0.0.1:1", daemon.endpoint):
        with subprocess.Popen([sys.executable, "-c", script % endpoint], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == b"done"
            assert process.wait(5.0) == 0
