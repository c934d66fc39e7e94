"""Files become frames, and refocused frames become files."""

from semdaemon.formats.databar import bar_top
from semdaemon.formats.grey import tail_is_uniform
from semdaemon.formats.read import read_frames, read_metadata
from semdaemon.formats.sidecar import read_sidecar, sidecar_path
from semdaemon.formats.vendors import Told

__all__ = [
    "Told",
    "bar_top",
    "read_frames",
    "read_metadata",
    "read_sidecar",
    "sidecar_path",
    "tail_is_uniform",
]
