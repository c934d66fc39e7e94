"""Which files of a folder are frames, and of which specimens: by its ``index.csv``, else by their names."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from semdaemon.errors import SemdaemonError
from semdaemon.training.pictures import SUFFIXES

INDEX_ENCODING = "utf-8-sig"
"""Spreadsheets write a mark at the start of a file; UTF-8 without one is read as well."""

Listed = tuple[Path, str, float | None]
"""File, specimen group, cutoff in cycles per pixel (None where nobody has said it)."""


def index_of(folder: Path) -> Path | None:
    """The index of a folder: in it, or beside it where the folder is one part of several."""
    return next((p / "index.csv" for p in (folder, folder.parent) if (p / "index.csv").exists()), None)


def listed(folder: Path) -> list[Listed]:
    """The frames of a folder: the index's, or every picture; empty where there is none.

    Raises
    ------
    SemdaemonError
        ``index_unreadable``.
    """
    index = index_of(folder)
    return _unindexed(folder) if index is None else _indexed(folder, index)


def specimen_groups(folder: Path, paths: Sequence[Path]) -> list[str]:
    """The specimen group of each picture in a folder, as `listed` has it.

    Pictures that an index does not list are each of their own.

    Raises
    ------
    SemdaemonError
        ``index_unreadable``.
    """
    index = index_of(folder)
    if index is None:
        return _groups_by_name(paths)
    known = {file: group for file, group, _ in _rows(index)}
    names = [path.relative_to(folder).as_posix() for path in paths]
    return [known.get(name) or known.get(Path(name).name) or name for name in names]


def _indexed(folder: Path, index: Path) -> list[Listed]:
    """Of the index's rows those whose file is in the folder or its ``train`` part."""
    found: list[Listed] = []
    for file, group, cutoff in _rows(index):
        path = next((p for p in (folder / file, folder / "train" / file) if p.exists()), None)
        if path is not None:
            found.append((path, group, cutoff))
    return found


def _rows(index: Path) -> list[tuple[str, str, float]]:
    """File, specimen group and cutoff of each row."""
    try:
        with index.open(newline="", encoding=INDEX_ENCODING) as text:
            rows = csv.DictReader(text)
            return [(row["file"], _group_of(row), float(row.get("cutoff") or 0.5)) for row in rows]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        why = "it has no column 'file'" if isinstance(error, KeyError) else str(error)
        raise SemdaemonError(
            "index_unreadable",
            f"{index} is no index of frames: {why}.",
            remedy="An index.csv in a folder of frames, or beside it, has the columns file and group, and "
            "perhaps cutoff (cycles per pixel); mend it, or move it away.",
        ) from error


def _group_of(row: dict[str, str]) -> str:
    return f"{row.get('source', '')}/{row.get('group', Path(row['file']).stem)}"


def _unindexed(folder: Path) -> list[Listed]:
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    return [(path, group, None) for path, group in zip(paths, _groups_by_name(paths), strict=True)]


def _groups_by_name(paths: Sequence[Path]) -> list[str]:
    """Names that differ only in digits are one group, or each its own where there would be no other."""
    groups = [re.sub(r"\d+", "", p.stem) for p in paths]
    return groups if len(set(groups)) > 1 else [p.stem for p in paths]
