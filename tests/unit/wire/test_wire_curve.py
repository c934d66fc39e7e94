"""CURVE: who has a key that is allowed hears and is heard; everybody else is not, at every socket."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import zmq
from wire_samples import fault

from semdaemon.errors import SemdaemonError
from semdaemon.journal import Journal
from semdaemon.settings import Limits, Pushed
from semdaemon.settings import Spool as SpoolSettings
from semdaemon.sources.pushed import PushedSource
from semdaemon.sources.pushmessage import SCHEMA
from semdaemon.sources.spool import Spool
from semdaemon.wire.allowed import AllowedKeys
from semdaemon.wire.client import AsyncSubscriber, Subscriber
from semdaemon.wire.control import ask
from semdaemon.wire.gate import Gate
from semdaemon.wire.keys import ClientKeys, KeyPair, load_pair, load_public, make_pair

SILENT_S = 0.3
STRANGERS = ("no key", "unknown key", "wrong server key")


@dataclass
class Keys:
    """A daemon's keys and those of its clients."""

    folder: Path

    @property
    def settings(self) -> dict[str, str]:
        return {
            "curve_secret_file": str(self.folder / "server.key_secret"),
            "curve_allowed": str(self.folder / "allowed"),
        }

    def client(self, name: str, *, allow: bool = True) -> ClientKeys:
        public, secret = make_pair(self.folder, name)
        if allow:
            shutil.copyfile(public, self.folder / "allowed" / public.name)
        return ClientKeys.load(secret, self.folder / "server.key")

    def stranger(self, kind: str) -> ClientKeys | None:
        if kind == "no key":
            return None
        keys = self.client(kind.replace(" ", "_"), allow=kind == "wrong server key")
        other = KeyPair(*zmq.curve_keypair())
        return ClientKeys(keys.own, other.public if kind == "wrong server key" else keys.server)

    def revoke(self, name: str) -> None:
        (self.folder / "allowed" / f"{name}.key").unlink()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semdaemon.wire.gate.HANDSHAKE_MS", 500)  # how long a stranger waits for its next try


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    made = Keys(tmp_path / "keys")
    make_pair(made.folder, "server")
    (made.folder / "allowed").mkdir()
    return made


