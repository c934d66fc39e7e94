"""The judge: what was written, against the journal, the output folder and what was published.

It shares no code with what it judges, but for `semdaemon verify`, whose word it asks beside its own.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import tifffile

from .frames import Written
from .lab import FINAL, Lab

_VERIFIED_AT_ONCE = 200
_ABOUT_A_PART = "output_unwritable"
"""A fault of the disk that is told once an outage, with the frame that met it first."""


@dataclass
class Verdict:
    """What was found.

    Attributes
    ----------
    lost
        Files without a row, or whose row is not final.
    wrong_end
        Final, but not in a state that is right for the file: a sound frame that failed, say.
    twice_unsaid
        Messages about a frame that came before, without ``redelivered`` saying so.
    unheard
        Published frames whose score neither receiver heard: sent by a daemon that was killed at that moment.
    """

    counts: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    wrong_end: Counter[str] = field(default_factory=Counter)
    twice_unsaid: int = 0
    unheard: int = 0
    outputs: int = 0
    outputs_bad: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems

    def complain(self, what: str, examples: Iterable[object]) -> int:
        """Note a problem with its first examples; how many there are."""
        found = list(examples)
        if found:
            self.problems.append(f"{len(found)} {what}, e.g. {', '.join(str(each) for each in found[:3])}")
        return len(found)


def judge(lab: Lab, *, originals_reachable: bool = True) -> Verdict:
    """Judge a laboratory whose daemon was stopped."""
    verdict = Verdict()
    rows = lab.query("SELECT * FROM frames")
    by_path: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_path.setdefault(row["path"], []).append(row)
    _ends(lab, by_path, verdict)
    _outputs(lab, rows, verdict)
    _messages(lab, rows, verdict)
    if originals_reachable:
        _originals(lab, verdict)
    verdict.counts = {
        "files written": len(lab.written),
        **{f"poison: {k}": n for k, n in sorted(_kinds(lab).items()) if k not in ("sharp", "blurred")},
        **{f"rows {state}": n for state, n in sorted(Counter(r["state"] for r in rows).items())},
        **{
            f"of these {r}": n
            for r, n in sorted(Counter(r["reason"] for r in rows if r["state"] == "published").items())
        },
        **{f"messages {event}": n for event, n in sorted(lab.recorder.counts().items())},
        "streams heard": len(lab.recorder.epochs),
        "messages healed by the subscriber": lab.recorder.healed,
        "messages the subscriber said are lost": lab.recorder.gaps,
    }
    return verdict


def _kinds(lab: Lab) -> Counter[str]:
    return Counter(each.kind for each in lab.written.values())


def _ends(lab: Lab, by_path: dict[str, list[dict[str, Any]]], verdict: Verdict) -> None:
    """Exactly one final state for every file, and the right one."""
    missing, is_open, double = [], [], []
    for path, written in lab.written.items():
        rows = by_path.pop(str(path), [])
        if not rows:
            missing.append(path.name)
        elif any(row["state"] not in FINAL for row in rows):
            is_open.append(f"{path.name} {rows[0]['state']} {rows[0]['reason']}")
        elif len(rows) > 1 and len({row["page"] for row in rows}) < len(rows):
            double.append(path.name)
        else:
            _end(rows[0], written, verdict)
    verdict.lost = verdict.complain("files without a row", missing) + verdict.complain(
        "files left open", is_open
    )
    verdict.complain("files with several rows", double)
    verdict.complain("rows of files that nobody wrote", by_path)
    verdict.problems += [f"{n} ended {how}" for how, n in sorted(verdict.wrong_end.items())]


def _end(row: dict[str, Any], written: Written, verdict: Verdict) -> None:
    right = row["state"] in written.expected or (not written.good and row["reason"] == "duplicate_content")
    if right and row["state"] == "published" and row["content_sha256"] != written.sha256:
        verdict.problems.append(f"{written.path.name} was published with other bytes than were written")
    if row["state"] in ("failed", "skipped") and not row["reason"]:
        verdict.problems.append(f"{written.path.name} {row['state']} without a reason")
    if not right:
        verdict.wrong_end[f"{written.kind} {row['state']}: {row['reason']}"] += 1


# -- outputs ------------------------------------------------------------------------------------------------


def _outputs(lab: Lab, rows: list[dict[str, Any]], verdict: Verdict) -> None:
    told = {Path(row["output"]): row for row in rows if row["output"]}
    there = set(lab.output.rglob("*.refocused.tif"))
    verdict.outputs = len(there)
    verdict.complain("outputs told but not there", (p.name for p in told.keys() - there - lab.lost_by_hand))
    verdict.complain("outputs that no row tells of", (p.name for p in there - told.keys()))
    hidden = (p for p in lab.output.rglob("*") if p.name.startswith(".") or p.suffix == ".tmp")
    verdict.complain("temporary files left", (p.name for p in hidden))
    alone = [p for p in there if not p.with_name(p.name.replace(".tif", ".json")).is_file()]
    verdict.complain("outputs without the provenance beside", (p.name for p in alone))
    bad = [path.name for path in sorted(there) if path in told and not _holds(path, Path(told[path]["path"]))]
    verdict.outputs_bad = verdict.complain("outputs whose pages are not the original's outside the mask", bad)
    verdict.outputs_bad += verdict.complain(
        "outputs that 'semdaemon verify' refuses", _refused(sorted(there))
    )


def _holds(output: Path, original: Path) -> bool:
    """By tifffile alone: the last page is the original, and so is everything outside the mask."""
    try:
        with tifffile.TiffFile(output) as tif:
            refocused, mask, last = (tif.pages[k].asarray() for k in (0, 1, -1))
        pixels = tifffile.imread(original) if original.is_file() else last
    except (OSError, ValueError, IndexError, tifffile.TiffFileError):
        return False
    outside = mask == 0
    return bool(np.array_equal(last, pixels) and np.array_equal(refocused[outside], pixels[outside]))


def _refused(paths: list[Path]) -> list[str]:
    refused: list[str] = []
    for start in range(0, len(paths), _VERIFIED_AT_ONCE):
        some = paths[start : start + _VERIFIED_AT_ONCE]
        command = [sys.executable, "-m", "semdaemon", "verify", *map(str, some)]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            continue
        refused += [
            p.name for p in some if subprocess.run([*command[:4], str(p)], capture_output=True).returncode
        ]
    return refused


# -- messages and originals ---------------------------------------------------------------------------------


def _messages(lab: Lab, rows: list[dict[str, Any]], verdict: Verdict) -> None:
    before: set[tuple[str, str, str]] = set()
    twice, scored = [], set[str]()
    for heard in lab.recorder.all():
        what = (heard.event, heard.uri, heard.code)
        if what in before and not heard.redelivered and heard.code != _ABOUT_A_PART and heard.uri != "None":
            twice.append(f"{heard.event} {heard.code} of {Path(unquote(urlsplit(heard.uri).path)).name}")
        before.add(what)
        if heard.event == "score":
            scored.add(heard.uri)
    verdict.twice_unsaid = verdict.complain("messages repeated without saying so", twice)
    published = [row["uri"] for row in rows if row["state"] == "published"]
    verdict.unheard = sum(uri not in scored for uri in published)
    told = lab.recorder.caught_up
    untold = [row["path"] for row in rows if row["state"] in FINAL and (row["uri"], row["state"]) not in told]
    verdict.complain("ends that a subscriber does not learn when it catches up", untold)


def _originals(lab: Lab, verdict: Verdict) -> None:
    changed, there = [], set[Path]()
    for root in lab.roots:
        there |= {path for path in root.rglob("*") if path.is_file()}
    for path, written in lab.written.items():
        if path not in there or hashlib.sha256(path.read_bytes()).hexdigest() != written.sha256:
            changed.append(path.name)
    verdict.complain("originals that are not what was written", changed)
    verdict.complain(
        "files in an acquisition folder that nobody wrote", (p.name for p in there - lab.written.keys())
    )
