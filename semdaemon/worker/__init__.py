"""The process that owns the accelerator, and its supervisor in the parent."""

from semdaemon.worker.answer import WorkerAnswer
from semdaemon.worker.blame import DEATHS, MOST_LOSSES
from semdaemon.worker.supervisor import Worker

__all__ = ["DEATHS", "MOST_LOSSES", "Worker", "WorkerAnswer"]
