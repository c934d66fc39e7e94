"""The figures as tables in markdown: of a page between two marks in it, or for the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from semdaemon.focus import UNDECIDED
from semdaemon.settings import Focus
from semdaemon.training.focus.selection import error_needed, expected_when_decided

BEGIN = "<!-- figures: written by semdaemon evaluate --focus --card --page -->"
END = "<!-- end of figures -->"

_COLUMNS = {
    "R = 2": "auc_r2",
    "R = 3": "auc_r3",
    "R = 5": "auc_r5",
    "R = 3, sharp 10, blurred 200": "auc_r3_sharp_10_blurred_200",
    "R = 3, sharp 200, blurred 10": "auc_r3_sharp_200_blurred_10",
}
_BESIDE = [
    "e/px",
    "error, all tiles",
    "decided",
    "error, decided",
    "the same, prior taken out",
    "decided, calibrated",
    "error, decided, calibrated",
    "error of all for 0.20",
]
_UNEVEN = {
    "wrong": ("wrong", "{:.1%}"),
    "undecided": ("undecided", "{:.0%}"),
    "error": ("median_relative_error", "{:.2f}"),
    "in 90 % interval": ("coverage_90", "{:.0%}"),
}


def write_tables(page: Path, card: dict[str, Any]) -> None:
    """Replace what stands between the marks of a markdown page by the card's figures."""
    text = page.read_text(encoding="utf-8")
    head, mark, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (mark and end):
        raise ValueError(f"{page} lacks the marks {BEGIN!r} and {END!r}")
    page.write_text(f"{head}{BEGIN}\n\n{of_card(card)}\n{END}{tail}", encoding="utf-8")


def of_card(card: dict[str, Any]) -> str:
    """A card's held-out figures, with those on validation frames in a line."""
    validation = card["validation"]
    table = next(iter(validation["auc"].values()))
    compared = ", ".join(
        f"{name} {_three(table[name])}"
        for name in ("learned, tile alone", "learned, in context", "F4n (slow axis)", "SIRAF fit")
    )
    made = card["training"]
    began = " more, on from earlier weights" if made.get("started_from") else ""
    return (
        f"Weights `{card['sha256'][:16]}`, {made['iterations']} batches{began}.\n"
        f"On the {validation['frames']} validation frames, at R = 2 / 3 / 5: {compared}.\n\n"
        + tables(card["heldout"])
    )


def tables(figures: dict[str, Any]) -> str:
    """All tables of `semdaemon.training.focus.report.figures` in markdown."""
    parts = [f"{figures['frames']} frames, {figures['tiles_per_condition']} tiles per condition.\n"]
    for what, table in figures["auc"].items():
        parts += [f"### Sharp against blurred, area under the ROC curve: {what}\n", _auc(table)]
    if "context" in figures:
        parts += _of_blur(figures)
    return "\n".join(parts)


def _of_blur(figures: dict[str, Any]) -> list[str]:
    alone, context = figures["alone"], figures["context"]
    truth = {radius: next(iter(row.values())) for radius, row in context["true_sigma_px"].items()}
    return [
        "### Blur, median of the estimate in pixels, in context\n",
        _grid(context["median_sigma_px"], "true blur, median", truth),
        "### Median relative error of the blur, tile alone / in context / in context and decided\n",
        _three_grids(
            alone["median_relative_error"],
            context["median_relative_error"],
            context["median_relative_error_decided"],
        ),
        "### Beside the limit: disc of 2 px, in context, measured and as of a calibrated estimator\n",
        _beside_the_limit(context),
        "### The stated 90 % interval holds the truth in\n",
        _coverage(alone["coverage_90"], context["coverage_90"]),
        "### Verdicts of tiles alone, % sharp / blurred / beyond repair / undecided\n",
        _verdicts(alone["verdicts"]),
        "### Verdicts in context (the default), % sharp / blurred / beyond repair / undecided\n",
        _verdicts(context["verdicts"]),
        "### Frames whose focus varies, tile alone / in context\n",
        _uneven(figures["uneven"]),
        "### Noise and electrons, told over true: 10 %, 50 % and 90 % of the frames\n",
        _noise(figures["noise"]),
    ]


