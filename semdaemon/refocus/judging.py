"""What becomes of a refocused region: by what re-blurring it shows, and by how far it can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np

from semdaemon.focus.map import FocusMap
from semdaemon.frame import FloatImage
from semdaemon.refocus.audit import audit
from semdaemon.refocus.evidence import Figures, evidence
from semdaemon.refocus.regions import Plan, Region
from semdaemon.refocus.trust import Belief, Trust, of_region
from semdaemon.settings import Refocus

UNEXPLAINED, UNLIKE_TRAINING, LOW_CONFIDENCE = "unexplained", "unlike_training", "low_confidence"
"""Why a region is rejected: ``RegionReport.rejected``."""

_AUDIT_MARGIN_PX = 24


@dataclass(frozen=True, slots=True)
class RegionReport:
    """What became of one region; travels in messages and provenance.

    Attributes
    ----------
    area
        ``[top, left, bottom, right]`` in frame coordinates.
    scales
        Working scales used (1 native, 2 and 4 binned).
    unexplained
        Audit: share of the region's contrast that re-blurring the result leaves unexplained.
    accepted
        False where the audit rejected it: the original stands there.
    rejected
        Why, one of `UNEXPLAINED`, `UNLIKE_TRAINING`, `LOW_CONFIDENCE`; empty where it was accepted.
    confidence, expected_error, error_bound, novelty
        See `semdaemon.refocus.trust.Belief`; None where it was not audited, or the weights' card does not
        say how far they can be trusted.
    """

    number: int
    tiles: int
    area: list[int]
    sigma_px: float | None
    scales: list[int]
    unexplained: float | None
    accepted: bool
    rejected: str = ""
    confidence: float | None = None
    expected_error: float | None = None
    error_bound: float | None = None
    novelty: float | None = None

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class TileFinding:
    """What one refocused tile shows: re-blurred, and in the figures of `semdaemon.refocus.evidence`."""

    row: int
    column: int
    unexplained: float
    figures: Figures


def judge(
    region: Region,
    plan: Plan,
    unit: FloatImage,
    restored: FloatImage,
    settings: Refocus,
    alive: Callable[[], None],
    trust: Trust | None,
) -> RegionReport:
    """Audit one region and decide whether its original stands.

    Parameters
    ----------
    unit, restored
        (h, w) float32 of the image area, in units of its intensity range.
    trust
        Of the weights that refocused; None where their card says nothing.
    """
    unexplained, belief = None, None
    if settings.audit and not settings.everywhere:
        found = []
        for finding in findings(region, plan, unit, restored):
            found.append(finding)
            alive()
        # The median over the tiles: one odd tile does not condemn its neighbours.
        unexplained = float(np.median([tile.unexplained for tile in found])) if found else 0.0
        if trust is not None and found:
            belief = of_region([trust.belief(tile.figures) for tile in found])
    told = _told(belief)
    rejected = objection(unexplained, told.get("confidence"), told.get("novelty"), settings)
    return RegionReport(
        number=region.number,
        tiles=len(region.tiles),
        area=region.area.as_list(),
        sigma_px=None if np.isnan(region.sigma_px) else round(region.sigma_px, 3),
        scales=sorted({int(plan.scales[tile]) for tile in region.tiles}),
        unexplained=None if unexplained is None else round(unexplained, 4),
        accepted=not rejected,
        rejected=rejected,
        **told,
    )


def findings(region: Region, plan: Plan, unit: FloatImage, restored: FloatImage) -> Iterator[TileFinding]:
    """What each tile of a region shows whose blur is known."""
    focus = plan.focus
    for row, column in region.tiles:
        sigma_px = float(focus.sigma_px[row, column])
        if not np.isfinite(sigma_px):
            continue
        window = _window(row, column, focus)
        seen, refocused = unit[window], restored[window]
        margin = min(_AUDIT_MARGIN_PX, min(seen.shape) // 4)
        audited = audit(seen, refocused, sigma_px, margin_px=margin)
        figures = evidence(
            seen,
            refocused,
            unexplained=audited.unexplained,
            sigma_px=sigma_px,
            relative_sd=float(focus.sigma_relative_sd[row, column]),
            scale=int(plan.scales[row, column]),
        )
        yield TileFinding(row, column, audited.unexplained, figures)


def objection(
    unexplained: float | None, confidence: float | None, novelty: float | None, settings: Refocus
) -> str:
    """Why a region's original has to stand; empty where nothing speaks against the result.

    Parameters
    ----------
    unexplained, confidence, novelty
        As in `RegionReport`.
    """
    if unexplained is not None and unexplained > settings.audit_max_residual:
        return UNEXPLAINED
    if confidence is None or novelty is None or settings.min_confidence <= 0:
        return ""
    if novelty > 1:
        return UNLIKE_TRAINING
    return LOW_CONFIDENCE if confidence < settings.min_confidence else ""


def _told(belief: Belief | None) -> dict[str, float]:
    if belief is None:
        return {}
    return {name: float(f"{value:.4g}") for name, value in asdict(belief).items()}


def _window(row: int, column: int, focus: FocusMap) -> tuple[slice, slice]:
    cell, area = focus.cell(row, column), focus.area
    return (
        slice(cell.top - area.top, cell.bottom - area.top),
        slice(cell.left - area.left, cell.right - area.left),
    )
