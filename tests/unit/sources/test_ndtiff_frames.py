"""Stacks of both kinds and byte orders become frames; what cannot be one is told by code."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from stackwriting import StackWriter, noise, tags_of

from semdaemon.errors import FrameError
from semdaemon.formats import read_frames
from semdaemon.formats.stack import StackFile, is_stack
from semdaemon.formats.stackframe import read_stack_frame, stamp_ns
from semdaemon.frame import Frame
from semdaemon.settings import Limits
from semdaemon.sources.ndtiff.places import Places

KINDS = [("ndtiff2", "<"), ("ndtiff", "<"), ("ndtiff", ">"), ("micromanager", "<"), ("micromanager", ">")]


def frame(path: Path, number: int = 0, limits: Limits | None = None) -> Frame:
    with StackFile(path) as file:
        header = file.header()
        assert header is not None
        found = Places().find(file, header, number)
        assert found is not None
        uri = f"{path.as_uri()}#frame={number}"
        return read_stack_frame(
            file, header, found, number, source="ndtiff", uri=uri, limits=limits or Limits()
        )


@pytest.mark.parametrize(("kind", "byteorder"), KINDS)
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_pixels_metadata_and_scale_arrive_from_either_kind_and_byte_order(
    tmp_path: Path, kind: Any, byteorder: str, dtype: str
) -> None:
    writer = StackWriter(tmp_path / "run_NDTiffStack.tif", kind, byteorder).begin()
    for number in range(3):
        writer.add(noise(number, dtype=dtype))
    found = frame(writer.path, 2)
    assert np.array_equal(found.pixels, noise(2, dtype=dtype))
    assert found.pixels.dtype == np.dtype(dtype)
    assert found.pixel_size_m == (0.25e-6, 0.25e-6)
    assert found.acquired_at == datetime(2026, 3, 1, 9, 0, 2, tzinfo=UTC)
    assert found.metadata["Axes"] == {"time": 2}
    assert found.metadata["Stack"] == {
        "file": "run_NDTiffStack.tif", "dataset": tmp_path.name, "frame": 2, "kind": kind.rstrip("2"),
    }  # fmt: skip
    assert (found.source, found.vendor, found.page) == ("ndtiff", "micromanager", 0)
    assert not found.pixels.flags.writeable


def test_a_closed_file_of_ours_is_what_tifffile_reads(tmp_path: Path) -> None:
    writer = StackWriter(tmp_path / "run_NDTiffStack.tif").begin()
    for number in range(3):
        writer.add(noise(number))
    writer.close()
    with tifffile.TiffFile(writer.path) as tif:
        assert len(tif.pages) == 3
        for number, page in enumerate(tif.pages):
            assert np.array_equal(page.asarray(), frame(writer.path, number).pixels)


def test_the_checksum_covers_pixels_and_metadata(tmp_path: Path) -> None:
    writer = StackWriter(tmp_path / "a_NDTiffStack.tif").begin()
    writer.add(noise(1), tags_of(0))
    writer.add(noise(1), tags_of(1))
    first, second = frame(writer.path, 0), frame(writer.path, 1)
    expected = hashlib.sha256(noise(1).astype("<u2").tobytes() + json.dumps(tags_of(0)).encode()).hexdigest()
    assert first.content_sha256 == expected
    assert second.content_sha256 != expected
    assert first.id != second.id


def test_positions_and_indices_of_an_ome_stack_become_axes(tmp_path: Path) -> None:
    writer = StackWriter(tmp_path / "X_MMStack_Pos1.ome.tif", "micromanager").begin()
    tags = {"FrameIndex": 4, "SliceIndex": 2, "ChannelIndex": 1, "PositionIndex": 1, "PositionName": "Pos1"}
    writer.add(noise(1), tags)
    found = frame(writer.path)
    assert found.metadata["Axes"] == {"position": 1, "time": 4, "channel": 1, "z": 2}
    assert found.metadata["PositionName"] == "Pos1"


def test_a_scale_that_only_the_summary_knows_is_taken(tmp_path: Path) -> None:
    writer = StackWriter(tmp_path / "a_NDTiffStack.tif").begin()
    writer.add(noise(1), {"Axes": {"z": 1}})
    assert frame(writer.path).pixel_size_m == (0.5e-6, 0.5e-6)


def test_colour_is_refused_by_name(tmp_path: Path) -> None:
    writer = StackWriter(tmp_path / "a_NDTiffStack.tif").begin()
    writer.add(np.zeros((64, 64, 3), np.uint8), samples=3)
    with pytest.raises(FrameError, match=r"frame 0.*colour") as caught:
        frame(writer.path)
    assert caught.value.code == "true_colour"


@pytest.mark.parametrize(
    ("pixels", "limits", "code"),
    [
        (np.full((64, 64), 7, np.uint16), Limits(), "constant"),
        (noise(1), Limits(max_pixels=1000), "too_large"),
        (noise(1, side=16), Limits(), "too_small"),
        (np.zeros((64, 64), np.complex64), Limits(), "unsupported_dtype"),
    ],
)
def test_frames_that_cannot_be_served_are_told_by_code(
    tmp_path: Path, pixels: np.ndarray[Any, Any], limits: Limits, code: str
) -> None:
    writer = StackWriter(tmp_path / "a_NDTiffStack.tif").begin()
    writer.add(pixels)
    with pytest.raises(FrameError) as caught:
        frame(writer.path, limits=limits)
    assert caught.value.code == code


def test_a_file_that_ends_within_a_frame_is_truncated(tmp_path: Path) -> None:
    writer = StackWriter(tmp_path / "a_NDTiffStack.tif").begin()
    writer.add(noise(1))
    with writer.path.open("r+b") as file:
        file.truncate(writer.at - 400)
    with pytest.raises(FrameError) as caught:
        frame(writer.path)
    assert (caught.value.code, caught.value.may_heal) == ("truncated", True)


def test_what_is_a_stack_shows_in_its_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a_NDTiffStack.tif"
    writer = StackWriter(path)
    assert is_stack(path) is None
    writer.begin()
    assert is_stack(path) is True
    tifffile.imwrite(path, noise(1))
    assert is_stack(path) is False
    path.write_bytes(b"")
    assert is_stack(path) is None


def test_a_frames_stamp_is_its_time_or_a_checksum_of_its_metadata() -> None:
    moment = datetime(2026, 3, 1, 9, 0, 7, tzinfo=UTC)
    assert stamp_ns(tags_of(7), b"") == int(moment.timestamp()) * 10**9
    assert stamp_ns({"Time": "2026-03-01 10:00:07 -"}, b"") > 0
    one, other = stamp_ns({}, b'{"a":1}'), stamp_ns({}, b'{"a":2}')
    assert one != other
    assert min(one, other) > 0
    assert max(one, other) < timedelta(seconds=5).total_seconds() * 1e9


def test_a_large_file_with_nothing_in_it_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "sparse.tif"
    with path.open("wb") as file:
        file.truncate(Limits().max_file_bytes)
    tracemalloc.start()
    with pytest.raises(FrameError) as caught:
        read_frames(path, limits=Limits())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.code == "not_an_image"
    assert peak < 2**20
