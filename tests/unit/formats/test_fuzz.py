"""Damaged headers: a fault or a frame, never another error, never long, never much memory."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from semdaemon.errors import FrameError
from semdaemon.formats import is_own_output, read_frames, read_metadata, verify
from semdaemon.settings import Limits

from .making import frame_of, picture
from .test_output import save

SEEDS = 300
LIMITS = Limits(max_pixels=4_000_000)


def _originals(folder: Path) -> list[bytes]:
    pixels = picture((64, 64), "uint16")
    path = folder / "a.tif"
    found = []
    for options in (
        {"rowsperstrip": 8},
        {"tile": (32, 32), "compression": "zstd", "predictor": True},
        {"compression": "lzw", "byteorder": ">"},
        {"compression": "zlib", "bigtiff": True},
        {"ome": True},
        {"imagej": True, "compression": None},
    ):
        tifffile.imwrite(path, np.stack([pixels] * 2), **options)
        found.append(path.read_bytes())
    tifffile.imwrite(path, picture((64, 64), "uint8"), compression="jpeg")
    found.append(path.read_bytes())
    found.append(imagecodecs.png_encode(pixels))
    found.append(save(folder / "a.refocused.tif", frame_of(pixels)).path.read_bytes())
    return found


def _mutated(original: bytes, rng: np.random.Generator) -> bytes:
    data = bytearray(original)
    header = min(len(data), 700)
    for _ in range(int(rng.integers(1, 12))):
        at = int(rng.integers(0, header))
        data[at] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF, int(rng.integers(0, 256))]))
    if rng.random() < 0.3:
        del data[int(rng.integers(8, len(data))) :]
    return bytes(data)


@pytest.mark.timeout(240)
def test_mutated_headers_give_only_faults(tmp_path: Path) -> None:
    originals = _originals(tmp_path)
    path = tmp_path / "x.tif"
    codes: dict[str, int] = {}
    read_first = _mutated(originals[0], np.random.default_rng(0))
    path.write_bytes(read_first)
    tracemalloc.start()
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        path.write_bytes(_mutated(originals[seed % len(originals)], rng))
        started = time.monotonic()
        for action in (lambda: read_frames(path, limits=LIMITS), lambda: read_metadata(path)):
            try:
                action()
                code = "read"
            except FrameError as error:
                code = error.code
            codes[code] = codes.get(code, 0) + 1
        is_own_output(path)
        verify(path)
        assert time.monotonic() - started < 10, f"seed {seed}"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000_000
    assert codes["read"] > 20, codes
    assert len(codes) >= 5, codes
