"""The card beside an estimator's file: what it is, where it comes from, what it can do."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from semdaemon.training.listing import INDEX_ENCODING, index_of


def write_card(model: Path, card: dict[str, Any]) -> None:
    text = json.dumps(card, indent=1, ensure_ascii=False)
    model.with_suffix(".json").write_text(text + "\n", encoding="utf-8")


def levels(edges_px: Iterable[float]) -> list[float]:
    """Blurs between which the bins lie, as a card has them."""
    return [round(float(edge), 6) for edge in edges_px]


def sources(data: Path) -> list[dict[str, Any]]:
    """Frames by source and licence, from the folder's ``index.csv`` (empty without one)."""
    index = index_of(data)
    if index is None:
        return []
    counts: dict[tuple[str, str], int] = {}
    with index.open(newline="", encoding=INDEX_ENCODING) as text:
        for row in csv.DictReader(text):
            if row.get("part") == data.name:
                key = (row["source"], row["licence"])
                counts[key] = counts.get(key, 0) + 1
    return [{"source": s, "licence": lic, "frames": n} for (s, lic), n in sorted(counts.items())]
