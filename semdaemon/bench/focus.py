"""The focus map of a frame, beside the time to read the frame's memory once."""

from __future__ import annotations

from semdaemon.bench.ceilings import Ceilings
from semdaemon.bench.figures import Figure, best_s, processor_clock
from semdaemon.focus import focus_map, load_scorer
from semdaemon.frame import Frame
from semdaemon.settings import Focus


def focus_figure(frame: Frame, ceilings: Ceilings) -> Figure:
    """Milliseconds a megapixel of all that a score holds: blur, bad input, plane, astigmatism."""
    settings = Focus()
    scorer = load_scorer(settings.scorer, settings)
    per_mp = 1e3 / frame.pixels.size * 1e6
    clock = processor_clock(1)
    spent_s = best_s(lambda: focus_map(frame, settings, scorer), budget_s=2.0, clock=clock)
    least_s = ceilings.copy_s(frame.pixels.nbytes)
    what = f"focus map by '{settings.scorer}'"
    return Figure("focus", what, spent_s * per_mp, "ms/MP", least_s * per_mp, "memory copy")
