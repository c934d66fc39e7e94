"""The journey of one frame: settle -> read -> score -> publish, then refocus -> audit -> save -> publish.

The journal is the queue between the two halves and the memory of both, so a restart goes on where it was.
`Pipeline.look` is called by the scoring thread alone and `Pipeline.restore` by the refocusing thread alone;
between two calls each of them takes what is in force then (`semdaemon.inforce`).
"""

from __future__ import annotations

from semdaemon.advice import Follower
from semdaemon.frame import Frame
from semdaemon.journal import Row
from semdaemon.pipeline.journey import Journey
from semdaemon.pipeline.refocusing import Refocusing
from semdaemon.pipeline.scoring import Scoring
from semdaemon.worker import Worker


class Pipeline:
    """What a frame passes through."""

    def __init__(self, journey: Journey, follower: Follower, worker: Worker | None) -> None:
        self.journey = journey
        self.scoring = Scoring(journey, follower, refocuses=worker is not None)
        self.refocusing = None if worker is None else Refocusing(journey, worker)

    def look(self) -> bool:
        """Take the next frame that may be complete as far as its score; False where none is due."""
        return self.scoring.look()

    def look_due_at(self) -> float | None:
        """When the next look is due, seconds since 1970; None where that is not known."""
        return self.scoring.look_due_at()

    def restore(self) -> bool:
        """Refocus the next scored frame; False where none waits or refocusing pauses."""
        return self.refocusing is not None and self.refocusing.restore()

    def read_again(self, row: Row) -> Frame:
        """The frame from its file, which must still hold what was scored; any thread may call."""
        return self.journey.read_again(row)

    @property
    def output_fault(self) -> str | None:
        """Why outputs cannot be saved just now."""
        return None if self.refocusing is None else self.refocusing.outputs.fault or None

    @property
    def silent(self) -> str:
        """Which folder of frames to be scored does not answer just now; empty where all do."""
        return "; ".join(f"{folder} does not answer" for folder in self.scoring.reach.silent)

    @property
    def away(self) -> str:
        """Which folder of scored frames is gone just now; empty where none is."""
        return "" if self.refocusing is None else self.refocusing.away
