from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from semdaemon.errors import SemdaemonError
from semdaemon.training.corpus import Corpus, CorpusFrame, bin2, load_corpus, load_frames, read_grey


def write_png(path: Path, shape: tuple[int, int] = (64, 80), seed: int = 0) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).save(path)


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
        write_png(tmp_path / f"frame_{number:03}.png", seed=number)
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
