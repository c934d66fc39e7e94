"""Every bad input that the documents name: a clear fault with a code and a remedy, and the daemon goes on."""

from __future__ import annotations

import os
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from semdaemon.simulate import half_blurred, scene
from semdaemon.wire.client import Subscriber


def good_picture() -> np.ndarray:
    pixels, _, _ = half_blurred(
        scene("particles", (256, 256), 3, 10e-9), 5.0, 200.0, np.random.default_rng(1), 8
    )
    return pixels


def giant_header() -> bytes:
    """A valid TIFF header and directory that claim 100,000 x 100,000 pixels, and nothing behind it."""
    entries = [(256, 4, 100_000), (257, 4, 100_000), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8),
               (277, 3, 1), (278, 4, 100_000), (279, 4, 4_000_000_000)]  # fmt: skip
    directory = struct.pack("<H", len(entries))
    for tag, kind, value in entries:
        directory += struct.pack("<HHII", tag, kind, 1, value)
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", 0)


def make_bad_files(folder: Path) -> dict[str, set[str]]:
    """Write each bad input; returns file name -> codes that name it rightly."""
    whole = folder.parent / "whole.tif"
    tifffile.imwrite(whole, good_picture(), rowsperstrip=16)
    content = whole.read_bytes()
    whole.unlink()
    bad: dict[str, set[str]] = {}

    def add(name: str, data: bytes, *codes: str) -> None:
        (folder / name).write_bytes(data)
        bad[name] = set(codes)

    add("truncated.tif", content[: len(content) // 2], "truncated", "broken_ifd")
    add("empty.tif", b"", "empty_file")
    add("giant.tif", giant_header(), "too_large", "truncated")
    add("text_called.tif", b"This is no picture.\n" * 50, "not_an_image")
    add("broken_ifd.tif", b"II*\0" + struct.pack("<I", 0xFFFFFF00) + b"\0" * 64, "broken_ifd", "truncated")
    nan = np.full((256, 256), np.nan, np.float32)
    tifffile.imwrite(folder / "nan.tif", nan)
    bad["nan.tif"] = {"nan_pixels"}
    tifffile.imwrite(folder / "constant.tif", np.full((256, 256), 7, np.uint8))
    bad["constant.tif"] = {"constant"}
    colour = np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8)
    Image.fromarray(colour).save(folder / "colour.png")
    bad["colour.png"] = {"true_colour"}
    return bad


@pytest.mark.timeout(200)
def test_each_bad_input_is_a_fault_with_code_and_remedy_and_the_daemon_goes_on(
    tmp_path: Path, daemon: Callable[..., Any]
) -> None:
    folder = tmp_path / "acquisition"
    folder.mkdir()
    running = daemon(folder, folder={"give_up_s": 2.0, "hold_s": 0.5})
    faults: dict[str, dict[str, Any]] = {}
    with Subscriber(
        running.addresses["endpoint"], running.addresses["control"], topics=("sem/fault/",), timeout_s=30
    ) as subscriber:
        subscriber.ready()
        bad = make_bad_files(folder)
        (folder / "a_folder_named.tif").mkdir()
        bad["a_folder_named.tif"] = {"is_directory"}
        (folder / "wrong_extension.tif").write_bytes(png_bytes(tmp_path))
        for message in subscriber:
            faults[Path(message.header["frame"]["uri"]).name] = dict(message.header)
            if set(bad) <= set(faults):
                break
    for name, codes in bad.items():
        assert faults[name]["code"] in codes, faults[name]
        assert name in faults[name]["message"]
        assert faults[name]["remedy"]
    running.wait_for(lambda c: c["failed"] == len(bad) and c["published"] == 1, 30)
    rows = {row.path.name: row for row in running.rows()}
    assert {name: rows[name].reason for name in bad} == {name: faults[name]["code"] for name in bad}
    assert any("extension" in warning for warning in rows["wrong_extension.tif"].summary["warnings"])

    tifffile.imwrite(folder / "afterwards.tif", good_picture() // 2)
    running.wait_for(lambda c: c["published"] == 2, 60)


def png_bytes(tmp_path: Path) -> bytes:
    path = tmp_path / "picture.png"
    Image.fromarray(good_picture()).save(path)
    return path.read_bytes()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_permission_denied_is_a_fault_of_that_file(tmp_path: Path, daemon: Callable[..., Any]) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything; tests/unit/formats covers the reader's own error")
    folder = tmp_path / "acquisition"
    folder.mkdir()
    path = folder / "secret.tif"
    tifffile.imwrite(path, good_picture())
    path.chmod(0)
    running = daemon(folder, folder={"give_up_s": 1.0})
    running.wait_for(lambda c: c["failed"] == 1, 30)
    assert running.rows()[0].reason == "permission_denied"


def test_a_file_that_vanishes_before_it_settles_is_skipped_and_told(
    tmp_path: Path, daemon: Callable[..., Any]
) -> None:
    folder = tmp_path / "acquisition"
    folder.mkdir()
    running = daemon(folder, folder={"settle_s": 1.0})
    path = folder / "gone.tif"
    tifffile.imwrite(path, good_picture())
    running.wait_for(lambda c: sum(c.values()) == 1, 10)
    path.unlink()
    running.wait_for(lambda c: c["skipped"] == 1, 20)
    assert running.rows()[0].reason == "vanished"


def test_the_same_bytes_under_two_names_are_processed_once(
    tmp_path: Path, daemon: Callable[..., Any]
) -> None:
    folder = tmp_path / "acquisition"
    folder.mkdir()
    running = daemon(folder)
    tifffile.imwrite(folder / "first.tif", good_picture())
    running.wait_for(lambda c: c["published"] == 1, 60)
    (folder / "second.tif").write_bytes((folder / "first.tif").read_bytes())
    running.wait_for(lambda c: c["skipped"] == 1, 20)
    reasons = {row.path.name: row.reason for row in running.rows()}
    assert reasons["second.tif"] == "duplicate_content"


def test_an_output_folder_that_cannot_be_written_holds_frames_until_it_can(
    tmp_path: Path, daemon: Callable[..., Any]
) -> None:
    folder = tmp_path / "acquisition"
    folder.mkdir()
    blocker = tmp_path / "blocked"
    blocker.write_text("a file where a folder should be")
    running = daemon(folder, output={"folder": str(blocker / "output")})
    tifffile.imwrite(folder / "frame.tif", good_picture())
    deadline = time.monotonic() + 60
    while "output refused" not in running.log.read_text():
        assert time.monotonic() < deadline, running.tail()
        time.sleep(0.1)
    assert running.counts()["scored"] == 1
    blocker.unlink()
    running.wait_for(lambda c: c["published"] == 1, 60)
    assert list((blocker / "output").rglob("*.refocused.tif"))
