"""What an operator sees of one daemon: log lines, metrics, health, status, why, and the page about them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tifffile
import yaml
from scipy.ndimage import gaussian_filter

from semdaemon.simulate import scene

REPOSITORY = Path(__file__).resolve().parents[2]
FORGED = 'broken\n{"event": "daemon ready"}.tif' if os.name == "posix" else "broken.tif"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from tests.system.conftest import RunningDaemon

    folder = tmp_path_factory.mktemp("acquired")
    sections: dict[str, dict[str, Any]] = {
        "folder": {"folders": [str(folder)], "give_up_s": 0.2},
        "micromanager": {"enabled": True, "port": 1},
    }
    made = RunningDaemon(folder, tmp_path_factory.mktemp("home"), sections).start()
    unit = scene("particles", (256, 256), 1, 10e-9)
    for number, blur_px in enumerate((0.0, 3.0)):  # the second one is refocused
        noise = np.random.default_rng(number).normal(0, 4, unit.shape)
        shown = gaussian_filter(unit, blur_px) * 200 + 20 + noise
        tifffile.imwrite(folder / f"{number}.tif", np.clip(shown, 0, 255).astype(np.uint8))
    (folder / FORGED).write_bytes(b"not an image")
    made.wait_final(3)
    yield made
    made.stop()


def asked(running: Any, *arguments: str, columns: int = 80) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "semdaemon", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "COLUMNS": str(columns)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_line_of_the_log_is_json_and_every_frame_has_one(running: Any) -> None:
    lines = [json.loads(line) for line in running.log.read_text().splitlines()]
    assert [line["event"] for line in lines].count("daemon ready") == 1  # a file name forges no line
    frames = [line for line in lines if line["event"] == "frame"]
    assert sorted(Path(line["file"]).name for line in frames) == sorted(["0.tif", "1.tif", FORGED])
    for line in frames:
        assert {"number", "state", "reason", "after_s", "timestamp", "level"} <= line.keys()
        if line["state"] == "published":
            assert sum(line["verdicts"].values()) > 0
    assert sum("output" in line for line in frames) == 1


def test_every_metric_is_explained_and_nothing_else_is(running: Any) -> None:
    told = httpx.get(running.addresses["page"] + "metrics").text
    exposed = set(re.findall(r"^# TYPE (\S+)", told, re.MULTILINE))
    page = (REPOSITORY / "docs" / "operating.md").read_text()
    table = page[page.index("| metric | what it is |") :]
    explained = set(re.findall(r"`(semdaemon_[a-z_]+)`", table))
    assert exposed == explained


def test_alert_rules_ask_for_metrics_that_exist(running: Any) -> None:
    told = httpx.get(running.addresses["page"] + "metrics").text
    exposed = set(re.findall(r"^# TYPE (\S+)", told, re.MULTILINE))
    rules = yaml.safe_load((REPOSITORY / "config" / "prometheus-alerts.yml").read_text())
    found = [rule for group in rules["groups"] for rule in group["rules"]]
    used = {name for rule in found for name in re.findall(r"semdaemon_[a-z_]+", rule["expr"])}
    assert used <= exposed
    assert len({rule["alert"] for rule in found}) == len(found) >= 8


def test_a_micro_manager_that_is_closed_leaves_it_ready(running: Any) -> None:
    answer = httpx.get(running.addresses["page"] + "readyz")
    states = {check["name"]: check["state"] for check in answer.json()["checks"]}
    assert answer.status_code == 200, answer.text
    assert (states["source micromanager"], states["source folder"]) == ("waiting", "ok")


def test_status_fits_a_terminal_and_tells_what_a_person_asks(running: Any) -> None:
    told = asked(running, "status", "--control", running.addresses["control"])
    assert max(map(len, told.splitlines())) <= 80
    together = " ".join(told.split())
    for word in (
        "1 failed",
        "waiting nothing",
        "GiB free)",
        "micromanager: waiting",
        "fingerprint",
        "UTC, for",
    ):
        assert word in together
    for part in ("page", "endpoint", "control", "pushed"):
        assert running.addresses[part] in together


def test_why_tells_of_a_file_with_an_odd_name_in_whole_lines(running: Any) -> None:
    rows = {row.path.name: row.key for row in running.rows()}
    told = asked(running, "why", str(rows[FORGED]), "--state", str(running.state))
    assert "not_an_image" in told
    assert not any(line.startswith("{") for line in told.splitlines())
    assert "Frame" in asked(running, "requeue", str(rows["0.tif"]), "--state", str(running.state))
    running.wait_final(3)


def test_no_secret_reaches_log_status_or_metrics(tmp_path: Path, daemon: Callable[..., Any]) -> None:
    keys = tmp_path / "keys"
    for made in ("server", "token"):
        asked_for = [sys.executable, "-m", "semdaemon", "keys", made, "--folder", str(keys)]
        subprocess.run(asked_for, check=True, capture_output=True, timeout=60)
    secret = (keys / "server.key_secret").read_text().split('secret-key = "')[1].split('"')[0]
    token_file = next(path for path in keys.iterdir() if "token" in path.name)
    token = token_file.read_text().strip()
    curve = {"curve_secret_file": str(keys / "server.key_secret"), "curve_allowed": str(keys / "allowed")}
    (tmp_path / "acquired").mkdir()
    running = daemon(
        tmp_path / "acquired",
        daemon={"log_level": "debug"},
        refocus={"enabled": False},
        publish=curve,
        pushed=curve,
        page={"port": 0, "token_file": str(token_file)},
    )
    page, bearer = running.addresses["page"], {"authorization": f"Bearer {token}"}
    httpx.get(f"{page}?token={token}")
    told = [httpx.get(page + path, headers=bearer) for path in ("api/status", "metrics", "readyz")]
    assert [answer.status_code for answer in told] == [200, 200, 200]
    running.stop()
    everything = running.log.read_text() + "".join(answer.text for answer in told)
    assert '"daemon stopped"' in everything
    assert secret not in everything
    assert token not in everything
