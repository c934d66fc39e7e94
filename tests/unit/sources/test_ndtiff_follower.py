"""Following one stack: growth, the end, torn frames, replaced files, and holes that are never read."""

from __future__ import annotations

from pathlib import Path

import pytest
from stackwriting import FULL_BYTES, StackWriter, noise

from semdaemon.formats.stack import StackFile
from semdaemon.sources.ndtiff.follower import FRAMES_A_LOOK, TORN_AFTER_S, TORN_STAMP_NS, Follower
from semdaemon.sources.ndtiff.places import Places
from semdaemon.sources.source import Sighting

RELATIVE = Path("run_1/run_NDTiffStack.tif")


class Following:
    """A follower whose finds are taken in, with a clock of its own."""

    def __init__(self, writer: StackWriter, places: Places | None = None) -> None:
        self.follower = Follower(writer.path, RELATIVE, places or Places())
        self.now = 100.0

    def look(self, after_s: float = 0.02) -> list[Sighting]:
        self.now += after_s
        steps = self.follower.look(self.now)
        self.follower.accept(steps)
        return [step.sighting for step in steps]


@pytest.fixture
def writer(tmp_path: Path) -> StackWriter:
    return StackWriter(tmp_path / RELATIVE)


def uris(sightings: list[Sighting]) -> list[str]:
    return [sighting.uri.rpartition("#")[2] for sighting in sightings]


def test_each_frame_is_found_once_as_soon_as_it_is_whole(writer: StackWriter) -> None:
    following = Following(writer)
    assert following.look() == []
    writer.begin()
    assert following.look() == []
    found = []
    for number in range(5):
        writer.add(noise(number))
        found.append(uris(following.look()))
        assert following.look() == []
    assert found == [[f"frame={number}"] for number in range(5)]
    writer.close()
    assert following.look() == []
    assert following.follower.closed
    assert following.follower.frames == 5


def test_a_sighting_says_where_and_is_the_same_for_another_follower(writer: StackWriter) -> None:
    writer.begin()
    writer.add(noise(0))
    writer.add(noise(1))
    first, second = Following(writer).look()
    assert first.relative == Path("run_1/run_NDTiffStack.frame000000.tif")
    assert second.uri == f"{writer.path.as_uri()}#frame=1"
    assert (second.source, second.path, second.settle_s) == ("ndtiff", writer.path, 0.0)
    writer.add(noise(2))
    writer.close()
    assert Following(writer).look()[:2] == [first, second]


@pytest.mark.parametrize("parts", ["", "d", "dp", "p"])
def test_a_frame_in_the_making_is_not_delivered(writer: StackWriter, parts: str) -> None:
    following = Following(writer)
    writer.begin()
    writer.add(noise(0))
    assert len(following.look()) == 1
    writer.add(noise(1), parts=parts)
    assert following.look() == []
    writer.add(noise(1))
    assert uris(following.look()) == ["frame=1"]


def test_metadata_half_written_are_not_yet(writer: StackWriter) -> None:
    following = Following(writer)
    writer.begin()
    writer.add(noise(0), b'{"Axes": {"time": 0}, "Exp' + bytes(20), parts="dpm")
    assert following.look() == []


def test_a_torn_frame_is_told_once_and_again_when_it_is_whole(writer: StackWriter) -> None:
    following = Following(writer)
    writer.begin()
    writer.add(noise(0))
    following.look()
    writer.add(noise(1), parts="dp")
    assert following.look() == []
    torn = following.look(TORN_AFTER_S + 0.1)
    assert [(s.uri[-7:], s.mtime_ns) for s in torn] == [("frame=1", TORN_STAMP_NS)]
    assert following.look(5) == []
    assert following.follower.torn_since is not None
    writer.add(noise(1))
    healed = following.look()
    assert uris(healed) == ["frame=1"]
    assert healed[0].size_bytes == torn[0].size_bytes
    assert healed[0].mtime_ns > TORN_STAMP_NS
    assert following.follower.torn_since is None


def test_a_frame_whose_metadata_never_parse_does_not_stop_the_next(writer: StackWriter) -> None:
    following = Following(writer)
    writer.begin()
    writer.add(noise(0), b"not json at all")
    assert following.look() == []
    writer.add(noise(1))
    assert uris(following.look()) == ["frame=0", "frame=1"]


def test_a_delivery_that_failed_is_due_again(writer: StackWriter) -> None:
    following = Following(writer)
    writer.begin()
    writer.add(noise(0))
    lost = following.follower.look(1.0)  # not accepted
    assert [step.sighting for step in lost] == following.look()


