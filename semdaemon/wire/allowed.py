"""The folder of public keys that may come in, read again whenever it changes."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from semdaemon.errors import SemdaemonError
from semdaemon.wire.keys import PUBLIC, load_public

log = logging.getLogger(__name__)

MOST_KEYS = 1000
LOOK_EVERY_S = 0.05

_Stamp = tuple[tuple[str, int, int], ...]


class AllowedKeys:
    """Public keys in the ``*.key`` files of a folder.

    A folder that cannot be read lets nobody in. Belongs to one thread but for `names`.

    Parameters
    ----------
    always
        Keys that are let in whatever the folder holds.
    """

    def __init__(self, folder: Path, always: frozenset[bytes] = frozenset()) -> None:
        self.folder = folder
        self._always = always
        self._names: dict[bytes, str] = {}
        self._stamp: _Stamp | None = None
        self._odd = ""
        self._looked_at = -LOOK_EVERY_S
        self._lock = threading.Lock()
        self.look()

    def __contains__(self, key: bytes) -> bool:
        return key in self._always or key in self._names

    @property
    def names(self) -> list[str]:
        """File names of the keys, without their ending."""
        with self._lock:
            return sorted(self._names.values())

    def name_of(self, key: bytes) -> str:
        """What a key is called; '' where it is not in the folder."""
        return self._names.get(key, "")

    def look(self) -> list[str]:
        """Read the folder again where it changed, but not ever so often; names of keys that went away."""
        now = time.monotonic()
        if now - self._looked_at < LOOK_EVERY_S:
            return []
        self._looked_at = now
        stamp, odd = _stamp_of(self.folder)
        if odd != self._odd:
            self._odd = odd
            if odd:
                log.warning("%s", odd)
        if stamp == self._stamp:
            return []
        first, self._stamp = self._stamp is None, stamp
        before, found = self._names, self._read([name for name, _, _ in stamp])
        with self._lock:
            self._names = found
        gone = sorted(name for key, name in before.items() if key not in found)
        if not first:
            log.info("Allowed keys of %s: %d, %d taken away", self.folder, len(found), len(gone))
        return gone

    def _read(self, names: list[str]) -> dict[bytes, str]:
        found = {}
        for name in names:
            try:
                found[load_public(self.folder / name)] = name.removesuffix(PUBLIC)
            except SemdaemonError as error:
                log.warning("Not taken as an allowed key: %s", error.message)
        return found


def _stamp_of(folder: Path) -> tuple[_Stamp, str]:
    """What shows that the folder changed, and what is odd about it: said once, not at each look."""
    try:
        files = sorted(folder.iterdir())
    except OSError as error:
        return (), f"The allowed keys cannot be read, nobody is let in: {error}"
    keys = [stamp for file in files if file.name.endswith(PUBLIC) and (stamp := _stamp(file)) is not None]
    if len(keys) > MOST_KEYS:
        return tuple(keys[:MOST_KEYS]), f"{folder} holds {len(keys)} keys, the first {MOST_KEYS} are taken"
    return tuple(keys), ""


def _stamp(file: Path) -> tuple[str, int, int] | None:
    """None where it is gone by now, or a link to nothing: that is one key less, and nobody else's fault."""
    try:
        about = file.stat()
    except OSError:
        return None
    return file.name, about.st_mtime_ns, about.st_size
