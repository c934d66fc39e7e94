"""The process that owns the accelerator, and its supervisor in the parent."""

from semdaemon.worker.answer import WorkerAnswer
from semdaemon.worker.blame import LOSSES, MOST_LOSSES
from semdaemon.worker.supervisor import Worker

__all__ = ["LOSSES", "MOST_LOSSES", "Worker", "WorkerAnswer"]
