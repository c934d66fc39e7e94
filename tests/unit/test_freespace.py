"""Room left on a disk: told at once, also where a share does not answer."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

from semdaemon.daemon.freespace import FreeSpace


def test_a_folder_that_is_not_there_yet_has_the_room_of_the_disk_above_it(tmp_path: Path) -> None:
    total = shutil.disk_usage(tmp_path).total
    free = FreeSpace().of(tmp_path / "later" / "output")
    assert free is not None
    assert 0 < free <= total


def test_a_share_that_hangs_holds_up_neither_who_asks_nor_other_folders(tmp_path: Path) -> None:
    answers, looks = threading.Event(), list[Path]()

    def look(folder: Path) -> int:
        looks.append(folder)
        if folder == tmp_path / "share":
            assert answers.wait(30)
        return 7

    space, began = FreeSpace(look), time.monotonic()
    try:
        assert [space.of(tmp_path / "share") for _ in range(3)] == [None] * 3
        assert space.of(tmp_path / "local") == 7
        assert time.monotonic() - began < 10
        assert looks.count(tmp_path / "share") == 1
    finally:
        answers.set()
    deadline = time.monotonic() + 10
    while space.of(tmp_path / "share") is None:
        assert time.monotonic() < deadline
