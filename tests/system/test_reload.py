"""SIGHUP: a changed settings file becomes what is in force, or nothing changes at all."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from semdaemon.fingerprint import fingerprint_of
from semdaemon.formats.output import read_output
from semdaemon.settings import load_settings
from semdaemon.simulate import scene

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGHUP")

SIDE_PX = 160


@pytest.fixture(scope="module")
def blurred() -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    unit = scene("particles", (SIDE_PX, SIDE_PX), 3, 10e-9)
    soft = gaussian_filter(unit * 200 + 20, 4.0)
    return np.clip(soft + np.random.default_rng(1).normal(0, 2, soft.shape), 0, 255).astype(np.uint8)


def reloaded(running: Any) -> dict[str, Any]:
    """Send SIGHUP and wait until the status tells of it."""
    before = running.status()["settings"]
    os.kill(running.process.pid, signal.SIGHUP)
    deadline = time.monotonic() + 20
    while (told := running.status()["settings"])["reloaded_at"] == before["reloaded_at"]:
        assert time.monotonic() < deadline, running.tail()
        time.sleep(0.02)
    return told


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "acquired"
    made.mkdir()
    return made


def test_a_reload_during_a_burst_loses_no_frame_and_mixes_none(
    folder: Path, daemon: Callable[..., Any], blurred: np.ndarray
) -> None:
    # Everything is refocused, so that every frame passes both threads.
    running = daemon(folder, refocus={"everywhere": True})
    fingerprints = {fingerprint_of(load_settings(running.config))}
    for number in range(16):
        frame = np.roll(blurred, number, axis=0)  # other bytes each time
        tifffile.imwrite(running.folder / f"{number:03}.tif", frame)
        if number == 8:
            running.wait_for(lambda counts: counts["published"] >= 2, 60)
            running.write_settings(refocus={"feather_px": 4}, focus={"sharp_sigma_px": 1.0})
            told = reloaded(running)
            assert set(told["applied"]) == {"refocus.feather_px", "focus.sharp_sigma_px"}, told
            fingerprints.add(told["fingerprint"])
    running.wait_final(16)
    rows = running.rows()
    assert [row.state for row in rows] == ["published"] * 16, running.tail()
    assert {row.fingerprint for row in rows} == fingerprints
    assert len(fingerprints) == 2
    for row in rows:
        settings = read_output(row.output).provenance["settings"]
        assert settings["fingerprint"] == row.fingerprint
        narrow = row.fingerprint == running.status()["settings_fingerprint"]
        assert (settings["refocus"]["feather_px"], settings["focus"]["sharp_sigma_px"]) == (
            (4, 1.0) if narrow else (16, 1.25)
        )


def test_what_is_wrong_with_a_file_keeps_the_old_settings_and_is_told(
    folder: Path, daemon: Callable[..., Any], blurred: np.ndarray
) -> None:
    running = daemon(folder, refocus={"enabled": False})
    before = running.status()["settings_fingerprint"]

    running.config.write_text(running.config.read_text() + "\n[focus]\ntile_pix = 64\n")
    told = reloaded(running)
    assert told["reload_error"]["code"] == "settings_invalid"
    assert "did you mean tile_px" in told["reload_error"]["message"]

    running.config.rename(running.config.with_suffix(".gone"))
    assert reloaded(running)["reload_error"]["code"] == "settings_missing"

    running.write_settings(focus={"scorer": "nobody"})
    assert reloaded(running)["reload_error"]["code"] == "unknown_plug"

    assert running.status()["settings_fingerprint"] == before
    tifffile.imwrite(running.folder / "a.tif", blurred)
    running.wait_for(lambda counts: counts["published"] == 1, 60)
    assert running.rows()[0].fingerprint == before
    assert '"settings not reloaded, the old ones hold"' in running.log.read_text()

    # A key that is bound to an open socket waits; the others of the same file hold at once.
    running.write_settings(
        focus={"scorer": "sigma"}, pushed={"endpoint": "tcp://127.0.0.1:1"}, output={"compression": "zstd"}
    )
    told = reloaded(running)
    assert (told["applied"], told["restart_needed"]) == (["output.compression"], ["pushed.endpoint"])
    assert told["reload_error"] is None

    # New patterns take files that were left alone until then.
    tifffile.imwrite(running.folder / "frame.sem", np.flipud(blurred), photometric="minisblack")
    running.write_settings(folder={"patterns": ["*.tif", "*.sem"]})
    assert reloaded(running)["applied"] == ["folder.patterns"]
    running.wait_for(lambda counts: counts["published"] == 2, 30)
