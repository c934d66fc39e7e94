"""What docs/micromanager.md and docs/wire-format.md tell a reader to type, typed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from semdaemon.settings import MicroManager, Pushed

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "micromanager.md").read_text(encoding="utf-8")
WIRE = (ROOT / "docs" / "wire-format.md").read_text(encoding="utf-8")
HEADLESS = """
import mm_test_adapters
from pycromanager import start_headless
adapters = mm_test_adapters.device_adapter_path()
start_headless(adapters, adapters + "/MMConfig_demo.cfg", python_backend=True, buffer_size_mb=64)
"""
THE_END = "\nimport os, sys; sys.stdout.flush(); os._exit(0)\n"  # MMCore's threads may outlive the script


def block(page: str, kind: str, mark: str = "") -> str:
    found = re.search(f"{re.escape(mark)}\n```{kind}\n(.*?)```", page, re.DOTALL)
    assert found is not None
    return found[1]


def run(script: str, folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "plugins" / "micromanager")}
    command = [sys.executable, "-c", script]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True, timeout=60
    ).stdout


@pytest.fixture
def running(tmp_path: Path, daemon: Callable[..., Any]) -> Any:
    (tmp_path / "acquisition").mkdir()
    return daemon(tmp_path / "acquisition", refocus={"enabled": False})


def test_any_program_can_push_a_frame(running: Any, tmp_path: Path) -> None:
    script = block(WIRE, "python", "<!-- the tests push with this text -->")
    run(script.replace("tcp://127.0.0.1:5572", running.addresses["pushed"]), tmp_path)
    running.wait_final(1)
    row = running.rows()[0]
    assert (row.source, row.shape, row.state) == ("pushed", (512, 512), "published")
    assert row.pixel_size_m == (2e-9, 2e-9)


def test_the_pycromanager_scripts_with_the_hook_and_with_advice(running: Any, tmp_path: Path) -> None:
    pytest.importorskip("pycromanager", reason="needs the extra 'micromanager'")
    pytest.importorskip("mm_test_adapters", reason="needs the DemoCamera of mm-test-adapters")
    hook = f"Refocus({running.addresses['pushed']!r})"
    script = block(PAGE, "python", "<!-- the tests run this text -->")
    assert len([line for line in script.splitlines() if line.strip()]) <= 10
    said = run(HEADLESS + script.replace("Refocus()", hook) + THE_END, tmp_path)
    sent = int(re.search(r"sent=(\d+), dropped=(\d+)", said)[1])  # type: ignore[index]
    assert sent >= 10
    running.wait_final(10)

    script = block(PAGE, "python", "<!-- the tests run this advice text -->")
    assert len([line for line in script.splitlines() if line.strip()]) <= 10
    here = script.replace("Refocus()", hook).replace("0.5 * i", "0.05 * i")
    here = here.replace("Advice(refocus,", f"Advice(refocus, {running.addresses['endpoint']!r},")
    here += "print('offset', advice.offset_um, advice.counts.failed)"
    offset_um, failed = re.search(r"offset (\S+) (\d+)", run(HEADLESS + here + THE_END, tmp_path)).groups()  # type: ignore[union-attr]
    # The demo camera's waves do not depend on its stage: whatever is advised stays within the limits.
    assert abs(float(offset_um)) <= 10.0
    assert failed == "0"


def test_the_settings_shown_are_settings() -> None:
    shown = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert shown
    for text in shown:
        for section, values in tomllib.loads(text).items():
            {"pushed": Pushed, "micromanager": MicroManager}[section](**values)
    assert "semdaemon run --micromanager" in PAGE  # test_micromanager_live types it
