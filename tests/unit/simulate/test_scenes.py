"""Scenes are seeded, in range, and detailed down to the pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image as PillowImage

from semdaemon.errors import SemdaemonError
from semdaemon.simulate import KINDS, real_scenes, scene, scene_set
from semdaemon.training.degrade import blur, probe_kernel

SMALL = (160, 192)


def fine_detail(image: npt.NDArray[np.float32]) -> float:
    """Power between 0.15 and 0.35 cycles per pixel as a share of that between 0.02 and 0.1."""
    window = np.hanning(image.shape[0])[:, None] * np.hanning(image.shape[1])
    power = np.abs(np.fft.fft2((image - image.mean()) * window)) ** 2
    k = np.hypot(*np.meshgrid(*(np.fft.fftfreq(n) for n in image.shape), indexing="ij"))
    return float(power[(k > 0.15) & (k < 0.35)].mean() / power[(k > 0.02) & (k < 0.1)].mean())


@pytest.mark.parametrize("kind", KINDS)
def test_a_scene_is_float32_within_0_and_1_and_uses_the_range(kind: str) -> None:
    image = scene(kind, SMALL, seed=3)
    assert image.shape == SMALL
    assert image.dtype == np.float32
    assert image.min() >= 0
    assert image.max() <= 1
    assert np.percentile(image, 99) - np.percentile(image, 1) > 0.35


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_scene_and_another_seed_another(kind: str) -> None:
    first = scene(kind, SMALL, seed=5)
    assert np.array_equal(first, scene(kind, SMALL, seed=5))
    assert np.abs(first - scene(kind, SMALL, seed=6)).mean() > 0.02


@pytest.mark.parametrize("kind", KINDS)
def test_a_scene_has_detail_at_pixel_scale_that_a_small_defocus_takes_away(kind: str) -> None:
    sharp = scene(kind, (256, 256), seed=1)
    assert fine_detail(sharp) > 0.003
    assert fine_detail(blur(sharp, probe_kernel(2.0))) < 0.3 * fine_detail(sharp)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pixel_size_m", [5e-9, 80e-9])
def test_a_scene_of_any_pixel_size_can_be_made(kind: str, pixel_size_m: float) -> None:
    image = scene(kind, SMALL, seed=2, pixel_size_m=pixel_size_m)
    assert np.isfinite(image).all()
    assert image.std() > 0.02


@pytest.mark.parametrize("shape", [(64, 64), (65, 131)])
@pytest.mark.parametrize("kind", KINDS)
def test_odd_and_small_shapes_work(kind: str, shape: tuple[int, int]) -> None:
    assert scene(kind, shape).shape == shape


def test_an_unknown_kind_is_named_with_the_known_ones() -> None:
    with pytest.raises(SemdaemonError, match="kittens") as caught:
        scene("kittens")
    assert caught.value.code == "unknown_scene"
    assert "martensite" in caught.value.remedy


def test_a_set_has_all_kinds_and_no_scene_twice() -> None:
    images = scene_set(5, (96, 96), seed=1)
    again = scene_set(5, (96, 96), seed=1)
    assert all(np.array_equal(a, b) for a, b in zip(images, again, strict=True))
    assert not np.array_equal(images[0], images[4])


def test_real_frames_come_in_the_order_of_their_names_scaled_by_their_own_range(tmp_path: Path) -> None:
    PillowImage.fromarray(np.full((70, 80), 51, np.uint8)).save(tmp_path / "b.png")
    PillowImage.fromarray(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16).save(tmp_path / "a.tif")
    (tmp_path / "notes.txt").write_text("not a picture")
    frames = real_scenes(tmp_path)
    assert [path.name for path in frames.paths] == ["a.tif", "b.png"]
    assert frames[0].max() == 1
    assert frames[1] == pytest.approx(0.2)


def test_a_folder_without_pictures_and_a_broken_picture_are_told(tmp_path: Path) -> None:
    with pytest.raises(SemdaemonError) as caught:
        real_scenes(tmp_path)
    assert caught.value.code == "no_scenes"
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(SemdaemonError, match=r"broken\.png") as caught:
        real_scenes(tmp_path)[0]
    assert caught.value.code == "unreadable_scene"


def test_real_sem_frames_serve_as_scenes(sem_data: Path) -> None:
    frames = real_scenes(sem_data / "train")
    assert len(frames) > 50
    assert frames[0].dtype == np.float32
    assert 0 <= frames[0].min() < frames[0].max() <= 1
