"""Every bad input is one clear fault: code, file name, what was expected, what to do."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from semdaemon.errors import FrameError
from semdaemon.formats import read_frames
from semdaemon.formats.disk import read_bytes
from semdaemon.settings import Limits

from .making import LIMITS, picture, write_tiff

Make = Callable[[Path], object]


def fault_of(path: Path, limits: Limits = LIMITS, **options: object) -> FrameError:
    with pytest.raises(FrameError) as caught:
        read_frames(path, limits=limits, **options)  # type: ignore[arg-type]
    error = caught.value
    assert str(path) in error.message
    assert error.remedy
    return error


def _cut(path: Path, keep: float, **options: object) -> None:
    write_tiff(path, picture(), **options)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])


def _patch(path: Path, code: int, value: int, **options: object) -> None:
    write_tiff(path, picture(), **options)
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        tag = tif.pages.first.tags[code]
        struct.pack_into("<I" if tag.dtype == 4 else "<H", data, tag.valueoffset, value)
    path.write_bytes(data)


def _huge(path: Path) -> None:
    _patch(path, 256, 40_000)
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        for code in (256, 257, 278):
            tag = tif.pages.first.tags[code]
            struct.pack_into("<HI", data, tag.offset + 2, 4, 1)
            struct.pack_into("<I", data, tag.offset + 8, 100_000)
    path.write_bytes(data)


def _constant(path: Path) -> None:
    write_tiff(path, np.full((96, 80), 7, np.uint16))


def _with(value: float) -> Make:
    def make(path: Path) -> None:
        pixels = picture(dtype="float32")
        pixels[3, 4] = value
        write_tiff(path, pixels)

    return make


def _colour(path: Path) -> None:
    tifffile.imwrite(
        path, np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8), photometric="rgb"
    )


def _colour_palette(path: Path) -> None:
    colours = np.random.default_rng(1).integers(0, 65535, (3, 256), np.uint16)
    tifffile.imwrite(path, picture(dtype="uint8"), photometric="palette", colormap=colours)


def _zeros(path: Path) -> None:
    path.write_bytes(bytes(100_000))


def _not_written_strips(path: Path) -> None:
    _patch(path, 273, 0, rowsperstrip=96)


def _garbage_zstd(path: Path) -> None:
    write_tiff(path, picture(), compression="zstd", rowsperstrip=96)
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        offset = tif.pages.first.dataoffsets[0]
    data[offset : offset + 3000] = bytes(3000)
    path.write_bytes(data)


BAD: dict[str, tuple[Make, str, bool]] = {
    "truncated": (lambda p: _cut(p, 0.6), "truncated", True),
    "truncated_tiles": (lambda p: _cut(p, 0.6, tile=(32, 32)), "truncated", True),
    "truncated_zstd": (lambda p: _cut(p, 0.6, compression="zstd"), "truncated", True),
    "header_only": (lambda p: p.write_bytes(b"II*\0\0\0\0\0"), "truncated", True),
    "directory_not_there_yet": (lambda p: p.write_bytes(b"II*\0\xff\xff\0\0" + bytes(50)), "truncated", True),
    "three_bytes": (lambda p: p.write_bytes(b"II*"), "truncated", True),
    "preallocated_zeros": (_zeros, "truncated", True),
    "strip_not_written": (_not_written_strips, "truncated", True),
    "strip_overwritten": (_garbage_zstd, "truncated", True),
    "empty": (lambda p: p.write_bytes(b""), "empty_file", True),
    "zero_sized": (lambda p: _patch(p, 256, 0), "zero_sized", False),
    "giant_header": (_huge, "too_large", False),
    "text": (lambda p: p.write_text("not an image at all, but long enough"), "not_an_image", False),
    "no_entries": (lambda p: p.write_bytes(b"II*\0\x08\0\0\0\0\0\0\0\0\0"), "broken_ifd", True),
    "nan": (_with(float("nan")), "nan_pixels", False),
    "infinite": (_with(float("inf")), "nan_pixels", False),
    "constant": (_constant, "constant", False),
    "folder": (lambda p: p.mkdir(), "is_directory", False),
    "missing": (lambda p: None, "not_found", False),
    "colour": (_colour, "true_colour", False),
    "colour_palette": (_colour_palette, "true_colour", False),
    "complex": (lambda p: tifffile.imwrite(p, picture().astype(np.complex64)), "unsupported_dtype", False),
    "bilevel": (lambda p: tifffile.imwrite(p, picture() > 40_000), "unsupported_dtype", False),
    "int64": (lambda p: tifffile.imwrite(p, picture().astype(np.int64)), "unsupported_dtype", False),
    "unknown_compression": (lambda p: _patch(p, 259, 4711), "unsupported_compression", False),
    "too_small": (lambda p: write_tiff(p, picture((96, 31))), "too_small", False),
}


@pytest.mark.parametrize("name", BAD)
def test_each_bad_input_has_its_code(tmp_path: Path, name: str) -> None:
    make, code, may_heal = BAD[name]
    path = tmp_path / "x.tif"
    make(path)
    error = fault_of(path)
    assert (error.code, error.may_heal) == (code, may_heal)


def test_giant_headers_take_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    _huge(path)
    assert "100,000 x 100,000" in fault_of(path).message
    png = tmp_path / "x.png"
    Image.fromarray(picture(dtype="uint8")).save(png)
    data = bytearray(png.read_bytes())
    struct.pack_into(">II", data, 16, 100_000, 100_000)
    png.write_bytes(data)
    assert fault_of(png).code == "too_large"


def test_file_larger_than_the_limit(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "x.tif", picture())
    error = fault_of(path, Limits(max_file_bytes=1000))
    assert error.code == "too_large"
    assert "1,000" in error.message


def test_pages_that_together_need_too_much(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    with tifffile.TiffWriter(path) as writer:
        for _ in range(20):
            writer.write(np.zeros((500, 500), np.uint8), compression="zstd", metadata=None, contiguous=False)
    assert fault_of(path, Limits(max_pixels=250_000, max_file_bytes=100_000)).code == "too_large"


@pytest.mark.parametrize("codec", ["jpeg", "jpeg2000", "jpegxl", "jpegxr", "lerc", "png"])
def test_a_strip_that_brings_a_larger_picture_is_not_decoded(tmp_path: Path, codec: str) -> None:
    import imagecodecs

    encode = {
        "jpeg": imagecodecs.jpeg8_encode,
        "jpeg2000": imagecodecs.jpeg2k_encode,
        "jpegxl": imagecodecs.jpegxl_encode,
        "jpegxr": imagecodecs.jpegxr_encode,
        "lerc": imagecodecs.lerc_encode,
        "png": imagecodecs.png_encode,
    }[codec]
    payload = encode(np.zeros((700, 900), np.uint8))
    path = write_tiff(tmp_path / "x.tif", picture((64, 64), "uint8"), compression=codec, rowsperstrip=64)
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        tags = tif.pages.first.tags
        for code, value in ((273, len(data)), (279, len(payload))):
            struct.pack_into("<HII", data, tags[code].offset + 2, 4, 1, value)
    path.write_bytes(bytes(data) + payload)
    error = fault_of(path)
    assert "700 x 900" in error.message


def test_a_wrong_extension_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    Image.fromarray(picture(dtype="uint8")).save(path, format="PNG")
    (frame,) = read_frames(path, limits=LIMITS)
    assert any("PNG" in warning for warning in frame.warnings)


def test_a_page_that_is_not_there(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "x.tif", picture())
    assert fault_of(path, only_page=3).code == "no_such_page"


def test_directories_in_a_loop(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "x.tif", picture())
    data = bytearray(path.read_bytes())
    start = struct.unpack_from("<I", data, 4)[0]
    entries = struct.unpack_from("<H", data, start)[0]
    struct.pack_into("<I", data, start + 2 + 12 * entries, start)
    path.write_bytes(data)
    assert fault_of(path).code == "broken_ifd"


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
def test_permission_denied(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "x.tif", picture())
    path.chmod(0)
    if os.geteuid() != 0:
        assert fault_of(path).code == "permission_denied"
        return
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    # Root may read anything: a child without its rights looks at the same file.
    code = (
        "import os,sys; from pathlib import Path; from semdaemon.formats import read_frames\n"
        "from semdaemon.settings import Limits; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: read_frames(Path(sys.argv[1]), limits=Limits())\n"
        "except Exception as error: print(error.code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "permission_denied", done.stderr


def _windows(winerror: int) -> PermissionError:
    error = PermissionError(errno.EACCES, "held by another process")
    error.winerror = winerror  # type: ignore[attr-defined]
    return error


def test_sharing_violations_are_retried_then_told(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "x.tif", picture())
    tries = []

    def held_for(times: int) -> Callable[[Path], object]:
        def opener(path: Path) -> object:
            tries.append(path)
            if len(tries) <= times:
                raise _windows(32)
            return path.open("rb", buffering=0)

        return opener

    assert read_bytes(path, 10**9, opener=held_for(2)).data  # type: ignore[arg-type]
    assert len(tries) == 3
    tries.clear()
    with pytest.raises(FrameError) as caught:
        read_bytes(path, 10**9, opener=held_for(100))  # type: ignore[arg-type]
    assert (caught.value.code, caught.value.may_heal) == ("sharing_violation", True)


class _Failing:
    """A file on a share that goes away while it is read."""

    def __init__(self, path: Path, error: int) -> None:
        self.file, self.error = path.open("rb", buffering=0), error

    def __enter__(self) -> _Failing:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def fileno(self) -> int:
        return self.file.fileno()

    def read(self, _: int) -> bytes:
        raise OSError(self.error, os.strerror(self.error))


@pytest.mark.parametrize(("number", "code"), [(errno.ESTALE, "vanished"), (errno.EIO, "read_error")])
def test_a_share_that_goes_away_while_reading(tmp_path: Path, number: int, code: str) -> None:
    path = write_tiff(tmp_path / "x.tif", picture())
    with pytest.raises(FrameError) as caught:
        read_bytes(path, 10**9, opener=lambda p: _Failing(p, number))  # type: ignore[arg-type,return-value]
    assert caught.value.code == code


def test_a_file_that_grows_while_it_is_read(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "x.tif", picture())

    def opener(path: Path) -> object:
        file = path.open("rb", buffering=0)
        real = file.read

        class Growing:
            __enter__ = lambda self: self  # noqa: E731
            __exit__ = lambda self, *_: file.close()  # noqa: E731
            fileno = staticmethod(file.fileno)

            @staticmethod
            def read(size: int) -> bytes | None:
                data = real(size)
                with path.open("ab") as more:
                    more.write(b"more")
                return data

        return Growing()

    with pytest.raises(FrameError) as caught:
        read_bytes(path, 10**9, opener=opener)  # type: ignore[arg-type]
    assert (caught.value.code, caught.value.may_heal) == ("changed_while_reading", True)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_the_file_is_closed_afterwards(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "x.tif", picture())
    read_frames(path, limits=LIMITS)
    path.with_name("y.tif").write_bytes(b"")
    fault_of(path.with_name("y.tif"))
    targets = [os.path.realpath(entry) for entry in Path("/proc/self/fd").iterdir()]
    assert not [target for target in targets if target.startswith(str(tmp_path))]
