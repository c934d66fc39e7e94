"""One folder watched by events where they can be had, and polled where not."""

from __future__ import annotations

from pathlib import Path

import structlog

from semdaemon.mounts import mount_of
from semdaemon.settings import Folder
from semdaemon.sources.hints import Hints
from semdaemon.sources.watch import Watch

_log = structlog.get_logger("semdaemon.sources")


class Watched:
    """Keeps the watch over a folder, whatever becomes of it.

    Attributes
    ----------
    polling_because
        Why there are no events; empty where there are.
    device
        Number of the file system that the folder was on when last looked at.
    overflows
        How often the system dropped events.
    """

    def __init__(self, path: Path, hints: Hints) -> None:
        self.polling_because, self.device, self.overflows = "", 0, 0
        self._path, self._hints = path, hints
        self._watch: Watch | None = None
        self._identity: tuple[int, int] | None = None

    def keep(self, settings: Folder, *, recursive: bool) -> bool:
        """Begin anew where the folder was replaced or watchdog gave up; true where it began anew.

        Raises
        ------
        OSError
            The folder cannot be reached.
        """
        about = self._path.stat()
        self.device = about.st_dev
        identity = (about.st_dev, about.st_ino)
        alive = self._watch is not None and self._watch.alive
        if identity == self._identity and (alive or self.polling_because):
            return False
        self.close()
        self._identity = identity
        self._open(settings, recursive)
        return True

    def close(self) -> None:
        """End the watch; `keep` begins another."""
        watch, self._watch, self._identity = self._watch, None, None
        if watch is not None:
            watch.close()

    def _open(self, settings: Folder, recursive: bool) -> None:
        because = self._why_polling(settings)
        if not because:
            try:
                self._watch = Watch(
                    self._path, recursive=recursive, changed=self._hints.add, overflowed=self._overflowed
                )
            except OSError as error:
                because = f"events cannot be had ({error.strerror or error})"
        if because and because != self.polling_because:
            _log.warning("polling instead of events", folder=str(self._path), because=because)
        self.polling_because = because

    def _why_polling(self, settings: Folder) -> str:
        if settings.poll == "always":
            return "set so (folder.poll)"
        mount = mount_of(self._path)
        if settings.poll == "auto" and mount.remote:
            return f"{mount.kind} file system: events of other machines do not arrive"
        return ""

    def _overflowed(self) -> None:
        self.overflows += 1
        _log.warning("events were lost, scanning", folder=str(self._path))
        self._hints.lose()
