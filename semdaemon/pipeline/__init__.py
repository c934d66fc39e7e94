"""The journey of one frame through the daemon."""

from semdaemon.pipeline.journey import Journey
from semdaemon.pipeline.pipeline import Pipeline
from semdaemon.pipeline.recent import RecentFrames

__all__ = ["Journey", "Pipeline", "RecentFrames"]
