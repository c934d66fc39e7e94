"""The recipe in docs/micromanager.md, run as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from semdaemon.journal import Journal, find_journal

pytest.importorskip("pycromanager")
pytest.importorskip("mm_test_adapters")

HEADLESS = """
import mm_test_adapters
from pycromanager import start_headless, stop_headless
adapters = mm_test_adapters.device_adapter_path()
start_headless(adapters, adapters + "/MMConfig_demo.cfg", python_backend=True, buffer_size_mb=64)
"""
DOCS = Path(__file__).resolve().parents[2] / "docs" / "micromanager.md"


def blocks() -> tuple[list[str], str]:
    section = DOCS.read_text(encoding="utf-8").partition("## Any acquisition: tail the dataset on disk")[2]
    shell = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    python = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert shell is not None
    assert python is not None
    return shell[1].split(), python[1]


@pytest.mark.timeout(200)
def test_the_recipe_for_tailing_a_dataset_works_as_written(tmp_path: Path) -> None:
    command, script = blocks()
    assert command[0] == "semdaemon"
    assert len(script.strip().splitlines()) <= 10
    (tmp_path / "runs").mkdir()
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "SEMDAEMON_DAEMON__STATE_DIR": str(tmp_path / "state"),
        "SEMDAEMON_OUTPUT__FOLDER": str(tmp_path / "output"),
        "SEMDAEMON_PUBLISH__ENDPOINT": "tcp://127.0.0.1:*",
        "SEMDAEMON_PUBLISH__CONTROL": "tcp://127.0.0.1:*",
        "SEMDAEMON_PUSHED__ENDPOINT": "",
        "SEMDAEMON_PAGE__PORT": "0",
        "SEMDAEMON_REFOCUS__ENABLED": "false",
    }
    log = (tmp_path / "log").open("wb")
    running = subprocess.Popen(
        [sys.executable, "-m", *command], cwd=tmp_path, env=environment, stdout=log, stderr=log
    )
    try:
        acquired = subprocess.run(
            [sys.executable, "-c", f"{HEADLESS}{script}\nstop_headless()"],
            cwd=tmp_path,
            env=environment,
            timeout=90,
            check=False,
        )
        assert acquired.returncode == 0
        deadline = time.monotonic() + 90
        while _published(tmp_path / "state") < 20:
            assert time.monotonic() < deadline, (tmp_path / "log").read_text(errors="replace")[-3000:]
            time.sleep(0.2)
        running.terminate()
        assert running.wait(60) == 0
    finally:
        running.kill()
        running.wait(10)
        log.close()


def _published(state: Path) -> int:
    if not find_journal(state).exists():
        return 0
    with Journal(find_journal(state), read_only=True) as journal:
        return journal.counts()["published"]
