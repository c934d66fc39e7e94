"""semdaemon: live focus maps and discriminative refocusing for scanning electron microscopes.

The public names are loaded on first use, so that ``import semdaemon`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["AsyncSubscriber", "ClientKeys", "Frame", "Subscriber", "__version__"]

if TYPE_CHECKING:
    from semdaemon.frame import Frame
    from semdaemon.wire.client import AsyncSubscriber, Subscriber
    from semdaemon.wire.keys import ClientKeys

_HOMES = {
    "Frame": "semdaemon.frame",
    "Subscriber": "semdaemon.wire.client",
    "AsyncSubscriber": "semdaemon.wire.client",
    "ClientKeys": "semdaemon.wire.keys",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'semdaemon' has no attribute '{name}'")
