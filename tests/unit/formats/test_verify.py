"""``verify`` finds every way in which an output may not hold, and says which."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner

from semdaemon.cli.verify import command
from semdaemon.formats import Verification, read_frames, verify
from semdaemon.formats.names import PROVENANCE_TAG, read_provenance
from semdaemon.frame import pixels_sha256

from .making import LIMITS, picture, write_tiff
from .test_output import save


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Path]:
    """An original and its output."""
    (tmp_path / "in").mkdir()
    original = write_tiff(tmp_path / "in" / "a.tif", picture())
    (frame,) = read_frames(original, limits=LIMITS)
    return original, save(tmp_path / "out" / "a.refocused.tif", frame, original).path


def failed(found: Verification) -> set[str]:
    return {check.name for check in found.checks if not check.ok}


def _page_offset(path: Path, index: int) -> int:
    with tifffile.TiffFile(path) as tif:
        return int(tif.pages[index].dataoffsets[0])


def _flip(path: Path, page: int, at: int, mask: int = 1) -> None:
    data = bytearray(path.read_bytes())
    data[_page_offset(path, page) + at] ^= mask
    path.write_bytes(data)


def _change_provenance(path: Path, change: Callable[[dict[str, object]], object]) -> None:
    """Write the provenance anew, of the same length, so that only its words change."""
    provenance = read_provenance(path)
    assert provenance is not None
    with tifffile.TiffFile(path) as tif:
        tag = tif.pages.first.tags[PROVENANCE_TAG]
        offset, size = tag.valueoffset, tag.valuebytecount
    change(provenance)
    raw = json.dumps(provenance, ensure_ascii=False).encode()
    assert len(raw) <= size + 500
    raw = json.dumps(provenance, ensure_ascii=False, separators=(",", ":")).encode()
    data = bytearray(path.read_bytes())
    data[offset : offset + size] = raw.ljust(size)
    path.write_bytes(data)


def test_a_good_output_holds(made: tuple[Path, Path]) -> None:
    found = verify(made[1])
    assert found.ok, found.checks
    details = {check.name: check.detail for check in found.checks}
    assert "agrees" in details["original file"]
    assert "byte for byte" in details["provenance beside"]


def test_one_changed_pixel_outside_the_mask(made: tuple[Path, Path]) -> None:
    _flip(made[1], 0, 0)
    found = verify(made[1])
    assert failed(found) == {"page refocused", "outside the mask", "provenance beside"}
    assert any("row 0, column 0" in check.detail for check in found.checks)


def test_one_changed_pixel_inside_the_mask(made: tuple[Path, Path]) -> None:
    _flip(made[1], 0, 2 * (80 * 30 + 30))
    assert failed(verify(made[1])) == {"page refocused", "provenance beside"}


def test_a_changed_mask(made: tuple[Path, Path]) -> None:
    _flip(made[1], 1, 0, 0xFF)
    assert failed(verify(made[1])) == {"page mask", "provenance beside"}


def test_a_changed_sigma_map(made: tuple[Path, Path]) -> None:
    _flip(made[1], 2, 5)
    assert failed(verify(made[1])) == {"page sigma_px", "provenance beside"}


def test_a_changed_original_page(made: tuple[Path, Path]) -> None:
    _flip(made[1], 3, 0)
    assert {"page original", "outside the mask", "original file"} <= failed(verify(made[1]))


def test_a_forged_pair_with_matching_hashes_fails_on_the_original_file(made: tuple[Path, Path]) -> None:
    """Pixels, original page and hashes are forged consistently, nothing stands beside."""
    for page in (0, 3):
        _flip(made[1], page, 0)
    pixels = tifffile.imread(made[1], series=3)

    def forge(provenance: dict[str, object]) -> None:
        provenance["pages"]["original"]["sha256"] = pixels_sha256(pixels)  # type: ignore[index]
        refocused = tifffile.imread(made[1], series=0)
        provenance["pages"]["refocused"]["sha256"] = pixels_sha256(refocused)  # type: ignore[index]

    _change_provenance(made[1], forge)
    made[1].with_name("a.refocused.json").unlink()
    assert failed(verify(made[1])) == {"original file"}


def test_a_swapped_original_file(made: tuple[Path, Path]) -> None:
    write_tiff(made[0], picture(seed=99))
    assert failed(verify(made[1])) == {"original file"}


def test_the_original_file_need_not_be_there(made: tuple[Path, Path]) -> None:
    made[0].unlink()
    assert verify(made[1]).ok


def test_missing_weights(made: tuple[Path, Path]) -> None:
    _change_provenance(made[1], lambda provenance: provenance.pop("weights"))
    assert {"weights", "provenance"} <= failed(verify(made[1]))


def test_missing_hashes(made: tuple[Path, Path]) -> None:
    _change_provenance(made[1], lambda provenance: provenance["pages"].pop("mask"))  # type: ignore[attr-defined]
    assert "page mask" in failed(verify(made[1]))


def test_a_mask_that_reaches_into_the_data_bar(made: tuple[Path, Path]) -> None:
    def narrow(provenance: dict[str, object]) -> None:
        provenance["original"]["image_area"] = [0, 0, 9, 9]  # type: ignore[index]

    _change_provenance(made[1], narrow)
    assert "mask inside the image area" in failed(verify(made[1]))


def test_missing_provenance(tmp_path: Path) -> None:
    found = verify(write_tiff(tmp_path / "a.refocused.tif", picture()))
    assert failed(found) == {"provenance"}


def test_another_provenance_beside(made: tuple[Path, Path]) -> None:
    beside = made[1].with_name("a.refocused.json")
    words = json.loads(beside.read_text(encoding="utf-8"))
    words["statement"] = "nothing happened"
    beside.write_text(json.dumps(words), encoding="utf-8")
    assert failed(verify(made[1])) == {"provenance beside"}
    beside.write_text("{", encoding="utf-8")
    assert failed(verify(made[1])) == {"provenance beside"}
    beside.unlink()
    assert verify(made[1]).ok  # from the file alone


@pytest.mark.parametrize("keep", [0, 4, 200, 0.5, 0.99])
def test_cut_off_outputs_do_not_hold_and_do_not_raise(made: tuple[Path, Path], keep: float) -> None:
    data = made[1].read_bytes()
    made[1].write_bytes(data[: int(keep if keep >= 1 or keep == 0 else keep * len(data))])
    assert not verify(made[1]).ok


def test_things_that_are_no_output(tmp_path: Path) -> None:
    assert not verify(tmp_path).ok
    assert not verify(tmp_path / "missing.tif").ok


def test_command_says_what_holds_and_exits_1_otherwise(made: tuple[Path, Path]) -> None:
    run = CliRunner().invoke
    good = run(command, [str(made[1])])
    assert (good.exit_code, "holds" in good.output) == (0, True)
    _flip(made[1], 0, 0)
    bad = run(command, [str(made[1])])
    assert bad.exit_code == 1
    assert "DOES NOT HOLD" in bad.output
    assert "outside the mask" in bad.output
    told = run(command, ["--json", str(made[1]), str(made[0])])
    lines = [json.loads(line) for line in told.output.splitlines()]
    assert [line["ok"] for line in lines] == [False, False]
    assert told.exit_code == 1
    assert {"name", "ok", "detail"} == set(lines[0]["checks"][0])


def test_pages_of_a_stack_are_verified_against_their_own_page(tmp_path: Path) -> None:
    original = tmp_path / "a.tif"
    tifffile.imwrite(
        original, np.stack([picture(seed=k) for k in range(3)]), photometric="minisblack", metadata=None
    )
    frame = read_frames(original, limits=LIMITS)[2]
    written = save(tmp_path / "out" / "a.page0002.refocused.tif", frame, original)
    assert verify(written.path).ok


def test_names_with_odd_characters_are_found_again(tmp_path: Path) -> None:
    original = write_tiff(tmp_path / "a b#1 100%25 µ.tif", picture())
    (frame,) = read_frames(original, limits=LIMITS)
    written = save(tmp_path / "out" / "a.refocused.tif", frame, original)
    details = {check.name: check.detail for check in verify(written.path).checks}
    assert "agrees" in details["original file"]
