"""Memory settings for processes that run networks on a CPU; imports nothing heavy."""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of mallopt's parameters in glibc


def keep_big_blocks() -> None:
    """Tell glibc to keep big activations: by itself it returns and re-maps them on every layer.

    Costs a quarter of a CPU run otherwise. Call it before the first tensor; does nothing off Linux.
    """
    if platform.system() != "Linux":
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return  # another C library: nothing to tune
    mallopt(_MMAP_THRESHOLD, 2**30)
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
