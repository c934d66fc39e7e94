"""Pictures for the page: rendered when asked for, kept within a budget of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image

from semdaemon.errors import SemdaemonError
from semdaemon.focus import FocusMap, picture
from semdaemon.focus.overlay import overlay
from semdaemon.formats import read_frames
from semdaemon.formats.output import read_output
from semdaemon.frame import Area, Frame, Pixels, intensity_range
from semdaemon.journal import Journal, Row
from semdaemon.settings import Limits

LONGEST_PX = 1600
THUMB_PX = 224
KINDS = ("original", "refocused", "map", "mask", "thumb")
REFOCUSED_BADGE = "refocused by network"
MASK_COLOUR = (86, 180, 233)
Encoded = tuple[bytes, str]


class Pictures:
    """Renders the pictures of one frame from its files and its row in the journal.

    Kinds: ``original``, ``refocused`` (same grey levels, badge burnt in), ``map``, ``mask`` (transparent but
    for the border of what the network changed), ``thumb``. Any thread may call.

    Parameters
    ----------
    read
        How a row's frame is read again; None reads files (see `semdaemon.sources.reader`).
    """

    def __init__(
        self,
        journal: Journal,
        limits: Limits,
        budget_bytes: int,
        read: Callable[[Row], Frame] | None = None,
    ) -> None:
        self._journal, self._limits, self._budget_bytes = journal, limits, budget_bytes
        self._read = read or self._read_file
        self._kept: OrderedDict[tuple[int, str, str], Encoded] = OrderedDict()
        self._kept_bytes = 0
        self._lock = threading.Lock()
        self._rendering = threading.Lock()

    def get(self, key: int, kind: str) -> Encoded | None:
        """``(bytes, media type)``; None where there is no such picture (any more)."""
        if kind not in KINDS:
            return None
        try:
            row = self._journal.row(key)
        except SemdaemonError:
            return None
        name = (key, kind, row.state)
        if (kept := self._recall(name)) is not None:
            return kept
        with self._rendering:  # one at a time: a strip of thumbnails must not hold many frames in memory
            made = self._recall(name) or self._render(row, kind)
        if made is not None:
            self._keep(name, made)
        return made

    def _recall(self, name: tuple[int, str, str]) -> Encoded | None:
        with self._lock:
            if name not in self._kept:
                return None
            self._kept.move_to_end(name)
            return self._kept[name]

    def _keep(self, name: tuple[int, str, str], made: Encoded) -> None:
        with self._lock:
            if name in self._kept:
                return
            self._kept[name] = made
            self._kept_bytes += len(made[0])
            while self._kept_bytes > self._budget_bytes:
                _, oldest = self._kept.popitem(last=False)
                self._kept_bytes -= len(oldest[0])

    def _render(self, row: Row, kind: str) -> Encoded | None:
        try:
            shown = self._original(row)
            image = None if shown is None else _draw(row, kind, *shown)
        except (SemdaemonError, OSError):
            # The file moved on, or the output was taken away: the page shows that there is none.
            return None
        if image is None:
            return None
        if kind == "mask":
            return picture.encode(image, "png"), "image/png"
        return picture.encode(image, "jpeg"), "image/jpeg"

    def _original(self, row: Row) -> tuple[Pixels, Area] | None:
        """Pixels and image area of what was scored: from its file, else from the page kept in the output."""
        if row.shape is None:
            return None
        try:
            frame = self._read(row)
            if frame.content_sha256 == row.content_sha256:
                return frame.pixels, frame.image_area
        except SemdaemonError:
            if row.output is None:
                raise
        kept = None if row.output is None else read_output(row.output).original
        return None if kept is None else (kept, FocusMap.from_bytes(row.focus_blob or b"").area)

    def _read_file(self, row: Row) -> Frame:
        return read_frames(row.path, source=row.source, limits=self._limits, only_page=row.page)[0]


def _draw(row: Row, kind: str, original: Pixels, area: Area) -> Image.Image | None:
    if kind == "refocused":
        return _refocused(row, original, area)
    if kind == "mask":
        return None if row.output is None else outline(read_output(row.output).mask)
    small = picture.preview(original, area, THUMB_PX if kind == "thumb" else LONGEST_PX)
    if kind == "original" or (kind == "thumb" and row.focus_blob is None):
        return Image.fromarray(small)
    if row.focus_blob is None:
        return None
    focus = FocusMap.from_bytes(row.focus_blob)
    return overlay(small, focus, small.shape[1] / original.shape[1], legend=False)


def _refocused(row: Row, original: Pixels, area: Area) -> Image.Image | None:
    if row.output is None:
        return None
    # The original's contrast, so that a wipe between the two compares like with like.
    levels = intensity_range(original[area.slices])
    small = picture.preview(read_output(row.output).refocused, area, LONGEST_PX, levels=levels)
    return picture.badge(small, REFOCUSED_BADGE)


def outline(mask: npt.NDArray[np.bool_]) -> Image.Image:
    """The border of a mask as a transparent picture, two pixels wide, at the size of a preview."""
    scale = min(1.0, LONGEST_PX / max(mask.shape))
    size = (max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale)))
    inside = np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST), dtype=bool)
    padded = np.pad(inside, 2)
    inner = padded[:-4, 2:-2] & padded[4:, 2:-2] & padded[2:-2, :-4] & padded[2:-2, 4:]
    colours = np.zeros((*inside.shape, 4), np.uint8)
    colours[inside & ~inner] = (*MASK_COLOUR, 255)
    return Image.fromarray(colours)
