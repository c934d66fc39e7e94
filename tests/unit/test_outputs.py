"""The output's disk full, read-only, gone, failing: the frame waits, it is told once, and told when over."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from semdaemon.errors import FrameError, SemdaemonError
from semdaemon.formats import output as output_module
from semdaemon.formats import read_output, verify
from semdaemon.outputs import Outputs
from semdaemon.settings import Output
from semdaemon.standing import StandingFault
from tests.unit.formats.making import WEIGHTS, focus_for, frame_of, picture, refocused_of

SIDE = 400
linux_root = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="mounting a small disk needs root on Linux"
)


class Steady:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Disk:
    """Outputs into a folder, with a clock that is turned by hand."""

    def __init__(self, folder: Path) -> None:
        self.steady = Steady()
        self.told: list[SemdaemonError] = []
        self.slept: list[float] = []
        self.outputs = Outputs(self.told.append, StandingFault(clock=self.steady), self.slept.append)
        self.settings = Output(folder=folder)
        self.replaced = False

    def save(self, name: str = "a.tif", seed: int = 1) -> Path | None:
        """As the pipeline does: ask whether it is worth it, save, and note what refuses."""
        if not self.outputs.ready(self.settings):
            return None
        pixels, content = picture((SIDE, SIDE), "uint16", seed), f"{seed:064x}"
        frame = frame_of(pixels, uri=f"file:///acquired/{name}", content_sha256=content)
        changed, mask = refocused_of(frame)
        answer: Any = SimpleNamespace(pixels=changed, mask=mask)
        try:
            saved = self.outputs.save(
                self.settings, Path(name), frame, focus_for(frame), answer, {"weights": WEIGHTS}, None
            )
            self.replaced = saved.replaced
            return saved.path
        except OSError as error:
            self.outputs.refused(self.settings.folder, error)
            return None

    def wait(self) -> None:
        self.steady.now += 31.0


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MiB."""
    point = tmp_path / "small"
    point.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(point)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.decode().strip()}")
    yield point
    subprocess.run(["umount", "-l", str(point)], capture_output=True, check=False)


@linux_root
def test_a_full_output_disk_is_waited_out(small: Path) -> None:
    disk = Disk(small)
    assert disk.save("first.tif") is not None
    filler = small / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(small).free - 300_000))
    before = names(small)
    assert disk.save("second.tif") is None
    assert names(small) == before  # nothing half-written is left
    assert "cannot be written" in disk.outputs.fault
    for _ in range(5):
        assert disk.save("second.tif") is None  # not tried again before its time
        disk.wait()
        assert not disk.outputs.ready(disk.settings)  # and then with a probe, not with the worker's time
    assert [error.code for error in disk.told] == ["output_unwritable"]
    filler.unlink()
    disk.wait()
    saved = disk.save("second.tif")
    assert saved is not None
    assert disk.outputs.fault == ""
    assert verify(saved).ok


@linux_root
def test_a_read_only_output_disk_is_waited_out(small: Path) -> None:
    disk = Disk(small)
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
    assert disk.save() is None
    assert "Read-only" in disk.outputs.fault
    subprocess.run(["mount", "-o", "remount,rw", str(small)], check=True)
    disk.wait()
    assert disk.save() is not None
    assert len(disk.told) == 1


@linux_root
def test_an_unmounted_output_disk_does_not_become_a_folder_on_the_systems_disk(small: Path) -> None:
    disk = Disk(small / "out")
    assert disk.save("first.tif") is not None
    subprocess.run(["umount", str(small)], check=True)
    assert disk.save("second.tif") is None
    assert "not mounted any more" in disk.outputs.fault
    assert list(small.iterdir()) == []
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(small)], check=True)
    disk.wait()
    assert disk.save("second.tif") is not None


def test_a_removed_output_folder_is_made_again(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "out")
    assert disk.save("day/a.tif") is not None
    shutil.rmtree(tmp_path / "out")
    assert disk.save("day/b.tif") is not None
    assert disk.told == []


