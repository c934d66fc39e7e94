"""When a file counts as complete, when it is looked at again, and when patience ends."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from semdaemon.errors import FrameError
from semdaemon.frame import Area, Frame
from semdaemon.settings import Folder, Limits
from semdaemon.sources.settle import NotYet, Settled, settle, tail_untouched

SETTINGS = Folder(settle_s=0.3, hold_s=2.0, give_up_s=30.0, sidecar_wait_s=5.0)
NOTICED_AT = 1000.0


@dataclass(frozen=True)
class Waiting:
    source: str
    uri: str
    path: Path
    relative: Path
    page: int
    size_bytes: int
    mtime_ns: int
    noticed_at: float = NOTICED_AT


def picture(bottom: int = 64, constant_tail: bool = False) -> Frame:
    pixels = np.random.default_rng(0).integers(0, 255, (64, 80), np.uint8)
    if constant_tail:
        pixels[40:] = 0
    return Frame("id", "folder", "file:///a", pixels, "sha", Area(0, 0, bottom, 80))


class Reader:
    """Stands in for the formats: a frame, or a fault."""

    def __init__(self, *faults: FrameError, frame: Frame | None = None) -> None:
        self.faults, self.frame, self.calls = list(faults), frame or picture(), 0
        self.asked: dict[str, object] = {}

    def __call__(self, path: Path, **asked: object) -> list[Frame]:
        self.calls += 1
        self.asked = asked
        if self.faults:
            raise self.faults[0]
        return [self.frame]


@pytest.fixture
def waiting(tmp_path: Path) -> Waiting:
    path = tmp_path / "run" / "a.tif"
    path.parent.mkdir()
    path.write_bytes(b"x" * 100)
    about = path.stat()
    return Waiting("folder", path.as_uri(), path, Path("run/a.tif"), 0, about.st_size, about.st_mtime_ns)


def look(
    file: Waiting, after_s: float, reader: Callable[..., list[Frame]], settings: Folder = SETTINGS
) -> Settled | NotYet:
    return settle(file, settings, Limits(), NOTICED_AT + after_s, reader=reader)


def not_yet(found: Settled | NotYet) -> NotYet:
    assert isinstance(found, NotYet)
    return found


def fault(code: str, may_heal: bool = False) -> FrameError:
    return FrameError(code, f"{code} it is", may_heal=may_heal)


def test_a_file_unchanged_for_long_enough_that_reads_is_complete(waiting: Waiting) -> None:
    reader = Reader()
    found = look(waiting, 0.31, reader)
    assert isinstance(found, Settled)
    assert len(found.frames) == 1
    assert reader.asked["uri"] == waiting.uri
    assert reader.asked["only_page"] is None


def test_a_later_page_is_read_alone_with_the_files_own_uri(waiting: Waiting) -> None:
    reader = Reader()
    look(replace(waiting, page=3, uri=waiting.uri + "#page=3"), 1, reader)
    assert (reader.asked["only_page"], reader.asked["uri"]) == (3, waiting.uri)


def test_a_fresh_file_is_not_read_before_its_time(waiting: Waiting) -> None:
    reader = Reader()
    found = not_yet(look(waiting, 0.1, reader))
    assert (found.reason, found.retry_at) == ("still_changing", pytest.approx(NOTICED_AT + 0.3))
    assert reader.calls == 0


def test_a_file_that_grew_since_it_was_noticed_waits_anew(waiting: Waiting) -> None:
    waiting.path.write_bytes(b"x" * 200)
    reader = Reader()
    found = not_yet(look(waiting, 10, reader))
    assert (found.reason, found.size_bytes) == ("still_changing", 200)
    assert found.mtime_ns == waiting.path.stat().st_mtime_ns
    assert found.retry_at == pytest.approx(NOTICED_AT + 10.3)
    assert reader.calls == 0


def test_a_file_that_changed_while_it_was_read_is_not_taken(waiting: Waiting) -> None:
    def meddled(path: Path, **asked: object) -> list[Frame]:
        path.write_bytes(b"y" * 300)
        return [picture()]

    assert not_yet(look(waiting, 10, meddled)).size_bytes == 300


@pytest.mark.parametrize("code", ["truncated", "sharing_violation", "changed_while_reading"])
def test_what_may_heal_is_looked_at_again_until_patience_ends(waiting: Waiting, code: str) -> None:
    reader = Reader(fault(code, may_heal=True))
    found = not_yet(look(waiting, 29.9, reader))
    assert (found.reason, found.detail) == (code, f"{code} it is")
    with pytest.raises(FrameError) as raised:
        look(waiting, 30.0, reader)
    assert raised.value.code == code


def test_looks_back_off_from_a_tenth_to_two_seconds(waiting: Waiting) -> None:
    reader, settings = Reader(fault("truncated", may_heal=True)), Folder(settle_s=0.0)
    waits, after_s = [], 0.05
    for _ in range(7):
        found = not_yet(look(waiting, after_s, reader, settings))
        waits.append(found.retry_at - NOTICED_AT - after_s)
        after_s += waits[-1]
    late = not_yet(look(waiting, 29.5, reader, settings))
    assert late.retry_at == pytest.approx(NOTICED_AT + 30.01)  # the last look is when patience ends
    assert waits == pytest.approx([0.1, 0.15, 0.3, 0.6, 1.2, 2.0, 2.0])


@pytest.mark.parametrize("code", ["not_an_image", "broken_ifd", "constant", "zero_sized", "empty_file"])
def test_what_a_file_just_begun_looks_like_gets_a_short_patience(waiting: Waiting, code: str) -> None:
    reader = Reader(fault(code))
    assert not_yet(look(waiting, 2.2, reader)).reason == code
    with pytest.raises(FrameError):
        look(waiting, 2.31, reader)


@pytest.mark.parametrize("code", ["true_colour", "too_large", "permission_denied", "unsupported_dtype"])
def test_what_cannot_heal_is_a_fault_at_once(waiting: Waiting, code: str) -> None:
    with pytest.raises(FrameError) as raised:
        look(waiting, 0.4, Reader(fault(code)))
    assert raised.value.code == code


def test_a_uniform_tail_holds_and_never_condemns(waiting: Waiting) -> None:
    reader = Reader(frame=picture(constant_tail=True))
    found = not_yet(look(waiting, 0.5, reader))
    assert (found.reason, found.retry_at) == ("uniform_tail", pytest.approx(NOTICED_AT + 2.3))
    assert isinstance(look(waiting, 2.31, reader), Settled)


def test_a_written_data_bar_proves_what_is_above_it() -> None:
    frame = picture(bottom=50, constant_tail=True)
    assert tail_untouched(frame)
    pixels = frame.pixels.copy()
    pixels[55, 10] = 200  # a letter in the bar; its last rows are empty
    assert not tail_untouched(replace(frame, pixels=pixels))


def test_a_vanished_file_is_told_apart_from_a_vanished_share(waiting: Waiting) -> None:
    waiting.path.unlink()
    with pytest.raises(FrameError) as raised:
        look(waiting, 1, Reader())
    assert raised.value.code == "vanished"
    waiting.path.parent.rmdir()
    with pytest.raises(FrameError) as raised:
        look(waiting, 1, Reader())
    assert raised.value.code == "vanished"
    waiting.path.parents[1].rename(waiting.path.parents[2] / "unmounted")
    found = not_yet(look(waiting, 1, Reader()))
    assert (found.reason, found.retry_at) == ("source_gone", pytest.approx(NOTICED_AT + 3))


def test_a_share_that_answers_with_errors_is_waited_for(waiting: Waiting) -> None:
    def down(path: Path) -> os.stat_result:
        raise OSError(112, "Host is down")

    found = settle(waiting, SETTINGS, Limits(), NOTICED_AT + 100, reader=Reader(), stat_of=down)
    assert not_yet(found).reason == "source_gone"


def test_a_file_that_vanishes_while_it_is_read_is_vanished(waiting: Waiting) -> None:
    def gone(path: Path, **asked: object) -> list[Frame]:
        path.unlink()
        raise fault("not_found")

    with pytest.raises(FrameError) as raised:
        look(waiting, 1, gone)
    assert raised.value.code == "vanished"


def test_a_folder_with_an_images_name_is_a_fault_with_a_remedy(tmp_path: Path) -> None:
    folder = tmp_path / "x.tif"
    folder.mkdir()
    with pytest.raises(FrameError) as raised:
        look(Waiting("folder", folder.as_uri(), folder, Path("x.tif"), 0, 0, 0), 0, Reader())
    assert raised.value.code == "is_directory"
    assert raised.value.remedy


def test_an_expected_sidecar_is_waited_for_but_not_for_ever(waiting: Waiting) -> None:
    settings, reader = SETTINGS.model_copy(update={"sidecar": "txt"}), Reader()
    found = not_yet(look(waiting, 0.4, reader, settings))
    assert found.reason == "sidecar_awaited"
    assert found.retry_at <= NOTICED_AT + 0.4 + 0.25 + 1e-9
    assert reader.calls == 0
    assert isinstance(look(waiting, 5.0, reader, settings), Settled)
    waiting.path.with_suffix(".txt").write_text("[SemImageFile]")
    assert isinstance(look(waiting, 0.4, reader, settings), Settled)


def test_a_clock_that_was_set_back_does_not_hold_a_file(waiting: Waiting) -> None:
    assert isinstance(look(waiting, -3600, Reader()), Settled)


def test_a_real_tiff_written_in_pieces_settles_when_it_is_whole(tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.tif", tmp_path / "a.tif"
    pixels = np.random.default_rng(1).integers(0, 60000, (128, 128), np.uint16)
    tifffile.imwrite(whole, pixels, rowsperstrip=16)
    content = whole.read_bytes()

    def at(size: int, after_s: float) -> Settled | NotYet:
        path.write_bytes(content[:size])
        about = path.stat()
        row = Waiting("folder", path.as_uri(), path, Path("a.tif"), 0, about.st_size, about.st_mtime_ns)
        return settle(row, SETTINGS, Limits(), NOTICED_AT + after_s)

    for size in (0, 4, 1000, len(content) // 2, len(content) - 1):
        assert isinstance(at(size, 1.0), NotYet), size
    found = at(len(content), 1.0)
    assert isinstance(found, Settled)
    assert np.array_equal(found.frames[0].pixels, pixels)


def test_a_preallocated_tiff_is_held_then_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    pixels = np.random.default_rng(1).integers(1, 60000, (128, 128), np.uint16)
    pixels[60:] = 0
    tifffile.imwrite(path, pixels)
    about = path.stat()
    row = Waiting("folder", path.as_uri(), path, Path("a.tif"), 0, about.st_size, about.st_mtime_ns)
    found = not_yet(settle(row, SETTINGS, Limits(), NOTICED_AT + 1))
    assert found.reason == "uniform_tail"
    assert isinstance(settle(row, SETTINGS, Limits(), NOTICED_AT + 2.4), Settled)
