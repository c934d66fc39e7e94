"""The section ``trust`` of docs/evaluation.md: tables and words around the plot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from semdaemon.refocus.trust import COVERAGE
from semdaemon.training.intervals import Interval
from semdaemon.training.trust.checking import Check
from semdaemon.training.trust.unlike import EMPTY, Fate

SECTION, PLOT = "trust", "trust.png"


def section(
    check: Check, fates: Sequence[Fate], stored: dict[str, Any], said: str, *, min_confidence: float
) -> str:
    """Markdown of the whole section.

    Parameters
    ----------
    stored
        The card's ``trust``.
    said
        On what it was checked, in words.
    """
    return "\n\n".join(
        [
            _method(stored, min_confidence),
            _bottom_line(check, said),
            f"![Expected and true error, confidence and share of gains, risk](images/{PLOT})",
            "The expected error by tenths of the tiles, the least first; shares of the frame's range:",
            _errors(check),
            "What is left where the least confident tiles keep their original:",
            _risks(check),
            "### Pictures unlike the training",
            _unlike(fates, min_confidence),
        ]
    )


def _method(stored: dict[str, Any], min_confidence: float) -> str:
    tiles, left_out = stored["tiles"], stored["left_out_coverage"]
    return (
        "Of every refocused tile the daemon says how far it is off (`expected_error`), what that stays below "
        f"with a probability of {COVERAGE:.0%} (`error_bound`), how likely the result is closer to the truth "
        "than the original, smoothed or not (`confidence`), and how unlike the tile is to those that all "
        "this was fitted to (`novelty`).\n"
        f"A region with a confidence below {min_confidence:g} (`refocus.min_confidence`) or a novelty above "
        "1 is rejected: its original stands.\n"
        f"Fitted to {tiles['trained_on']:,} tiles of the specimens trained on; calibrated on the same ones "
        f"fold by fold and, with as much weight, on {tiles['set_aside']:,} tiles of those that the training "
        f"set aside.\n"
        f"On each of these {left_out['groups']} specimen groups, calibrated on all others, the bound held "
        f"for {left_out['mean']:.1%} of the tiles on average (worst group {left_out['worst']:.1%})."
    )


def _bottom_line(check: Check, said: str) -> str:
    return (
        f"Checked on {said}: {check.tiles:,} tiles in {check.regions:,} regions.\n"
        f"The bound held for **{check.tiles_covered:.1%}** of the tiles{_shown(check.tiles_interval)} and "
        f"{check.regions_covered:.1%} of the regions{_shown(check.regions_interval)}; confidence tells gain "
        f"from loss with an area under the curve of {check.told_apart:.3f}; {check.novel:.1%} of the tiles "
        f"are unlike the training, {check.rejected:.1%} are rejected.\n{_over(check)}"
    )


def _shown(interval: Interval | None) -> str:
    return f" [{interval.low:.1%}, {interval.high:.1%}]" if interval else ""


def _over(check: Check) -> str:
    if check.tiles_interval is None:
        return "All tiles are of one specimen group: what others would show they cannot tell."
    return (
        f"In brackets: 95 % bootstrap interval over specimens; whole groups are drawn, {check.groups} "
        "with tiles to refocus."
    )


def _errors(check: Check) -> str:
    head = ["expected", "true", f"within the bound of {COVERAGE:.0%}", "tiles"]
    return _table(
        head, ([f"{b.believed:.4f}", f"{b.true:.4f}", f"{b.share:.1%}", b.count] for b in check.errors)
    )


def _risks(check: Check) -> str:
    head = [
        "left as they are",
        "error of the others",
        "of them, no gain",
        "farther from the truth than before",
    ]
    rows = (
        [f"{risk.abstained:.0%}", f"{risk.error:.4f}", f"{risk.loss:.2%}", f"{risk.harm:.2%}"]
        for risk in check.risks
    )
    return _table(head, rows)


def _unlike(fates: Sequence[Fate], min_confidence: float) -> str:
    rows = [
        [
            fate.kind,
            fate.condition,
            fate.tiles,
            *(
                f"{count / fate.tiles:.1%}"
                for count in (fate.left_alone, fate.unexplained, fate.abstained, fate.gained, fate.harmed)
            ),
            f"{fate.spared / fate.tiles:.1%}",
        ]
        for fate in fates
    ]
    head = ["picture", "condition", "tiles", "left alone", "rejected: unexplained", "rejected: not trusted"]
    head += ["refocused, closer", "refocused, farther", "of the not trusted, would be farther"]
    natural = [fate for fate in fates if fate.kind not in EMPTY]
    harmed, tiles = sum(f.harmed for f in natural), sum(f.tiles for f in natural)
    changed = sum(f.gained + f.harmed for f in fates if f.kind in EMPTY)
    words = (
        "Pictures that come with scikit-image, a flat field, and noise alone, by the whole way of the daemon "
        f"(`refocus.min_confidence = {min_confidence:g}`).\n"
        "What is taken for the truth is the picture itself, so a photograph that is soft at its own pixel "
        "scale and comes back sharper counts as farther.\n"
        f"Of the flat fields and of noise {changed or 'no'} tiles were changed; of the other pictures' tiles "
        f"{harmed / max(tiles, 1):.1%} came back farther from the truth."
    )
    return f"{words}\n\n{_table(head, rows)}"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
