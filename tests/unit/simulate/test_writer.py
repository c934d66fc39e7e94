"""Each way of writing leaves on disk what real acquisition software leaves, before the end and at it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from semdaemon.simulate import MODES, Mode, write_sidecar, write_slowly
from semdaemon.simulate.tiff import Encoded, encode

PIXELS = np.random.default_rng(0).integers(1, 255, (200, 300)).astype(np.uint8)
ENCODED = encode(PIXELS)


def sizes_while_writing(folder: Path, mode: Mode, encoded: Encoded = ENCODED) -> list[dict[str, int]]:
    """What the folder holds, looked at every few milliseconds while a file is written."""
    writing = threading.Thread(
        target=write_slowly, args=(folder / "a.tif", encoded), kwargs={"write_s": 0.4, "mode": mode}
    )
    writing.start()
    seen = []
    while writing.is_alive():
        seen.append({path.name: path.stat().st_size for path in folder.glob("a.tif*") if path.exists()})
        time.sleep(0.02)
    writing.join()
    return seen


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("directory_first", [True, False])
def test_every_mode_ends_with_the_whole_file_alone(tmp_path: Path, mode: Mode, directory_first: bool) -> None:
    encoded = encode(PIXELS, directory_first=directory_first)
    write_slowly(tmp_path / "a.tif", encoded, write_s=0.1, mode=mode)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]
    assert (tmp_path / "a.tif").read_bytes() == encoded.data


def test_pieces_grow_the_file(tmp_path: Path) -> None:
    sizes = [look["a.tif"] for look in sizes_while_writing(tmp_path, "pieces") if "a.tif" in look]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) >= 3
    assert sizes[0] < len(ENCODED.data)


def test_preallocate_has_full_size_from_the_start_and_zeros_at_the_end(tmp_path: Path) -> None:
    stop = threading.Event()
    writing = threading.Thread(
        target=write_slowly,
        args=(tmp_path / "a.tif", ENCODED),
        kwargs={"write_s": 30, "mode": "preallocate", "stop": stop},
    )
    writing.start()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and not (tmp_path / "a.tif").exists():
        time.sleep(0.01)
    time.sleep(0.1)
    half = (tmp_path / "a.tif").read_bytes()
    stop.set()
    writing.join(10)
    assert len(half) == len(ENCODED.data)
    assert half[:200] == ENCODED.data[:200]
    assert not any(half[-300:])
    assert (tmp_path / "a.tif").read_bytes() == ENCODED.data


def test_rename_never_shows_an_incomplete_file_under_its_name(tmp_path: Path) -> None:
    looks = sizes_while_writing(tmp_path, "rename")
    assert any("a.tif.part" in look for look in looks)
    assert all(look.get("a.tif", len(ENCODED.data)) == len(ENCODED.data) for look in looks)


def test_a_directory_written_last_is_patched_into_the_header_at_the_end(tmp_path: Path) -> None:
    encoded = encode(PIXELS, directory_first=False)
    stop = threading.Event()
    writing = threading.Thread(
        target=write_slowly, args=(tmp_path / "a.tif", encoded), kwargs={"write_s": 30, "stop": stop}
    )
    writing.start()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and not (
        (tmp_path / "a.tif").exists() and (tmp_path / "a.tif").stat().st_size > 8
    ):
        time.sleep(0.01)
    assert (tmp_path / "a.tif").read_bytes()[:8] == b"II*\0\0\0\0\0"
    stop.set()
    writing.join(10)
    assert (tmp_path / "a.tif").read_bytes() == encoded.data


def test_stop_finishes_the_file_at_once(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    began = time.monotonic()
    write_slowly(tmp_path / "a.tif", ENCODED, write_s=60, stop=stop)
    write_sidecar(tmp_path / "a.txt", "5 µm", delay_s=60, stop=stop)
    assert time.monotonic() - began < 5
    assert (tmp_path / "a.tif").read_bytes() == ENCODED.data
    assert (tmp_path / "a.txt").read_bytes() == "5 µm".encode("cp1252")
