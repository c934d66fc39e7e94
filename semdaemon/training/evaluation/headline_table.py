"""Headline figures in words: one line a figure, and the count of what was met."""

from __future__ import annotations

from collections.abc import Sequence

from semdaemon.training.evaluation.counted import RULE, named
from semdaemon.training.evaluation.headline import Headline
from semdaemon.training.intervals import Interval


def verdict_table(headlines: Sequence[Headline]) -> str:
    """Markdown: figure, found with its interval, asked, met or not; beneath, which frames were counted."""
    lines = [f"**{_met(headlines)} of {len(headlines)} met.**", ""]
    for group in dict.fromkeys(h.group for h in headlines):
        here = [h for h in headlines if h.group == group]
        lines += [
            f"| {group} | found | asked | |",
            "|---|---|---|---|",
            *(f"| {h.name} | {shown(h.found, h.unit)} | {asked(h)} | {_word(h)} |" for h in here),
            "",
            *named([(h.name, h.counted) for h in here]),
        ]
    if any(h.counted for h in headlines):
        lines += [RULE, ""]
    return "\n".join(lines)


def shown(found: Interval, unit: str) -> str:
    """A mean with its interval, in its unit."""
    if unit == "frames":
        return f"{found.mean:.0f} frames"
    form = {"dB": "+.2f", "SSIM": "+.3f"}.get(unit, ".3f")
    space = " dB" if unit == "dB" else ""
    return f"{found.mean:{form}}{space} [{found.low:{form}}, {found.high:{form}}]"


def asked(headline: Headline) -> str:
    """The bound that was asked for."""
    side = ">=" if headline.at_least else "<="
    if headline.unit == "frames":
        return "none"
    return f"{side} {headline.wanted:g}{' dB' if headline.unit == 'dB' else ''}"


def _word(headline: Headline) -> str:
    if headline.met:
        return "met"
    return "**not met**"


def _met(headlines: Sequence[Headline]) -> int:
    return sum(h.met for h in headlines)
