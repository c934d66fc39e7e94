"""Live mode of Micro-Manager: a child process peeks over the Java bridge, the parent supervises it.

Nothing of pycromanager is ever imported in the parent: its client blocks for ever, and keeps its process
from ending, when Micro-Manager is closed in the middle of a call.
"""

from semdaemon.sources.micromanager.source import MicroManagerSource

__all__ = ["MicroManagerSource"]
