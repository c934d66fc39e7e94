"""Bad input by name: what is found, and that it is not found where it is not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage

from semdaemon.focus.artefacts import MESSAGES, Fitness, examine
from semdaemon.focus.artefacts.noise import BANDS, FIELDS, Powers, interlaced
from semdaemon.focus.artefacts.ranks import median_filtered
from semdaemon.focus.tilepower import tile_power
from semdaemon.focus.tiles import Grid
from semdaemon.frame import Area
from semdaemon.simulate.scenes import scene
from semdaemon.training import spoil
from semdaemon.training.degrade import blur, expose, probe_kernel, quantise

Pixels = np.ndarray


def look(pixels: Pixels) -> Fitness:
    tiles = Grid(Area.whole(pixels.shape), 128).tiles(pixels)
    return examine(pixels, tiles, tile_power(tiles).noise)


def codes(pixels: Pixels) -> dict[str, int]:
    return {artefact.code: artefact.tiles for artefact in look(pixels).artefacts}


def seen(radius_px: float, electrons_per_px: float = 150, kind: str = "particles") -> Pixels:
    """A simulated frame, 512 x 640, 8 bits: 20 tiles."""
    sharp = 0.15 + 0.6 * scene(kind, (512, 640), seed=3)
    rng = np.random.default_rng(4)
    return np.uint8(
        quantise(expose(blur(sharp, probe_kernel(radius_px)), electrons_per_px, rng, amplifier=0.01), 8) * 255
    )


@pytest.fixture(scope="module", params=[0.0, 4.0], ids=["sharp", "blurred"])
def frame(request: pytest.FixtureRequest) -> Pixels:
    return seen(request.param)


def test_a_frame_with_nothing_wrong_has_no_artefact(frame: Pixels) -> None:
    fitness = look(frame)
    assert fitness.artefacts == ()
    assert not fitness.unfit.any()


WHOLE_FRAME: dict[str, tuple[str, Callable[[Pixels], Pixels]]] = {
    "JPEG": ("jpeg_blocks", lambda p: spoil.jpeg(p, 50)),
    "enlarged 2 times, bicubic": ("resampled", lambda p: spoil.upscaled(p, 2)),
    "enlarged 2 times, pixels doubled": ("resampled", lambda p: spoil.upscaled(p, 2, method="nearest")),
    "enlarged 1.5 times, bilinear": ("resampled", lambda p: spoil.upscaled(p, 1.5, method="bilinear")),
    "enlarged 4 times, Lanczos": ("resampled", lambda p: spoil.upscaled(p, 4, method="lanczos")),
    "lines doubled": ("lines_repeated", lambda p: spoil.line_repeated(p, 2)),
    "lines averaged by 4": ("lines_repeated", lambda p: spoil.line_averaged(p, 4)),
    "running mean of lines": ("lines_averaged", lambda p: spoil.running_line_average(p, 3)),
    "smoothed": ("noise_filtered", lambda p: np.uint8(np.rint(blur(p.astype(np.float32), _SMALL)))),
    "smoothed until nothing is left": (
        "no_noise",
        lambda p: np.uint8(np.rint(blur(p.astype(np.float32), _WIDE))),
    ),
    "5 grey levels": ("few_grey_levels", lambda p: spoil.posterised(p, 5)),
}
_SMALL = np.outer([0.15, 0.7, 0.15], [0.15, 0.7, 0.15]).astype(np.float32)
_WIDE = np.outer([0.25, 0.5, 0.25], [0.25, 0.5, 0.25]).astype(np.float32)


@pytest.mark.parametrize("name", WHOLE_FRAME)
def test_what_spoils_a_whole_frame_is_named_and_leaves_no_tile_to_judge(frame: Pixels, name: str) -> None:
    code, spoils = WHOLE_FRAME[name]
    fitness = look(spoils(frame))
    assert code in [artefact.code for artefact in fitness.artefacts]
    assert fitness.unfit.all()


def test_an_interlaced_frame_is_named() -> None:
    assert codes(spoil.interlaced(seen(0.0), 3)) == {"interlaced": 20}


def test_a_few_tiles_that_pass_the_threshold_by_chance_are_not_interlaced() -> None:
    """As 2 of 63 frames of the demo camera's beads did: all 16 tiles of a frame were undecided for it."""

    def power(middle: float, spread: float, tiles: int) -> Powers:
        found = np.ones((tiles, BANDS), np.float32)
        found[:, FIELDS] = np.exp(middle + spread * np.linspace(-1.5, 1.5, tiles))
        return found

    assert not interlaced(power(0.115, 0.2, 16))
    assert interlaced(power(0.45, 0.4, 20))
    assert interlaced(power(0.14, 0.2, 400))


