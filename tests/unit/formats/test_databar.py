"""The data bar is found from pixels only where they speak clearly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw

from semdaemon.formats import bar_top
from semdaemon.formats.databar import image_area
from semdaemon.frame import Area

Grey = npt.NDArray[np.uint8]


def scene(shape: tuple[int, int] = (400, 500), seed: int = 3) -> Grey:
    rng = np.random.default_rng(seed)
    return np.clip(rng.normal(90, 25, shape), 0, 255).astype(np.uint8)


def bar(rows: int, columns: int = 500, *, paper: int = 0, ink: int = 255, border: bool = True) -> Grey:
    image = Image.new("L", (columns, rows), paper)
    draw = ImageDraw.Draw(image)
    if border:
        draw.rectangle((0, 0, columns - 1, rows - 1), outline=ink)
    draw.text((10, rows // 3), "HV 5.00 kV   WD 4.1 mm   HFW 20 um   Detector TLD", fill=ink)
    draw.line((350, rows // 2, 450, rows // 2), fill=ink)
    return np.array(image)


def with_bar(picture: Grey, strip: Grey) -> Grey:
    return np.vstack([picture[: picture.shape[0] - strip.shape[0]], strip])


@pytest.mark.parametrize("rows", [20, 40, 100])
@pytest.mark.parametrize(("paper", "ink"), [(0, 255), (255, 0), (53, 200)])
@pytest.mark.parametrize("border", [True, False])
def test_bars_of_many_kinds(rows: int, paper: int, ink: int, border: bool) -> None:
    frame = with_bar(scene(), bar(rows, paper=paper, ink=ink, border=border))
    assert bar_top(frame) == 400 - rows
    assert bar_top(frame.astype(np.uint16) * 257) == 400 - rows
    assert bar_top(frame.astype(np.float32) / 255) == 400 - rows


def test_a_dark_picture_above_a_black_bar_with_a_border() -> None:
    dark = scene()
    dark[dark < 110] = 0
    assert bar_top(with_bar(dark, bar(40))) == 360


def test_an_overlaid_bar_that_ends_above_the_last_row() -> None:
    frame = with_bar(scene(), bar(40, paper=255, ink=0))
    frame[-1] = scene()[0]
    frame[:, -1] = scene()[:, 0]
    assert bar_top(frame) == 360


def _blobs_on_black() -> Grey:
    y, x = np.mgrid[:400, :500]
    image = np.zeros((400, 500))
    for row, column in [(50, 60), (200, 300), (330, 120), (390, 400)]:
        image += 220 * np.exp(-((y - row) ** 2 + (x - column) ** 2) / 900)
    return image.astype(np.uint8)


def _unfinished() -> Grey:
    image = scene()
    image[250:] = 0
    return image


def _unfinished_line() -> Grey:
    image = _unfinished()
    image[250, :200] = 90
    return image


def _saturated_foot() -> Grey:
    image = np.clip(scene().astype(int) + np.linspace(0, 300, 400, dtype=int)[:, None], 0, 255)
    return image.astype(np.uint8)


def _step() -> Grey:
    image = scene()
    image[300:] = np.clip(image[300:].astype(int) - 130, 0, 255)  # an edge of the sample, clipped to black
    return image


NO_BAR = {
    "noise": scene,
    "blobs on black": _blobs_on_black,
    "half-written": _unfinished,
    "half-written line": _unfinished_line,
    "saturated": _saturated_foot,
    "clipped": _step,
    "constant": lambda: np.zeros((400, 500), np.uint8),
    "tiny": lambda: scene((10, 500)),
    "scale bar painted over": lambda: with_painted(scene()),
}


def with_painted(image: Grey) -> Grey:
    image[370:376, 350:480] = 255
    return image


@pytest.mark.parametrize("name", NO_BAR)
def test_pictures_keep_every_row(name: str) -> None:
    assert bar_top(NO_BAR[name]()) is None


def test_metadata_stand_above_pixels() -> None:
    frame = with_bar(scene(), bar(40))
    assert image_area(frame, (350, 500)) == Area(0, 0, 350, 500)
    assert image_area(frame, None) == Area(0, 0, 360, 500)
    assert image_area(frame, (400, 500)) == Area(0, 0, 360, 500)  # a bar burned into the said picture
    assert image_area(frame, (700, 1000)) == Area(0, 0, 360, 500)  # scaled since: not believed
    assert image_area(scene(), None) == Area.whole((400, 500))