def test_a_file_where_the_output_folder_was_is_waited_out(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "out")
    (tmp_path / "out").write_text("a file")
    assert disk.save() is None
    disk.wait()
    assert disk.save() is None
    assert len(disk.told) == 1
    (tmp_path / "out").unlink()
    disk.wait()
    assert disk.save() is not None


def failing(number: int) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("where", ["_sync", "_sync_folder"])
def test_a_disk_that_fails_at_the_last_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, number: int
) -> None:
    """Written, and then the flush says that it was not: NFS and quotas do so."""
    disk = Disk(tmp_path / "out")
    with monkeypatch.context() as patched:
        patched.setattr(output_module, where, failing(number))
        assert disk.save() is None
    assert os.strerror(number) in disk.outputs.fault
    assert not [name for name in names(tmp_path) if name.endswith(".tmp")]
    disk.wait()
    saved = disk.save()
    assert saved is not None
    assert names(tmp_path / "out") == {"a.refocused.tif", "a.refocused.json"}
    assert verify(saved).ok


def test_a_short_write_leaves_nothing(tmp_path: Path) -> None:
    """The system takes a part and refuses the rest: a limit on the size of files does that, on any disk."""
    pytest.importorskip("resource", reason="limits of a process are set the POSIX way")
    code = (
        "import resource, signal, sys; from pathlib import Path; from tests.unit.test_outputs import Disk\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))\n"
        "disk = Disk(Path(sys.argv[1])); print(disk.save(), disk.outputs.fault)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)\n"
        "disk.wait(); print(disk.save())"
    )
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-c", code, str(out)], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    said = [line for line in done.stdout.splitlines() if "[" not in line[:30]]
    assert said[0].startswith("None") and "cannot be written" in said[0]  # noqa: PT018
    assert names(out) == {"a.refocused.tif", "a.refocused.json"}
    assert verify(out / "a.refocused.tif").ok


def test_a_name_that_is_too_long_as_a_whole_is_the_frames_own_fault(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "out")
    with pytest.raises(FrameError) as caught:
        disk.save("/".join(["d" * 200] * 25) + "/a.tif")
    assert caught.value.code == "output_name_refused"
    assert disk.outputs.fault == ""
    assert disk.save("b.tif") is not None


def test_a_file_where_a_frames_folder_should_be_is_that_frames_fault_after_a_few_tries(
    tmp_path: Path,
) -> None:
    disk = Disk(tmp_path / "out")
    assert disk.save("night/a.tif") is not None
    (tmp_path / "out" / "day").write_text("a file")
    with pytest.raises(FrameError) as caught:
        disk.save("day/b.tif")
    assert caught.value.code == "output_path_refused"
    assert "file:///acquired/day/b.tif" in caught.value.message  # which frame
    assert str(tmp_path / "out" / "day") in caught.value.message  # what
    assert "requeue" in caught.value.remedy  # what to do
    assert len(disk.slept) == 2
    assert (disk.told, disk.outputs.fault) == ([], "")  # nobody else waits for it
    assert disk.save("night/c.tif") is not None
    assert names(tmp_path / "out" / "night") == {
        "a.refocused.tif", "a.refocused.json", "c.refocused.tif", "c.refocused.json"
    }  # fmt: skip


def test_letters_that_the_disk_cannot_have_are_the_frames_own_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As FAT and exFAT answer, which cannot be mounted everywhere."""
    write = output_module.write_tiff

    def as_on_fat(path: Path, *rest: Any) -> None:
        if ":" in path.name:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), str(path))
        write(path, *rest)

    monkeypatch.setattr(output_module, "write_tiff", as_on_fat)
    disk = Disk(tmp_path / "out")
    with pytest.raises(FrameError) as caught:
        disk.save("12:30.tif")
    assert caught.value.code == "output_path_refused"
    assert disk.save("12h30.tif") is not None
    assert names(tmp_path / "out") == {"12h30.refocused.tif", "12h30.refocused.json"}


def test_a_path_that_is_refused_for_a_moment_costs_the_frame_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program has the file open (Windows), or moves the folder away."""
    write, refusals = output_module.write_tiff, [errno.EACCES, errno.ENOENT]

    def busy(*given: Any) -> None:
        if refusals:
            raise OSError(refusals.pop(), "not now")
        write(*given)

    monkeypatch.setattr(output_module, "write_tiff", busy)
    disk = Disk(tmp_path / "out")
    saved = disk.save()
    assert saved is not None
    assert verify(saved).ok
    assert disk.told == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE])
