"""What became of refocused regions, in words; from reports as they stand in messages and in the journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from semdaemon.focus.sentences import Sentence
from semdaemon.refocus.judging import LOW_CONFIDENCE, UNEXPLAINED, UNLIKE_TRAINING

MOST_TOLD = 8
"""Regions told one by one; a frame may have hundreds."""

Report = Mapping[str, Any]


def stored_sentences(summary: Mapping[str, Any]) -> list[Sentence]:
    """One sentence a region, the first `MOST_TOLD` of them, from a row of the journal.

    A region whose original stands asks for attention; what cannot be read is left out.
    """
    regions = summary.get("regions")
    if not isinstance(regions, list):
        return []
    found = []
    for region in regions[:MOST_TOLD]:
        try:
            found.append(_sentence(region))
        except (KeyError, TypeError, ValueError, AttributeError):
            continue  # written by another version
    if len(regions) > MOST_TOLD:
        found.append(Sentence(f"and {len(regions) - MOST_TOLD} regions more", warns=False))
    return found


def objections(regions: Sequence[Report]) -> str:
    """Why regions were rejected, each reason once with the region that it holds for most clearly."""
    said = []
    for reason, figure, worst in (
        (UNEXPLAINED, "unexplained", max),
        (UNLIKE_TRAINING, "novelty", max),
        (LOW_CONFIDENCE, "confidence", min),
    ):
        concerned = [region for region in regions if region.get("rejected") == reason]
        if concerned:
            said.append(_objection(worst(concerned, key=lambda region: region[figure])))
    return "; ".join(said)


def _sentence(region: Report) -> Sentence:
    tiles = int(region["tiles"])
    what = f"region {region['number']}, {tiles} {'tile' if tiles == 1 else 'tiles'}"
    return Sentence(f"{what}: {_fate(region)}{_trust(region)}", warns=not region.get("accepted", True))


def _fate(region: Report) -> str:
    return "refocused" if region.get("accepted", True) else f"the original stands, {_objection(region)}"


def _objection(region: Report) -> str:
    reason = region.get("rejected")
    if reason == UNLIKE_TRAINING:
        return f"it is {region['novelty']:.1f} times as unlike the training as can be vouched for"
    if reason == LOW_CONFIDENCE:
        return f"a gain is only {region['confidence']:.0%} likely"
    if region.get("unexplained") is not None:
        return f"re-blurring leaves {region['unexplained']:.0%} of its contrast unexplained"
    return "the audit rejected it"


def _trust(region: Report) -> str:
    if region.get("confidence") is None:
        return ""
    error, bound = (f"{100 * region[name]:.1f} %" for name in ("expected_error", "error_bound"))
    gain = "" if region.get("rejected") == LOW_CONFIDENCE else f"gain {region['confidence']:.0%} likely, "
    return f"; {gain}off by about {error} of the range (90 %: below {bound})"
