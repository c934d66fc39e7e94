"""Stacks as disasters leave them, before a real daemon: each frame is told, and the daemon goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from stackwriting import FULL_BYTES, StackWriter, noise, tags_of

from semdaemon.formats.verify import verify
from semdaemon.simulate import half_blurred, scene

SETTLES_S = 60.0


def stack(folder: Path, name: str, frames: int = 0, **options: Any) -> StackWriter:
    writer = StackWriter(folder / f"{name}_1" / f"{name}_NDTiffStack.tif", **options).begin()
    for number in range(frames):
        # Frames of different stacks differ; the journal would know them for the same otherwise.
        writer.add(noise(number + 1000 * len(name), side=128), tags_of(number, Name=name))
    return writer


def states(running: Any, writer: StackWriter) -> list[tuple[str, str]]:
    rows = [row for row in running.rows() if row.path == writer.path]
    return [(row.state, row.reason) for row in sorted(rows, key=lambda row: row.key)]


def wait_for(true: Callable[[], bool], what: Callable[[], object]) -> None:
    deadline = time.monotonic() + SETTLES_S
    while not true():
        assert time.monotonic() < deadline, what()
        time.sleep(0.05)


def health_of(running: Any) -> str:
    status = httpx.get(f"{running.addresses['page'].rstrip('/')}/api/status").json()
    return next(str(source["detail"]) for source in status["sources"] if source["name"] == "ndtiff")


@pytest.mark.timeout(200)
def test_torn_deleted_renamed_and_empty_stacks_cost_no_other_frame(
    tmp_path: Path, daemon: Callable[..., Any]
) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    torn = stack(folder, "torn", 1)
    torn.add(noise(77, side=128), parts="dp")  # the disk was full when its metadata were due
    colour = stack(folder, "colour")
    colour.add(np.zeros((128, 128, 3), np.uint8), samples=3)
    StackWriter(folder / "empty_1" / "empty_NDTiffStack.tif", full_bytes=FULL_BYTES)
    deleted, renamed = stack(folder, "gone", 1), stack(folder, "renamed", 1)
    running = daemon(folder, refocus={"enabled": False}, ndtiff={"give_up_s": 1.5})

    wait_for(lambda: len(states(running, torn)) == 2, running.tail)
    wait_for(lambda: states(running, torn)[1] == ("failed", "truncated"), running.tail)
    assert states(running, colour) == [("failed", "true_colour")]
    health = health_of(running)
    assert "torn_NDTiffStack.tif: frame 1 is not complete" in health
    assert "empty_NDTiffStack.tif: nothing written yet" in health

    deleted.path.unlink()
    renamed.path.parent.rename(folder / "elsewhere")
    renamed.path = folder / "elsewhere" / renamed.path.name
    renamed.add(noise(5, side=128), tags_of(1, Name="renamed"))
    torn.add(noise(77, side=128))  # there was room again
    torn.add(noise(78, side=128))
    wait_for(lambda: len(states(running, torn)) == 4, running.tail)
    wait_for(lambda: states(running, renamed)[1:] == [("published", "refocus_disabled")], running.tail)
    told = ["published", "failed", "published", "published"]
    wait_for(lambda: [state for state, _ in states(running, torn)] == told, running.tail)

    assert states(running, renamed)[0] == ("skipped", "duplicate_content")  # known from its old name
    assert states(running, deleted) == [("published", "refocus_disabled")]
    assert "gone_NDTiffStack.tif went away" in health_of(running)
    assert running.rss_bytes() < 700 * 2**20
    assert running.stop() == 0


@pytest.mark.timeout(200)
def test_a_blurred_frame_of_a_stack_is_refocused_into_a_file_of_its_own(
    tmp_path: Path, daemon: Callable[..., Any]
) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    pixels, _, _ = half_blurred(
        scene("particles", (256, 256), 1, 10e-9), 5.0, 200.0, np.random.default_rng(5), 8
    )
    writer = stack(folder, "run")
    writer.add(pixels, tags_of(0, PixelSizeUm=0.01))
    writer.add(pixels, tags_of(1, PixelSizeUm=0.01))
    running = daemon(tmp_path / "none", folder={"folders": []}, ndtiff={"folders": [str(folder)]})
    running.wait_final(2)
    rows = sorted(running.rows(), key=lambda row: row.uri)
    assert [(row.state, row.reason) for row in rows] == [("published", "refocused")] * 2, running.tail()
    names = [row.output.relative_to(running.output).as_posix() for row in rows]
    assert names == [f"run_1/run_NDTiffStack.frame00000{n}.refocused.tif" for n in range(2)]
    for row in rows:
        found = verify(row.output)
        assert found.ok, found
        assert any("unchanged and agrees" in check.detail for check in found.checks)
    page = running.addresses["page"].rstrip("/")
    for kind in ("original", "refocused", "map"):
        assert httpx.get(f"{page}/api/frames/{rows[0].key}/{kind}").headers["content-type"] == "image/jpeg"
    writer.write(writer.pointer_at + 1000, bytes(500))  # pixels of the last frame change
    assert not verify(rows[1].output).ok