def test_a_fault_of_the_disk_is_no_frames_fault_even_where_a_small_file_still_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(output_module, "write_tiff", failing(number))
    disk = Disk(tmp_path / "out")
    for _ in range(5):
        assert disk.save() is None
        disk.wait()
    assert disk.slept == []
    assert [error.code for error in disk.told] == ["output_unwritable"]


def test_a_folder_in_the_place_of_the_provenance_leads_to_another_name(tmp_path: Path) -> None:
    """The TIFF had its name already when the JSON was refused, again and again."""
    disk = Disk(tmp_path / "out")
    (tmp_path / "out" / "a.refocused.json").mkdir(parents=True)
    assert disk.save() == tmp_path / "out" / "a.tif.refocused.tif"
    assert names(tmp_path / "out") == {"a.tif.refocused.tif", "a.tif.refocused.json"}


def test_a_path_that_leads_out_of_the_output_folder_is_refused(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "out")
    for name in ("../a.tif", "x/../../a.tif", "/etc/a.tif"):
        with pytest.raises(FrameError) as caught:
            disk.save(name)
        assert caught.value.code == "outside_output"
    assert names(tmp_path) == set()


def test_a_name_taken_at_the_last_moment_by_another_daemon_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two daemons with one output folder: both claimed a.refocused.tif before either had written it."""
    disk, other = Disk(tmp_path), Disk(tmp_path)
    link = os.link
    once = []

    def late(source: Path, target: Path) -> None:
        if not once:
            once.append(target)
            assert other.save("a.png", seed=2) == tmp_path / "a.refocused.tif"
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    saved = disk.save("a.tif", seed=1)
    assert saved == tmp_path / "a.tif.refocused.tif"
    for path, uri in ((saved, "a.tif"), (tmp_path / "a.refocused.tif", "a.png")):
        assert verify(path).ok
        assert str(read_output(path).provenance["original"]["uri"]).endswith(uri)  # type: ignore[index]


def test_a_disk_without_hard_links_is_written_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", failing(errno.EPERM))
    disk = Disk(tmp_path)
    assert disk.save() is not None
    assert disk.save(seed=2) is not None  # its own output is replaced
    np.testing.assert_array_equal(
        read_output(tmp_path / "a.refocused.tif").original, picture((SIDE, SIDE), "uint16", 2)
    )


def test_the_same_frame_was_told_before_and_a_file_that_was_overwritten_is_a_new_one(tmp_path: Path) -> None:
    """Whoever leaves out what says ``redelivered`` must not miss what a live folder overwrites."""
    disk, told = Disk(tmp_path), []
    for seed in (1, 1, 2, 2):
        assert disk.save(seed=seed) == tmp_path / "a.refocused.tif"
        told.append(disk.replaced)
    assert told == [False, True, False, True]


def test_pauses_grow_and_end_with_the_fault() -> None:
    steady = Steady()
    fault = StandingFault(1.0, 8.0, steady)
    pauses = []
    for number in range(6):
        assert fault.stands("full") == (number == 0)
        began = steady.now
        while not fault.due:
            steady.now += 0.5
        pauses.append(steady.now - began)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert not fault.stands("full")
    steady.now += 7.5
    assert not fault.stands("full")  # somebody else failed in the meantime
    steady.now += 0.5
    assert fault.due
    assert not fault.stands("read-only")  # the same outage, now for another reason
    assert fault.text == "read-only"
    assert fault.over() == pytest.approx(39.0)
    assert fault.over() is None
    assert fault.due
