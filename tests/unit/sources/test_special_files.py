"""What lies in an acquisition folder and is no regular file is never opened, and nothing leads out of it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile

from semdaemon.errors import FrameError
from semdaemon.formats import is_own_output, read_frames
from semdaemon.formats.disk import NotRegularError, open_regular
from semdaemon.formats.names import claim_output_path
from semdaemon.formats.sidecar import read_sidecar
from semdaemon.settings import Folder, Limits
from semdaemon.sources.reader import FileReader
from semdaemon.sources.scan import Rules, walk
from semdaemon.sources.settle import Settled

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX kinds of files")


@dataclass(frozen=True)
class File:
    path: Path
    relative: Path
    source: str = "folder"
    page: int = 0
    noticed_at: float = 0.0

    @property
    def uri(self) -> str:
        return self.path.as_uri()

    @property
    def size_bytes(self) -> int:
        return self.path.stat().st_size

    @property
    def mtime_ns(self) -> int:
        return self.path.stat().st_mtime_ns


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, np.random.default_rng(1).integers(0, 255, (64, 64), np.uint8))
    return path


def fifo(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)  # in the working folder: names of sockets are short


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


SPECIAL: dict[str, Callable[[Path], None]] = {"fifo": fifo, "socket": unix_socket, "device": device}


@posix
@pytest.mark.timeout(10)
@pytest.mark.parametrize("kind", SPECIAL)
def test_a_pipe_socket_or_device_with_an_images_name_is_a_fault_at_once(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.tif"
    SPECIAL[kind](path)
    assert list(walk(str(tmp_path), Rules(Folder()))) == []
    with pytest.raises(FrameError) as caught:
        read_frames(path, limits=Limits())
    assert caught.value.code == "not_a_file"
    assert caught.value.remedy
    with pytest.raises(NotRegularError):
        open_regular(path)
    assert not is_own_output(path)


@posix
@pytest.mark.timeout(10)
def test_a_pipe_where_an_output_would_go_does_not_hold_the_daemon_up(tmp_path: Path) -> None:
    fifo(tmp_path / "a.refocused.tif")
    assert claim_output_path(tmp_path, Path("a.tif")).name == "a.tif.refocused.tif"


@posix
def test_links_in_the_tree_are_not_followed_loops_neither(tmp_path: Path) -> None:
    outside = picture(tmp_path / "outside" / "secret.tif")
    root = tmp_path / "root"
    inside = picture(root / "day" / "a.tif")
    (root / "link.tif").symlink_to(outside)
    (root / "dangling.tif").symlink_to(root / "nothing.tif")
    (root / "self.tif").symlink_to(root / "self.tif")
    (root / "out").symlink_to(outside.parent)
    (root / "day" / "loop").symlink_to(root)
    found = [name for name, _, _ in walk(str(root), Rules(Folder()))]
    assert found == [os.path.relpath(inside, root)]


def read_as_the_daemon(path: Path, relative: str) -> list[object]:
    reader = FileReader(Folder(settle_s=0), Limits(), follow_links=False)
    found = reader.settle(File(path, Path(relative)), 1e12, lambda: None)  # type: ignore[arg-type]
    assert isinstance(found, Settled)
    return list(found.frames)


@posix
def test_a_file_that_became_a_link_out_of_the_tree_is_a_fault(tmp_path: Path) -> None:
    outside = picture(tmp_path / "outside" / "secret.tif")
    path = picture(tmp_path / "root" / "a.tif")
    assert len(read_as_the_daemon(path, "a.tif")) == 1
    path.unlink()
    path.symlink_to(outside)
    with pytest.raises(FrameError, match="symbolic link") as caught:
        read_as_the_daemon(path, "a.tif")
    assert caught.value.code == "not_a_file"
    assert len(read_frames(path, limits=Limits())) == 1  # a person who names a link means what it leads to


@posix
def test_a_folder_that_became_a_link_out_of_the_tree_is_a_fault(tmp_path: Path) -> None:
    outside = picture(tmp_path / "outside" / "a.tif")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "day").symlink_to(outside.parent)
    with pytest.raises(FrameError, match="day") as caught:
        read_as_the_daemon(tmp_path / "root" / "day" / "a.tif", "day/a.tif")
    assert caught.value.code == "not_a_file"


@posix
def test_an_acquisition_folder_may_itself_be_reached_through_a_link(tmp_path: Path) -> None:
    picture(tmp_path / "real" / "day" / "a.tif")
    (tmp_path / "root").symlink_to(tmp_path / "real")
    assert len(read_as_the_daemon(tmp_path / "root" / "day" / "a.tif", "day/a.tif")) == 1


@posix
def test_a_sidecar_that_is_a_link_is_not_read(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.tif")
    secret = tmp_path / "secret"
    secret.write_text("[SemImageFile]\nInstructName=S-4800\nPixelSize=4.9\n")
    path.with_suffix(".txt").write_bytes(secret.read_bytes())
    assert read_sidecar(path, "auto")[0] is not None
    path.with_suffix(".txt").unlink()
    path.with_suffix(".txt").symlink_to(secret)
    assert read_sidecar(path, "auto")[0] is None
    assert read_sidecar(path, "txt")[0] is None


def test_a_frame_whose_name_leaves_no_room_for_a_sidecars_is_read(tmp_path: Path) -> None:
    path = picture(tmp_path / f"{'x' * 251}.tif")
    for kind in ("auto", "hdr", "txt"):
        assert len(read_frames(path, limits=Limits(), sidecar=kind)) == 1


@posix
def test_a_sparse_file_of_a_terabyte_costs_nothing(tmp_path: Path) -> None:
    path = picture(tmp_path / "x.tif")
    os.truncate(path, 2**40)
    with pytest.raises(FrameError) as caught:
        read_frames(path, limits=Limits())
    assert caught.value.code == "too_large"
