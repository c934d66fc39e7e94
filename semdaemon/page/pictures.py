"""Pictures for the page: rendered when asked for, kept within a budget of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict

from PIL import Image

from semdaemon.errors import SemdaemonError
from semdaemon.focus import FocusMap, picture
from semdaemon.formats import read_frames
from semdaemon.formats.output import read_output
from semdaemon.frame import Frame
from semdaemon.journal import Journal, Row
from semdaemon.settings import Limits

LONGEST_PX = 1600
KINDS = ("original", "refocused", "map")
Encoded = tuple[bytes, str]


class Pictures:
    """Renders the pictures of one frame from its files and its row in the journal."""

    def __init__(self, journal: Journal, limits: Limits, budget_bytes: int) -> None:
        self._journal, self._limits, self._budget_bytes = journal, limits, budget_bytes
        self._kept: OrderedDict[tuple[int, str, str], Encoded] = OrderedDict()
        self._kept_bytes = 0
        self._lock = threading.Lock()

    def get(self, key: int, kind: str) -> Encoded | None:
        """``(bytes, media type)``; None where there is no such picture (any more)."""
        if kind not in KINDS:
            return None
        try:
            row = self._journal.row(key)
        except SemdaemonError:
            return None
        name = (key, kind, row.state)
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
                return self._kept[name]
        made = self._render(row, kind)
        if made is not None:
            self._keep(name, made)
        return made

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
            frame = self._frame(row)
            if frame is None:
                return None
            image = _draw(row, kind, frame)
        except (SemdaemonError, OSError):
            # The file moved on, or the output was taken away: the page shows that there is none.
            return None
        return None if image is None else (picture.encode(image, "jpeg"), "image/jpeg")

    def _frame(self, row: Row) -> Frame | None:
        if row.shape is None:
            return None
        frame = read_frames(row.path, source=row.source, limits=self._limits, only_page=row.page)[0]
        return frame if frame.content_sha256 == row.content_sha256 else None


def _draw(row: Row, kind: str, frame: Frame) -> Image.Image | None:
    if kind == "refocused":
        if row.output is None:
            return None
        small = picture.preview(read_output(row.output).refocused, frame.image_area, LONGEST_PX)
        return picture.badge(small, "refocused by network")
    small = picture.preview(frame.pixels, frame.image_area, LONGEST_PX)
    if kind == "original":
        return Image.fromarray(small)
    if row.focus_blob is None:
        return None
    return picture.overlay(small, FocusMap.from_bytes(row.focus_blob), small.shape[1] / frame.shape[1])
