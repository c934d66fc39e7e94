"""Which files of a folder are frames: the rules, and the walk that applies them."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from semdaemon.settings import Folder

OWN_OUTPUT = "*.refocused.tif"
_JUNCTION = getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", None)  # Windows alone has them

Found = tuple[str, int, int]
"""Path below the root, size in bytes, modification time in nanoseconds."""


class Rules:
    """Which names are taken, which are left alone. Case does not matter.

    Parameters
    ----------
    excluded
        Folders of the daemon's own (output, state), left out wherever they lie.
    """

    def __init__(self, settings: Folder, excluded: Iterable[Path] = ()) -> None:
        self.recursive = settings.recursive
        self._taken = _any_of(settings.patterns)
        # Own output is never input, even where a settings file replaced the ignore list.
        self._ignored = _any_of((*settings.ignore, OWN_OUTPUT))
        self._excluded = {os.path.normcase(path.expanduser().resolve()) for path in excluded}

    def takes(self, name: str) -> bool:
        """True for the name of a file (or folder) that counts as a frame."""
        folded = name.casefold()
        return self._taken(folded) and not self._ignored(folded)

    def enters(self, folder: str, name: str) -> bool:
        """True for a folder, by absolute path and name, that is looked into."""
        return not self._ignored(name.casefold()) and os.path.normcase(folder) not in self._excluded

    def takes_below(self, root: str, relative: str) -> bool:
        """True where a walk from ``root`` would reach and take this path."""
        *folders, name = Path(relative).parts
        if folders and not self.recursive:
            return False
        return self.takes(name) and self.enters_below(root, folders)

    def enters_below(self, root: str, folders: Sequence[str]) -> bool:
        """True where a walk from ``root`` would look into the last of these nested folders."""
        at = root
        for name in folders:
            at = os.path.join(at, name)  # noqa: PTH118 (hot path)
            if not self.enters(at, name):
                return False
        return True


def walk(
    root: str,
    rules: Rules,
    *,
    below: str = "",
    entered: Callable[[str], None] | None = None,
    unreadable: Callable[[str, OSError], None] | None = None,
) -> Iterator[Found]:
    """Every frame below a folder.

    Links are not followed: what they point to inside the tree is found under its own name,
    and what lies outside is not ours. A folder whose name looks like a frame's is found too,
    with size and time 0, so that it becomes a fault that somebody can read.

    Parameters
    ----------
    below
        Start here, relative to ``root``.
    entered
        Told of each folder that is listed.
    unreadable
        Told of folders that cannot be read; the walk goes on. Without it nothing is told.

    Raises
    ------
    OSError
        Where the starting folder itself cannot be read.
    """
    pending = [below]
    while pending:
        folder = pending.pop()
        try:
            entries = os.scandir(os.path.join(root, folder))  # noqa: PTH118 (hot path)
        except OSError as error:
            if folder == below:
                raise
            if unreadable is not None and not isinstance(error, FileNotFoundError):
                unreadable(folder, error)
            continue
        if entered is not None:
            entered(folder)
        with entries:
            yield from listed(entries, folder, rules, pending)


def listed(
    entries: Iterable[os.DirEntry[str]], folder: str, rules: Rules, pending: list[str]
) -> Iterator[Found]:
    """The frames among one folder's entries; folders to look into are added to ``pending``."""
    prefix = folder + os.sep if folder else ""
    for entry in entries:
        name = entry.name
        try:
            if entry.is_file(follow_symlinks=False):
                if rules.takes(name):
                    about = entry.stat(follow_symlinks=False)
                    yield prefix + name, about.st_size, about.st_mtime_ns
            elif entry.is_dir(follow_symlinks=False) and not _is_junction(entry):
                if rules.takes(name):
                    yield prefix + name, 0, 0
                if rules.recursive and rules.enters(entry.path, name):
                    pending.append(prefix + name)
        except FileNotFoundError:
            continue  # gone between listing and looking: a later scan will not miss it


def _is_junction(entry: os.DirEntry[str]) -> bool:
    if _JUNCTION is None:
        return False
    return bool(getattr(entry.stat(follow_symlinks=False), "st_reparse_tag", 0) == _JUNCTION)


def _any_of(patterns: Iterable[str]) -> Callable[[str], bool]:
    matches = re.compile("|".join(fnmatch.translate(pattern.casefold()) for pattern in patterns)).match
    return lambda name: matches(name) is not None
