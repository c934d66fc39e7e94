"""The daemon under the system unit's own sandbox: seccomp, no capabilities, a read-only file system."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
UNIT = REPOSITORY / "systemd" / "semdaemon.service"


def _can() -> bool:
    asked = [sys.executable, __file__.replace("test_sandbox", "sandbox"), str(UNIT), "/tmp", "true"]
    return subprocess.run(asked, capture_output=True, timeout=60, check=False).returncode == 0


pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(200),
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0 or shutil.which("systemd-analyze") is None,
        reason="needs root on Linux, and systemd-analyze for the system call sets",
    ),
]


def sandboxed(unit: Path, writable: Path, *command: str) -> subprocess.CompletedProcess[str]:
    script = Path(__file__).with_name("sandbox.py")
    return subprocess.run(
        [sys.executable, str(script), str(unit), str(writable), *command],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(REPOSITORY)},
    )


def test_the_sandbox_of_this_test_really_denies(tmp_path: Path) -> None:
    if not _can():
        pytest.skip("this machine lets no mount namespace or seccomp filter be made")
    denied = (
        "import os, socket\n"
        "said = []\n"
        "for name, attempt in (('root', lambda: open('/etc/x', 'w')), ('nice', lambda: os.nice(1)),\n"
        "    ('packet', lambda: socket.socket(socket.AF_PACKET)),\n"
        "    ('own', lambda: open('/tmp/writable/x', 'w'))):\n"
        "    try:\n        attempt()\n"
        "    except OSError:\n        said.append(name)\n"
        "print(said)"
    )
    done = sandboxed(UNIT, tmp_path, sys.executable, "-c", denied)
    assert done.stdout.strip() == "['root', 'nice', 'packet']", done.stderr


def test_a_demo_scores_and_refocuses_under_the_units_sandbox(tmp_path: Path) -> None:
    if not _can():
        pytest.skip("this machine lets no mount namespace or seccomp filter be made")
    demo = ("-m", "semdaemon", "demo", "--frames", "3", "--json", "--keep", "/tmp/writable/demo")
    done = sandboxed(UNIT, tmp_path, sys.executable, *demo)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["published"], told["lost"]) == (3, 0)
    assert told["refocused"] >= 1
