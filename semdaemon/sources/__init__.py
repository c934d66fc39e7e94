"""Where frames come from: a source says which files are there, the journal remembers, the pipeline reads."""

from semdaemon.sources.folder import FolderSource
from semdaemon.sources.source import Deliver, RootHealth, Sighting, Source, SourceHealth

__all__ = ["Deliver", "FolderSource", "RootHealth", "Sighting", "Source", "SourceHealth"]
