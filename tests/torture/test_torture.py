"""The harness itself, in small (default run) and in full (``-m soak``)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from . import results
from .__main__ import main
from .fuzz.runner import Runner
from .lab import Lab
from .oracle import judge
from .scenario import Plan
from .scenarios import SCENARIOS, bad_files, burst, clock, disk, kill, noise, share, stop, unmount

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills, stops and mounts as POSIX has them")


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", [*SCENARIOS, "fuzz"])
def test_scenario(name: str, tmp_path: Path) -> None:
    """In full; the figures go where `python -m tests.torture` puts them."""
    if name in SCENARIOS and (why := SCENARIOS[name].lacks()):
        pytest.skip(why)
    assert main(["--scenario", name, "--json", str(tmp_path / "results.json")]) == 0
    assert results.read(tmp_path / "results.json")
