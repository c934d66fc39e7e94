"""What a comparison of two weights showed, in plain words."""

from __future__ import annotations

from collections.abc import Sequence

from semdaemon.training.evaluation.compare import Comparison, ConditionResult
from semdaemon.training.evaluation.pairing import LEAST_DRAWN


def verdict(result: Comparison, a: str, b: str) -> list[str]:
    """Sentences: where either of the two is better, where these frames cannot tell, and what harm is done.

    Parameters
    ----------
    a, b
        Names of the weights.
    """
    lines = [_overall(result, a, b)]
    if result.drawn.count >= LEAST_DRAWN:
        lines += _by_condition(result, a, b)
    return [*lines, *_harm(result, a, b)]


def _overall(result: Comparison, a: str, b: str) -> str:
    difference = result.overall_db
    interval = f"95 % interval over {result.drawn.over} {difference.low:+.2f} to {difference.high:+.2f}"
    measured = f"{b} less {a}: {difference.mean:+.2f} dB ({interval})"
    if result.drawn.count < LEAST_DRAWN:
        needed = f"at least {LEAST_DRAWN} are needed"
        if result.drawn.whole:
            needed = f"frames of {needed}; an index.csv with columns file,group says better than names do"
        return f"{result.drawn} cannot show which is better ({needed}): {measured}."
    if difference.sign == 0:
        return f"Over all conditions these {result.drawn} can show no difference: {measured}."
    better = b if difference.sign > 0 else a
    return f"Over all conditions {better} is better on these {result.drawn}: {measured}."


def _by_condition(result: Comparison, a: str, b: str) -> list[str]:
    groups = [(f"{b} is better at", 1), (f"{a} is better at", -1)]
    lines = []
    for words, sign in groups:
        rows = [row for row in result.rows if row.psnr_difference_db.sign == sign]
        if rows:
            lines.append(f"{words} {_listed(rows)}.")
    even = [row for row in result.rows if row.psnr_difference_db.sign == 0]
    if even and len(even) < len(result.rows):
        lines.append(f"No difference that these {result.drawn} can show at {_names(even)}.")
    against = [row for row in result.rows if row.psnr_difference_db.sign * row.ssim_difference.sign < 0]
    if against:
        lines.append(
            f"PSNR and SSIM disagree at {_names(against)}: one smooths more than the other; look at pictures."
        )
    return lines


def _harm(result: Comparison, a: str, b: str) -> list[str]:
    lines = []
    for side, name in enumerate((a, b)):
        lost = [row for row in result.rows if row.worse_than_input[side]]
        harm = result.harm[side]
        line = f"{name} changes sharp frames by {harm.rms_grey:.1f} grey levels of 255"
        line += f" (worst {harm.worst_rms_grey:.1f}: {harm.worst_frame})"
        if lost:
            worst = min(lost, key=lambda row: row.worst_gain_db[side])
            count = sum(row.worse_than_input[side] for row in result.rows)
            line += (
                f"; {count} of {result.frames * len(result.rows)} crops came out worse than they went in, "
                f"most of all {worst.worst_frame[side]} at {worst.name} ({worst.worst_gain_db[side]:+.1f} dB)"
            )
        else:
            line += "; no crop came out worse than it went in"
        lines.append(line + ".")
    return lines


def _listed(rows: Sequence[ConditionResult]) -> str:
    return "; ".join(f"{row.name} ({abs(row.psnr_difference_db.mean):.2f} dB)" for row in rows)


def _names(rows: Sequence[ConditionResult]) -> str:
    return "; ".join(row.name for row in rows)
