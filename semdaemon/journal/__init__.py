"""The journal: one SQLite row for every frame, what became of it and why.

It is also the queue: what is not in a final state is still to be done, so a restarted daemon goes on from it.
"""

from semdaemon.journal.journal import Journal, find_journal
from semdaemon.journal.rows import FINAL, OPEN, STATES, Event, Row

__all__ = ["FINAL", "OPEN", "STATES", "Event", "Journal", "Row", "find_journal"]