def test_chance_in_a_small_noisy_frame_is_no_interlacing() -> None:
    blurred = blur(0.15 + 0.6 * scene("particles", (256, 256), seed=3), probe_kernel(3.0))
    for seed in range(80):
        noisy = quantise(expose(blurred, 20, np.random.default_rng(seed)), 8)
        assert "interlaced" not in codes(np.uint8(noisy * 255)), seed


def test_a_scale_bar_spoils_its_tile_alone(frame: Pixels) -> None:
    fitness = look(spoil.with_scale_bar(frame, (140, 260)))
    assert fitness.unfit.nonzero()[0].tolist() == [7]  # second row, third column
    assert "lettering" in [artefact.code for artefact in fitness.artefacts]


def test_a_data_bar_spoils_the_last_row_of_tiles(frame: Pixels) -> None:
    fitness = look(spoil.with_data_bar(frame))
    assert fitness.unfit.reshape(4, 5).tolist() == [[False] * 5] * 3 + [[True] * 5]


def test_charging_streaks_on_a_blurred_frame_are_named() -> None:
    streaked = spoil.charging_streaks(seen(4.0, 400), np.random.default_rng(0), height=0.2)
    fitness = look(streaked)
    assert "charging_streaks" in [artefact.code for artefact in fitness.artefacts]
    assert fitness.unfit.mean() > 0.8


def test_streaks_that_are_clipped_are_not_called_letters() -> None:
    """On a bright frame they were: their edges are straight borders at white."""
    streaked = spoil.charging_streaks(seen(4.0, 400), np.random.default_rng(0), height=0.2)
    streaked[[150, 171, 200], 270:340] = 255
    fitness = look(streaked)
    assert [artefact.code for artefact in fitness.artefacts] == ["charging_streaks"]
    both = look(spoil.with_scale_bar(streaked, (140, 260)))
    assert [artefact.code for artefact in both.artefacts] == ["lettering", "charging_streaks"]
    assert both.artefacts[0].tiles == 1


def test_solid_saturation_is_named_and_single_pixels_at_the_end_of_the_scale_are_not(frame: Pixels) -> None:
    assert codes(spoil.saturated(frame, 0.5)).get("saturated", 0) >= 15
    dotted = frame.copy()
    dotted[np.random.default_rng(0).random(frame.shape) < 0.2] = 255
    assert "saturated" not in codes(dotted)


def test_twenty_grey_levels_are_told_and_do_no_harm(frame: Pixels) -> None:
    assert codes(spoil.posterised(frame, 20)) == {"few_grey_levels": 0}


def test_a_rendered_picture_is_named() -> None:
    rows, cols = np.mgrid[:256, :384]
    waves = (2000 + 1000 * np.sin(rows / 5) * np.cos(cols / 7)).astype(np.uint16)
    assert codes(waves) == {"no_noise": 6}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
@pytest.mark.parametrize("shape", [(3, 3), (40, 300), (128, 128), (200, 131)])
def test_frames_of_every_type_and_size_are_looked_at(dtype: type, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    assert len(look(rng.integers(0, 200, shape).astype(dtype)).unfit) >= 1
    assert look(np.full(shape, 7, dtype)).unfit.shape == look(np.zeros(shape, dtype)).unfit.shape


def test_every_code_has_its_words() -> None:
    assert all(code.isidentifier() and words for code, words in MESSAGES.items())


@pytest.mark.parametrize("kind", ["pores", "fibres"])
@pytest.mark.parametrize("radius_px", [0.0, 4.0])
@pytest.mark.parametrize("dose", [20.0, 400.0])
def test_a_median_filter_is_found_and_plain_noise_is_not_taken_for_it(
    kind: str, radius_px: float, dose: float
) -> None:
    seen = blur(scene(kind, (320, 384), seed=3), probe_kernel(radius_px))
    for correlation in (0.0, 0.6):
        rng = np.random.default_rng(2)
        noisy = quantise(expose(seen, dose, rng, fast_axis_correlation=correlation), 8)
        plain = np.uint8(np.rint(noisy * 255))
        assert not median_filtered(plain)
        assert median_filtered(ndimage.median_filter(plain, 3))
        deep = np.uint16(np.rint(noisy * 255)) * 200 + rng.integers(0, 200, plain.shape).astype(np.uint16)
        assert not median_filtered(deep)
        assert median_filtered(ndimage.median_filter(deep, 3))


def test_flat_areas_steps_and_other_numbers_are_no_median_filter() -> None:
    drawn = np.zeros((256, 256), np.uint8)
    drawn[64:192, 64:192] = 200
    slope = np.broadcast_to((np.arange(256) // 2).astype(np.uint8), (256, 256))
    for pixels in (drawn, slope, drawn.astype(np.float32), drawn[:20, :20], np.zeros((64, 64), np.uint8)):
        assert not median_filtered(pixels)