def _auc(table: dict[str, dict[str, float | None]]) -> str:
    rows = [
        [name, *(_figure(row[key], "{:.3f}") for key in _COLUMNS.values())] for name, row in table.items()
    ]
    return _table(["estimator", *_COLUMNS], rows)


def _three(row: dict[str, float | None]) -> str:
    return " / ".join(_figure(row[key], "{:.3f}") for key in ("auc_r2", "auc_r3", "auc_r5"))


def _grid(table: dict[str, dict[str, float | None]], extra: str, values: dict[str, float | None]) -> str:
    doses = list(next(iter(table.values())))
    rows = [
        [radius, _figure(values[radius], "{:.2f}"), *(_figure(row[dose], "{:.2f}") for dose in doses)]
        for radius, row in table.items()
    ]
    return _table(["disc R", extra, *(f"{dose} e/px" for dose in doses)], rows)


def _three_grids(*tables: dict[str, dict[str, float | None]]) -> str:
    doses = list(next(iter(tables[0].values())))
    rows = [
        [radius, *(" / ".join(_figure(t[radius][dose], "{:.2f}") for t in tables) for dose in doses)]
        for radius in tables[0]
    ]
    return _table(["disc R", *(f"{dose} e/px" for dose in doses)], rows)


def _beside_the_limit(context: dict[str, Any], radius: str = "2") -> str:
    """Error of all tiles and of those decided, beside what deciding alone makes of the error of all."""
    if radius not in context["verdicts"]:
        return ""
    limit_px, confidence = Focus().sharp_sigma_px, Focus().confidence
    rows = []
    for dose, shares in context["verdicts"][radius].items():
        over_all, truth_px, decided, unshrunk = (
            context[name][radius][dose]
            for name in (
                "median_relative_error",
                "true_sigma_px",
                "median_relative_error_decided",
                "median_relative_error_decided_no_prior",
            )
        )
        share, error = expected_when_decided(over_all, truth_px, limit_px=limit_px, confidence=confidence)
        bound = error_needed(0.2, truth_px, limit_px=limit_px, confidence=confidence)
        measured = [f"{1 - shares[UNDECIDED]:.0%}", _figure(decided, "{:.2f}"), _figure(unshrunk, "{:.2f}")]
        calibrated = [f"{share:.0%}", f"{error:.2f}", f"{bound:.2f}"]
        rows.append([dose, _figure(over_all, "{:.2f}"), *measured, *calibrated])
    return _table(_BESIDE, rows)


def _coverage(alone: dict[str, float], context: dict[str, float]) -> str:
    rows = [
        [name, *(f"{100 * share:.1f} %" for share in shares.values())]
        for name, shares in (("tile alone", alone), ("in context", context))
    ]
    return _table(["", *(dose if dose == "all" else f"{dose} e/px" for dose in context)], rows)


def _verdicts(table: dict[str, dict[str, list[float]]]) -> str:
    doses = list(next(iter(table.values())))
    rows = [
        [radius, *(" / ".join(f"{100 * share:.0f}" for share in row[dose]) for dose in doses)]
        for radius, row in table.items()
    ]
    return _table(["disc R", *(f"{dose} e/px" for dose in doses)], rows)


def _uneven(table: dict[str, dict[str, dict[str, float | None]]]) -> str:
    rows = []
    for form, both in table.items():
        cells = [
            " / ".join(_figure(both[way][key], pattern) for way in ("alone", "context"))
            for key, pattern in _UNEVEN.values()
        ]
        rows.append([form, str(both["context"]["tiles"]), *cells])
    return _table(["focus", "tiles", *_UNEVEN], rows)


def _noise(table: dict[str, dict[str, dict[str, Any]]]) -> str:
    rows = [
        [
            radius,
            dose,
            _ratios(row["sd_ratio"]),
            f"{row['electrons_told']:.0%}",
            _ratios(row["electrons_ratio"]),
        ]
        for radius, doses in table.items()
        for dose, row in doses.items()
    ]
    return _table(["disc R", "e/px at full scale", "noise", "frames with electrons told", "electrons"], rows)


def _ratios(points: list[float] | None) -> str:
    return "-" if points is None else " / ".join(f"{point:.2f}" for point in points)


def _figure(value: float | None, pattern: str) -> str:
    return "-" if value is None else pattern.format(value)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"
