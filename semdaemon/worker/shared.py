"""Pixels between parent and worker: one block of shared memory, reused and grown as frames ask for it.

Layout of the block: the frame's pixels, then the refocused pixels, then the mask (one byte a pixel),
then the focus map as bytes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np

from semdaemon.frame import Mask, Pixels


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the arrays of one job lie in the block."""

    shape: tuple[int, int]
    dtype: str
    focus_bytes: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def pixel_bytes(self) -> int:
        return self.shape[0] * self.shape[1] * np.dtype(self.dtype).itemsize

    @property
    def total_bytes(self) -> int:
        return self._focus_at + self.focus_bytes

    @property
    def _focus_at(self) -> int:
        return 2 * self.pixel_bytes + self.shape[0] * self.shape[1]

    def arrays(self, memory: SharedMemory) -> tuple[Pixels, Pixels, Mask]:
        """``(frame, refocused, mask)`` as views of the block."""
        kind = np.dtype(self.dtype)
        buffer: Any = memory.buf
        frame: Pixels = np.ndarray(self.shape, kind, buffer, 0)
        refocused: Pixels = np.ndarray(self.shape, kind, buffer, self.pixel_bytes)
        mask: Mask = np.ndarray(self.shape, np.bool_, buffer, 2 * self.pixel_bytes)
        return frame, refocused, mask

    def put_focus(self, memory: SharedMemory, blob: bytes) -> None:
        """Write the focus map's bytes."""
        buffer: Any = memory.buf
        buffer[self._focus_at : self.total_bytes] = blob

    def focus(self, memory: SharedMemory) -> bytes:
        """The focus map's bytes."""
        buffer: Any = memory.buf
        return bytes(buffer[self._focus_at : self.total_bytes])


class Block:
    """The parent's side: owns the shared memory."""

    def __init__(self) -> None:
        self._memory: SharedMemory | None = None

    @property
    def size_bytes(self) -> int:
        """Size of the block; 0 where there is none yet."""
        return 0 if self._memory is None else self._memory.size

    def fit(self, layout: Layout) -> SharedMemory:
        """Shared memory of at least the layout's size."""
        if self._memory is None or self._memory.size < layout.total_bytes:
            self.close()
            self._memory = SharedMemory(create=True, size=max(1, layout.total_bytes))
        return self._memory

    def close(self) -> None:
        """Give the memory back to the system."""
        memory, self._memory = self._memory, None
        if memory is not None:
            memory.close()
            memory.unlink()


class Attached:
    """The worker's side: attaches to the block that a job names and keeps it until another is named."""

    def __init__(self) -> None:
        self._memory: SharedMemory | None = None

    def open(self, name: str) -> SharedMemory:
        if self._memory is None or self._memory.name != name:
            self.close()
            self._memory = SharedMemory(name=name)
        return self._memory

    def close(self) -> None:
        memory, self._memory = self._memory, None
        if memory is not None:
            memory.close()
