"""Names that are taken, what a walk finds, and what of it is news."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from semdaemon.mounts import is_remote, mount_of
from semdaemon.settings import Folder
from semdaemon.sources.backlog import Memory
from semdaemon.sources.hot import MOST_HOT, HotFolders
from semdaemon.sources.scan import Found, Rules, walk


@pytest.mark.parametrize("name", ["a.tif", "A.TIF", "b.Tiff", "spaces and ü.png", "x.jpeg"])
def test_frames_are_taken_whatever_their_case(name: str) -> None:
    assert Rules(Folder()).takes(name)


@pytest.mark.parametrize("name", ["a.txt", ".a.tif", "a.tif.part", "~a.tif", "A.REFOCUSED.TIF", "tif"])
def test_other_names_are_not(name: str) -> None:
    assert not Rules(Folder()).takes(name)


def test_a_path_is_taken_only_where_a_walk_would_get_to(tmp_path: Path) -> None:
    rules = Rules(Folder(ignore=("thumbs",)), [tmp_path / "out"])
    root = str(tmp_path.resolve())
    assert rules.takes_below(root, "a/b/c.tif")
    assert not rules.takes_below(root, "a/Thumbs/c.tif")
    assert not rules.takes_below(root, "out/c.tif")
    assert not Rules(Folder(recursive=False)).takes_below(root, "a/c.tif")


def test_a_walk_goes_on_past_folders_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("closed/a.tif", "open/b.tif"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    scandir = os.scandir

    def refusing(path: str) -> object:
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    told: list[str] = []
    found = walk(str(tmp_path), Rules(Folder()), unreadable=lambda folder, error: told.append(folder))
    assert [name for name, _, _ in found] == [os.path.join("open", "b.tif")]  # noqa: PTH118
    assert told == ["closed"]


def test_a_walk_of_a_folder_that_is_gone_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(walk(str(tmp_path / "gone"), Rules(Folder())))


FILES = [("a.tif", 10, 5_000), ("b.tif", 10, 20_000_000_000)]


def scan(
    memory: Memory, files: list[tuple[str, int, int]], started_at: float = 10.0, **how: bool
) -> list[str]:
    look = memory.begin(started_at, **how)
    news = [name for name, _, _ in look.news(files)]
    memory.end(look)
    return news


def test_only_what_changed_is_news() -> None:
    memory = Memory("all")
    assert scan(memory, FILES) == ["a.tif", "b.tif"]
    assert scan(memory, FILES) == []
    assert scan(memory, [FILES[0], ("b.tif", 11, 20_000_000_001)]) == ["b.tif"]
    assert scan(memory, FILES, redeliver=True) == ["a.tif", "b.tif"]


def test_what_went_away_and_came_back_is_news() -> None:
    memory = Memory("all")
    scan(memory, FILES)
    assert scan(memory, FILES[:1]) == []
    assert scan(memory, FILES) == ["b.tif"]


def test_the_backlog_policy_holds_for_the_first_scan_and_for_ever() -> None:
    memory = Memory("new")
    assert scan(memory, FILES) == ["b.tif"]
    assert memory.left_out == 1
    assert scan(memory, []) == []  # a share that is unmounted
    assert scan(memory, FILES) == ["b.tif"]
    assert scan(memory, FILES, redeliver=True) == ["b.tif"]
    assert scan(memory, [*FILES, ("copied.tif", 1, 7)]) == ["copied.tif"]


def test_a_first_scan_that_is_begun_again_keeps_its_moment() -> None:
    memory = Memory("new")
    memory.begin(10.0)  # broken off
    assert scan(memory, FILES, started_at=30.0) == ["b.tif"]


def hot_after_a_scan(root: Path) -> HotFolders:
    hot, folders = HotFolders(), set[str]()
    hot.note(list(walk(str(root), Rules(Folder()), entered=folders.add)))
    hot.scanned(folders)
    return hot


def names(found: Iterable[Found]) -> set[str]:
    return {Path(relative).as_posix() for relative, _, _ in found}


def touch(path: Path, at: float | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    if at is not None:
        os.utime(path, (at, at))


def test_between_scans_the_newest_folders_are_looked_at_and_not_the_old_ones(tmp_path: Path) -> None:
    for number in range(MOST_HOT + 20):
        touch(tmp_path / f"day {number:02}" / "run" / "a.tif", at=1e9 + number)
    hot = hot_after_a_scan(tmp_path)
    touch(tmp_path / "day 00" / "run" / "late.tif")
    touch(tmp_path / f"day {MOST_HOT + 19}" / "run" / "late.tif")
    found = names(hot.walk(str(tmp_path), Rules(Folder())))
    assert f"day {MOST_HOT + 19}/run/late.tif" in found
    assert "day 00/run/late.tif" not in found
    assert len(found) <= MOST_HOT + 1


def test_between_scans_new_folders_are_entered_and_stay_watched(tmp_path: Path) -> None:
    touch(tmp_path / "day" / "run 1" / "a.tif")
    hot = hot_after_a_scan(tmp_path)
    (tmp_path / "day" / "run 2" / "tile").mkdir(parents=True)
    rules = Rules(Folder())
    assert names(hot.walk(str(tmp_path), rules)) == {"day/run 1/a.tif"}
    touch(tmp_path / "day" / "run 2" / "tile" / "b.tif")
    assert "day/run 2/tile/b.tif" in names(hot.walk(str(tmp_path), rules))


def test_hot_folders_that_went_away_do_no_harm(tmp_path: Path) -> None:
    touch(tmp_path / "day" / "a.tif")
    hot = hot_after_a_scan(tmp_path)
    (tmp_path / "day" / "a.tif").unlink()
    (tmp_path / "day").rmdir()
    assert names(hot.walk(str(tmp_path), Rules(Folder()))) == set()


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "fuse", "9p", "SMB3"])
def test_remote_file_systems_are_known(kind: str) -> None:
    assert is_remote(kind)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "NTFS", "apfs", "fuseblk", "overlay", "tmpfs"])
def test_local_file_systems_are_not_called_remote(kind: str) -> None:
    assert not is_remote(kind)


def test_the_file_system_below_a_path_is_found(tmp_path: Path) -> None:
    assert mount_of(tmp_path).kind
    assert mount_of(tmp_path / "not" / "there" / "yet") == mount_of(tmp_path)
