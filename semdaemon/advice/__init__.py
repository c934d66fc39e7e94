"""Following the focus of a run, and what is advised about it: published, never acted upon."""

from semdaemon.advice.decide import Advice, FocusAdvice, LostRegion
from semdaemon.advice.follower import MEMORY, RECALLED_FRAMES, Followed, Follower
from semdaemon.advice.header import advice_header

__all__ = [
    "MEMORY",
    "RECALLED_FRAMES",
    "Advice",
    "FocusAdvice",
    "Followed",
    "Follower",
    "LostRegion",
    "advice_header",
]
