"""Files become frames, and refocused frames become files."""

from semdaemon.formats.databar import bar_top
from semdaemon.formats.grey import tail_is_uniform
from semdaemon.formats.output import (
    Refocused,
    Written,
    claim_output_path,
    clean_leftovers,
    is_own_output,
    output_path,
    read_output,
    write_refocused,
)
from semdaemon.formats.read import read_frames, read_metadata
from semdaemon.formats.sidecar import read_sidecar, sidecar_path
from semdaemon.formats.vendors import Told
from semdaemon.formats.verify import Verification, verify

__all__ = [
    "Refocused",
    "Told",
    "Verification",
    "Written",
    "bar_top",
    "claim_output_path",
    "clean_leftovers",
    "is_own_output",
    "output_path",
    "read_frames",
    "read_metadata",
    "read_output",
    "read_sidecar",
    "sidecar_path",
    "tail_is_uniform",
    "verify",
    "write_refocused",
]
