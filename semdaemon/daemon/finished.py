"""What the control socket says about finished frames: the journal's endings as plain values."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from semdaemon.errors import SemdaemonError
from semdaemon.journal import Journal
from semdaemon.journal.endings import Ending
from semdaemon.journal.rows import plain

MOST_DETAIL = 500


class FinishedFrames:
    """Answers from a connection of its own, so that the publisher waits for no other reader.

    Called in the publisher's thread: each answer is a bounded page.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def position(self) -> int:
        """The newest position."""
        return self._journal.newest_position()

    def page(self, after: int | None, since: datetime | None, limit: int) -> dict[str, Any]:
        """Frames that ended after a position, or since a moment; from the start where neither is given.

        Raises
        ------
        SemdaemonError
            ``unknown_position`` for one beyond the journal's end.
        """
        begin = after or 0
        if since is not None:
            begin = self._journal.position_at(since.timestamp())
        elif begin > (newest := self._journal.newest_position()):
            raise SemdaemonError(
                "unknown_position",
                f"The journal ends at position {newest}, before {begin}: it is another journal.",
                remedy='Ask without "after", or with "since".',
            )
        found = self._journal.endings(begin, limit)
        frames = [_told(each) for each in found.endings]
        return {"frames": frames, "position": found.position, "more": found.more}


def _told(ending: Ending) -> dict[str, Any]:
    row = ending.row
    return {
        "position": ending.position,
        "at": _rfc3339(ending.at),
        "state": ending.state,
        "reason": ending.reason,
        "detail": ending.detail[:MOST_DETAIL],
        "number": row.key,
        "id": row.frame_id,
        "source": row.source,
        "uri": plain(row.uri),
        "page": row.page,
        "shape": row.shape,
        "type": row.dtype,
        "pixel_size_m": row.pixel_size_m,
        "output": None if row.output is None else _uri(row),
        "verdicts": row.summary.get("verdicts"),
        "median_sigma_px": row.summary.get("median_sigma_px"),
    }


def _uri(row: Any) -> str | None:
    try:
        return str(row.output.absolute().as_uri())
    except UnicodeEncodeError:  # a file name that is no text
        return plain(str(row.output))


def _rfc3339(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
