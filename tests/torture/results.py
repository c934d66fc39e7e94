"""Figures of runs: one JSON file, one entry a run, written after each scenario and never by hand."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
DEFAULT = REPOSITORY / "docs" / "reliability" / "results.json"


@dataclass(frozen=True)
class Run:
    """One run of one scenario; also what other measurements put into the file.

    Attributes
    ----------
    provoked
        What was done, how often.
    figures
        What was counted and measured; a number each.
    lost
        Frames lost; None where the scenario has no frames.
    problems
        What was not as it must be, in words; empty is good.
    conditions
        Machine, versions, load.
    told
        Lines that a measurement printed.
    """

    scenario: str
    title: str
    did: str
    not_shown: str
    provoked: dict[str, int]
    figures: dict[str, float]
    lost: int | None
    problems: list[str]
    seconds: float
    seed: int
    command: str
    commit: str = ""
    began_at: str = ""
    conditions: dict[str, str] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)


def commit() -> str:
    """The commit that was run, with a mark where files differed from it."""
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude", "*"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    return said.stdout.strip() or "unknown"


def conditions() -> dict[str, str]:
    """What a reader must know to compare figures."""
    return {
        "processors": str(os.cpu_count()),
        "load at the end (1 min)": f"{os.getloadavg()[0]:.1f}",
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
    }


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def read(path: Path) -> list[dict[str, Any]]:
    """Runs so far; none where there is no file."""
    return list(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else []


def append(path: Path, run: Run) -> None:
    """Add one run; the file is whole at every moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    runs = [*read(path), asdict(run)]
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(runs, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)
