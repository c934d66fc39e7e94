from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from semdaemon.errors import SemdaemonError
from semdaemon.training import degrade
from semdaemon.training.corpus import Corpus
from semdaemon.training.frames import CorpusFrame, bin2
from semdaemon.training.pictures import read_grey, read_picture
from semdaemon.training.reading import load_corpus, load_frames, training_corpus


def write_png(path: Path, shape: tuple[int, int] = (64, 80), seed: int = 0) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def blobs(shape: tuple[int, int] = (160, 176), seed: int = 0) -> npt.NDArray[np.uint8]:
    """Sharp-edged blobs with a little noise: what an estimator of blur calls sharp."""
    rng = np.random.default_rng(seed)
    field = degrade.blur(rng.random(shape, dtype=np.float32), degrade.gaussian_kernel(3))
    return (np.where(field > 0.5, 190.0, 60.0) + rng.normal(0, 3, shape)).astype(np.uint8)


def write_scene(path: Path, shape: tuple[int, int] = (160, 176), seed: int = 0) -> None:
    Image.fromarray(blobs(shape, seed)).save(path)


@pytest.fixture
def indexed(tmp_path: Path) -> Path:
    (tmp_path / "train").mkdir()
    (tmp_path / "heldout").mkdir()
    rows = ["part,file,group,source,cutoff"]
    for number in range(12):
        part = "heldout" if number >= 10 else "train"
        write_png(tmp_path / part / f"a_{number}.png", (300, 300), number)
        rows.append(f"{part},a_{number}.png,g{number // 2},lab,{0.1 if number < 2 else 0.4}")
    (tmp_path / "index.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_split_is_by_group_and_leaves_held_out_frames_alone(indexed: Path) -> None:
    corpus = load_corpus(indexed, validation_fraction=0.3)
    train, validation = ({f.group for f in part} for part in (corpus.train, corpus.validation))
    assert len(corpus.train) + len(corpus.validation) == 10
    assert train
    assert validation
    assert not train & validation


def test_soft_frames_are_binned_for_training_and_kept_for_evaluation(indexed: Path) -> None:
    shapes = {f.name: f.pixels.shape for f in load_frames(indexed)}
    assert shapes["a_0.png"] == (150, 150)
    assert shapes["a_3.png"] == (300, 300)
    assert {f.pixels.shape for f in load_frames(indexed / "train", bin_soft=False)} == {(300, 300)}


def test_a_part_of_an_indexed_folder_can_be_read_alone(indexed: Path) -> None:
    assert {f.name for f in load_frames(indexed / "heldout")} == {"a_10.png", "a_11.png"}


def test_a_labs_own_twenty_frames_of_one_name_are_split(tmp_path: Path) -> None:
    for number in range(20):
        write_scene(tmp_path / f"frame_{number:03}.png", seed=number)
    corpus = load_corpus(tmp_path)
    assert len(corpus.validation) == 3
    assert len(corpus.train) == 17


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_tiff_of_any_depth_lands_in_unit_range(tmp_path: Path, dtype: str) -> None:
    raw = np.linspace(0, 250, 64 * 64).reshape(64, 64).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", raw)
    pixels = read_grey(tmp_path / "a.tif")
    assert pixels.dtype == np.float32
    assert pixels.min() >= 0
    assert pixels.max() <= 1
    assert pixels.shape == (64, 64)


def test_grey_stored_as_colour_is_read_as_grey(tmp_path: Path) -> None:
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    Image.fromarray(np.repeat(grey[..., None], 3, 2)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_grey(tmp_path / "a.png"), grey.astype(np.float32) / 255)


def test_an_empty_folder_says_what_it_wants(tmp_path: Path) -> None:
    with pytest.raises(SemdaemonError, match="holds no image"):
        load_corpus(tmp_path)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_a_broken_frame_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no image")
    with pytest.raises(SemdaemonError, match=name) as caught:
        load_corpus(tmp_path)
    assert caught.value.code == "unreadable_frame"


def test_crops_have_their_size_even_from_small_frames() -> None:
    pixels = np.random.default_rng(0).random((40, 200), dtype=np.float32)
    corpus = Corpus((CorpusFrame("a", "g", pixels, 1.0, 0.5),), ())
    rng = np.random.default_rng(0)
    for _ in range(20):
        assert corpus.crop(rng, 64).shape == (64, 64)


def test_binning_keeps_the_mean() -> None:
    pixels = np.random.default_rng(0).random((5, 7), dtype=np.float32)
    assert bin2(pixels).shape == (2, 3)
    assert bin2(pixels).mean() == pytest.approx(pixels[:4, :6].mean(), rel=1e-5)


def test_the_real_corpus_keeps_specimens_apart(sem_data: Path) -> None:
    corpus = load_corpus(sem_data)
    names = {f.name for f in (*corpus.train, *corpus.validation)}
    held_out = {p.name for p in (sem_data / "heldout").glob("*.png")}
    assert len(names) == 91
    assert not names & held_out


def test_soft_frames_are_learned_from_binned_and_as_they_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("sharp", "soft"):
        picture = (rng.random((300, 260)) * 255).astype(np.uint8)
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    (tmp_path / "index.csv").write_text("file,group,cutoff\nsharp.png,a,0.4\nsoft.png,b,0.15\n")
    corpus = load_corpus(tmp_path, validation_fraction=0)
    assert {f.name: f.pixels.shape for f in corpus.train} == {"sharp.png": (300, 260), "soft.png": (150, 130)}
    assert [(f.name, f.pixels.shape) for f in corpus.soft] == [("soft.png", (300, 260))]
    assert corpus.crop(rng, 64, soft=True).shape == (64, 64)


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    for number in range(6):
        write_scene(tmp_path / f"f{number}.png", seed=number)
    return tmp_path


def soften(path: Path, sigma_px: float, seed: int = 0) -> None:
    sharp = blobs((320, 336), seed) / np.float32(255)
    noise = np.random.default_rng(seed).normal(0, 0.01, sharp.shape)
    blurred = degrade.blur(sharp, degrade.gaussian_kernel(sigma_px)) + noise
    Image.fromarray((np.clip(blurred, 0, 1) * 255).astype(np.uint8)).save(path)


def refusal_of(folder: Path, needed_px: int = 64) -> SemdaemonError:
    with pytest.raises(SemdaemonError) as caught:
        training_corpus(folder, needed_px=needed_px)
    assert caught.value.remedy
    return caught.value


def test_too_few_frames_are_refused_with_their_number(tmp_path: Path) -> None:
    for number in range(3):
        write_scene(tmp_path / f"f{number}.png", seed=number)
    error = refusal_of(tmp_path)
    assert error.code == "too_few_frames"
    assert "3 usable" in error.message


def test_few_frames_are_warned_of(lab: Path) -> None:
    assert any("Only 6 frames" in remark for remark in training_corpus(lab, needed_px=64).remarks)


def test_small_frames_are_left_out_by_name_where_enough_are_left(lab: Path) -> None:
    write_scene(lab / "tiny.png", (80, 90))
    corpus = training_corpus(lab, needed_px=128, validation_fraction=0)
    assert "tiny.png" not in {frame.name for frame in corpus.train}
    assert any("tiny.png (90 x 80 px, 128 are needed)" in remark for remark in corpus.remarks)


def test_frames_that_are_all_too_small_are_refused_with_the_size_they_need(lab: Path) -> None:
    error = refusal_of(lab, needed_px=300)
    assert error.code == "too_few_frames"
    assert "300 are needed" in error.message


def test_frames_soft_at_pixel_scale_are_binned_and_named(lab: Path) -> None:
    soften(lab / "soft.png", 2.0)
    corpus = load_corpus(lab, validation_fraction=0)
    assert {f.pixels.shape for f in corpus.train if f.name == "soft.png"} == {(160, 168)}
    assert [f.name for f in corpus.soft] == ["soft.png"]
    assert any("binned 2x: soft.png" in remark for remark in corpus.remarks)


def test_blurred_frames_are_left_out_by_name(lab: Path) -> None:
    soften(lab / "blurred.png", 5)
    corpus = load_corpus(lab, validation_fraction=0)
    assert "blurred.png" not in {frame.name for frame in corpus.train}
    assert any("blurred even when binned 2x: blurred.png" in remark for remark in corpus.remarks)


def test_a_folder_of_mostly_blurred_frames_is_refused_with_the_list(tmp_path: Path) -> None:
    for number in range(4):
        soften(tmp_path / f"b{number}.png", 5, number)
    write_scene(tmp_path / "sharp.png")
    error = refusal_of(tmp_path)
    assert error.code == "frames_blurred"
    assert all(f"b{number}.png" in error.message for number in range(4))


def test_a_twelve_bit_frame_in_sixteen_bits_does_not_become_black(lab: Path) -> None:
    twelve = blobs(seed=9).astype(np.uint16) * 16
    tifffile.imwrite(lab / "twelve.tif", twelve)
    picture = read_picture(lab / "twelve.tif")
    assert picture.depth == "12 bit in 16"
    np.testing.assert_allclose(picture.pixels, blobs(seed=9) / 255, atol=0.005)


def test_mixed_bit_depths_are_scaled_each_by_its_own_and_told(lab: Path) -> None:
    tifffile.imwrite(lab / "twelve.tif", blobs(seed=9).astype(np.uint16) * 16)
    tifffile.imwrite(lab / "float.tif", blobs(seed=10).astype(np.float32) * 1000)
    corpus = load_corpus(lab)
    frames = (*corpus.train, *corpus.validation)
    assert all(0.15 < frame.pixels.mean() < 0.75 for frame in frames)
    (said,) = [remark for remark in corpus.remarks if "Mixed bit depths" in remark]
    assert "12 bit in 16 (1), 8 bit (6), float by its own range (1)" in said


def test_a_data_bar_left_in_a_frame_is_cut_and_told(lab: Path) -> None:
    bar = np.zeros((24, 176), np.uint8)
    bar[8:16, 20:60:3] = 255  # strokes of lettering
    Image.fromarray(np.vstack([blobs(seed=4), bar])).save(lab / "barred.png")
    corpus = load_corpus(lab, validation_fraction=0)
    assert {f.pixels.shape for f in corpus.train} == {(160, 176)}
    assert any("data bar was cut off: barred.png (24 rows)" in remark for remark in corpus.remarks)


def test_flat_frames_are_left_out_by_name(lab: Path) -> None:
    Image.fromarray(np.full((160, 176), 90, np.uint8)).save(lab / "shutter.png")
    corpus = load_corpus(lab, validation_fraction=0)
    assert len(corpus.train) == 6
    assert any("shutter.png" in remark for remark in corpus.remarks)


def test_a_missing_folder_is_no_folder(tmp_path: Path) -> None:
    error = refusal_of(tmp_path / "nowhere")
    assert error.code == "no_training_frames"
    assert "is no folder" in error.message


def test_a_float_frame_with_nan_is_named(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "bad.tif", np.full((64, 64), np.nan, np.float32))
    assert "bad.tif" in refusal_of(tmp_path).message


def test_something_is_set_aside_even_of_four_frames_and_of_a_single_specimen(tmp_path: Path) -> None:
    rows = ["file,group,cutoff"]
    for number in range(4):
        write_scene(tmp_path / f"f{number}.png", seed=number)
        rows.append(f"f{number}.png,one,0.4")
    assert len(load_corpus(tmp_path).validation) == 1
    (tmp_path / "index.csv").write_text("\n".join(rows))
    corpus = load_corpus(tmp_path)
    assert len(corpus.validation) == 1
    assert any("one specimen group" in remark for remark in corpus.remarks)


def test_real_frames_are_called_sharp_and_soft_as_their_index_does(sem_data: Path, tmp_path: Path) -> None:
    names = ("polymer_001.png", "powder_001.png", "nerve_001.png", "alloy_006.png", "alloy_025.png")
    for name in names:
        (tmp_path / name).write_bytes((sem_data / "train" / name).read_bytes())
    corpus = load_corpus(tmp_path, validation_fraction=0)
    assert [f.name for f in corpus.soft] == ["alloy_025.png"]
    assert len(corpus.train) == 5
