"""Which files of a folder are frames, and of which specimens: by its ``index.csv``, else by their names."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from semdaemon.training.pictures import SUFFIXES

Listed = tuple[Path, str, float | None]
"""File, specimen group, cutoff in cycles per pixel (None where nobody has said it)."""


def index_of(folder: Path) -> Path | None:
    """The index of a folder: in it, or beside it where the folder is one part of several."""
    return next((p / "index.csv" for p in (folder, folder.parent) if (p / "index.csv").exists()), None)


def listed(folder: Path) -> list[Listed]:
    """The frames of a folder: the index's, or every picture; empty where there is none."""
    index = index_of(folder)
    return _unindexed(folder) if index is None else _indexed(folder, index)


def specimen_groups(folder: Path, paths: Sequence[Path]) -> list[str]:
    """The specimen group of each picture in a folder, as `listed` has it.

    Pictures that an index does not list are each of their own.
    """
    index = index_of(folder)
    if index is None:
        return _groups_by_name(paths)
    with index.open(newline="", encoding="utf-8") as text:
        known = {row["file"]: _group_of(row) for row in csv.DictReader(text)}
    names = [path.relative_to(folder).as_posix() for path in paths]
    return [known.get(name) or known.get(Path(name).name) or name for name in names]


def _indexed(folder: Path, index: Path) -> list[Listed]:
    """Of the index's rows those whose file is in the folder or its ``train`` part."""
    found: list[Listed] = []
    with index.open(newline="", encoding="utf-8") as text:
        for row in csv.DictReader(text):
            places = (folder / row["file"], folder / "train" / row["file"])
            path = next((p for p in places if p.exists()), None)
            if path is not None:
                found.append((path, _group_of(row), float(row.get("cutoff") or 0.5)))
    return found


def _group_of(row: dict[str, str]) -> str:
    return f"{row.get('source', '')}/{row.get('group', Path(row['file']).stem)}"


def _unindexed(folder: Path) -> list[Listed]:
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    return [(path, group, None) for path, group in zip(paths, _groups_by_name(paths), strict=True)]


def _groups_by_name(paths: Sequence[Path]) -> list[str]:
    """Names that differ only in digits are one group, or each its own where there would be no other."""
    groups = [re.sub(r"\d+", "", p.stem) for p in paths]
    return groups if len(set(groups)) > 1 else [p.stem for p in paths]
