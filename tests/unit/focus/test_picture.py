"""Pictures for people: sizes, contrast, marks that do not rest on colour."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from semdaemon.focus import BEYOND_REPAIR, BLURRED, SHARP, UNDECIDED, FocusMap, picture
from semdaemon.focus.legend import with_legend
from semdaemon.focus.lettering import INK, PAPER, font, write
from semdaemon.focus.overlay import COLOURS, length_text, scale_bar
from semdaemon.focus.plane import Plane
from semdaemon.focus.planemark import line_of_focus
from semdaemon.focus.scalebar import scale_bar_box
from semdaemon.focus.step import Step
from semdaemon.focus.survey import Survey
from semdaemon.frame import Area


def a_map(rows: int, cols: int, verdict: int, area: Area | None = None) -> FocusMap:
    grid = np.full((rows, cols), 3.0, np.float32)
    area = area or Area(0, 0, rows * 128, cols * 128)
    return FocusMap(128, area, grid, grid * 0, grid * 0, np.full((rows, cols), verdict, np.uint8), "test")


@pytest.mark.parametrize("shape", [(100, 80), (1000, 3000), (2049, 777)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "int16"])
def test_a_preview_keeps_the_whole_frame_and_its_proportions(shape: tuple[int, int], dtype: str) -> None:
    pixels = (np.random.default_rng(0).random(shape) * 100).astype(dtype)
    small = picture.preview(pixels, Area.whole(shape), 512)
    scale = min(1, 512 / max(shape))
    assert small.shape == (round(shape[0] * scale), round(shape[1] * scale))
    assert small.dtype == np.uint8


def test_contrast_follows_the_image_area_not_the_data_bar() -> None:
    pixels = np.zeros((300, 200), np.uint16)
    pixels[:256] = np.linspace(1000, 1200, 200)
    pixels[256:] = 65535
    small = picture.preview(pixels, Area(0, 0, 256, 200), 1024)
    assert small[:256].min() == 0
    assert small[:256].max() == 255
    assert (small[256:] == 255).all()


def test_a_constant_frame_has_a_preview() -> None:
    assert picture.preview(np.full((64, 64), 9, np.uint8), Area(0, 0, 64, 64), 32).shape == (32, 32)


def test_without_legend_the_overlay_has_the_previews_size_and_with_it_grows_downwards() -> None:
    grey = np.full((256, 384), 128, np.uint8)
    bare = picture.overlay(grey, a_map(2, 3, BLURRED), 1.0, legend=False)
    assert bare.size == (384, 256)
    full = picture.overlay(grey, a_map(2, 3, BLURRED), 1.0, pixel_size_m=1e-9)
    assert full.width == 384
    assert full.height > 256


@pytest.mark.parametrize("width", [60, 140, 300])
def test_below_a_narrow_picture_the_legend_is_written_in_full(width: int) -> None:
    """The blur scale and its figures were cut off at the right edge."""
    grey = np.full((100, width), 200, np.uint8)
    focus = a_map(1, 1, BLURRED, Area(0, 0, 100, width))
    drawn = np.asarray(picture.overlay(grey, focus, 1.0, pixel_size_m=5e-9))
    letters = np.argwhere((drawn[100:] == INK).all(axis=2))
    assert letters[:, 1].max() < drawn.shape[1] - 3
    assert (drawn[:100, width:] == PAPER).all()


def test_the_length_at_the_scale_bar_of_a_small_picture_stays_inside() -> None:
    small = Image.new("RGB", (70, 100), (90, 90, 90))
    scale_bar(small, 43e-9)  # 500 nm, a word longer than its bar
    lettered = (np.asarray(small)[:80] == INK).all(axis=2)
    assert lettered.any()
    assert np.flatnonzero(lettered.any(axis=0)).min() >= 2


def test_no_number_stands_under_the_scale_bar() -> None:
    """At half the size of a large frame the bar lay over the number of the corner's tile."""
    grey = np.full((512, 1024), 128, np.uint8)
    area = Area(0, 0, 1024, 2048)
    numbered = picture.overlay(grey, a_map(8, 16, BLURRED, area), 0.5, legend=False, pixel_size_m=5e-9)
    inked = (np.asarray(numbered) == INK).all(axis=2)
    left, top, right, bottom = scale_bar_box(numbered, 1e-8, bottom_px=512)
    assert inked[448:512, 256:].any()  # the numbers of its row go on beside it
    under = inked[int(top) : int(bottom) - 6, int(left) : int(right) + 1]
    alone = Image.new("RGB", (1024, 512), (128, 128, 128))
    scale_bar(alone, 1e-8, bottom_px=512)
    lettered = (np.asarray(alone) == INK).all(axis=2)[int(top) : int(bottom) - 6, int(left) : int(right) + 1]
    np.testing.assert_array_equal(under, lettered)


def a_plane(centre_px: float, step: Step | None = None) -> Plane:
    return Plane(4.0, 0.2, 0.0, 0.0, 0.1, centre_px, 0.7, step is None, False, 48, step)


