"""The ndtiff source with its threads: which stacks it finds, takes over, leaves out, and what it says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import tifffile
from stackwriting import StackWriter, noise

from semdaemon.errors import SemdaemonError
from semdaemon.formats.stackframe import read_numbered_frame
from semdaemon.settings import Folder, Limits, NDTiff
from semdaemon.sources import FolderSource, Sighting, Source
from semdaemon.sources.ndtiff import NDTiffSource
from semdaemon.sources.ndtiff.names import frame_number

WAIT_S = 20.0


class Seen:
    """What was delivered; may refuse a number of deliveries first."""

    def __init__(self, refusals: int = 0) -> None:
        self.sightings: list[Sighting] = []
        self.refusals = refusals
        self._lock = threading.Lock()

    def __call__(self, sightings: Sequence[Sighting]) -> None:
        with self._lock:
            if self.refusals:
                self.refusals -= 1
                raise SemdaemonError("journal_write", "the disk is full")
            self.sightings += sightings

    def names(self) -> list[str]:
        return sorted(sighting.relative.as_posix() for sighting in self.sightings)


def until(true: Callable[[], object], what: Callable[[], object] = lambda: "") -> None:
    deadline = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < deadline, what()
        time.sleep(0.01)


Start = Callable[..., NDTiffSource]


@pytest.fixture
def running() -> Iterator[list[Source]]:
    started: list[Source] = []
    yield started
    for source in reversed(started):
        source.stop()


@pytest.fixture
def start(running: list[Source]) -> Start:
    def make(seen: Seen, *folders: Path, **options: object) -> NDTiffSource:
        source = NDTiffSource(NDTiff(folders=folders, rescan_s=0.2, **options))  # type: ignore[arg-type]
        source.start(seen)
        running.append(source)
        return source

    return make


def dataset(folder: Path, name: str, frames: int, index: bool = True) -> StackWriter:
    writer = StackWriter(folder / f"{name}_1" / f"{name}_NDTiffStack.tif").begin()
    if index:
        (writer.path.parent / "NDTiff.index").write_bytes(b"")
    for number in range(frames):
        writer.add(noise(number))
    return writer


def names(dataset: str, frames: range, file: str | None = None) -> list[str]:
    stem = file or f"{dataset}_NDTiffStack"
    return [f"{dataset}_1/{stem}.frame{number:06d}.tif" for number in frames]


def test_datasets_that_appear_below_a_folder_are_followed(tmp_path: Path, start: Start) -> None:
    seen = Seen()
    source = start(seen, tmp_path)
    one = dataset(tmp_path, "one", 2)
    two = dataset(tmp_path / "later" / "deep", "two", 1, index=False)
    until(lambda: len(seen.sightings) == 3)
    one.add(noise(7))
    two.add(noise(8))
    until(lambda: len(seen.sightings) == 5)
    assert seen.names() == sorted(
        names("one", range(3)) + [f"later/deep/{n}" for n in names("two", range(2))]
    )
    health = source.health()
    assert health.ok
    assert "one_NDTiffStack.tif: 3 frames, growing" in health.detail
    one.close()
    two.close()
    until(lambda: "2 closed (5 frames)" in source.health().detail, lambda: source.health().detail)


def test_a_folder_that_is_a_dataset_gives_its_name_to_the_frames(tmp_path: Path, start: Start) -> None:
    writer = dataset(tmp_path, "one", 2)
    seen = Seen()
    start(seen, writer.path.parent)
    until(lambda: len(seen.sightings) == 2)
    assert seen.names() == names("one", range(2))


@pytest.mark.parametrize(
    "index",
    [None, b"", bytes(25 * 2**20), b"\xff" * 1000],
    ids=["missing", "empty", "zeros", "damaged"],
)
def test_a_dataset_whose_index_is_missing_late_or_damaged_is_followed(
    tmp_path: Path, start: Start, index: bytes | None
) -> None:
    seen, writer = Seen(), dataset(tmp_path, "run", 3, index=False)
    if index is not None:
        (writer.path.parent / "NDTiff.index").write_bytes(index)
    start(seen, tmp_path)
    until(lambda: seen.names() == names("run", range(3)), seen.names)


def test_a_full_file_goes_on_in_the_next(tmp_path: Path, start: Start) -> None:
    writer = dataset(tmp_path, "one", 2)
    seen = Seen()
    start(seen, tmp_path, idle_poll_s=0.05)
    until(lambda: len(seen.sightings) == 2)
    for number in (1, 2):
        writer.close()
        writer = StackWriter(writer.path.with_name(f"one_NDTiffStack_{number}.tif")).begin()
        writer.add(noise(number))
    until(lambda: len(seen.sightings) == 4)
    more = [names("one", range(1), f"one_NDTiffStack_{number}")[0] for number in (1, 2)]
    assert seen.names() == sorted(names("one", range(2)) + more)
    assert len({sighting.uri for sighting in seen.sightings}) == 4


def test_reduced_copies_of_a_pyramid_are_left_out(tmp_path: Path, start: Start) -> None:
    for level in ("Full resolution", "Downsampled_x2", "Downsampled_x4"):
        StackWriter(tmp_path / "tiles_1" / level / "NDTiffStack.tif").begin().add(noise(1))
    seen = Seen()
    start(seen, tmp_path)
    until(lambda: seen.sightings)
    time.sleep(0.5)
    assert seen.names() == ["tiles_1/Full resolution/NDTiffStack.frame000000.tif"]


def test_a_folder_source_hands_stacks_over_and_keeps_plain_files(
    tmp_path: Path, start: Start, running: list[Source]
) -> None:
    stacks, files = Seen(), Seen()
    source = start(stacks)
    folder = FolderSource(Folder(folders=(tmp_path,), rescan_s=0.2), adopt=source.adopt)
    folder.start(files)
    running.append(folder)
    dataset(tmp_path, "one", 2)
    StackWriter(tmp_path / "two_1" / "two_MMStack_Pos0.ome.tif", "micromanager").begin().add(noise(1))
    StackWriter(tmp_path / "empty_1" / "empty_NDTiffStack.tif")
    tifffile.imwrite(tmp_path / "plain.tif", noise(3))
    tifffile.imwrite(tmp_path / "saved_again_MMStack.tif", noise(4))
    until(lambda: len(stacks.sightings) == 3 and len({s.path for s in files.sightings}) == 2)
    assert {sighting.relative.name for sighting in files.sightings} == {
        "plain.tif", "saved_again_MMStack.tif",
    }  # fmt: skip
    assert {sighting.source for sighting in stacks.sightings} == {"ndtiff"}
    assert "empty_NDTiffStack.tif: nothing written yet" in source.health().detail
    assert source.health().ok


def test_a_dataset_of_both_sources_is_followed_once(
    tmp_path: Path, start: Start, running: list[Source]
) -> None:
    stacks, files = Seen(), Seen()
    source = start(stacks, tmp_path)
    folder = FolderSource(Folder(folders=(tmp_path,), rescan_s=0.2), adopt=source.adopt)
    folder.start(files)
    running.append(folder)
    dataset(tmp_path, "one", 3)
    until(lambda: len(stacks.sightings) == 3)
    time.sleep(0.5)
    assert len(stacks.sightings) == 3
    assert not files.sightings


def test_frames_that_the_journal_refused_are_due_again(tmp_path: Path, start: Start) -> None:
    dataset(tmp_path, "one", 3)
    seen = Seen(refusals=1)
    source = start(seen, tmp_path)
    until(lambda: "the disk is full" in source.health().detail)
    assert not source.health().ok
    until(lambda: len(seen.sightings) == 3)
    until(lambda: source.health().ok)
    assert seen.names() == names("one", range(3))


def test_a_deleted_dataset_is_told_and_the_others_go_on(tmp_path: Path, start: Start) -> None:
    one, two = dataset(tmp_path, "one", 1), dataset(tmp_path, "two", 1)
    seen = Seen()
    source = start(seen, tmp_path, idle_poll_s=0.05)
    until(lambda: len(seen.sightings) == 2)
    one.path.unlink()
    until(lambda: "one_NDTiffStack.tif went away" in source.health().detail)
    two.add(noise(2))
    until(lambda: len(seen.sightings) == 3)
    assert source.health().ok


def test_a_renamed_dataset_goes_on_under_its_new_name(tmp_path: Path, start: Start) -> None:
    one = dataset(tmp_path, "one", 1)
    seen = Seen()
    start(seen, tmp_path)
    until(lambda: len(seen.sightings) == 1)
    renamed = one.path.parent.rename(tmp_path / "renamed")
    one.path = renamed / one.path.name
    one.add(noise(2))
    until(lambda: len(seen.sightings) == 3)
    assert seen.names()[1:] == [f"renamed/one_NDTiffStack.frame00000{n}.tif" for n in range(2)]


def test_stacks_from_before_the_start_can_be_left_alone(tmp_path: Path, start: Start) -> None:
    dataset(tmp_path, "old", 2).close()
    time.sleep(0.05)
    seen = Seen()
    start(seen, tmp_path, backlog="new")
    time.sleep(0.5)
    dataset(tmp_path, "new", 1)
    until(lambda: seen.sightings)
    assert seen.names() == names("new", range(1))


def test_a_folder_that_is_not_there_is_told_and_found_when_it_comes(tmp_path: Path, start: Start) -> None:
    seen = Seen()
    source = start(seen, tmp_path / "later")
    until(lambda: "is not there" in source.health().detail)
    assert not source.health().ok
    dataset(tmp_path / "later", "one", 1)
    until(lambda: seen.sightings)
    until(lambda: source.health().ok)


def test_a_stopped_source_delivers_nothing_more(tmp_path: Path, start: Start) -> None:
    writer = dataset(tmp_path, "one", 1)
    seen = Seen()
    source = start(seen, tmp_path)
    until(lambda: seen.sightings)
    began = time.monotonic()
    source.stop()
    assert time.monotonic() - began < 2
    writer.add(noise(2))
    time.sleep(0.2)
    assert len(seen.sightings) == 1


def test_an_idle_stack_is_looked_at_less_and_less(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    from semdaemon.sources.ndtiff.follower import Follower

    looks: list[float] = []
    look = Follower.look

    def counted(self: Follower, now: float) -> object:
        looks.append(now)
        return look(self, now)

    monkeypatch.setattr(Follower, "look", counted)
    dataset(tmp_path, "one", 1)
    start(Seen(), tmp_path, poll_s=0.001, idle_poll_s=0.5)
    until(lambda: looks)
    time.sleep(1.5)
    # Every hundredth of the age, from 1 ms on: about 100 * ln(1.5 s / 0.1 s) + 100 looks, not 1,500.
    assert 20 < len(looks) < 600


@pytest.mark.filterwarnings("ignore:.*NDTiffStack:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # ndstorage 0.1.18 leaks readers
def test_ndstorages_own_writer_is_followed_from_file_to_file(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    ndstorage = pytest.importorskip("ndstorage")
    # A file takes frames up to 5 MB below its size: three megabytes here, 22 frames of 128 KiB.
    monkeypatch.setattr("ndstorage.ndtiff_file.MAX_FILE_SIZE", 8_000_000)
    seen = Seen()
    source = start(seen, tmp_path)
    dataset = ndstorage.NDTiffDataset(str(tmp_path), name="real", summary_metadata={}, writable=True)
    dataset.initialize({"PixelSize_um": 2.0})
    for number in range(60):
        dataset.put_image({"time": number}, noise(number, side=256), {"Axes": {"time": number}})
    until(lambda: len(seen.sightings) == 60)
    dataset.finish()
    until(lambda: "3 closed (60 frames)" in source.health().detail, lambda: source.health().detail)
    time.sleep(0.1)
    assert len({sighting.uri for sighting in seen.sightings}) == len(seen.sightings) == 60
    files = {sighting.path.name for sighting in seen.sightings}
    assert files == {f"real_NDTiffStack{number}.tif" for number in ("", "_1", "_2")}
    # Within a file in order; the next file may be found before the last frame of the one before.
    for number, sighting in enumerate(sorted(seen.sightings, key=lambda s: (len(s.path.name), s.relative))):
        frame = read_numbered_frame(sighting.path, frame_number(sighting.uri), Limits())
        assert frame is not None
        assert frame.metadata["Axes"] == {"time": number}
        assert np.array_equal(frame.pixels, noise(number, side=256))
    dataset.close()