def _until(done: Callable[[], bool], timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _subscriber(publisher, curve):
    return Subscriber(publisher.endpoint, publisher.control_endpoint, ("sem/fault/",), curve=curve)


# -- publisher and control --


def test_an_allowed_client_hears_asks_and_heals(make_publisher, keys):
    publisher = make_publisher(**keys.settings)
    anna = keys.client("anna")
    publisher.publish("fault", fault(0))
    with Subscriber(
        publisher.endpoint, publisher.control_endpoint, ("sem/fault/",), from_start=True, curve=anna
    ) as subscriber:
        subscriber.ready()
        publisher.publish("fault", fault(1))
        assert [subscriber.receive(5).header["number"] for _ in range(2)] == [0, 1]
    assert ask(publisher.control_endpoint, {"request": "status"}, 5, anna)["reply"] == "status"


def test_the_asyncio_subscriber_has_keys_too(make_publisher, keys):
    publisher = make_publisher(**keys.settings)
    anna = keys.client("anna")

    async def listen():
        async with AsyncSubscriber(
            publisher.endpoint, publisher.control_endpoint, ("sem/fault/",), curve=anna
        ) as subscriber:
            await subscriber.ready()
            publisher.publish("fault", fault(7))
            return await subscriber.receive(5)

    assert asyncio.run(listen()).header["number"] == 7


@pytest.mark.parametrize("kind", STRANGERS)
def test_strangers_hear_nothing_and_get_no_answer(make_publisher, keys, kind):
    publisher = make_publisher(heartbeat_s=0.05, **keys.settings)
    stranger = keys.stranger(kind)
    with _subscriber(publisher, stranger) as subscriber:
        subscriber._sub.setsockopt(zmq.SUBSCRIBE, b"")
        with pytest.raises(SemdaemonError) as silent:
            subscriber.ready(SILENT_S)
        assert silent.value.code == "not_ready"
        assert "key" in silent.value.remedy
        assert not subscriber._sub.poll(0)
    with pytest.raises(SemdaemonError) as silent:
        ask(publisher.control_endpoint, {"request": "status"}, SILENT_S, stranger)
    assert silent.value.code == "no_answer"
    assert publisher.counters["requests"] == 0
    assert (publisher.counters["keys_refused"] > 0) == (kind == "unknown key")


def test_a_key_added_later_lets_a_waiting_client_in_without_a_restart(make_publisher, keys):
    publisher = make_publisher(**keys.settings)
    late = keys.client("late", allow=False)
    with _subscriber(publisher, late) as subscriber:
        _until(lambda: publisher.counters["keys_refused"] > 0)
        shutil.copyfile(keys.folder / "late.key", keys.folder / "allowed" / "late.key")
        subscriber.ready(10)
    assert publisher.counters["keys_allowed"] == ["late"]


def test_a_revoked_key_is_cut_off_at_once_and_the_others_lose_nothing(make_publisher, keys):
    publisher = make_publisher(**keys.settings)
    anna, bert = keys.client("anna"), keys.client("bert")
    with _subscriber(publisher, anna) as stays, _subscriber(publisher, bert) as goes:
        stays.ready(), goes.ready()
        keys.revoke("bert")
        _until(lambda: publisher.counters["keys_allowed"] == ["anna"])
        for number in range(30):
            publisher.publish("fault", fault(number))
            time.sleep(0.01)
        assert [stays.receive(5).header["number"] for _ in range(30)] == list(range(30))
        while goes.receive(SILENT_S) is not None:  # what was on its way when the key went
            pass
        before = goes.silent_s
        assert goes.receive(SILENT_S) is None
        assert goes.silent_s > before  # not even a heartbeat


def test_a_folder_of_keys_that_is_gone_lets_nobody_in(make_publisher, keys):
    publisher = make_publisher(**keys.settings)
    anna = keys.client("anna")
    shutil.rmtree(keys.folder / "allowed")
    with _subscriber(publisher, anna) as subscriber, pytest.raises(SemdaemonError):
        subscriber.ready(SILENT_S)


def test_without_the_gates_thread_nobody_is_let_in(make_publisher, keys, monkeypatch):
    monkeypatch.setattr(Gate, "_answer", lambda *_: None)
    publisher = make_publisher(**keys.settings)
    with _subscriber(publisher, keys.client("anna")) as subscriber, pytest.raises(SemdaemonError):
        subscriber.ready(SILENT_S)


def test_garbage_among_the_allowed_keys_is_left_and_the_others_count(make_publisher, keys, caplog):
    anna = keys.client("anna")
    allowed = keys.folder / "allowed"
    (allowed / "binary.key").write_bytes(os.urandom(200))
    (allowed / "large.key").write_bytes(b"x" * 100_000)
    (allowed / "short.key").write_text('public-key = "abc"')
    (allowed / "folder.key").mkdir()
    publisher = make_publisher(**keys.settings)
    with _subscriber(publisher, anna) as subscriber:
        subscriber.ready()
    assert publisher.counters["keys_allowed"] == ["anna"]
    assert caplog.text.count("Not taken as an allowed key") == 4


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_a_key_that_is_a_link_to_nothing_shuts_nobody_else_out(make_publisher, keys):
    publisher = make_publisher(**keys.settings)
    anna = keys.client("anna")
    _until(lambda: publisher.counters["keys_allowed"] == ["anna"])
    (keys.folder / "allowed" / "gone.key").symlink_to(keys.folder / "nothing.key")
    assert ask(publisher.control_endpoint, {"request": "status"}, 5, anna)["reply"] == "status"
    assert publisher.counters["keys_allowed"] == ["anna"]


def test_a_folder_of_keys_that_cannot_be_read_is_told_once(tmp_path, caplog):
    allowed = AllowedKeys(tmp_path / "nothing")
    for _ in range(3):
        allowed._looked_at = -1.0
        allowed.look()
    assert caplog.text.count("nobody is let in") == 1
    assert b"x" * 40 not in allowed


# -- pushed frames --


@pytest.fixture
def pushed(tmp_path: Path, keys: Keys) -> Iterator[PushedSource]:
    with Journal(tmp_path / "journal.sqlite3") as journal:
        spool = Spool(SpoolSettings(), tmp_path / "spool", journal)
        spool.start()
        source = PushedSource(Pushed(endpoint="tcp://127.0.0.1:*", **keys.settings), Limits(), spool)
        source.start(journal.see)
        yield source
        source.stop()
        spool.stop()


def _push(context: zmq.Context, source: PushedSource, curve: ClientKeys | None) -> zmq.Socket:
    pixels = np.full((40, 40), 7, np.uint8)
    header = json.dumps({"schema": SCHEMA, "shape": [40, 40], "type": "uint8"}).encode()
    sender = context.socket(zmq.PUSH)
    if curve is not None:
        curve.apply(sender)
    sender.connect(source.endpoint)
    sender.send_multipart([header, pixels.tobytes()])
    return sender


@pytest.mark.parametrize("kind", STRANGERS)
def test_frames_of_strangers_are_not_taken_and_those_of_allowed_clients_are(pushed, keys, kind):
    context = zmq.Context()
    try:
        senders = [_push(context, pushed, each) for each in (keys.stranger(kind), keys.client("scope"))]
        _until(lambda: pushed.health().counters["taken"] == 1)
        time.sleep(0.2)
        assert pushed.health().counters["taken"] == len(senders) - 1
    finally:
        context.destroy(linger=0)


def test_a_sender_whose_key_is_taken_away_is_cut_off(pushed, keys):
    context = zmq.Context()
    try:
        sender = _push(context, pushed, keys.client("scope"))
        _until(lambda: pushed.health().counters["taken"] == 1)
        keys.revoke("scope")
        _until(lambda: not pushed._gate.counters["keys_allowed"])
        sender.setsockopt(zmq.LINGER, 0)
        for _ in range(3):
            sender.send_multipart([b"{}", b""])
        _until(lambda: pushed.health().counters["keys_refused"] > 0)
        assert pushed.health().counters["refused"] == 0
    finally:
        context.destroy(linger=0)


def test_a_missing_server_key_is_a_fault_that_says_what_to_do(tmp_path, pushed, keys):
    with Journal(tmp_path / "elsewhere" / "journal.sqlite3") as journal:
        spool = Spool(SpoolSettings(), tmp_path / "other", journal)
        settings = {**keys.settings, "curve_secret_file": str(tmp_path / "none.key_secret")}
        source = PushedSource(Pushed(endpoint="tcp://127.0.0.1:*", **settings), Limits(), spool)
        source.start(journal.see)
        health = source.health()
        source.stop()
    assert not health.ok
    assert "none.key_secret" in health.detail
    assert "semdaemon keys" in health.detail


# -- files --


def test_secret_files_are_the_owners_alone_and_never_overwritten(tmp_path):
    public, secret = make_pair(tmp_path, "a")
    before = secret.read_bytes()
    assert load_pair(secret).public == load_public(public)
    if os.name == "posix":
        assert secret.stat().st_mode & 0o777 == 0o600
    with pytest.raises(SemdaemonError) as refused:
        make_pair(tmp_path, "a")
    assert refused.value.code == "key_exists"
    assert secret.read_bytes() == before


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_a_secret_that_others_may_read_is_not_used(tmp_path):
    _, secret = make_pair(tmp_path, "a")
    secret.chmod(0o644)
    with pytest.raises(SemdaemonError) as exposed:
        load_pair(secret)
    assert exposed.value.code == "key_exposed"
    assert "chmod 600" in exposed.value.remedy


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "key_malformed"),
        ('public-key = "abc"', "key_malformed"),
        ("public-key", "key_malformed"),
        (f'public-key = "{"a" * 40}"', "key_malformed"),
        (f'public-key = "{"a" * 40}"\nsecret-key = "{"~" * 40}"', "key_malformed"),
        (None, "key_unreadable"),
    ],
)
def test_a_key_file_that_is_none_is_named_and_its_content_never_shown(tmp_path, text, code):
    file = tmp_path / "x.key_secret"
    if text is not None:
        file.write_text(text)
        file.chmod(0o600)
    with pytest.raises(SemdaemonError) as refused:
        load_pair(file)
    assert refused.value.code == code
    assert "x.key_secret" in refused.value.message
    assert "~~~~" not in str(refused.value)


def test_keys_never_show_their_secret(keys):
    anna = keys.client("anna")
    assert anna.own.secret.decode() not in repr(anna)
