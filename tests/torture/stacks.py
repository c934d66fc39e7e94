"""Growing stacks as bytes, with the writer that the other tests use."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

_TESTS = str(Path(__file__).resolve().parents[1])


def written_stack(folder: Path, kind: Any, order: str, frames: int = 3) -> bytes:
    """A closed stack of three small frames."""
    if _TESTS not in sys.path:
        sys.path.insert(0, _TESTS)
    from stackwriting import StackWriter, noise

    path = folder / "seed_NDTiffStack.tif"
    writer = StackWriter(path, kind, order, full_bytes=2**16).begin()
    for number in range(frames):
        writer.add(noise(number))
    writer.close()
    data = path.read_bytes()
    path.unlink()
    return data
