"""Memory settings for processes that run networks on a CPU; imports nothing heavy."""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of mallopt's parameters in glibc


def keep_big_blocks() -> None:
    """Tell glibc to keep big activations: by itself it returns and re-maps them on every layer.

    Costs a quarter of a CPU run otherwise. Call it before the first tensor; does nothing off Linux.
    """
    _call("mallopt", _MMAP_THRESHOLD, 2**30)
    _call("mallopt", _TRIM_THRESHOLD, 2**31 - 1)


def give_back_free_blocks() -> None:
    """What `keep_big_blocks` kept goes back to the system, after memory ran out; does nothing off Linux."""
    _call("malloc_trim", 0)


def _call(name: str, *arguments: int) -> None:
    if platform.system() != "Linux":
        return
    try:
        function = getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError):
        return  # another C library: nothing to tune
    function(*arguments)
