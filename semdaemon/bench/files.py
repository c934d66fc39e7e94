"""Frames read and outputs written, as the daemon does, beside the same bytes without any format."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile

from semdaemon.bench.figures import Figure, best_s
from semdaemon.focus import FocusMap
from semdaemon.formats import read_frames
from semdaemon.formats.output import output_path, write_refocused
from semdaemon.frame import Frame
from semdaemon.settings import Limits

_COMPRESSIONS = ("none", "zstd")
_BUDGET_S = 1.0


def file_figures(frame: Frame, focus: FocusMap, folder: Path | None = None) -> Iterator[Figure]:
    """Milliseconds to read a frame and to write its output whole: four pages, hashes, synced to disk.

    Parameters
    ----------
    folder
        Where the files are written, and removed again; None is the system's folder for temporary files.
    """
    with tempfile.TemporaryDirectory(prefix="semdaemon-bench-", dir=folder) as made:
        for compression in _COMPRESSIONS:
            yield _reading(frame, Path(made), compression)
        for compression in _COMPRESSIONS:
            yield _writing(frame, focus, Path(made), compression)


def _reading(frame: Frame, folder: Path, compression: str) -> Figure:
    path = folder / f"{compression}.tif"
    packed = {"none": {}, "zstd": {"compression": "zstd", "predictor": True}}[compression]
    tifffile.imwrite(path, frame.pixels, **packed)  # type: ignore[arg-type]
    limits = Limits()
    spent_s = best_s(lambda: read_frames(path, limits=limits), budget_s=_BUDGET_S)
    raw_s = best_s(path.read_bytes, budget_s=_BUDGET_S / 4)
    return _figure(f"read a frame, {_named(compression)}", spent_s, raw_s)


def _writing(frame: Frame, focus: FocusMap, folder: Path, compression: str) -> Figure:
    path = output_path(folder / "out", Path(f"{compression}.tif"))
    mask = np.zeros(frame.shape, bool)
    mask[: frame.shape[0] // 2] = True
    provenance = {"weights": {"name": "bench", "sha256": "0" * 64}}

    def write() -> int:
        return write_refocused(
            path,
            frame=frame,
            refocused=frame.pixels,
            mask=mask,
            focus=focus,
            provenance=provenance,
            compression=compression,
        ).bytes

    spent_s = best_s(write, budget_s=_BUDGET_S)
    raw = np.zeros(write(), np.uint8)
    raw_s = best_s(lambda: _write_and_sync(folder / "raw", raw), budget_s=_BUDGET_S / 2)
    return _figure(f"write an output, {_named(compression)}", spent_s, raw_s)


def _figure(what: str, spent_s: float, raw_s: float) -> Figure:
    return Figure("files", what, 1e3 * spent_s, "ms", 1e3 * raw_s, "bytes alone")


def _named(compression: str) -> str:
    return "uncompressed" if compression == "none" else compression


def _write_and_sync(path: Path, raw: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    with path.open("wb") as file:
        file.write(raw.data)
        file.flush()
        os.fsync(file.fileno())
