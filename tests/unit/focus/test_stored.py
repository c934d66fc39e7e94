"""A stored focus map that was damaged is told as that, and takes no memory for what it claims."""

from __future__ import annotations

import io
import tracemalloc
import zipfile

import numpy as np
import pytest

from semdaemon.errors import SemdaemonError
from semdaemon.focus import FocusMap
from semdaemon.focus.stored import packed, unpacked
from semdaemon.frame import Area


def _map() -> FocusMap:
    sigma = np.array([[0.5, 2.0], [np.nan, 8.0]], np.float32)
    return FocusMap(
        32, Area(0, 0, 64, 64), sigma, sigma, sigma, np.array([[0, 1], [3, 1]], np.uint8), "test 1"
    )


def _replaced(blob: bytes, name: str, body: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(blob)) as old, zipfile.ZipFile(made, "w") as new:
        for each in old.namelist():
            new.writestr(each, body if each == name else old.read(each))
    return made.getvalue()


def test_round_trip_of_odd_arrays() -> None:
    arrays = {"a": np.arange(6, dtype=np.uint16).reshape(2, 3).T, "b": np.zeros((0, 4), np.float32)}
    found = unpacked(packed(arrays))
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"PK",
        _map().to_bytes()[:-30],
        _replaced(_map().to_bytes(), "score.npy", b"\x93NUMPY\x01\x00\x04\x00{'a'"),
        _replaced(_map().to_bytes(), "header.npy", b""),
        packed({"header": np.frombuffer(b"{}", np.uint8)}),
        packed({"header": np.frombuffer(b"[1", np.uint8), "verdict": np.zeros((1, 1), np.uint8)}),
    ],
)
def test_damage_is_a_fault(damaged: bytes) -> None:
    with pytest.raises(SemdaemonError) as caught:
        FocusMap.from_bytes(damaged)
    assert caught.value.code == "blob_damaged"
    assert caught.value.remedy


def test_a_claim_takes_no_memory() -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (100000, 10000), }"
    text = header.ljust(117) + b"\n"
    bomb = _replaced(
        _map().to_bytes(), "score.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
    )
    tracemalloc.start()
    with pytest.raises(SemdaemonError):
        FocusMap.from_bytes(bomb)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 2_000_000
