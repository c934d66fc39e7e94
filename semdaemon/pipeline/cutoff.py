"""Steps that an error cut off while the daemon lives on: their frames are taken up again, and excused.

The journal counts attempts so that a frame which kills the daemon is known by it. A step that ended with an
error killed nobody: where the journal itself refused (a full disk) the frame has no part in it at all,
and where something unexpected was raised it may try a few times, and then fails with that.
"""

from __future__ import annotations

from collections import Counter

from semdaemon.errors import FrameError, SemdaemonError
from semdaemon.journal import Journal, Row

MOST_FAILURES = 3


class CutOff:
    """What one working thread's steps left unfinished. For that thread alone.

    Parameters
    ----------
    state
        In which a frame stands whose step was cut off half-way: ``settled`` or ``refocused``.
    """

    def __init__(self, journal: Journal, state: str) -> None:
        self._journal, self._state = journal, state
        self._excused, self._failures = Counter[int](), Counter[int]()
        self._last: dict[int, str] = {}
        self._unfinished = False

    def take_up(self) -> None:
        """Put what was cut off back in the queue; to be called where no step is under way."""
        if self._unfinished:
            self._journal.take_up(self._state)
            self._unfinished = False

    def attempt(self, row: Row) -> int:
        """`Journal.attempt`, less those that ended with an error of the journal's.

        Raises
        ------
        FrameError
            ``unexpected``: the frame's step failed too often in a way that nobody foresaw.
        """
        if self._failures[row.key] >= MOST_FAILURES:
            error = _unexpected(row, self._last[row.key])
            self.forget(row.key)  # requeued, it may try as often again
            raise error
        return self._journal.attempt(row.key) - self._excused[row.key]

    def note(self, row: Row, error: Exception) -> None:
        """A step on this frame ended with an error that was not its own."""
        self._unfinished = True
        if isinstance(error, SemdaemonError) and error.code.startswith("journal_"):
            self._excused[row.key] += 1
        else:
            self._failures[row.key] += 1
            self._last[row.key] = f"{type(error).__name__}: {error}"

    def forget(self, key: int) -> None:
        """The frame's step came to an end."""
        for noted in (self._excused, self._failures, self._last):
            noted.pop(key, None)


def _unexpected(row: Row, error: str) -> FrameError:
    return FrameError(
        "unexpected",
        f"{row.path}: its step failed {MOST_FAILURES} times with something that nobody foresaw: {error}.",
        remedy="Report it with the daemon's log; 'semdaemon requeue' tries it again.",
    )
