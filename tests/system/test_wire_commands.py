"""``semdaemon listen`` and ``semdaemon status`` against a real publisher, as processes."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest

from semdaemon.cli.listen import _wanted, endpoint_pair
from semdaemon.cli.status import wrong
from semdaemon.settings import Publish
from semdaemon.wire.client import Subscriber
from semdaemon.wire.publisher import Publisher

FRAME = {"id": "0", "source": "folder", "uri": "file:///x/lath%201.tif", "shape": [4, 4], "type": "uint8"}
GOOD = {
    "instrument": "sem",
    "version": "0.1.0",
    "pid": 7,
    "started_at": "2026-03-01T18:00:00+00:00",
    "frames": {"seen": 1, "published": 41},
    "oldest_waiting_s": 3.2,
    "worker": {"state": "ready", "device": "cpu", "restarts": 0, "weights": {"name": "light"}},
    "sources": [{"name": "folder", "ok": True, "watching": "events", "roots": ["/data"]}],
    "output": {"folder": "/out", "fault": None},
    "threads_alive": True,
}


@pytest.fixture
def publisher():
    settings = Publish(endpoint="tcp://127.0.0.1:*", control="tcp://127.0.0.1:*", heartbeat_s=0.1)
    with Publisher(settings, status=lambda: GOOD) as publisher:
        yield publisher


def _run(*arguments, timeout=30):
    command = [sys.executable, "-m", "semdaemon", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def _publish(publisher):
    maps = [("sigma_px", np.array([[0.6, np.nan]], np.float32)), ("verdict", np.array([[0, 3]], np.uint8))]
    publisher.publish("score", {"frame": FRAME, "tile_px": 128}, maps)
    pixels = np.zeros((4, 4), np.uint8)
    network = {"frame": FRAME, "weights": {"name": "light", "sha256": "ab"}}
    publisher.publish("frame", network, [("refocused", pixels), ("mask", np.eye(4, dtype=bool))])
    publisher.publish("fault", {"code": "truncated", "message": "ends early", "remedy": "Copy it again."})


def test_listen_prints_one_readable_line_a_message(publisher):
    _publish(publisher)
    control = publisher.control_endpoint
    topics = ("--topic", "sem/score/", "--topic", "sem/frame/", "--topic", "sem/fault/")
    done = _run("listen", publisher.endpoint, "--control", control, *topics, "--from-start", "--count", "3")
    lines = sorted(line[13:] for line in done.stdout.splitlines())
    assert done.returncode == 0, done.stderr
    assert "ends early [truncated] What to do: Copy it again." in lines[0]
    assert "lath 1.tif: 25% of it refocused by network (light)" in lines[1]
    assert "lath 1.tif: 1 sharp, 0 blurred, 0 beyond repair, 1 undecided of 2 tiles, blur 0.60 px" in lines[2]


def test_listen_json_is_one_object_a_line_and_nothing_else(publisher):
    _publish(publisher)
    control = publisher.control_endpoint
    done = _run(
        "listen", publisher.endpoint, "--control", control, "--from-start", "--json", "--timeout", "1"
    )
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    score = next(message for message in told if message["event"] == "score")
    assert score["values"]["sigma_px"] == [[pytest.approx(0.6), None]]
    assert {"score", "frame", "fault"} <= {message["event"] for message in told}
    assert "heartbeat" not in {message["event"] for message in told}


def test_listen_reports_what_is_lost_and_ends_with_1():
    settings = Publish(endpoint="tcp://127.0.0.1:*", control="tcp://127.0.0.1:*", replay_bytes=1000)
    with Publisher(settings) as publisher:
        for _ in range(20):
            _publish(publisher)
        arguments = ("--control", publisher.control_endpoint, "--from-start", "--timeout", "1")
        done = _run("listen", publisher.endpoint, *arguments)
    assert done.returncode == 1
    assert "lost for good" in done.stderr


def test_listen_waits_for_a_daemon_that_is_not_there_yet():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        endpoint = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    command = [
        sys.executable,
        "-m",
        "semdaemon",
        "listen",
        endpoint,
        "--control",
        "",
        "--count",
        "1",
        "--topic",
        "sem/fault/",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as listener:
        assert "Waiting for it" in listener.stderr.readline()
        stop = threading.Event()
        with Publisher(Publish(endpoint=endpoint, control="")) as publisher:

            def speak():
                while not stop.wait(0.05):
                    publisher.publish("fault", {"code": "x", "message": "here"})

            speaker = threading.Thread(target=speak)
            speaker.start()
            said, _ = listener.communicate(timeout=20)
            stop.set()
            speaker.join()
    assert "here [x]" in said
    assert listener.returncode == 0


def test_listen_says_once_when_the_daemon_falls_silent(monkeypatch, capsys):
    monkeypatch.setattr("semdaemon.cli.listen.SILENCE_S", 0.3)
    settings = Publish(endpoint="tcp://127.0.0.1:*", control="", heartbeat_s=0.1)
    publisher = Publisher(settings).start()
    with Subscriber(publisher.endpoint, "", ("sem/fault/",)) as subscriber:
        subscriber.ready()
        told = _wanted(subscriber, None, 1.0, everything=True)
        assert list(told) == []
        assert capsys.readouterr().err == ""
        publisher.close()
        assert list(_wanted(subscriber, None, 1.5, everything=True)) == []
    assert capsys.readouterr().err.count("has the daemon gone?") == 1


def test_status_tells_how_the_daemon_is(publisher):
    done = _run("status", "--control", publisher.control_endpoint)
    assert done.returncode == 0, done.stderr
    for word in ("sem, version 0.1.0", "41 published", "ready, cpu, light", "folder by events: /data", "3 s"):
        assert word in done.stdout


def test_status_json_is_one_object(publisher):
    done = _run("status", "--control", publisher.control_endpoint, "--json")
    told = json.loads(done.stdout)
    assert told["frames"]["published"] == 41
    assert told["wrong"] == []
    assert told["epoch"] == publisher.epoch


def test_status_says_plainly_when_no_daemon_runs():
    done = _run("status", "--control", "tcp://127.0.0.1:9", "--timeout", "0.3")
    assert done.returncode == 1
    assert "no daemon runs there" in done.stderr
    assert "semdaemon run" in done.stderr


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"worker": {"state": "degraded", "last_fault": "worker_died"}}, "worker_died"),
        ({"sources": [{"name": "folder", "ok": False, "detail": "unmounted"}]}, "unmounted"),
        ({"output": {"fault": "disk full"}}, "disk full"),
        ({"threads_alive": False}, "stands still"),
        ({"error": "ValueError"}, "ValueError"),
    ],
)
def test_status_names_what_is_wrong(change, word):
    assert list(wrong(GOOD)) == []
    assert word in " ".join(wrong({**GOOD, **change}))


@pytest.mark.parametrize(
    ("endpoint", "control", "expected"),
    [
        ("tcp://127.0.0.1:5570", None, "tcp://127.0.0.1:5571"),
        ("tcp://sem-pc:6000", None, "tcp://sem-pc:6001"),
        ("ipc:///run/sem", None, ""),
        ("tcp://sem-pc:6000", "tcp://sem-pc:9", "tcp://sem-pc:9"),
        ("tcp://sem-pc:6000", "", ""),
    ],
)
def test_the_control_socket_is_the_next_port_unless_told(endpoint, control, expected):
    assert endpoint_pair(endpoint, control) == (endpoint, expected)


def test_control_characters_in_a_file_name_never_reach_the_terminal(publisher):
    uri = "file:///x/%1b%5b2J%0dok.tif"
    publisher.publish("fault", {"frame": {"uri": uri}, "code": "x", "message": "\x1b[31m of \udcff \u202e"})
    arguments = (
        "--control",
        publisher.control_endpoint,
        "--topic",
        "sem/fault/",
        "--from-start",
        "--count",
        "1",
    )
    done = _run("listen", publisher.endpoint, *arguments)
    assert "\\x1b[2J" in done.stdout
    assert done.stdout.strip().isprintable()
