"""A comparison of two weights as tables for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from semdaemon.cli.printable import printable
from semdaemon.cli.scorelines import shortened

if TYPE_CHECKING:
    from semdaemon.training.evaluation.agreement import Agreement, Side
    from semdaemon.training.evaluation.compare import Comparison
    from semdaemon.training.evaluation.pairing import Difference

# Okabe and Ito's blue and vermillion, as in the pictures: no red against green.
_A, _B = "#56b4e9", "#e69f00"

_COLUMNS = (
    "kept: regions that the audit let through; unexplained: share of contrast that the result, blurred "
    "again, does not explain (0 is best); blur: as the estimator sees the changed tiles before and after; "
    "apart: difference where both changed the frame, in units of its noise."
)


def show_truth(result: Comparison, names: tuple[str, str], said: Sequence[str]) -> None:
    """One line a condition, then the verdict."""
    console = Console(highlight=False)
    table = _table(f"{result.frames} sharp frames, degraded: PSNR in dB, SSIM; differences are B - A")
    table.add_column("condition", overflow="fold")
    for head in (f"A {names[0]}", f"B {names[1]}", "dB", "95 %", "SSIM", "95 %"):
        table.add_column(head, justify="right", overflow="fold")
    for row in result.rows:
        table.add_row(
            row.name,
            *(f"{psnr:.2f}" for psnr in row.psnr_db),
            *_cells(row.psnr_difference_db, 2),
            *_cells(row.ssim_difference, 3),
        )
    console.print(table)
    _say(console, said)


def show_frames(compared: Sequence[tuple[str, Side, Side, Agreement]], names: tuple[str, str]) -> None:
    """Two lines a frame, A above B, then what can be said of all of them."""
    console = Console(highlight=False)
    table = _table("Frames as they are")
    for head in ("frame", "weights"):
        table.add_column(head, overflow="fold")
    for head in ("kept", "changed", "unexplained", "blur px", "s", "apart"):
        table.add_column(head, justify="right", no_wrap=True)
    for frame, a, b, both in compared:
        table.add_row(shortened(printable(frame), 20), f"[{_A}]{names[0]}[/]", *_figures(a), "")
        apart = "-" if both.rms_over_noise is None else f"{both.rms_over_noise:.2f}"
        table.add_row("", f"[{_B}]{names[1]}[/]", *_figures(b), apart, end_section=True)
    console.print(table)
    _say(console, [_COLUMNS, *summary(compared, names)])


def summary(compared: Sequence[tuple[str, Side, Side, Agreement]], names: tuple[str, str]) -> list[str]:
    """What frames without a truth can show, in words."""
    if not any(side.regions for _, a, b, _ in compared for side in (a, b)):
        return ["Neither found anything to refocus in these frames, so there is nothing to compare."]
    lines = []
    for place, name in enumerate(names, 1):
        sides: list[Side] = [entry[place] for entry in compared]  # type: ignore[misc]
        regions, accepted = sum(s.regions for s in sides), sum(s.accepted for s in sides)
        seconds = sum(s.seconds for s in sides)
        lines.append(
            f"{name}: the audit let {accepted} of {regions} regions through; {seconds:.1f} s in all."
        )
    explained = [(a.unexplained, b.unexplained) for _, a, b, _ in compared]
    known = [(a, b) for a, b in explained if a is not None and b is not None]
    if known:
        wins = sum(a < b for a, b in known), sum(b < a for a, b in known)
        lines.append(
            f"Blurred again, results of {names[0]} explain the frame better in {wins[0]} of {len(known)}, "
            f"of {names[1]} in {wins[1]}, of both alike in {len(known) - sum(wins)}."
        )
    apart = [both.rms_over_noise for *_, both in compared if both.rms_over_noise is not None]
    if apart:
        worst = max(
            (entry for entry in compared if entry[3].rms_over_noise is not None),
            key=lambda entry: entry[3].rms_over_noise or 0.0,
        )
        lines.append(
            f"Where both changed a frame they differ by {sum(apart) / len(apart):.2f} times its noise on "
            f"average, most in {worst[0]} ({max(apart):.2f})."
        )
    lines.append(
        "Which of two differing answers is right these frames cannot tell: compare on sharp frames (--data)."
    )
    return lines


def _say(console: Console, lines: Sequence[str]) -> None:
    for line in lines:
        text = textwrap.fill(printable(line), console.width, initial_indent="- ", subsequent_indent="  ")
        console.print(text, markup=False, soft_wrap=True)


def _figures(side: Side) -> tuple[str, ...]:
    if not side.regions:
        return ("none", "-", "-", "-", "-")
    blur = "-"
    if side.sigma_before_px is not None and side.sigma_after_px is not None:
        blur = f"{side.sigma_before_px:.2f} → {side.sigma_after_px:.2f}"
    unexplained = "-" if side.unexplained is None else f"{side.unexplained:.3f}"
    regions = f"{side.accepted}/{side.regions}"
    return (regions, f"{side.changed:.0%}", unexplained, blur, f"{side.seconds:.2f}")


def _cells(difference: Difference, digits: int) -> tuple[str, str]:
    style = {1: _B, -1: _A, 0: "dim"}[difference.sign]
    mean = f"[{style}]{difference.mean:+.{digits}f}[/]"
    return mean, f"[dim]{difference.low:+.{digits}f} {difference.high:+.{digits}f}[/]"


def _table(title: str) -> Table:
    return Table(
        box=SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False, padding=0
    )
