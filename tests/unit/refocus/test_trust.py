"""How far a region can be trusted: read from a card, told, and acted upon."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_discriminative import Truthful, frame_with_blurred_right_half, levels_of

from semdaemon.errors import WeightsError
from semdaemon.refocus import weights
from semdaemon.refocus.discriminative import refocus_frame
from semdaemon.refocus.evidence import NAMES, evidence
from semdaemon.refocus.sentences import objections, stored_sentences
from semdaemon.refocus.trust import Belief, Trust, from_card, of_region
from semdaemon.settings import Refocus

N = len(NAMES)


def model(*, odds: float = 3.0, reach: float = 100.0) -> Trust:
    """Expects the error that the detail shows, whatever else there is."""
    error = np.zeros(1 + 2 * N)
    error[1 + NAMES.index("detail")] = 1.0
    gain = np.zeros(1 + 2 * N)
    gain[0] = odds
    return Trust(np.zeros(N), np.ones(N), error, gain, 1.5, np.eye(N), reach)


def result(trust: Trust | None, **settings: Any) -> Any:
    truth, pixels, focus = frame_with_blurred_right_half("uint8", 255)
    low, high = levels_of(pixels)
    engine = Truthful(((truth * 255 - low) / (high - low)).astype(np.float32))
    done = refocus_frame(pixels, focus, engine, Refocus(**settings), sigma_max_px=4.0, trust=trust)
    return pixels, done


def test_a_region_says_how_far_it_can_be_trusted() -> None:
    _, done = result(model())
    report = done.regions[0]
    assert report.accepted
    assert report.rejected == ""
    assert report.confidence == pytest.approx(1 / (1 + np.exp(-3)), rel=1e-3)
    assert report.error_bound == pytest.approx(1.5 * report.expected_error, rel=1e-3)
    assert 0 < report.novelty < 1


@pytest.mark.parametrize(
    ("trust", "reason", "words"),
    [
        (model(odds=-1.0), "low_confidence", "27% likely"),
        (model(reach=0.5), "unlike_training", "unlike the training"),
    ],
)
def test_what_cannot_be_trusted_leaves_the_original_bit_for_bit(
    trust: Trust, reason: str, words: str
) -> None:
    pixels, done = result(trust)
    assert [report.rejected for report in done.regions] == [reason]
    assert not done.mask.any()
    assert done.pixels.tobytes() == pixels.tobytes()
    assert words in objections([report.as_dict() for report in done.regions])


def test_no_confidence_is_asked_for_where_the_setting_is_0() -> None:
    _, done = result(model(odds=-5.0, reach=0.1), min_confidence=0.0)
    assert done.regions[0].accepted
    assert done.regions[0].confidence < 0.01


@pytest.mark.parametrize(("trust", "settings"), [(None, {}), (model(), {"audit": False})])
def test_without_a_model_or_an_audit_nothing_is_claimed(trust: Trust | None, settings: Any) -> None:
    _, done = result(trust, **settings)
    report = done.regions[0]
    assert report.accepted
    assert (report.confidence, report.expected_error, report.novelty) == (None, None, None)
    assert "likely" not in stored_sentences({"regions": [report.as_dict()]})[0].text


def test_everywhere_ignores_trust() -> None:
    _, done = result(model(odds=-5.0), everywhere=True)
    assert done.mask[:192].all()


def test_a_region_adds_errors_as_powers_and_takes_the_median_of_novelty() -> None:
    tiles = [Belief(0.9, 0.03, 0.06, 0.2), Belief(0.7, 0.04, 0.08, 9.0), Belief(0.8, 0.0, 0.0, 0.4)]
    whole = of_region(tiles)
    assert whole.confidence == pytest.approx(0.8)
    assert whole.expected_error == pytest.approx(np.sqrt(0.0025 / 3))
    assert whole.error_bound == pytest.approx(2 * whole.expected_error)
    assert whole.novelty == pytest.approx(0.4)


@pytest.mark.parametrize("value", [0.0, 0.5, 1e6])
def test_evidence_is_finite_whatever_comes(value: float) -> None:
    flat = np.full((48, 40), value, np.float32)
    figures = evidence(flat, flat, unexplained=0.0, sigma_px=float("nan"), relative_sd=float("nan"), scale=4)
    assert figures.shape == (N,)
    assert np.isfinite(figures).all()
    belief = model().belief(figures)
    assert 0 <= belief.confidence <= 1
    assert np.isfinite([belief.expected_error, belief.novelty]).all()


def test_a_model_survives_its_card() -> None:
    before = model()
    again = from_card(json.loads(json.dumps(before.as_dict())))
    assert again is not None
    figures = np.linspace(-2, 2, N)
    assert again.belief(figures) == before.belief(figures)
    assert from_card({}) is None


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("version", 99, "version 99"),
        ("figures", ["noise"], "figures"),
        ("error", [0.0, 1.0], "error"),
        ("gain", None, "gain"),
        ("centre", ["a"] * N, "could not convert"),
        ("spread", [0.0] * N, "spread"),
        ("shape", (-np.eye(N)).tolist(), "covariance"),
        ("bound_factor", float("nan"), "bound_factor"),
        ("reach", -1.0, "reach"),
    ],
)
def test_a_broken_key_trust_is_a_clear_error(tmp_path: Path, key: str, value: Any, word: str) -> None:
    for suffix in (".safetensors", ".json"):
        shutil.copy(weights.SHIPPED / f"light{suffix}", tmp_path)
    card = tmp_path / "light.json"
    raw = json.loads(card.read_text(encoding="utf-8"))
    raw["trust"] = {**model().as_dict(), key: value}
    card.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(WeightsError) as caught:
        weights.load_card(card)
    assert caught.value.code == "trust_unreadable"
    assert word in caught.value.message
    assert "--trust" in caught.value.remedy


@pytest.mark.parametrize("stored", ["no", 3, {"version": 1}, [1, 2]])
def test_a_key_trust_that_is_no_model_is_a_clear_error(stored: Any) -> None:
    with pytest.raises(WeightsError) as caught:
        from_card(stored)
    assert caught.value.code == "trust_unreadable"


def test_many_regions_are_told_in_few_lines() -> None:
    report = {"number": 1, "tiles": 1, "accepted": False, "rejected": "unexplained", "unexplained": 0.6}
    lines = stored_sentences({"regions": [report] * 30})
    assert len(lines) == 9
    assert lines[0].warns
    assert "60% of its contrast unexplained" in lines[0].text
    assert "22 regions more" in lines[-1].text


def test_a_region_is_told_in_a_sentence() -> None:
    _, done = result(model())
    told = stored_sentences({"regions": [done.regions[0].as_dict()]})[0]
    assert told.text.startswith("region 1, 6 tiles: refocused; gain 95% likely, off by about ")
    assert not told.warns


@pytest.mark.parametrize("regions", [None, 3, "x", [None], [{}], [{"tiles": "many", "number": 1}], [[1]]])
def test_reports_that_cannot_be_read_are_left_out(regions: Any) -> None:
    assert stored_sentences({"regions": regions}) == []
