"""The process that owns the accelerator, and its supervisor in the parent."""

from semdaemon.worker.blame import DEATHS
from semdaemon.worker.supervisor import Worker, WorkerAnswer

__all__ = ["DEATHS", "Worker", "WorkerAnswer"]
