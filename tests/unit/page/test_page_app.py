"""Routes, pictures, events, health and what is kept out."""

from __future__ import annotations

import asyncio
import io
import json
import os
import socket
import threading
import time

import httpx
import numpy as np
import pytest
from PIL import Image

from semdaemon.errors import SemdaemonError
from semdaemon.focus.artefacts import Artefact
from semdaemon.focus.picture import preview
from semdaemon.focus.survey import Survey
from semdaemon.formats import read_frames
from semdaemon.formats.output import read_output
from semdaemon.frame import intensity_range
from semdaemon.page.guard import is_loopback_name
from semdaemon.page.pictures import Pictures, outline
from semdaemon.page.server import PageServer
from semdaemon.settings import Limits


class Local:
    """Asks the application without a socket; the server has tests of its own below."""

    def __init__(self, app):
        self._app = app

    def get(self, address, **more):
        return self.request("GET", address, **more)

    def request(self, method, address, **more):
        async def ask():
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8570") as client:
                return await client.request(method, address, **more)

        return asyncio.run(ask())


@pytest.fixture
def client(world):
    return Local(world.app())


def _image(answer):
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def test_the_page_and_its_files_are_served_with_a_strict_policy(client):
    page = client.get("/")
    assert page.status_code == 200
    assert "<title>semdaemon</title>" in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for name, kind in (
        ("style.css", "text/css"),
        ("page.js", "text/javascript"),
        ("icon.svg", "image/svg+xml"),
    ):
        answer = client.get(f"/static/{name}")
        assert answer.headers["content-type"].startswith(kind)
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_nothing_is_fetched_from_elsewhere(client):
    for name in ("/", "/static/style.css", "/static/page.js", "/static/viewer.js", "/static/panels.js"):
        text = client.get(name).text.replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text
        assert "https://" not in text


def test_no_script_writes_html(client):
    for name in ("page", "viewer", "panels", "strip", "format", "overlay", "theme"):
        text = client.get(f"/static/{name}.js").text
        for word in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
        ):
            assert word not in text, name


@pytest.mark.parametrize(
    "address",
    [
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e/app.py",
        "/static//etc/passwd",
        "/static/",
        "/nothing",
    ],
)
def test_no_other_file_is_reachable(client, address):
    assert client.get(address).status_code == 404


def test_frames_are_listed_newest_first(world, client):
    first, second = world.add("a.tif"), world.add("b.tif")
    world.refocus(first)
    world.fail(second)
    newest, older = client.get("/api/frames").json()["frames"]
    assert (newest["name"], newest["state"], newest["reason"]) == ("b.tif", "failed", "truncated")
    assert older["has_refocused"] is True
    assert older["verdicts"] == {"sharp": 2, "blurred": 2, "beyond_repair": 1, "undecided": 1}
    assert len(client.get("/api/frames?limit=1").json()["frames"]) == 1
    assert [f["name"] for f in client.get("/api/frames?only=failed").json()["frames"]] == ["b.tif"]
    assert len(client.get("/api/frames?only=failed,published,seen").json()["frames"]) == 2


@pytest.mark.parametrize("query", ["limit=-1", "limit=x", "limit=99999999999", "limit="])
def test_an_odd_limit_is_no_error(world, client, query):
    world.add("a.tif")
    assert len(client.get(f"/api/frames?{query}").json()["frames"]) == 1


def test_an_unknown_state_is_refused_clearly(client):
    answer = client.get("/api/frames?only=lost")
    assert answer.status_code == 400
    assert answer.json()["message"]


def test_one_frame_tells_everything_with_null_where_undecided(world, client):
    key = world.add("a.tif")
    world.refocus(key)
    told = client.get(f"/api/frames/{key}").json()
    assert told["focus"]["sigma_px"][1][0] is None
    assert told["focus"]["verdict"][0] == ["sharp", "blurred", "beyond_repair"]
    assert told["pixel_size_m"] == pytest.approx([5e-9, 5e-9])
    assert [event["state"] for event in told["history"]] == [
        "seen",
        "settled",
        "scored",
        "refocused",
        "published",
    ]
    assert told["summary"]["weights"]["sha256"] == "ab" * 32


@pytest.mark.parametrize("key", ["999", "0", str(2**63), str(10**30), "-1", "x"])
def test_an_unknown_frame_is_not_found(client, key):
    assert client.get(f"/api/frames/{key}").status_code == 404
    assert client.get(f"/api/frames/{key}/original").status_code == 404


