"""Follows growing stacks: NDTiff datasets and Micro-Manager's own OME-TIFF, whoever writes them."""

from semdaemon.sources.ndtiff.names import SOURCE, may_be_stack
from semdaemon.sources.ndtiff.reader import StackReader
from semdaemon.sources.ndtiff.source import NDTiffSource

__all__ = ["SOURCE", "NDTiffSource", "StackReader", "may_be_stack"]
