"""The output holds what was given, with the right scale, the vendor's tags and the proof."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import struct
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import tifffile

from semdaemon.errors import SemdaemonError
from semdaemon.formats import (
    Written,
    claim_output_path,
    clean_leftovers,
    is_own_output,
    output_path,
    read_frames,
    read_output,
    verify,
    write_refocused,
)
from semdaemon.formats.leftovers import temporary_for, temporary_path
from semdaemon.formats.names import read_provenance
from semdaemon.frame import Frame

from .making import LIMITS, WEIGHTS, focus_for, frame_of, picture, refocused_of, write_tiff


def save(path: Path, frame: Frame, source_path: Path | None = None, **options: object) -> Written:
    changed, mask = refocused_of(frame)
    return write_refocused(
        path,
        frame=frame,
        refocused=changed,
        mask=mask,
        focus=focus_for(frame),
        provenance={"weights": WEIGHTS, "note": float("nan")},
        source_path=source_path,
        **{"compression": "none", "keep_original_page": True, **options},  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32"])
@pytest.mark.parametrize("compression", ["none", "zstd", "deflate"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_round_trip(tmp_path: Path, dtype: str, compression: str, order: str) -> None:
    original = write_tiff(tmp_path / "a.tif", picture(dtype=dtype), byteorder=order)
    (frame,) = read_frames(original, limits=LIMITS)
    changed, mask = refocused_of(frame)
    written = save(output_path(tmp_path / "out", Path("a.tif")), frame, original, compression=compression)
    found = read_output(written.path)
    for got, given in ((found.refocused, changed), (found.mask, mask), (found.original, frame.pixels)):
        assert got is not None
        np.testing.assert_array_equal(got, given)
        assert got.dtype == given.dtype
    np.testing.assert_array_equal(found.sigma_px, focus_for(frame).sigma_px)
    assert verify(written.path).ok
    assert written.sha256 == hashlib.sha256(written.path.read_bytes()).hexdigest()
    assert written.bytes == written.path.stat().st_size
    assert written.path.read_bytes()[:2] == {"<": b"II", ">": b"MM"}[order]


def test_other_programs_find_the_physical_scale(tmp_path: Path) -> None:
    frame = frame_of(
        picture(), pixel_size_m=(4e-9, 5e-9), acquired_at=datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    )
    written = save(tmp_path / "a.refocused.tif", frame)
    with tifffile.TiffFile(written.path) as tif:
        assert tif.is_ome
        assert [series.name for series in tif.series] == ["refocused", "mask", "sigma_px", "original"]
        page = tif.pages.first
        # ImageJ opens a TIFF plainly by these three.
        assert page.resolutionunit == 3
        assert page.resolution == pytest.approx((1 / 5e-7, 1 / 4e-7))
        ome = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]
        assert "refocused by a network" in tif.ome_metadata
        assert WEIGHTS["sha256"] in tif.ome_metadata
    scales = {image["Name"]: image["Pixels"] for image in ome}
    for name in ("refocused", "mask", "original"):
        assert scales[name]["PhysicalSizeX"] == pytest.approx(0.005)
        assert scales[name]["PhysicalSizeY"] == pytest.approx(0.004)
        assert scales[name]["PhysicalSizeXUnit"] == "µm"
    assert scales["sigma_px"]["PhysicalSizeX"] == pytest.approx(0.005 * 32)
    np.testing.assert_array_equal(tifffile.imread(written.path), refocused_of(frame)[0])  # what napari shows
    again = read_frames(written.path, limits=LIMITS)[0]
    assert again.pixel_size_m == pytest.approx((4e-9, 5e-9))
    assert again.acquired_at == frame.acquired_at


def test_hyperspy_and_digital_micrograph_find_their_scale_on_every_page(tmp_path: Path) -> None:
    written = save(tmp_path / "a.refocused.tif", frame_of(picture(), pixel_size_m=(4e-9, 5e-9)))
    with tifffile.TiffFile(written.path) as tif:
        for page, scale in zip(tif.pages, (1, 1, 32, 1), strict=True):
            assert [page.tags[code].value for code in (65003, 65004)] == ["nm", "nm"]
            found = [page.tags[code].value for code in (65009, 65010)]
            assert found == pytest.approx([5 * scale, 4 * scale])


@pytest.mark.parametrize("size_m", [None, (1e-13, 1e-13), (1e-4, 1e-4)])
def test_odd_pixel_sizes(tmp_path: Path, size_m: tuple[float, float] | None) -> None:
    written = save(tmp_path / "a.refocused.tif", frame_of(picture(), pixel_size_m=size_m))
    assert verify(written.path).ok


def _tags(path: Path) -> dict[int, bytes]:
    with tifffile.TiffFile(path) as tif:
        found = {}
        for tag in tif.pages.first.tags:
            tif.filehandle.seek(tag.valueoffset)
            found[tag.code] = tif.filehandle.read(tag.valuebytecount)
        return found


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("zeiss_nanoporous_gold.tif", {34118}),
        ("zeiss_orion_blank.tif", {34118, 65000}),
        ("fei_16bit_data_bar.tif", {34682}),
        ("fei_quanta.tif", {34682}),
        ("fei_scios_xml.tif", {34682, 34683}),
        ("tescan_16bit.tif", {50431, 271, 272, 306, 315}),
        ("tescan_blank.tif", {50431, 271, 272, 306, 315}),
    ],
)
def test_vendor_tags_are_copied_byte_for_byte(
    vendor_data: Path, tmp_path: Path, name: str, codes: set[int]
) -> None:
    original = vendor_data / name
    content = hashlib.sha256(original.read_bytes()).hexdigest()
    # Some of these files are blanked: another picture stands in, the tags are the file's own.
    written = save(tmp_path / "a.refocused.tif", frame_of(picture(), content_sha256=content), original)
    before, after = _tags(original), _tags(written.path)
    for code in codes:
        assert after[code] == before[code], code
    assert set(read_output(written.path).provenance["copied_tags"]) == codes


@pytest.mark.parametrize("order", ["<", ">"])
def test_tags_of_numbers_keep_their_value_in_either_byte_order(tmp_path: Path, order: str) -> None:
    tags = [
        (65009, 12, 1, 2.5, True),
        (65003, 3, 2, (110, 109), True),
        (65100, 5, 1, (1, 3), True),
        (65101, 2, None, b"text without end"[:8], True),
        (65102, 1, 3, b"\1\2\3", True),
        (51123, 2, None, json.dumps({"PixelSizeUm": 0.1}).encode() + b"\0", True),
    ]
    original = write_tiff(tmp_path / "a.tif", picture(), byteorder=order, extratags=tags)
    (frame,) = read_frames(original, limits=LIMITS)
    written = save(tmp_path / "out" / "a.refocused.tif", frame, original)
    before, after = _tags(original), _tags(written.path)
    assert {tag[0]: after[tag[0]] for tag in tags} == {tag[0]: before[tag[0]] for tag in tags}
    with tifffile.TiffFile(written.path) as tif:
        assert tif.pages.first.tags[65009].value == 2.5
        assert tif.pages.first.tags[65100].value == (1, 3)


def test_text_tags_without_a_final_nul_keep_their_bytes(tmp_path: Path) -> None:
    original = write_tiff(tmp_path / "a.tif", picture(), extratags=[(34682, 2, None, b"[User]x=1\0", True)])
    data = bytearray(original.read_bytes())
    data[data.index(b"[User]x=1\0") + 9] = ord("2")
    original.write_bytes(data)
    (frame,) = read_frames(original, limits=LIMITS)
    written = save(tmp_path / "out" / "a.refocused.tif", frame, original)
    assert _tags(written.path)[34682] == b"[User]x=12"


def test_tags_of_an_original_that_changed_since_are_not_copied(tmp_path: Path) -> None:
    original = write_tiff(tmp_path / "a.tif", picture(), extratags=[(34682, 2, None, b"[a]\0", True)])
    (frame,) = read_frames(original, limits=LIMITS)
    write_tiff(original, picture(seed=8), extratags=[(34682, 2, None, b"[b]\0", True)])
    written = save(tmp_path / "out" / "a.refocused.tif", frame, original)
    assert 34682 not in _tags(written.path)
    assert "changed since" in read_output(written.path).provenance["output_warnings"][0]


def test_white_is_zero_stays_white_is_zero(tmp_path: Path) -> None:
    original = write_tiff(tmp_path / "a.tif", picture(), photometric="miniswhite")
    (frame,) = read_frames(original, limits=LIMITS)
    written = save(tmp_path / "out" / "a.refocused.tif", frame, original)
    with tifffile.TiffFile(written.path) as tif:
        assert [page.photometric for page in tif.pages] == [0, 1, 1, 0]
    assert verify(written.path).ok


def test_provenance_stands_inside_and_beside(tmp_path: Path) -> None:
    written = save(tmp_path / "a.refocused.tif", frame_of(picture(), metadata={"Beam": {"HV": 5000}}))
    inside = read_provenance(written.path)
    beside = json.loads(written.json_path.read_text(encoding="utf-8"))
    assert inside is not None
    assert beside.pop("output") == {
        "file": "a.refocused.tif",
        "sha256": written.sha256,
        "bytes": written.bytes,
    }
    assert inside == beside
    assert inside["schema"] == "semdaemon-provenance-1.0"
    assert inside["note"] is None  # not finite: no JSON number
    assert inside["original"]["metadata"] == {"Beam": {"HV": 5000}}  # type: ignore[index]
    assert written.json_path.name == "a.refocused.json"


def test_without_the_original_page(tmp_path: Path) -> None:
    original = write_tiff(tmp_path / "a.tif", picture())
    (frame,) = read_frames(original, limits=LIMITS)
    written = save(tmp_path / "out" / "a.refocused.tif", frame, original, keep_original_page=False)
    assert read_output(written.path).original is None
    assert verify(written.path).ok  # by the original file
    original.unlink()
    checks = {check.name: check.ok for check in verify(written.path).checks}
    assert not checks["outside the mask"]


# -- mistakes of the caller are refused before anything is written


def test_a_pixel_changed_outside_the_mask_is_refused(tmp_path: Path) -> None:
    frame = frame_of(picture(dtype="float32"))
    changed, mask = refocused_of(frame)
    changed[0, 0] = np.nextafter(changed[0, 0], np.float32(np.inf))
    with pytest.raises(SemdaemonError, match="outside_mask_changed"):
        write_refocused(
            tmp_path / "a.refocused.tif",
            frame=frame,
            refocused=changed,
            mask=mask,
            focus=focus_for(frame),
            provenance={"weights": WEIGHTS},
        )
    assert list(tmp_path.iterdir()) == []


def test_weights_must_be_named(tmp_path: Path) -> None:
    frame = frame_of(picture())
    changed, mask = refocused_of(frame)
    for provenance in ({}, {"weights": {"sha256": "short"}}, {"weights": {"name": "x"}}):
        with pytest.raises(SemdaemonError, match="provenance_incomplete"):
            write_refocused(
                tmp_path / "a.refocused.tif",
                frame=frame,
                refocused=changed,
                mask=mask,
                focus=focus_for(frame),
                provenance=provenance,
            )
    assert list(tmp_path.iterdir()) == []


def test_minus_zero_is_not_zero(tmp_path: Path) -> None:
    pixels = picture(dtype="float32")
    pixels[0, 0] = 0.0
    frame = frame_of(pixels)
    changed, mask = refocused_of(frame)
    changed[0, 0] = -0.0
    with pytest.raises(SemdaemonError, match="outside_mask_changed"):
        write_refocused(
            tmp_path / "a.refocused.tif",
            frame=frame,
            refocused=changed,
            mask=mask,
            focus=focus_for(frame),
            provenance={"weights": WEIGHTS},
        )


# -- names


def test_output_names(tmp_path: Path) -> None:
    assert output_path(tmp_path, Path("run 1/a.b.tif")) == tmp_path / "run 1" / "a.b.refocused.tif"
    assert output_path(tmp_path, Path("a.tif"), 12) == tmp_path / "a.page0012.refocused.tif"
    for bad in ("/etc/a.tif", "../a.tif", "x/../../a.tif"):
        with pytest.raises(SemdaemonError, match="leads out"):
            output_path(tmp_path, Path(bad))


def test_two_originals_with_one_stem_get_two_outputs(tmp_path: Path) -> None:
    first, second = (
        frame_of(picture(), uri="file:///d/a.tif"),
        frame_of(picture(seed=2), uri="file:///d/a.png"),
    )
    path = claim_output_path(tmp_path, Path("a.tif"), 0, first.uri)
    save(path, first)
    other = claim_output_path(tmp_path, Path("a.png"), 0, second.uri)
    save(other, second)
    assert (path.name, other.name) == ("a.refocused.tif", "a.png.refocused.tif")
    # The same originals again get the same names again.
    assert claim_output_path(tmp_path, Path("a.tif"), 0, first.uri) == path
    assert claim_output_path(tmp_path, Path("a.png"), 0, second.uri) == other
    assert claim_output_path(tmp_path, Path("a.bmp"), 0, "file:///d/a.bmp").name == "a.bmp.refocused.tif"


def test_a_foreign_file_of_that_name_is_never_replaced(tmp_path: Path) -> None:
    write_tiff(tmp_path / "a.refocused.tif", picture())
    assert claim_output_path(tmp_path, Path("a.tif"), 0, "file:///d/a.tif").name == "a.tif.refocused.tif"


def test_own_outputs_are_known_by_name_or_by_tag(tmp_path: Path) -> None:
    written = save(tmp_path / "a.refocused.tif", frame_of(picture()))
    assert is_own_output(written.path)
    assert is_own_output(written.json_path)
    assert is_own_output(temporary_path(written.path))
    renamed = written.path.rename(tmp_path / "renamed.tif")
    assert is_own_output(renamed)
    assert not is_own_output(write_tiff(tmp_path / "b.tif", picture()))
    assert not is_own_output(tmp_path / "not there.tif")
    (tmp_path / "c.tif").write_bytes(b"II*\0")
    assert not is_own_output(tmp_path / "c.tif")


# -- interruptions


def test_leftovers_of_dead_writers_are_removed_and_others_kept(tmp_path: Path) -> None:
    earlier = temporary_path(tmp_path / "a.refocused.tif")  # of a run that had this process's number
    dead = earlier.with_name(earlier.name.replace(f"-{os.getpid()}-", "-999999999-"))
    abroad = earlier.with_name(f".b.refocused.tif.ffffffff-{os.getpid()}-00.tmp")
    old = earlier.with_name(f".c.refocused.json.ffffffff-{os.getpid()}-00.tmp")
    foreign = tmp_path / ".something.refocused.tmp"
    parent = earlier.with_name(f".d.refocused.tif.{earlier.name.split('.')[-2][:8]}-{os.getppid()}-00.tmp")
    before_parent = parent.with_name(parent.name.replace(".d.", ".e."))
    with temporary_for(tmp_path / "a.refocused.tif") as mine:
        for path in (earlier, mine, dead, abroad, old, foreign, parent, before_parent):
            path.write_bytes(b"half")
        os.utime(old, (time.time() - 7200,) * 2)
        os.utime(before_parent, (1e9, 1e9))  # its writer's number belongs to another process by now
        assert set(clean_leftovers(tmp_path)) == {earlier, dead, old, before_parent}
        for path in (mine, abroad, foreign, parent):
            assert path.exists()
    assert not mine.exists()
    dead.write_bytes(b"half")
    save(tmp_path / "a.refocused.tif", frame_of(picture()))
    assert not dead.exists()


def test_a_failed_write_leaves_the_old_output_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = save(tmp_path / "a.refocused.tif", frame_of(picture()))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("semdaemon.formats.output._sync", full)
    with pytest.raises(OSError, match="No space"):
        save(written.path, frame_of(picture(seed=3)))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.unit.formats.test_output import save, frame_of, picture
out = Path(sys.argv[1])
frame = frame_of(picture((700, 900)))
print("ready", flush=True)
while True:
    save(out / "a.refocused.tif", frame)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs kill -9")
def test_kill_9_while_writing_leaves_no_half_file(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[3]
    for delay_s in (0.05, 0.12, 0.21):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(root)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(delay_s)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        clean_leftovers(tmp_path)
        names = {path.name for path in tmp_path.iterdir()}
        assert names <= {"a.refocused.tif", "a.refocused.json"}
        if "a.refocused.tif" in names:
            read_output(tmp_path / "a.refocused.tif")


def test_big_file_is_bigtiff_only_when_needed(tmp_path: Path) -> None:
    written = save(tmp_path / "a.refocused.tif", frame_of(picture()))
    assert struct.unpack("<H", written.path.read_bytes()[2:4])[0] == 42
