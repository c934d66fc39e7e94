"""Where a frame is out of focus, and by how much."""

from semdaemon.focus.blur import Blur
from semdaemon.focus.estimate import Estimate, Scorer
from semdaemon.focus.map import (
    BEYOND_REPAIR,
    BLURRED,
    SHARP,
    UNDECIDED,
    VERDICTS,
    FocusMap,
    focus_map,
    load_scorer,
)

__all__ = [
    "BEYOND_REPAIR",
    "BLURRED",
    "SHARP",
    "UNDECIDED",
    "VERDICTS",
    "Blur",
    "Estimate",
    "FocusMap",
    "Scorer",
    "focus_map",
    "load_scorer",
]
