"""The loop closed, with MMCore and its demo camera: a sample drifts, the daemon advises, a hook corrects."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semdaemon.focus import focus_map, load_scorer
from semdaemon.frame import Area, Frame
from semdaemon.settings import Focus

ROOT = Path(__file__).resolve().parents[2]
HOOK = ROOT / "plugins" / "micromanager"
EXAMPLE = HOOK / "examples" / "closed_loop.py"
STEP_UM = 2.0  # of the example's series through focus

pytest.importorskip("pycromanager", reason="needs the extra 'micromanager'")
pytest.importorskip("mm_test_adapters", reason="needs the DemoCamera of mm-test-adapters")

SERIES = """
import sys, numpy as np
sys.path.insert(0, {examples!r})
from closed_loop import beads, detected
core = beads()
taken = []
for z in np.arange(-10.0, 10.5, 1.0):
    core.set_position(float(z))
    core.wait_for_system()
    core.snap_image()
    taken.append(detected(np.asarray(core.get_image()), None)[0])
np.save({file!r}, np.stack(taken))
import os; os._exit(0)
"""


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(HOOK), os.environ.get("PYTHONPATH", "")))}


def run(folder: Path, *options: str) -> dict[str, Any]:
    command = [sys.executable, str(EXAMPLE), str(folder), *options]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=100, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def closed_and_open(
    folder: Path, running: Any, seed: int, frames: int, interval_s: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same run with the daemon's advice and without."""
    where = ("--push", running.addresses["pushed"], "--advice", running.addresses["endpoint"])
    what = ("--seed", str(seed), "--frames", str(frames))
    with_advice = run(folder, *where, *what, "--interval-s", f"{interval_s}")
    without = run(folder, *what, "--push", "tcp://127.0.0.1:1", "--interval-s", "0.02", "--no-correction")
    return with_advice, without


def the_daemon(daemon: Callable[..., Any], folder: Path) -> Any:
    folder.mkdir(exist_ok=True)
    return daemon(folder, refocus={"enabled": False}, advice={"tolerance": 1.1}, publish={
        "endpoint": "tcp://127.0.0.1:*", "control": "tcp://127.0.0.1:*", "preview": False,
    })  # fmt: skip


def test_blur_against_z_is_symmetric_monotone_and_smallest_in_focus(tmp_path: Path) -> None:
    file = tmp_path / "series.npy"
    script = SERIES.format(examples=str(EXAMPLE.parent), file=str(file))
    subprocess.run([sys.executable, "-c", script], env=environment(), timeout=60, check=True)
    settings = Focus()
    scorer = load_scorer("sigma", settings)
    sigma = []
    for pixels in np.load(file):
        frame = Frame("0" * 16, "test", "test:", pixels, "", Area.whole(pixels.shape))
        focus = focus_map(frame, settings, scorer)
        assert focus.counts()["undecided"] == 0
        assert focus.blur is not None
        sigma.append(focus.blur.sigma_px)
    down, up = np.array(sigma[10::-1]), np.array(sigma[10:])
    np.testing.assert_allclose(down, up, rtol=0.03)
    assert (np.diff(up) > 0).all(), sigma
    assert (np.diff(down) > 0).all(), sigma
    assert abs(int(np.argmin(sigma)) - 10) <= 1
    print(" ".join(f"{value:.2f}" for value in sigma))  # noqa: T201
    # A hyperbola, as in the fit: sigma_0 = 1.92 px, k = 0.68 px/um.
    distance = np.arange(11.0)
    np.testing.assert_allclose(up, np.sqrt(1.92**2 + (0.68 * distance) ** 2), rtol=0.06)


def test_a_drifting_run_ends_in_focus_with_advice_and_far_out_without(
    tmp_path: Path, daemon: Callable[..., Any]
) -> None:
    corrected, alone = closed_and_open(
        tmp_path / "data", the_daemon(daemon, tmp_path / "acquisition"), 1, 30, 0.12
    )
    assert abs(alone["defocus_um"]) > 3 * STEP_UM
    # One step on a quiet machine (the slow tests below hold to it); on a busy one the advice comes later.
    assert abs(corrected["defocus_um"]) <= 1.5 * STEP_UM, corrected
    assert corrected["advice"]["applied"] >= 1
    assert corrected["advice"]["failed"] == 0


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(5))
def test_long_drifting_runs_end_in_focus(tmp_path: Path, daemon: Callable[..., Any], seed: int) -> None:
    running = the_daemon(daemon, tmp_path / "acquisition")
    corrected, alone = closed_and_open(tmp_path / "data", running, seed, 80, 0.2)
    print(json.dumps({"corrected": corrected, "alone_um": alone["defocus_um"]}))  # noqa: T201
    assert abs(alone["defocus_um"]) > 5 * STEP_UM
    assert abs(corrected["defocus_um"]) <= STEP_UM, corrected