def test_advice_about_a_frame_is_told_in_one_sentence(world, client):
    silent, told = world.add("silent.tif"), world.add("told.tif")
    world.score(silent)
    focus = {"axis": "working_distance", "correction_um": 2.0, "correction_sd_um": 0.5}
    world.score(told, advice={"reasons": ["out_of_focus"], "sigma_px": 3.0, "focus": focus})
    assert client.get(f"/api/frames/{silent}").json()["advice"] is None
    said = client.get(f"/api/frames/{told}").json()["advice"]
    assert said == "out of focus, blur 3.0 px: working distance +2.00 ± 0.50 µm"


def test_what_was_found_in_a_frame_is_told_in_sentences(world, client):
    plain, spoilt = world.add("plain.tif"), world.add("spoilt.tif")
    world.score(plain)
    world.score(spoilt, **Survey(artefacts=(Artefact("lettering", 1),)).as_json())
    assert client.get(f"/api/frames/{plain}").json()["findings"] == []
    (found,) = client.get(f"/api/frames/{spoilt}").json()["findings"]
    assert found["warns"]
    assert found["text"].endswith("burnt into the picture; 1 tile undecided")


def test_pictures_of_a_refocused_frame(world, client):
    key = world.add("a.tif")
    world.refocus(key)
    original = _image(client.get(f"/api/frames/{key}/original"))
    refocused = _image(client.get(f"/api/frames/{key}/refocused"))
    mask = _image(client.get(f"/api/frames/{key}/mask"))
    assert original.shape == (256, 384)
    assert refocused.shape == (256, 384, 3)
    # The same grey levels on both sides of a wipe: the untouched half looks the same but for JPEG.
    assert np.abs(original[:, :180].astype(float) - refocused[:, :180, 0]).mean() < 3
    assert mask.shape == (256, 384, 4)
    assert mask[128, 193, 3] == 255
    assert mask[128, 100, 3] == mask[128, 300, 3] == 0
    assert max(_image(client.get(f"/api/frames/{key}/thumb")).shape) <= 256
    assert client.get(f"/api/frames/{key}/map").headers["content-type"] == "image/jpeg"
    assert client.get(f"/api/frames/{key}/nonsense").status_code == 404


def test_every_refocused_picture_carries_the_badge_in_its_pixels(world):
    key = world.add("a.tif")
    world.refocus(key)
    data, _ = Pictures(world.journal, Limits(), 2**24).get(key, "refocused")
    shown = np.asarray(Image.open(io.BytesIO(data)).convert("L")).astype(float)
    original = read_frames(world.folder / "a.tif", limits=Limits())[0]
    pixels = read_output(world.journal.row(key).output).refocused
    plain = preview(pixels, original.image_area, 1600, levels=intensity_range(original.image))
    difference = np.abs(shown - plain)
    assert difference[6:20, 260:375].mean() > 30
    assert difference[60:].mean() < 5


def test_a_frame_without_pictures_has_none_and_says_so(world, client):
    key = world.add("a.tif")
    for kind in ("original", "refocused", "map", "mask", "thumb"):
        assert client.get(f"/api/frames/{key}/{kind}").status_code == 404
    world.score(key)
    (world.folder / "a.tif").unlink()
    assert client.get(f"/api/frames/{key}/original").status_code == 404


def test_a_file_that_was_overwritten_is_not_shown_as_the_frame(world, client):
    key = world.add("a.tif")
    world.score(key)
    (world.folder / "a.tif").write_bytes((world.folder / "a.tif").read_bytes() + b"x")
    assert client.get(f"/api/frames/{key}/original").status_code == 404


def test_an_original_that_was_cleared_away_is_shown_from_the_output(world, client):
    key = world.add("a.tif")
    world.refocus(key)
    before = _image(client.get(f"/api/frames/{key}/original"))
    (world.folder / "a.tif").unlink()
    np.testing.assert_array_equal(_image(Local(world.app()).get(f"/api/frames/{key}/original")), before)
    world.journal.row(key).output.unlink()
    assert Local(world.app()).get(f"/api/frames/{key}/original").status_code == 404


def test_pictures_keep_to_their_budget(world):
    keys = [world.add(f"{number}.tif") for number in range(4)]
    for key in keys:
        world.score(key)
    pictures = Pictures(world.journal, Limits(), 150_000)
    for key in keys:
        assert pictures.get(key, "original") is not None
    assert pictures._kept_bytes <= 150_000
    assert pictures.get(keys[0], "original") is not None


def test_the_outline_of_a_mask_is_its_border():
    mask = np.zeros((40, 60), bool)
    mask[10:30, 10:50] = True
    border = np.asarray(outline(mask))[..., 3] > 0
    assert border[10, 30]
    assert border[20, 49]
    assert not border[20, 30]
    assert not border[5, 5]
    assert np.asarray(outline(np.ones((3000, 100), bool))).shape[0] == 1600


