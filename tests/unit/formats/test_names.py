"""Names that come from outside become names that every system can write, and no two meet."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from semdaemon.errors import FrameError
from semdaemon.formats import claim_output_path, output_path, read_output, verify
from semdaemon.formats.leftovers import temporary_path
from semdaemon.formats.names import json_path
from semdaemon.formats.portable import portable, shortened

from .making import frame_of, picture
from .test_output import save


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a b.ü-1", "a b.ü-1"),
        ("line\nbreak\x1b[31m", "line_break_[31m"),
        ("del\x7f\x85", "del__"),
        ("caf\udce9", "caf_"),
        ("CON", "CON_"),
        ("con.refocused", "con_.refocused"),
        ("Lpt1.x", "Lpt1_.x"),
        ("COM¹", "COM¹_"),
        ("console", "console"),
        ("com10", "com10"),
        ("dots...", "dots___"),
        ("space ", "space_"),
        (". .", "___"),
    ],
)
def test_what_some_system_would_refuse_or_misunderstand_is_replaced(name: str, expected: str) -> None:
    assert portable(name) == expected


def test_reserved_names_and_odd_ends_do_not_reach_the_disk(tmp_path: Path) -> None:
    assert output_path(tmp_path, Path("CON.tif")).name == "CON_.refocused.tif"
    assert output_path(tmp_path, Path("day. /nul/a.tif")) == tmp_path / "day__" / "nul_" / "a.refocused.tif"


def test_names_up_to_the_systems_limit_are_shortened_and_do_not_meet(tmp_path: Path) -> None:
    first, second = "ä" * 120 + "1", "ä" * 120 + "2"
    assert shortened("a" * 180) == "a" * 180
    assert shortened(first) != shortened(second)
    for stem in (first, second, "x" * 251):
        path = output_path(tmp_path, Path(f"{stem}.tif"), 99_999)
        for name in (path.name, json_path(path).name, temporary_path(json_path(path)).name):
            assert len(os.fsencode(name)) <= 255
        written = save(path, frame_of(picture(), uri=f"file:///{stem}"))
        assert verify(written.path).ok


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_a_name_that_is_no_text_is_saved_and_proved(tmp_path: Path) -> None:
    original = Path(os.fsdecode(b"/acquired/caf\xe9\n.tif"))
    frame = frame_of(picture(), uri=original.as_uri())
    path = claim_output_path(tmp_path, Path(original.name), 0, frame.uri)
    written = save(path, frame)
    assert written.path.name == "caf__.refocused.tif"
    assert verify(written.path).ok
    assert claim_output_path(tmp_path, Path(original.name), 0, frame.uri) == path
    assert claim_output_path(tmp_path, Path("caf__.tif"), 0, "file:///acquired/caf__.tif") != path


def test_provenance_with_text_that_is_none_is_written(tmp_path: Path) -> None:
    frame = frame_of(picture(), metadata={"operator\udce9": "J\udcfcrgen"})
    assert verify(save(tmp_path / "a.refocused.tif", frame).path).ok


def test_two_outputs_of_one_stem_have_two_provenances_beside_them(tmp_path: Path) -> None:
    tif, png = (frame_of(picture(seed=n), uri=f"file:///d/a.{end}") for n, end in ((1, "tif"), (2, "png")))
    for frame, name in ((tif, "a.tif"), (png, "a.png")):
        save(claim_output_path(tmp_path, Path(name), 0, frame.uri), frame)
    assert {path.name for path in tmp_path.iterdir()} == {
        "a.refocused.tif", "a.refocused.json", "a.png.refocused.tif", "a.png.refocused.json"
    }  # fmt: skip
    for path in tmp_path.glob("*.tif"):
        assert verify(path).ok
        assert read_output(path)


@pytest.mark.parametrize("relative", ["../a.tif", "x/../../a.tif", "/etc/a.tif"])
def test_no_name_leads_out_of_the_output_folder(tmp_path: Path, relative: str) -> None:
    with pytest.raises(FrameError) as caught:
        claim_output_path(tmp_path, Path(relative))
    assert caught.value.code == "outside_output"


def test_names_of_dots_stay_inside(tmp_path: Path) -> None:
    for name in ("..tif", "...tif", "..tif.tif", ". .tif"):
        assert claim_output_path(tmp_path, Path(name)).resolve().parent == tmp_path.resolve()


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_link_where_an_output_would_go_is_not_written_through(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.refocused.tif").symlink_to(precious)  # to nothing yet: exists() says no
    frame = frame_of(picture(), uri="file:///d/a.tif")
    written = save(claim_output_path(tmp_path / "out", Path("a.tif"), 0, frame.uri), frame)
    assert written.path.name == "a.tif.refocused.tif"
    assert not precious.exists()


def taken(folder: Path, stems: Iterable[str]) -> None:
    for stem in stems:
        (folder / f"{stem}.refocused.tif").write_text("foreign")


def test_names_do_not_run_out_where_a_thousand_are_taken(tmp_path: Path) -> None:
    taken(tmp_path, ("a", "a.tif", *(f"a.tif.{n}" for n in range(2, 1100))))
    paths = [claim_output_path(tmp_path, Path("a.tif"), 0, f"file:///{n}/a.tif") for n in range(3)]
    assert len(set(paths)) == 3  # every original has one of its own
    frame = frame_of(picture(), uri="file:///0/a.tif")
    assert verify(save(paths[0], frame).path).ok
    assert claim_output_path(tmp_path, Path("a.tif"), 0, frame.uri) == paths[0]  # and again the same


def test_where_every_name_is_taken_that_is_told(tmp_path: Path) -> None:
    claimed = list[Path]()

    def claim_all() -> None:
        while len(claimed) < 100:
            claimed.append(claim_output_path(tmp_path, Path("a.tif"), 0, "file:///a.tif"))
            claimed[-1].write_text("foreign")

    with pytest.raises(FrameError) as caught:
        claim_all()
    assert caught.value.code == "output_names_taken"
    assert "file:///a.tif" in caught.value.message
    assert "requeue" in caught.value.remedy
    assert len(claimed) < 50  # few enough to look at
