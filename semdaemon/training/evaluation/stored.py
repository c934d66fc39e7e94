"""What an evaluation leaves in the weights' card, and a later one held against it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from semdaemon.errors import WeightsError
from semdaemon.refocus.weights import WeightsCard
from semdaemon.training.evaluation.headline import Headline, headlines
from semdaemon.training.evaluation.headline_table import shown
from semdaemon.training.evaluation.plan import quick_part
from semdaemon.training.evaluation.results import Results
from semdaemon.training.evaluation.rows import as_facts, rows_of
from semdaemon.training.evaluation.scenes import Scene
from semdaemon.training.intervals import Interval

BEFORE_SPECIMENS = "frames one by one: the card is of before specimens were drawn, and they are too narrow"
"""What intervals are over in cards that do not say it."""


@dataclass(frozen=True)
class Check:
    """A headline figure made again, beside the card's.

    ``kept`` is the card's interval; None where the card lacks the figure. ``kept_over`` says what it is over.
    """

    now: Headline
    kept: Interval | None
    kept_over: str = ""

    @property
    def within(self) -> bool | None:
        return None if self.kept is None else self.kept.holds(self.now.found.mean)

    def as_facts(self) -> dict[str, Any]:
        """For JSON."""
        kept = None if self.kept is None else [self.kept.low, self.kept.high]
        return {**self.now.as_facts(), "card": kept, "card_over": self.kept_over, "within": self.within}


def held_out(
    results: Results, scenes: Sequence[Scene], card: WeightsCard, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """The card's key ``held_out``: table, headline, and the part that ``--quick`` repeats."""
    return {
        "conditions": dict(facts),
        "drawn": str(results.drawn),
        "rows": as_facts(rows_of(results, card.name)),
        "headline": [h.as_facts() for h in headlines(results, card.network)],
        "quick": [quick_entry(results.of_frames(quick_part(scenes)), scenes, card, facts)],
    }


def quick_entry(
    results: Results, scenes: Sequence[Scene], card: WeightsCard, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Headline figures of the quick part of one set of frames, under the set's fingerprint."""
    return {
        "of": facts["of"],
        "set": fingerprint(scenes, facts),
        "frames": results.frames,
        "drawn": str(results.drawn),
        "headline": [h.as_facts() for h in headlines(results, card.network)],
    }


def fingerprint(scenes: Sequence[Scene], facts: Mapping[str, Any]) -> str:
    """Tells a set of frames, measured with one crop and seed, from another: by names and sizes.

    Not by pixels: those of simulated scenes may differ in the last bit from one processor to another.
    """
    told = [facts["crop_px"], facts["seed"], *((scene.name, scene.sharp.shape) for scene in scenes)]
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


def checks(
    results: Results, scenes: Sequence[Scene], card: WeightsCard, facts: Mapping[str, Any]
) -> list[Check]:
    """Each headline figure of a quick evaluation beside what the card keeps of the same frames.

    Raises
    ------
    WeightsError
        ``card_without_figures`` where the card has none for these frames, seed and crop.
    """
    entry = _kept(card, fingerprint(scenes, facts))
    kept = {(h["group"], h["name"]): Interval(h["mean"], *h["interval"]) for h in entry["headline"]}
    over = entry.get("drawn", BEFORE_SPECIMENS)
    return [Check(h, kept.get((h.group, h.name)), over) for h in headlines(results, card.network)]


def _kept(card: WeightsCard, wanted: str) -> Mapping[str, Any]:
    """The card's entry of one set of frames."""
    entries = card.held_out.get("quick", ()) if card.held_out else ()
    for entry in entries:
        if entry["set"] == wanted:
            found: Mapping[str, Any] = entry
            return found
    have = ", ".join(str(entry["of"]) for entry in entries) or "none at all"
    raise WeightsError(
        "card_without_figures",
        f"The card of '{card.name}' keeps no figures of these frames, crop and seed (it has: {have}).",
        remedy="Write them with `semdaemon evaluate --data DIR --card`.",
    )


def check_table(checks_made: Sequence[Check]) -> str:
    """Markdown: each figure now, the card's interval, and whether it lies within."""
    within = sum(check.within is True for check in checks_made)
    lines = [f"**{within} of {len(checks_made)} figures lie within the card's intervals.**"]
    lines += [f"Those are 95 % bootstrap intervals over {over}." for over in sorted(_overs(checks_made))]
    lines.append("")
    for group in dict.fromkeys(check.now.group for check in checks_made):
        lines += [f"| {group} | now | the card | within |", "|---|---|---|---|"]
        for check in checks_made:
            if check.now.group == group:
                kept = shown(check.kept, check.now.unit) if check.kept else "-"
                word = {None: "not in the card", True: "yes", False: "**no**"}[check.within]
                lines.append(
                    f"| {check.now.name} | {shown(check.now.found, check.now.unit)} | {kept} | {word} |"
                )
        lines.append("")
    return "\n".join(lines)


def _overs(checks_made: Sequence[Check]) -> set[str]:
    return {check.kept_over for check in checks_made if check.kept_over}
