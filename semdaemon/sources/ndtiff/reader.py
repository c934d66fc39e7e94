"""Reads frames of stacks for the pipeline: by the place of their directory, never the whole file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from semdaemon.errors import FrameError
from semdaemon.formats import faults
from semdaemon.formats.stack import StackFile
from semdaemon.formats.stackframe import read_stack_frame
from semdaemon.frame import Frame
from semdaemon.journal import Row
from semdaemon.settings import Limits, NDTiff
from semdaemon.sources.ndtiff.follower import TORN_STAMP_NS
from semdaemon.sources.ndtiff.names import frame_number
from semdaemon.sources.ndtiff.places import Places
from semdaemon.sources.settle import NotYet, Settled, file_about

_LOOK_AGAIN_S, _ROOT_RETRY_S = 0.25, 2.0


class StackReader:
    """The `semdaemon.sources.reader.FrameReader` of source ``ndtiff``."""

    def __init__(self, settings: NDTiff, limits: Limits, places: Places) -> None:
        self._settings, self._limits, self._places = settings, limits, places

    def settle(self, row: Row, now: float, begun: Callable[[], None]) -> Settled | NotYet:
        """A frame that was sighted whole is; a torn one is held until ``give_up_s``, then a fault."""
        about = file_about(row, os.stat)
        if isinstance(about, NotYet):
            return NotYet(about.reason, now + _ROOT_RETRY_S, about.detail)
        if row.mtime_ns == TORN_STAMP_NS and now - row.noticed_at < self._settings.give_up_s:
            # When it becomes whole the follower says so, with another stamp.
            return NotYet("torn_frame", now + _LOOK_AGAIN_S, _TORN)
        begun()
        try:
            return Settled((self._frame(row),))
        except FrameError as error:
            if not error.may_heal or now - row.noticed_at >= self._settings.give_up_s:
                raise
            return NotYet(error.code, now + _LOOK_AGAIN_S, error.message)

    def read_again(self, row: Row) -> Frame:
        return self._frame(row)

    def original(self, row: Row) -> Path | None:
        """None: an output takes no tags from a stack; what Micro-Manager wrote is in the provenance."""
        return None

    def saved_at(self, row: Row) -> float:
        return row.seen_at

    def _frame(self, row: Row) -> Frame:
        try:
            with StackFile(row.path) as file:
                return self._read(file, row, frame_number(row.uri))
        except FileNotFoundError as error:
            raise faults.vanished(row.path) from error
        except PermissionError as error:
            raise faults.permission_denied(row.path) from error
        except OSError as error:
            raise faults.read_error(row.path, error) from error

    def _read(self, file: StackFile, row: Row, number: int) -> Frame:
        header = file.header()
        found = self._places.find(file, header, number) if header is not None else None
        if header is None or found is None:
            raise FrameError(
                "vanished",
                f"{row.path} no longer has a frame {number}: it was replaced or written over.",
                remedy="Frames of what stands there now are taken in by themselves.",
            )
        if file.metadata(found) is None and row.mtime_ns == TORN_STAMP_NS:
            raise FrameError(
                "truncated",
                f"{row.path}: frame {number} is not complete: {_TORN}.",
                remedy="Is the disk full, or did the acquisition end? If the frame is finished, it is read.",
            )
        return read_stack_frame(
            file, header, found, number, source=row.source, uri=row.uri, limits=self._limits
        )


_TORN = "its directory is there, its pixels or metadata are not all written"