@pytest.mark.skipif(os.name == "nt", reason="Windows does not allow such names")
def test_file_names_are_told_as_text_however_odd(world, client):
    name = "<img src=x onerror=alert(1)>\u202e';--.tif"
    world.fail(world.add(name), f"{name} is broken")
    answer = client.get("/api/frames")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["frames"][0]["name"] == name


def test_status_is_json_even_with_values_that_json_does_not_know(world, client):
    world.told = {"oldest_waiting_s": float("nan"), "folder": world.folder, "deep": [{"x": float("inf")}]}
    told = json.loads(client.get("/api/status").text)
    assert told["oldest_waiting_s"] is None
    assert told["deep"] == [{"x": None}]
    assert told["folder"] == str(world.folder)


def test_metrics_and_health(world, client):
    metrics = client.get("/metrics")
    assert metrics.text == "semdaemon_frames_seen_total 3\n"
    assert metrics.headers["content-type"].startswith("text/plain")
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").json()["lacking"] == []


@pytest.mark.parametrize(
    ("told", "word"),
    [
        ({"worker": {"state": "degraded", "last_fault": "worker_died"}}, "worker_died"),
        ({"sources": [{"name": "folder", "ok": False, "detail": "unmounted"}]}, "unmounted"),
        ({"output": {"folder": "x", "fault": "disk full"}}, "disk full"),
        ({"threads_alive": False}, "thread"),
    ],
)
def test_not_ready_says_what_is_lacking(world, client, told, word):
    world.told = told
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert word in answer.json()["lacking"][0]


def test_unhealthy_only_where_a_thread_stands_still(world, client):
    world.told = {"worker": {"state": "degraded"}}
    assert client.get("/healthz").status_code == 200
    world.told = {"threads_alive": False}
    assert client.get("/healthz").status_code == 503


def test_a_status_that_fails_is_a_clear_error(world, client, caplog):
    world.told = None
    answer = client.get("/api/status")
    assert answer.status_code == 500
    assert answer.json()["code"] == "page_error"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_the_page_is_read_only(client, method):
    for address in ("/", "/api/frames", "/api/status", "/metrics", "/api/frames/1"):
        assert client.request(method, address).status_code == 405


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:8570", "", "[::2]", "127.0.0.1:x"]
)
def test_foreign_names_are_refused(client, host):
    answer = client.get("/api/status", headers={"host": host})
    assert answer.status_code == 421
    assert "frames" not in answer.text


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8570", "localhost:1", "LOCALHOST", "[::1]", "[::1]:8570"]
)
def test_this_machines_names_are_let_in(host):
    assert is_loopback_name(host)


# -- the server --


def test_the_server_serves_and_stops(world):
    server = PageServer(world.app(), port=0).start()
    assert httpx.get(f"{server.url}healthz").json()["ok"]
    server.stop()
    server.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}healthz")


def test_a_busy_port_is_said_with_what_to_do(world, page):
    with pytest.raises(SemdaemonError) as busy:
        PageServer(world.app(), port=page.port).start()
    assert busy.value.code == "page_port_in_use"
    assert str(page.port) in busy.value.message
    assert "page.port" in busy.value.remedy


def test_changes_reach_an_open_page_at_once(world, page):
    with httpx.stream("GET", f"{page.url}api/events", timeout=10) as events:
        lines = events.iter_lines()
        assert next(lines) == "event: changed"
        threading.Timer(0.05, world.changes.announce).start()
        begin = time.monotonic()
        while next(lines) != "event: changed":
            pass
        assert time.monotonic() - begin < 5  # sooner than the next sign of life


def test_the_server_stops_promptly_though_pages_are_open(world):
    server = PageServer(world.app(), port=0).start()
    with httpx.stream("GET", f"{server.url}api/events", timeout=10) as events:
        assert next(events.iter_lines()) == "event: changed"
        begin = time.monotonic()
        server.stop()
        assert time.monotonic() - begin < 5


def test_a_page_that_went_away_is_forgotten(world, page):
    for _ in range(5):
        with httpx.stream("GET", f"{page.url}api/events", timeout=10) as events:
            assert next(events.iter_lines()) == "event: changed"
    end = time.monotonic() + 5
    while world.changes._listeners and time.monotonic() < end:
        world.changes.announce()
        time.sleep(0.02)
    assert not world.changes._listeners


def test_garbage_on_the_port_does_not_hurt(page):
    for said in (b"\x16\x03\x01\x02\x00", b"GET /\r\n\r\n" * 3, np.random.default_rng(1).bytes(4000)):
        with socket.create_connection(("127.0.0.1", page.port), timeout=5) as scanner:
            scanner.sendall(said)
    assert httpx.get(f"{page.url}healthz").status_code == 200
