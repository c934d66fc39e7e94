"""``semdaemon keys``, and a daemon that asks for them: commands as a person would type them."""

from __future__ import annotations

import io
import json
import logging
import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from semdaemon.cli import main
from semdaemon.errors import SettingsError
from semdaemon.settings import load_settings


def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """A command in this process, which is quicker; the daemon has one of its own."""
    out, err, root = io.StringIO(), io.StringIO(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main([str(each) for each in arguments])
    root.handlers[:] = handlers
    root.setLevel(level)
    return subprocess.CompletedProcess(arguments, int(ended.value.code or 0), out.getvalue(), err.getvalue())


def test_keys_are_made_once_and_it_says_what_to_do_next(tmp_path: Path) -> None:
    made = _run("keys", "server", "--folder", tmp_path)
    assert made.returncode == 0, made.stderr
    assert "curve_secret_file = " in made.stdout
    assert (tmp_path / "allowed").is_dir()
    secret = (tmp_path / "server.key_secret").read_text(encoding="ascii")
    key = secret.split('secret-key = "')[1].split('"')[0]
    assert key not in made.stdout + made.stderr
    again = _run("keys", "server", "--folder", tmp_path)
    assert again.returncode == 1
    assert "never overwritten" in again.stderr
    assert (tmp_path / "server.key_secret").read_text(encoding="ascii") == secret
    told = json.loads(_run("keys", "client", "anna", "--allow", "--json", "--folder", tmp_path).stdout)
    assert Path(told["allowed"]).read_bytes() == (tmp_path / "anna.key").read_bytes()
    assert told["secret"] == str(tmp_path / "anna.key_secret")
    for name in ("../x", "server", "a b", ""):
        assert _run("keys", "client", name, "--folder", tmp_path).returncode == 2


@pytest.mark.parametrize("section", ["publish", "pushed"])
def test_another_address_needs_keys_or_insecure_and_keys_come_in_twos(section: str) -> None:
    outside = {"endpoint": "tcp://0.0.0.0:5599"}
    both = {"curve_secret_file": "~/server.key_secret", "curve_allowed": "~/allowed"}
    for bad in (outside, {"curve_allowed": "~/allowed"}, {"curve_secret_file": "~/k"}):
        with pytest.raises(SettingsError, match="curve_secret_file"):
            load_settings(None, {section: bad})
    curve = getattr(load_settings(None, {section: {**outside, **both}}), section).curve
    assert curve.secret_file == Path("~/server.key_secret").expanduser()
    assert getattr(load_settings(None, {section: {**outside, "insecure": True}}), section).curve is None


def test_a_daemon_with_keys_is_heard_by_those_who_have_one_and_never_tells_a_secret(
    tmp_path: Path, daemon: Callable[..., Any]
) -> None:
    keys = tmp_path / "keys"
    _run("keys", "server", "--folder", keys)
    _run("keys", "client", "anna", "--allow", "--folder", keys)
    curve: dict[str, Any] = {
        "curve_secret_file": str(keys / "server.key_secret"),
        "curve_allowed": str(keys / "allowed"),
    }
    endpoint = {"endpoint": "tcp://0.0.0.0:*", "control": "tcp://0.0.0.0:*"}
    folder = tmp_path / "frames"
    folder.mkdir()
    _run("keys", "token", "--folder", keys)
    open_page = {"host": "0.0.0.0", "token_file": str(keys / "page.token")}  # noqa: S104
    settings = {"publish": {**endpoint, **curve}, "pushed": curve, "page": open_page}
    running = daemon(folder, **settings, refocus={"enabled": False})
    control = running.addresses["control"].replace("0.0.0.0", "127.0.0.1")  # noqa: S104
    listen_at = running.addresses["endpoint"].replace("0.0.0.0", "127.0.0.1")  # noqa: S104
    own = ("--key", keys / "anna.key_secret", "--server-key", keys / "server.key")
    status = _run("status", "--control", control, *own)
    assert status.returncode == 0, status.stderr
    assert "can be reached from other machines, with the token" in status.stdout
    assert "the page can be reached from other machines" in running.log.read_text()
    beside = _run("status", "-c", running.config, "--control", control, "--json")
    assert json.loads(beside.stdout)["wire"]["keys_allowed"] == ["anna"]
    refused = _run("status", "--control", control, "--timeout", "0.5")
    assert refused.returncode == 1
    assert "asks for a key" in refused.stderr
    arguments = ("--control", control, "--topic", "sem/heartbeat/", "--count", "1", "--timeout", "10")
    heard = _run("listen", listen_at, *arguments, *own, "--json")
    assert json.loads(heard.stdout)["event"] == "heartbeat", heard.stderr
    token = (keys / "page.token").read_text(encoding="ascii").strip()
    page = f"http://127.0.0.1:{urlsplit(running.addresses['page']).port}/"
    assert httpx.get(f"{page}api/status").status_code == 401
    opens = {"authorization": f"Bearer {token}"}
    shown = _run("config", "show", "-c", running.config).stdout
    texts = [status.stdout, beside.stdout, heard.stdout, shown, running.log.read_text()]
    texts += [httpx.get(f"{page}{what}", headers=opens).text for what in ("api/status", "metrics", "")]
    assert "semdaemon_wire_keys_refused_total" in texts[-2]
    assert not any(token in text for text in texts)
    for file in keys.glob("*.key_secret"):
        secret = file.read_text(encoding="ascii").split('secret-key = "')[1].split('"')[0]
        assert not any(secret in text for text in texts)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_a_daemon_whose_key_others_can_read_does_not_start(tmp_path: Path) -> None:
    _run("keys", "server", "--folder", tmp_path)
    secret = tmp_path / "server.key_secret"
    shutil.copymode(tmp_path / "server.key", secret)
    settings = tmp_path / "semdaemon.toml"
    settings.write_text(
        f'[folder]\nfolders = ["{tmp_path}/in"]\n[output]\nfolder = "{tmp_path}/out"\n'
        f'[daemon]\nstate_dir = "{tmp_path}/state"\n[page]\nenabled = false\n[publish]\n'
        'endpoint = "tcp://127.0.0.1:*"\ncontrol = ""\n'
        f'curve_secret_file = "{secret}"\ncurve_allowed = "{tmp_path}/allowed"\n'
    )
    done = _run("run", "-c", settings)
    assert done.returncode == 1
    assert "chmod 600" in done.stderr