def test_what_micromanager_writes_behind_the_last_frame_is_no_frame(tmp_path: Path) -> None:
    writer = StackWriter(tmp_path / "X_MMStack_Pos0.ome.tif", "micromanager").begin()
    following = Following(writer)
    writer.add(noise(0))
    assert len(following.look()) == 1
    index_map = (54773648).to_bytes(4, "little") + bytes(range(256))
    writer.write(writer.at, index_map)  # before the last pointer becomes 0
    assert following.look() == []
    assert following.look(10) == []
    writer.close(index_map)
    assert following.look() == []
    assert following.follower.closed


def test_an_ome_xml_that_is_filled_in_at_the_end_makes_no_frame_anew(tmp_path: Path) -> None:
    writer = StackWriter(tmp_path / "X_MMStack_Pos0.ome.tif", "micromanager").begin()
    following = Following(writer)
    writer.add(noise(0))
    before = following.look()
    assert uris(before) == ["frame=0"]
    writer.close(b"<OME>the text for the first directory's description</OME>")
    assert following.look() == []
    assert following.follower.closed
    assert Following(writer).look() == before


def test_a_file_written_anew_under_its_name_begins_anew(writer: StackWriter) -> None:
    places = Places()
    following = Following(writer, places)
    writer.begin()
    for number in range(3):
        writer.add(noise(number))
    assert len(following.look()) == 3
    again = StackWriter(writer.path).begin({"PixelType": "GRAY8", "Prefix": "another one"})
    again.add(noise(9, side=96), {"Axes": {"z": 0}, "Time": "2026-03-02 10:00:00 +0100"})
    found = following.look()
    assert uris(found) == ["frame=0"]
    assert following.follower.frames == 1


def test_a_file_replaced_by_another_begins_anew(writer: StackWriter, tmp_path: Path) -> None:
    following = Following(writer)
    writer.begin()
    writer.add(noise(0))
    following.look()
    other = StackWriter(tmp_path / "other.tif").begin()
    other.add(noise(5))
    other.add(noise(6))
    other.path.replace(writer.path)
    assert uris(following.look()) == ["frame=0", "frame=1"]


def test_a_dataset_that_goes_away_and_comes_back_is_taken_up_again(writer: StackWriter) -> None:
    following = Following(writer)
    writer.begin()
    writer.add(noise(0))
    before = following.look()
    away = writer.path.parent.with_name("renamed")
    writer.path.parent.rename(away)
    assert following.look() == []
    assert following.follower.gone
    away.rename(writer.path.parent)
    assert following.look() == before
    assert not following.follower.gone


def test_a_truncated_last_file_tells_its_last_frame_as_torn(writer: StackWriter) -> None:
    writer.begin()
    for number in range(3):
        writer.add(noise(number))
    writer.close()
    with writer.path.open("r+b") as file:
        file.truncate(writer.path.stat().st_size - 50)
    following = Following(writer)
    assert uris(following.look()) == ["frame=0", "frame=1"]
    torn = following.look(TORN_AFTER_S + 0.1)
    assert [(s.uri[-7:], s.mtime_ns) for s in torn] == [("frame=2", TORN_STAMP_NS)]
    assert not following.follower.closed


def test_the_hole_of_a_sparse_file_is_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = StackWriter(tmp_path / RELATIVE, full_bytes=FULL_BYTES)
    assert writer.path.stat().st_size == FULL_BYTES
    asked: list[int] = []
    read = StackFile.read

    def counted(self: StackFile, at: int, size: int) -> bytes:
        asked.append(size)
        return read(self, at, size)

    monkeypatch.setattr(StackFile, "read", counted)
    following = Following(writer)
    for _ in range(100):
        assert following.look() == []
    assert sum(asked) <= 100 * 64
    writer.begin()
    for _ in range(100):
        assert following.look() == []
    assert sum(asked) < 200_000
    assert not following.follower.trouble


def test_directories_in_a_loop_end(writer: StackWriter) -> None:
    writer.begin()
    first = writer.at
    writer.add(noise(0))
    writer.add(noise(1))
    writer.write(writer.pointer_at, first.to_bytes(4, "little"))
    following = Following(writer)
    assert len(following.look()) == 2
    assert following.look() == []
    with StackFile(writer.path) as file:
        header = file.header()
        assert header is not None
        assert Places().find(file, header, 7) is None


def test_many_frames_are_taken_in_portions(writer: StackWriter) -> None:
    writer.begin()
    total = FRAMES_A_LOOK + 7
    for number in range(total):
        writer.add(noise(number % 3, side=32))
    following = Following(writer)
    assert [len(following.look()) for _ in range(3)] == [FRAMES_A_LOOK, 7, 0]


def test_random_bytes_behind_a_good_header_are_no_frames(writer: StackWriter) -> None:
    import random

    chance = random.Random(11)
    for _ in range(50):
        writer.begin()
        writer.write(writer.at, chance.randbytes(4096))
        following = Following(writer)
        found = following.look() + following.look(TORN_AFTER_S + 1)
        assert all(sighting.mtime_ns == TORN_STAMP_NS for sighting in found)
