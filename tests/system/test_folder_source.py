"""The folder source on real folders: nothing missed, nothing delivered twice, outages said and survived."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from semdaemon import mounts
from semdaemon.errors import SemdaemonError
from semdaemon.settings import Folder
from semdaemon.sources import FolderSource, Sighting, schedule, watched


class Seen:
    """What was delivered, by path below the root."""

    def __init__(self) -> None:
        self.sightings: list[Sighting] = []
        self.refuse = False
        self._lock = threading.Lock()

    def __call__(self, sightings: Sequence[Sighting]) -> None:
        if self.refuse:
            raise SemdaemonError("journal_write", "the disk is full")
        with self._lock:
            self.sightings += sightings

    @property
    def names(self) -> set[str]:
        return {sighting.relative.as_posix() for sighting in self.sightings}

    def last(self, name: str) -> Sighting:
        return next(s for s in reversed(self.sightings) if s.relative.as_posix() == name)


def wait_for(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "acquired"
    folder.mkdir()
    return folder


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def begin(root: Path, seen: Seen) -> Iterator[Callable[..., FolderSource]]:
    started: list[FolderSource] = []

    def start(
        *folders: Path, excluded: Sequence[Path] = (), ready: bool = True, **settings: object
    ) -> FolderSource:
        # Scans far apart, so that what is seen early was seen by events.
        values: dict[str, object] = {"folders": folders or (root,), "rescan_s": 60, **settings}
        source = FolderSource(Folder.model_validate(values), excluded)
        source.start(seen)
        started.append(source)
        if ready:
            wait_for(lambda: source.health().last_scan_at is not None)
        return source

    yield start
    for source in started:
        source.stop()


def write(path: Path, content: bytes = b"pixels") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_what_is_there_at_the_start_is_delivered_once(
    root: Path, seen: Seen, begin: Callable[..., FolderSource]
) -> None:
    for name in ("a.tif", "sub/b.TIFF", "sub/deep/c.png"):
        write(root / name)
    source = begin(rescan_s=0.1)
    first = source.health().last_scan_at
    wait_for(lambda: (source.health().last_scan_at or 0) > (first or 0) + 0.2)
    assert Counter(s.relative.as_posix() for s in seen.sightings) == {
        "a.tif": 1, "sub/b.TIFF": 1, "sub/deep/c.png": 1
    }  # fmt: skip
    sighting = seen.last("sub/b.TIFF")
    about = (root / "sub/b.TIFF").stat()
    assert (sighting.size_bytes, sighting.mtime_ns) == (about.st_size, about.st_mtime_ns)
    assert sighting.path == root.resolve() / "sub" / "b.TIFF"
    assert sighting.uri == sighting.path.as_uri()


def test_names_that_are_no_frames_are_left_alone(
    root: Path, seen: Seen, begin: Callable[..., FolderSource]
) -> None:
    for name in ("notes.txt", ".hidden.tif", "x.tmp", "~x.tif", "a.refocused.tif", ".cache/b.tif"):
        write(root / name)
    write(root / "out/c.tif")
    write(root / "good.tif")
    begin(excluded=[root / "out"])
    for name in ("late.txt", "late.refocused.tif", ".cache/late.tif", "out/late.tif", "late.tif"):
        write(root / name)
    wait_for(lambda: "late.tif" in seen.names)
    time.sleep(0.4)
    assert seen.names == {"good.tif", "late.tif"}


def test_own_output_is_left_alone_even_with_another_ignore_list(
    root: Path, seen: Seen, begin: Callable[..., FolderSource]
) -> None:
    write(root / "a.refocused.tif")
    write(root / "a.tif")
    begin(ignore=())
    assert seen.names == {"a.tif"}


def test_a_new_file_is_seen_in_a_blink(root: Path, seen: Seen, begin: Callable[..., FolderSource]) -> None:
    begin()
    delays = []
    for number in range(10):
        began = time.monotonic()
        write(root / f"{number}.tif")
        wait_for(lambda number=number: f"{number}.tif" in seen.names)  # type: ignore[misc]
        delays.append(time.monotonic() - began)
        time.sleep(0.03)
    assert sorted(delays)[5] < 0.1, delays


def test_a_file_written_in_pieces_is_delivered_with_its_last_size(
    root: Path, seen: Seen, begin: Callable[..., FolderSource]
) -> None:
    begin()
    with (root / "slow.tif").open("wb") as file:
        for _ in range(5):
            file.write(b"x" * 1000)
            file.flush()
            time.sleep(0.02)
    wait_for(lambda: seen.last("slow.tif").size_bytes == 5000 if "slow.tif" in seen.names else False)


def test_new_nested_trees_filled_at_once_are_seen_whole(
    root: Path, seen: Seen, begin: Callable[..., FolderSource]
) -> None:
    begin()
    expected = set()
    for tree in range(20):
        for depth in range(4):
            below = "/".join(f"t{tree}-{level}" for level in range(depth + 1))
            for number in range(3):
                write(root / below / f"{number}.tif")
                expected.add(f"{below}/{number}.tif")
    wait_for(lambda: seen.names == expected)


def test_moved_in_and_renamed_files_and_trees_are_seen(
    tmp_path: Path, root: Path, seen: Seen, begin: Callable[..., FolderSource]
) -> None:
    begin()
    os.replace(write(tmp_path / "outside.tif"), root / "moved.tif")  # noqa: PTH105
    os.replace(write(root / "writing.tmp"), root / "renamed.tif")  # noqa: PTH105
    write(tmp_path / "tree/deep/inside.tif")
    shutil.move(tmp_path / "tree", root / "tree")
    wait_for(lambda: seen.names == {"moved.tif", "renamed.tif", "tree/deep/inside.tif"})


def test_five_thousand_files_in_a_burst_are_all_seen(
    root: Path, seen: Seen, begin: Callable[..., FolderSource]
) -> None:
    begin(rescan_s=2)
    for number in range(5000):
        (root / f"{number:04}.tif").write_bytes(b"x")
    wait_for(lambda: len(seen.sightings) >= 5000, timeout_s=30)
    wait_for(lambda: len(seen.names) == 5000)


def test_an_overwritten_file_is_delivered_again(
    root: Path, seen: Seen, begin: Callable[..., FolderSource]
) -> None:
    path = write(root / "a.tif", b"first")
    begin()
    write(path, b"second, longer")
    wait_for(lambda: seen.last("a.tif").size_bytes == 14)


def test_links_are_not_followed_out_of_the_tree(
    tmp_path: Path, root: Path, seen: Seen, begin: Callable[..., FolderSource]
) -> None:
    write(tmp_path / "elsewhere/secret.tif")
    try:
        (root / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
        (root / "loop").symlink_to(root, target_is_directory=True)
        (root / "link.tif").symlink_to(tmp_path / "elsewhere/secret.tif")
    except OSError:
        pytest.skip("links need a privilege on this machine")
    write(root / "real.tif")
    begin()
    assert seen.names == {"real.tif"}


def test_a_folder_with_an_images_name_is_delivered_once_and_entered(
    root: Path, seen: Seen, begin: Callable[..., FolderSource]
) -> None:
    write(root / "x.tif" / "inside.tif")
    begin()
    assert seen.names == {"x.tif", "x.tif/inside.tif"}
    assert (seen.last("x.tif").size_bytes, seen.last("x.tif").mtime_ns) == (0, 0)


def test_without_recursion_only_the_folder_itself(
    root: Path, seen: Seen, begin: Callable[..., FolderSource]
) -> None:
    write(root / "a.tif")
    write(root / "sub/b.tif")
    begin(recursive=False)
    write(root / "c.tif")
    write(root / "sub2/d.tif")
    wait_for(lambda: "c.tif" in seen.names)
    time.sleep(0.3)
    assert seen.names == {"a.tif", "c.tif"}


@pytest.mark.parametrize(("backlog", "expected"), [("all", {"old.tif"}), ("new", set())])
def test_backlog_all_or_new(
    root: Path, seen: Seen, begin: Callable[..., FolderSource], backlog: str, expected: set[str]
) -> None:
    write(root / "old.tif")
    os.utime(root / "old.tif", (1e9, 1e9))
    source = begin(backlog=backlog, rescan_s=0.1)
    time.sleep(0.3)
    assert seen.names == expected
    assert source.health().roots[0].left_out == (backlog == "new")
    os.utime(write(root / "copied later, old time.tif"), (1e9, 1e9))
    wait_for(lambda: "copied later, old time.tif" in seen.names)
    write(root / "old.tif", b"written again")
    wait_for(lambda: "old.tif" in seen.names)


def test_backlog_since_a_time(root: Path, seen: Seen, begin: Callable[..., FolderSource]) -> None:
    for name, at in (("before.tif", 1_700_000_000), ("after.tif", 1_800_000_000)):
        os.utime(write(root / name), (at, at))
    begin(backlog="2025-01-01T00:00:00Z")
    assert seen.names == {"after.tif"}


def test_polling_finds_everything_and_says_so(
    root: Path, seen: Seen, begin: Callable[..., FolderSource]
) -> None:
    source = begin(poll="always", poll_s=0.05)
    write(root / "a/b/c.tif")
    wait_for(lambda: seen.names == {"a/b/c.tif"})
    write(root / "a/b/c.tif", b"longer than before")
    wait_for(lambda: seen.last("a/b/c.tif").size_bytes == 18)
    health = source.health()
    assert (health.ok, health.watching) == (True, "polling")
    assert "polling" in health.detail


def test_a_large_share_is_polled_where_frames_appear(
    root: Path, seen: Seen, begin: Callable[..., FolderSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "_POLLING_SHARE", 1e-6)  # as if a whole scan took very long
    write(root / "run 1/a.tif")
    source = begin(poll="always", poll_s=0.05)
    scanned_at = source.health().last_scan_at
    monkeypatch.setattr(schedule, "_POLLING_SHARE", 0.25)
    write(root / "run 1/b.tif")
    write(root / "run 2/tile/c.tif")
    wait_for(lambda: seen.names == {"run 1/a.tif", "run 1/b.tif", "run 2/tile/c.tif"})
    assert source.health().last_scan_at == scanned_at
    assert len(seen.sightings) == 3


def test_a_remote_file_system_is_polled_by_itself(
    root: Path, seen: Seen, begin: Callable[..., FolderSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched, "mount_of", lambda path: mounts.Mount("/mnt", "cifs", remote=True))
    source = begin(poll_s=0.05)
    write(root / "a.tif")
    wait_for(lambda: seen.names == {"a.tif"})
    assert source.health().watching == "polling"
    assert "cifs" in source.health().detail


def test_without_events_from_the_system_it_polls(
    root: Path, seen: Seen, begin: Callable[..., FolderSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_watch(*args: object, **options: object) -> None:
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr(watched, "Watch", no_watch)
    source = begin(poll_s=0.05)
    write(root / "a.tif")
    wait_for(lambda: seen.names == {"a.tif"})
    assert source.health().watching == "polling"
    assert "limit" in source.health().detail


def test_a_root_that_comes_late_is_waited_for(
    tmp_path: Path, seen: Seen, begin: Callable[..., FolderSource]
) -> None:
    late = tmp_path / "late"
    source = begin(late, ready=False)
    wait_for(lambda: "not there" in source.health().detail)
    assert not source.health().ok
    write(late / "a.tif")
    wait_for(lambda: seen.names == {"a.tif"})
    wait_for(lambda: source.health().ok)


def test_a_removed_root_is_said_and_taken_up_again(
    root: Path, seen: Seen, begin: Callable[..., FolderSource]
) -> None:
    write(root / "a.tif")
    source = begin()
    shutil.rmtree(root)
    wait_for(lambda: not source.health().ok)
    assert source.health().watching == "nothing"
    write(root / "b.tif")
    wait_for(lambda: "b.tif" in seen.names)
    wait_for(lambda: source.health().ok)
    write(root / "sub/c.tif")  # events work again: scans are a minute apart
    wait_for(lambda: "sub/c.tif" in seen.names, timeout_s=5)


def test_a_replaced_root_is_watched_anew(
    tmp_path: Path, root: Path, seen: Seen, begin: Callable[..., FolderSource]
) -> None:
    begin()
    root.rename(tmp_path / "yesterday")
    root.mkdir()
    write(root / "a.tif")
    wait_for(lambda: "a.tif" in seen.names)
    time.sleep(0.1)
    write(root / "b.tif")
    wait_for(lambda: "b.tif" in seen.names, timeout_s=5)


def test_what_could_not_be_recorded_is_delivered_again(
    root: Path, seen: Seen, begin: Callable[..., FolderSource]
) -> None:
    source = begin()
    seen.refuse = True
    write(root / "a.tif")
    wait_for(lambda: "disk is full" in source.health().detail)
    seen.refuse = False
    wait_for(lambda: seen.names == {"a.tif"})
    wait_for(lambda: source.health().ok)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a user whom permissions bind")
def test_a_folder_that_may_not_be_read_is_said(
    root: Path, seen: Seen, begin: Callable[..., FolderSource]
) -> None:
    write(root / "closed/a.tif")
    write(root / "open.tif")
    (root / "closed").chmod(0)
    try:
        source = begin()
        assert seen.names == {"open.tif"}
        assert "closed" in source.health().detail
    finally:
        (root / "closed").chmod(0o700)


def test_lost_events_bring_a_scan(root: Path, seen: Seen, begin: Callable[..., FolderSource]) -> None:
    import logging

    begin()
    os.utime(write(root / "a.tif"))
    wait_for(lambda: "a.tif" in seen.names)
    time.sleep(0.5)  # writing and dating the file are two changes, and may be two sightings
    seen.sightings.clear()
    os.truncate(root / "a.tif", 3)  # no close, no creation: nothing tells
    time.sleep(0.2)
    assert seen.names == set()
    logging.getLogger("watchdog.observers.inotify_c").warning("Inotify queue overflowed; events were lost")
    wait_for(lambda: seen.names == {"a.tif"})


def test_wake_scans_at_once_and_stop_ends_every_thread(
    root: Path, seen: Seen, begin: Callable[..., FolderSource]
) -> None:
    before = threading.active_count()
    source = begin(poll="always", poll_s=60)
    write(root / "a.tif")
    source.wake()
    wait_for(lambda: seen.names == {"a.tif"}, timeout_s=3)
    source.stop()
    assert threading.active_count() <= before


def test_a_folder_inside_another_one_is_not_taken_twice(
    root: Path, seen: Seen, begin: Callable[..., FolderSource]
) -> None:
    write(root / "sub/a.tif")
    source = begin(root, root / "sub", root)
    assert [r.path for r in source.health().roots] == [root.resolve()]
    assert [s.relative.as_posix() for s in seen.sightings] == ["sub/a.tif"]