@pytest.mark.parametrize(
    ("plane", "words"),
    [
        (a_plane(0.0), "dashed line: here"),
        (a_plane(9.0), "arrow: the way to focus"),
        (a_plane(0.0, Step(1.0, 4.0, 0.0, 0.0, 9.0)), "dashed line: the step"),
        (None, ""),
    ],
)
def test_a_line_or_arrow_in_the_map_is_explained_in_its_legend(plane: Plane | None, words: str) -> None:
    focus = replace(a_map(6, 8, BLURRED), survey=Survey(plane=plane))
    drawn = Image.new("RGB", (1024, 768))
    said = line_of_focus(drawn, focus, 1.0)
    assert said.startswith(words)
    assert bool(np.asarray(drawn).any()) == bool(words)
    assert with_legend(drawn, focus, None, drawn=said).height - with_legend(drawn, focus, None).height == (
        0 if not words else pytest.approx(36, abs=8)
    )


def test_the_data_bar_is_shown_dimmed() -> None:
    grey = np.full((296, 256), 200, np.uint8)
    drawn = np.asarray(picture.overlay(grey, a_map(2, 2, SHARP, Area(0, 0, 256, 256)), 1.0, legend=False))
    assert (drawn[260:] == 90).all()
    assert drawn[:250].mean() > 150


def test_each_verdict_has_its_own_mark_in_grey_too() -> None:
    grey = np.full((128, 128), 128, np.uint8)
    marked = {}
    for code in (SHARP, BLURRED, BEYOND_REPAIR, UNDECIDED):
        drawn = picture.overlay(grey, a_map(1, 1, code), 0.2, legend=False).convert("L")
        marked[code] = np.asarray(drawn)[:26, :26].astype(float)
    assert marked[SHARP].std() == 0
    patterns = [marked[code] - marked[code].mean() for code in (BLURRED, BEYOND_REPAIR, UNDECIDED)]
    assert all(pattern.std() > 1 for pattern in patterns)
    alike = np.corrcoef([pattern.ravel() for pattern in patterns])[np.triu_indices(3, 1)]
    assert (alike < 0.9).all()
    assert len(set(COLOURS.values())) == 4


def test_a_badge_stays_inside_and_leaves_the_rest_alone() -> None:
    grey = np.full((300, 400), 128, np.uint8)
    drawn = np.asarray(picture.badge(grey, "refocused by network"))
    changed = np.argwhere((drawn != 128).any(axis=2))
    assert changed[:, 0].max() < 60
    assert changed[:, 1].min() > 150


def test_side_by_side_refuses_pictures_of_different_size() -> None:
    both = picture.side_by_side(np.zeros((50, 60), np.uint8), np.zeros((50, 60), np.uint8))
    assert both.height == 50
    assert both.width > 120
    with pytest.raises(ValueError, match="one size"):
        picture.side_by_side(np.zeros((50, 60), np.uint8), np.zeros((50, 61), np.uint8))


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_encoded_pictures_open_again(kind: str) -> None:
    data = picture.encode(np.full((40, 50), 77, np.uint8), kind)  # type: ignore[arg-type]
    with Image.open(io.BytesIO(data)) as opened:
        assert (opened.format, opened.size) == (kind.upper(), (50, 40))


@pytest.mark.parametrize(
    ("metres", "text"),
    [(5e-10, "500 pm"), (2.5e-9, "2.5 nm"), (2e-7, "200 nm"), (5e-6, "5 µm"), (2e-3, "2 mm")],
)
def test_lengths_are_said_in_a_fitting_unit(metres: float, text: str) -> None:
    assert length_text(metres) == text


# Machado, Oliveira and Fernandes, A physiologically-based model for simulation of color vision deficiency,
# IEEE TVCG 15, 2009, severity 1: linear RGB to linear RGB.
DEFICIENCIES = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def lab(linear: np.ndarray) -> np.ndarray:
    """CIE L*a*b* (D65) of linear sRGB."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = (
        np.cbrt(v) if v > 0.008856 else 7.787 * v + 16 / 116
        for v in to_xyz @ np.clip(linear, 0, 1) / [0.9505, 1.0, 1.089]
    )
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("deficiency", [None, *DEFICIENCIES])
def test_verdicts_are_told_apart_with_every_colour_vision(deficiency: str | None) -> None:
    solid = {code: np.array(colour) / 255 for code, colour in COLOURS.items()}
    seen = {}
    for code, colour in solid.items():
        linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
        seen[code] = lab(linear if deficiency is None else np.array(DEFICIENCIES[deficiency]) @ linear)
    apart = [np.linalg.norm(seen[a] - seen[b]) for a in seen for b in seen if a < b]
    assert min(apart) > 10


@pytest.mark.parametrize("anchor", ["la", "lm", "mm", "rm"])
def test_a_micrometre_is_written_with_its_sign(anchor: str) -> None:
    """Pillow's face has no µ and would draw a crossed box."""
    drawn = {}
    for text in ("5 um", "5 µm"):
        picture = Image.new("RGB", (120, 60))
        write(ImageDraw.Draw(picture), (60, 25), text, font(16), fill=(255, 255, 255), anchor=anchor)
        drawn[text] = np.asarray(picture)[..., 0] > 128
    tail = drawn["5 µm"] & ~drawn["5 um"]
    assert not (drawn["5 um"] & ~drawn["5 µm"]).any()
    assert 4 <= tail.sum() <= 24
    assert np.flatnonzero(tail.any(axis=1)).min() >= np.flatnonzero(drawn["5 um"].any(axis=1)).max() - 2
