"""The card's figures as tables of a page, between two marks in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

BEGIN = "<!-- figures: written by python -m semdaemon.training.focus evaluate --page -->"
END = "<!-- end of figures -->"


def write_tables(page: Path, card: dict[str, Any]) -> None:
    """Replace what stands between the marks of a markdown page by the card's figures."""
    text = page.read_text(encoding="utf-8")
    head, mark, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (mark and end):
        raise ValueError(f"{page} lacks the marks {BEGIN!r} and {END!r}")
    page.write_text(f"{head}{BEGIN}\n\n{tables(card)}\n{END}{tail}", encoding="utf-8")


def tables(card: dict[str, Any]) -> str:
    """All tables in markdown."""
    held, validation = card["heldout"], card["validation"]
    doses = [dose for dose in held["coverage_90"] if dose != "all"]
    others = ("learned", "F4n (slow axis)", "SIRAF fit")
    compared = ", ".join(f"{name} {_three(validation['auc'][name])}" for name in others)
    parts = [
        (
            f"Weights `{card['sha256'][:16]}`, {card['training']['iterations']} batches; "
            f"{held['frames']} held-out frames, {held['tiles_per_condition']} tiles per condition.\n"
        ),
        "### Sharp against blurred, area under the ROC curve\n",
        _auc(held["auc"]),
        f"On the {validation['frames']} validation frames, at R = 2 / 3 / 5: {compared}.\n",
        "### Blur, median of the estimate in pixels\n",
        _grid(held["median_sigma_px"], "true sigma", _truth(card)),
        "### Median relative error of the blur\n",
        _grid(held["median_relative_error"]),
        "### The stated 90 % interval holds the truth in\n",
        "| all | " + " | ".join(f"{dose} e/px" for dose in doses) + " |",
        "|" + " --- |" * (1 + len(doses)),
        "| " + " | ".join(f"{100 * share:.1f} %" for share in held["coverage_90"].values()) + " |\n",
        "### Verdicts with the default settings, % sharp / blurred / beyond repair / undecided\n",
        _verdicts(held["verdicts"]),
    ]
    return "\n".join(parts)


def _auc(table: dict[str, dict[str, float | None]]) -> str:
    lines = [
        "| estimator | R = 2 | R = 3 | R = 5 | R = 3, sharp 10, blurred 200 | R = 3, sharp 200, blurred 10 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, row in table.items():
        keys = ("auc_r2", "auc_r3", "auc_r5", "auc_r3_sharp_10_blurred_200", "auc_r3_sharp_200_blurred_10")
        figures = [row[key] for key in keys]
        cells = " | ".join("-" if figure is None else f"{figure:.3f}" for figure in figures)
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines) + "\n"


def _three(row: dict[str, float | None]) -> str:
    figures = [row[key] for key in ("auc_r2", "auc_r3", "auc_r5")]
    return " / ".join("-" if figure is None else f"{figure:.3f}" for figure in figures)


def _truth(card: dict[str, Any]) -> dict[str, float]:
    focus = float(card["sigma_in_focus_px"])
    return {r: (focus**2 + (float(r) / 2) ** 2) ** 0.5 for r in card["heldout"]["median_sigma_px"]}


def _grid(
    table: dict[str, dict[str, float]], extra: str | None = None, values: dict[str, float] | None = None
) -> str:
    doses = list(next(iter(table.values())))
    names = ["disc R", *([extra] if extra else []), *(f"{dose} e/px" for dose in doses)]
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    for radius, row in table.items():
        known = [f"{values[radius]:.2f}"] if values else []
        lines.append("| " + " | ".join([radius, *known, *(f"{row[dose]:.2f}" for dose in doses)]) + " |")
    return "\n".join(lines) + "\n"


def _verdicts(table: dict[str, dict[str, list[float]]]) -> str:
    doses = list(next(iter(table.values())))
    lines = [
        "| disc R | " + " | ".join(f"{d} e/px" for d in doses) + " |",
        "|" + " --- |" * (len(doses) + 1),
    ]
    for radius, row in table.items():
        cells = [" / ".join(f"{100 * share:.0f}" for share in row[dose]) for dose in doses]
        lines.append(f"| {radius} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
