"""One job to the worker process and back: pixels through shared memory, the rest through the pipe."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from semdaemon.frame import Frame, Mask, Pixels
from semdaemon.worker.child import Child
from semdaemon.worker.ladder import REMEMBER_S
from semdaemon.worker.memory import no_room, require_shared
from semdaemon.worker.shared import Block, Layout


@dataclass(frozen=True)
class Reply:
    """What the process said, and copies of what it left in shared memory: empty where it failed."""

    said: Mapping[str, Any]
    pixels: Pixels
    mask: Mask

    @property
    def failed(self) -> bool:
        return bool(self.said["kind"] == "failed")


@dataclass(frozen=True)
class Patience:
    """How long a job may take, and how long it may go without a word (None: for ever), seconds."""

    timeout_s: float
    silence_s: float | None = None


class Tight:
    """Remembers for a while how large a frame was that took all memory of a process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pixels: float = math.inf
        self._until = 0.0

    def learn(self, frame: Frame) -> None:
        """It was this one."""
        self._pixels, self._until = frame.pixels.size, self._clock() + REMEMBER_S

    def is_for(self, frame: Frame) -> bool:
        """True where this frame should begin with the smallest tiles."""
        return frame.pixels.size >= self._pixels and self._clock() < self._until


class Exchange:
    """Owns the block of shared memory; used by one thread at a time."""

    def __init__(self) -> None:
        self._block = Block()

    def job(
        self,
        child: Child,
        frame: Frame,
        focus_blob: bytes,
        asked: Mapping[str, Any],
        *,
        patience: Patience,
        told: Callable[[dict[str, Any]], None],
    ) -> Reply:
        """Do one job.

        Raises
        ------
        FrameError
            ``out_of_memory`` where there is no room for the pixels; nothing was asked of the process then.
        WorkerError
            As `semdaemon.worker.child.Child.ask`.
        """
        layout = Layout(frame.shape, frame.pixels.dtype.name, len(focus_blob))
        memory = self._fit(layout)
        pixels, refocused, mask = layout.arrays(memory)
        pixels[...] = frame.pixels
        layout.put_focus(memory, focus_blob)
        said = child.ask(
            {**layout.as_dict(), "memory": memory.name, **asked},
            timeout_s=patience.timeout_s,
            silence_s=patience.silence_s,
            told=told,
        )
        if said["kind"] == "failed":
            return Reply(said, pixels[:0].copy(), mask[:0].copy())
        try:
            return Reply(said, refocused.copy(), mask.copy())
        except MemoryError as error:
            raise no_room(str(error)) from error

    def close(self) -> None:
        """Give the memory back."""
        self._block.close()

    def _fit(self, layout: Layout) -> Any:
        if layout.total_bytes > self._block.size_bytes:
            # The old block is given back first.
            require_shared(layout.total_bytes - self._block.size_bytes)
        try:
            return self._block.fit(layout)
        except (OSError, MemoryError) as error:
            raise no_room(str(error)) from error
