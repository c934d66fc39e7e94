"""The page for other machines: token, cookie, names, and connections that come to nothing."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from semdaemon.errors import SemdaemonError, SettingsError
from semdaemon.page.access import Token, new_token
from semdaemon.page.app import create_app
from semdaemon.page.pictures import Pictures
from semdaemon.page.protocol import BoundedProtocol
from semdaemon.page.server import PageServer
from semdaemon.settings import Limits, load_settings

TOKEN = "correct-horse-battery-staple"  # noqa: S105 - of this test alone


@pytest.fixture
def guarded(world: Any) -> Iterator[PageServer]:
    """A page that asks for a token."""
    app = create_app(
        journal=world.journal,
        pictures=Pictures(world.journal, Limits(), 2**24).get,
        status=world.status,
        metrics=lambda: b"semdaemon_frames_seen_total 3\n",
        changed=world.changes,
        token=Token(TOKEN),
        names=("sem-pc.lab.example",),
    )
    with PageServer(app, port=0) as server:
        yield server


ROUTES = (
    "/api/status",
    "/api/frames",
    "/api/frames/1",
    "/api/events",
    "/metrics",
    "/readyz",
    "/static/page.js",
)


def test_without_the_token_nothing_is_told(guarded, world):
    world.add("secret_sample.tif")
    shown = [{}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN}"}]
    shown += [{"cookie": f"semdaemon_page={TOKEN}"}, {"cookie": "semdaemon_page="}, {"cookie": ";;=\x01"}]
    with httpx.Client(base_url=guarded.url) as client:
        for headers in shown:
            for route in (*ROUTES, "/nowhere"):
                answer = client.get(route, headers=headers)
                assert answer.status_code == 401, route
                assert answer.headers["www-authenticate"].startswith("Bearer")
                assert "secret_sample" not in answer.text
                assert "set-cookie" not in answer.headers
        assert client.get("/?token=wrong").status_code == 401
        assert client.get(f"/api/status?token={TOKEN}").status_code == 401  # only the page itself
        assert client.get(f"/?{'a=1&' * 500}").status_code == 401
        assert client.post("/").status_code == 401


def test_programs_show_the_token_and_health_is_open_to_all(guarded):
    with httpx.Client(base_url=guarded.url, headers={"authorization": f"Bearer {TOKEN}"}) as client:
        assert client.get("/metrics").text == "semdaemon_frames_seen_total 3\n"
        assert client.get("/api/status").json()["threads_alive"] is True
        assert client.post("/api/status").status_code == 405
    assert httpx.get(f"{guarded.url}healthz").json() == {"ok": True}


def test_a_browser_shows_it_once_and_then_has_a_cookie_that_is_not_the_token(guarded):
    with httpx.Client(base_url=guarded.url) as client:
        assert 'name="token"' in client.get("/").text
        moved = client.get("/", params={"token": TOKEN, "frame": "7", "view": "side"})
        assert moved.status_code == 303
        assert moved.headers["location"] == "/?frame=7&view=side"
        cookie = moved.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite" in cookie
        assert TOKEN not in cookie
        assert client.get("/").status_code == 200
        assert client.get("/api/frames").json() == {"frames": []}


@pytest.mark.parametrize("host", ["sem-pc.lab.example:8570", "192.168.7.7", "[fe80::1]:8570", "localhost"])
def test_our_names_and_all_addresses_are_answered_to(guarded, host):
    headers = {"authorization": f"Bearer {TOKEN}", "host": host}
    assert httpx.get(f"{guarded.url}api/status", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "sem-pc.lab.example.evil.example", "192.168.7.7.evil.example", ""]
)
def test_a_name_that_is_not_ours_is_refused_with_the_token_too(guarded, host):
    headers = {"authorization": f"Bearer {TOKEN}", "host": host}
    assert httpx.get(f"{guarded.url}api/status", headers=headers).status_code == 421


def test_wrong_tokens_are_logged_now_and_then_and_never_shown(guarded, caplog):
    with httpx.Client(base_url=guarded.url) as client:
        for number in range(50):
            client.get(f"/?token=guess{number}")
    said = [record.getMessage() for record in caplog.records if record.name.startswith("semdaemon")]
    assert len([line for line in said if "A wrong token" in line]) == 1
    assert not any("guess" in line for line in said)


def test_settings_refuse_another_address_without_a_token():
    with pytest.raises(SettingsError) as refused:
        load_settings(None, {"page": {"host": "0.0.0.0"}})  # noqa: S104
    assert "page.token_file" in refused.value.message
    assert "semdaemon keys token" in refused.value.message
    assert load_settings(None, {"page": {"host": "0.0.0.0", "token_file": "t"}}).page.token_file  # noqa: S104


@pytest.mark.parametrize(
    ("text", "mode", "code"),
    [
        ("short", 0o600, "page_token_weak"),
        ("", 0o600, "page_token_weak"),
        (f"{TOKEN} {TOKEN}", 0o600, "page_token_weak"),
        ("\xe4" * 30, 0o600, "page_token_unreadable"),
        (TOKEN, 0o644, "page_token_exposed"),
        (None, 0, "page_token_unreadable"),
    ],
)
def test_a_token_file_that_does_not_do_is_named_without_its_content(tmp_path: Path, text, mode, code):
    if code == "page_token_exposed" and os.name != "posix":
        pytest.skip("modes are POSIX")
    file = tmp_path / "page.token"
    if text is not None:
        file.write_text(text, encoding="utf-8")
        file.chmod(mode)
    with pytest.raises(SemdaemonError) as refused:
        Token.load(file)
    assert refused.value.code == code
    assert "page.token" in refused.value.message
    assert TOKEN not in str(refused.value)


def test_new_tokens_hold_and_differ(tmp_path: Path):
    file = tmp_path / "page.token"
    file.write_text(new_token() + "\n")
    file.chmod(0o600)
    assert Token.load(file).is_token(file.read_text().strip())
    assert new_token() != new_token()


# -- connections that come to nothing --


def _closed(connection: socket.socket) -> bool:
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize(
    "said", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"POST / HTTP/1.1"]
)
def test_a_request_that_never_ends_is_hung_up_on(page, monkeypatch, said):
    monkeypatch.setattr("semdaemon.page.protocol.REQUEST_S", 0.3)
    with socket.create_connection(("127.0.0.1", page.port), timeout=5) as slow:
        slow.sendall(said)
        for _ in range(3):  # a byte now and then does not begin the wait anew
            time.sleep(0.05)
            if said:
                slow.sendall(b"x")
        assert _closed(slow)
    assert httpx.get(f"{page.url}healthz").status_code == 200


def test_an_open_page_is_not_hung_up_on_for_being_quiet(page, world, monkeypatch):
    monkeypatch.setattr("semdaemon.page.protocol.REQUEST_S", 0.2)
    with httpx.stream("GET", f"{page.url}api/events", timeout=10) as events:
        lines = events.iter_lines()
        assert next(lines) == "event: changed"
        time.sleep(0.5)
        world.changes.announce()
        assert "event: changed" in (next(lines), next(lines), next(lines))


def test_one_connection_too_many_is_hung_up_on_and_the_page_comes_back(page, monkeypatch):
    monkeypatch.setattr("semdaemon.page.protocol.MOST_CONNECTIONS", 20)
    flood = [socket.create_connection(("127.0.0.1", page.port), timeout=5) for _ in range(60)]
    try:
        for one in flood[30:]:
            assert _closed(one)
    finally:
        for one in flood:
            one.close()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{page.url}healthz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("the page did not come back")


def test_garbage_and_other_protocols_are_logged_sparingly(page, caplog):
    caplog.set_level(logging.WARNING)
    random = np.random.default_rng(1)
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x01CURVE" + bytes(47)
    for number in range(100):
        with socket.create_connection(("127.0.0.1", page.port), timeout=5) as scanner:
            scanner.sendall((greeting, random.bytes(3000), b"\x16\x03\x01", b"A" * 100_000)[number % 4])
    assert httpx.get(f"{page.url}healthz").status_code == 200
    assert len(caplog.records) <= 3
    assert BoundedProtocol.__mro__[1].__name__ == "H11Protocol"
