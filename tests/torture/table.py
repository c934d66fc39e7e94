"""``python -m tests.torture.table``: the tables of ``docs/reliability.md`` from the figures of runs."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from . import results

PAGE = results.REPOSITORY / "docs" / "reliability.md"
BEGIN, END = "<!-- made by python -m tests.torture.table: begin -->", "<!-- end -->"

_JUDGED = {
    "files written": "files",
    "rows published": "published",
    "rows failed": "failed",
    "sound frames set aside with a reason, then requeued": "sound ones set aside",
    "outputs verified": "outputs verified",
    "outputs bad": "bad",
    "messages repeated without saying so": "told twice unsaid",
    "published frames whose score no subscriber heard": "unheard, caught up",
    "messages the subscriber said are lost": "gaps",
    "tracebacks in the daemon's log": "tracebacks",
}
"""Figures of the oracle, the same for every scenario, and what they are called in the table."""

_STARTS = "starts of the daemon"
_NEVER_ADDED = ("peak", "longest", "slowest", "bound", "exit status", "seconds until", "outcomes told")
_FEW = 12

Run = dict[str, Any]


def tables(runs: Sequence[Run]) -> str:
    """Markdown: faults, what the judge counted, what else was measured, and the runs all this comes from."""
    by_name: dict[str, list[Run]] = {}
    for run in runs:
        by_name.setdefault(run["scenario"], []).append(run)
    parts = (_faults(by_name), _judged(by_name), _measured(by_name), _runs(runs))
    return "\n".join(line for part in parts for line in (*part, ""))


def _faults(by_name: dict[str, list[Run]]) -> Iterable[str]:
    yield "| fault | what was done | how often | frames | lost | problems |"
    yield "|---|---|---|---|---|---|"
    for some in by_name.values():
        last, often = some[-1], _often(some)
        frames = _added(run["figures"] for run in some).get("files written")
        known = [run["lost"] for run in some if run["lost"] is not None]
        cells = [
            f"**{last['title']}**",
            _sentence(last["did"]),
            "; ".join(f"{number:,} {what}" for what, number in often.items())
            if len(often) < _FEW
            else f"{sum(often.values()):,} in all, below",
            "" if frames is None else f"{frames:,.0f}",
            str(sum(known)) if known else "",
            "; ".join(problem for run in some for problem in _problems(run)) or "none",
        ]
        yield "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def _judged(by_name: dict[str, list[Run]]) -> Iterable[str]:
    yield "What the judge counted:"
    yield ""
    yield "| | " + " | ".join(_JUDGED.values()) + " |"
    yield "|---" * (1 + len(_JUDGED)) + "|"
    for some in by_name.values():
        figures = _added(run["figures"] for run in some)
        if "files written" in figures:
            cells = [_number(figures.get(name, 0)) for name in _JUDGED]
            yield f"| {some[-1]['title']} | " + " | ".join(cells) + " |"


def _measured(by_name: dict[str, list[Run]]) -> Iterable[str]:
    for some in by_name.values():
        yield f"### {some[-1]['title']}"
        yield ""
        often = _often(some)
        if len(often) >= _FEW:
            yield "| what | how often |"
            yield "|---|---|"
            yield from (f"| {what} | {number:,} |" for what, number in often.items())
            yield ""
        told = {k: v for k, v in _added(run["figures"] for run in some).items() if not _counted(k)}
        yield from (f"- {_sentence(what)}: {_number(value)}." for what, value in told.items() if value)
        yield from (
            f"- {line}" for run in some for line in _shortened([*run.get("told", ()), *_remarks(run)])
        )
        yield f"- Not shown: {some[-1]['not_shown']}"
        yield ""


def _shortened(lines: Sequence[str]) -> Iterable[str]:
    """Of many lines that differ in their numbers alone the first, and how many there are."""
    for _, alike in groupby(lines, key=lambda line: re.sub(r"\d+", "0", line)):
        first, *more = alike
        if len(more) < _FEW:
            yield from (first, *more)
        else:
            yield f"{first} (the first of {len(more) + 1} such lines)"


def _problems(run: Run) -> list[str]:
    return [problem for problem in run["problems"] if problem not in _remarks(run)]


def _remarks(run: Run) -> list[str]:
    """What early runs told as problems though the judge counts it: frames set aside, requeued and well."""
    return [problem for problem in run["problems"] if problem.startswith("set aside, e.g.")]


def _often(some: Sequence[Run]) -> dict[str, int]:
    """How often what was done; that each run starts a daemon goes without saying."""
    often = _added(run["provoked"] for run in some)
    last = sorted(often, key=lambda name: name.startswith("processes left behind"))
    return {name: often[name] for name in last if name != _STARTS or often[name] > len(some)}


def _counted(name: str) -> bool:
    """What the oracle counts in every scenario: in the table of the judge."""
    counted = (
        "files",
        "poison:",
        "rows",
        "of these",
        "messages",
        "streams",
        "outputs",
        "published",
        "sound frames",
    )
    return (
        name in _JUDGED or name.startswith(counted) or name.startswith(("tracebacks", "unexpected", "exit"))
    )


def _runs(runs: Sequence[Run]) -> Iterable[str]:
    yield "| run | began (UTC) | minutes | commit | seed | load | command |"
    yield "|---|---|---|---|---|---|---|"
    for run in runs:
        load = run["conditions"].get("load at the end (1 min)", "")
        yield (
            f"| {run['scenario']} | {run['began_at'][:16]} | {run['seconds'] / 60:.1f} | `{run['commit']}` "
            f"| {run['seed']} | {load} | `{run['command']}` |"
        )
    yield ""
    about = runs[-1]["conditions"] if runs else {}
    said = ", ".join(f"{k} {v}" for k, v in about.items() if not k.startswith("load"))
    yield f"{sum(run['seconds'] for run in runs) / 60:.0f} minutes in all. {said}."


def _added(each: Iterable[dict[str, float]]) -> dict[str, Any]:
    """Sums of what is counted; of what is measured the largest."""
    found: dict[str, Any] = {}
    for figures in each:
        for name, value in figures.items():
            largest = name.startswith(_NEVER_ADDED)
            found[name] = max(found.get(name, value), value) if largest else found.get(name, 0) + value
    return found


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


def write_page(page: Path, runs: Sequence[Run]) -> None:
    """Replace what stands between the marks."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    if not rest:
        raise SystemExit(f"{page} has no mark {BEGIN}")
    page.write_text(f"{before}{BEGIN}\n\n{tables(runs)}\n{END}{after}", encoding="utf-8")


def main() -> int:
    """Write the tables into the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture.table", description=__doc__)
    parser.add_argument("results", type=Path, nargs="*", default=[results.DEFAULT])
    parser.add_argument("--page", type=Path, default=PAGE)
    arguments = parser.parse_args()
    write_page(arguments.page, [run for path in arguments.results for run in results.read(path)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
