"""The learned estimator as shipped: its file, its card, its answers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from semdaemon.errors import WeightsError
from semdaemon.focus import focus_map, load_scorer
from semdaemon.focus.sigma import MODEL, SigmaScorer, read_card
from semdaemon.frame import Area, Frame
from semdaemon.settings import Focus
from semdaemon.training.degrade import blur, expose, probe_kernel


@pytest.fixture(scope="module")
def scorer() -> SigmaScorer:
    return SigmaScorer()


def scene(side: int, seed: int = 0) -> np.ndarray:
    """Bright and dark polygons: sharp edges at every scale."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[:side, :side]
    image = np.full((side, side), 0.5, np.float32)
    for _ in range(60):
        (y, x), angle, half = rng.uniform(0, side, 2), rng.uniform(0, np.pi), rng.uniform(3, 20)
        u = (rows - y) * np.cos(angle) + (cols - x) * np.sin(angle)
        v = (cols - x) * np.cos(angle) - (rows - y) * np.sin(angle)
        image[(np.abs(u) < half) & (np.abs(v) < 2 * half)] = rng.uniform(0.1, 0.9)
    return image


def exposed(radius_px: float, dose: float = 100, side: int = 128) -> np.ndarray:
    blurred = blur(scene(side + 64), probe_kernel(radius_px))[32:-32, 32:-32]
    return expose(blurred, dose, np.random.default_rng(1))


def test_blur_rises_with_defocus_and_the_probability_to_be_sharp_falls(scorer: SigmaScorer) -> None:
    estimate = scorer.estimate(np.stack([exposed(r) for r in (0, 3, 8, 16)]))
    assert (np.diff(estimate.sigma_px) > 0).all()
    sharp = estimate.probability_below(1.25)
    assert sharp[0] > 0.5
    assert (sharp[2:] < 0.1).all()
    assert ((estimate.relative_sd > 0) & (estimate.relative_sd < 2)).all()


def test_blur_beyond_what_was_trained_is_never_called_sharp(scorer: SigmaScorer) -> None:
    estimate = scorer.estimate(np.stack([exposed(r, side=128) for r in (24, 32)]))
    assert (estimate.probability_below(1.25) < 0.1).all()


@pytest.mark.parametrize("correlation", [0.0, 0.6])
@pytest.mark.parametrize("dose", [5.0, 50.0, 500.0])
def test_noise_on_a_level_or_a_slope_is_neither_sharp_nor_blurred(
    scorer: SigmaScorer, dose: float, correlation: float
) -> None:
    slope = np.linspace(0.3, 0.6, 256, dtype=np.float32)[:, None] * np.ones((1, 256), np.float32)
    for image in (np.full_like(slope, 0.5), slope):
        noisy = expose(image, dose, np.random.default_rng(2), fast_axis_correlation=correlation)
        pixels = np.uint16(np.clip(noisy, 0, 4) * 10000)
        frame = Frame("0" * 16, "test", "test:", pixels, "0" * 64, Area.whole(pixels.shape))
        counts = focus_map(frame, Focus(), scorer).counts()
        assert counts["sharp"] == counts["blurred"] == 0


def test_gain_and_offset_do_not_matter(scorer: SigmaScorer) -> None:
    tile = exposed(4)[None]
    plain, scaled = scorer.estimate(tile), scorer.estimate(tile * 4000 + 9000)
    np.testing.assert_allclose(scaled.sigma_px, plain.sigma_px, rtol=1e-2)


def test_tiles_are_judged_alone_whatever_stands_beside_them(scorer: SigmaScorer) -> None:
    tiles = np.stack([exposed(r) for r in (0, 2, 4, 6, 8)])
    together = scorer.estimate(tiles).sigma_px
    alone = [scorer.estimate(tile[None]).sigma_px[0] for tile in tiles]
    np.testing.assert_allclose(together, alone, rtol=1e-4)


def test_large_tiles_are_judged_by_windows_and_small_ones_not_at_all(scorer: SigmaScorer) -> None:
    large = scorer.estimate(exposed(8, side=300)[None])
    assert large.sigma_px[0] == pytest.approx(4, rel=0.6)
    assert np.isnan(scorer.estimate(exposed(8, side=40)[None]).sigma_px).all()


def test_cumulative_probabilities_rise_from_zero_to_one(scorer: SigmaScorer) -> None:
    cumulative = scorer.estimate(exposed(3)[None]).cumulative
    assert cumulative is not None
    assert cumulative[0, 0] == 0
    assert cumulative[0, -1] == pytest.approx(1)
    assert (np.diff(cumulative[0]) >= 0).all()


def test_the_scorer_is_found_by_name_and_names_its_weights() -> None:
    name = load_scorer("sigma", Focus()).name
    assert name == f"sigma {read_card()['sha256'][:16]}"


def test_a_changed_model_is_refused(tmp_path: Path) -> None:
    model = tmp_path / "sigma.onnx"
    shutil.copy(MODEL.with_suffix(".json"), tmp_path)
    model.write_bytes(MODEL.read_bytes()[:-1] + b"x")
    with pytest.raises(WeightsError) as caught:
        SigmaScorer(model=model)
    assert caught.value.code == "sigma_changed"
    model.unlink()
    with pytest.raises(WeightsError) as caught:
        SigmaScorer(model=model)
    assert caught.value.code == "sigma_missing"


def test_the_model_is_small_and_its_card_says_where_it_comes_from() -> None:
    card = json.loads(MODEL.with_suffix(".json").read_text(encoding="utf-8"))
    assert MODEL.stat().st_size == card["bytes"] < 1_000_000
    assert all({"source", "licence"} <= set(row) for row in card["data"])


def test_focus_imports_neither_torch_nor_onnxruntime_until_it_scores() -> None:
    code = "import sys, semdaemon.focus.sigma; print({'torch', 'onnxruntime'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"


def test_the_scorer_tells_nobody_what_it_runs(tmp_path: Path) -> None:
    # onnxruntime 1.29 and newer keep an identifier of the device there, and send what they run.
    code = "from semdaemon.focus.sigma import SigmaScorer; SigmaScorer()"
    silent = {"ORT_DISABLE_TELEMETRY", "CI"}
    environment = {name: value for name, value in os.environ.items() if name not in silent}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": ""}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=environment)
    assert list(tmp_path.rglob("*")) == []
