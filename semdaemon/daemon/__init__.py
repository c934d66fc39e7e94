"""The service: its parts, its working threads, and what it tells about itself."""

from semdaemon.daemon.service import Daemon

__all__ = ["Daemon"]
