"""Trust fitted, calibrated and checked: on figures of a known law, and on pictures with nothing in them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path as File

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image as Pictures

from semdaemon.cli.evaluate import command
from semdaemon.errors import SemdaemonError
from semdaemon.refocus import weights
from semdaemon.refocus.evidence import NAMES
from semdaemon.refocus.trust import from_card
from semdaemon.training.corpus import corpus_of_scenes
from semdaemon.training.trust import fitting, page, unlike
from semdaemon.training.trust.checking import area_under_curve, check
from semdaemon.training.trust.path import Path, Tiles, noise_of_truth_sd
from semdaemon.training.trust.plot import draw
from semdaemon.training.trust.trials import RECIPE, by_group

N = len(NAMES)


def tiles(groups: int, seed: int, *, per_group: int = 25) -> Tiles:
    """Errors that follow the figures ``detail`` and ``noise``, each group a little apart from the others."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups, dtype=float), per_group)
    figures = rng.normal(size=(group.size, N))
    apart = rng.normal(0, 0.15, groups)[group.astype(int)]
    spread = rng.normal(0, 0.2, group.size)
    error = np.exp(-2.5 + 0.4 * figures[:, 2] + 0.2 * figures[:, 0] + apart + spread)
    lead = 0.15 + 0.25 * figures[:, 8] + rng.normal(0, 0.15, group.size)
    smoothed = error * np.exp(lead)
    return Tiles(figures, error, error, 1.1 * smoothed, smoothed, group, np.arange(group.size) // 3.0)


@pytest.fixture(scope="module")
def fit() -> fitting.Fit:
    return fitting.fit(tiles(30, 1), tiles(10, 2))


def test_the_bound_holds_as_often_as_it_says_on_specimens_never_seen(fit: fitting.Fit) -> None:
    found = check(fit.trust, tiles(60, 3), min_confidence=0.5)
    assert 0.86 < found.tiles_covered < 0.95
    assert found.regions_covered > 0.85
    assert all(0.8 < b.share <= 1 for b in found.errors)


def test_expected_errors_are_those_found(fit: fitting.Fit) -> None:
    found = check(fit.trust, tiles(60, 4), min_confidence=0.5)
    assert [b.believed for b in found.errors] == sorted(b.believed for b in found.errors)
    for part in found.errors:
        assert part.true == pytest.approx(part.believed, rel=0.25)


def test_confidence_is_the_share_of_gains_and_abstention_lowers_the_risk(fit: fitting.Fit) -> None:
    found = check(fit.trust, tiles(60, 5), min_confidence=0.5)
    assert found.told_apart > 0.85
    for part in found.gains:
        assert part.true == pytest.approx(part.believed, abs=0.12)
    losses = [risk.loss for risk in found.risks]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.25 * losses[0]


def test_what_lies_far_from_everything_known_is_new(fit: fitting.Fit) -> None:
    far = fit.trust.belief(np.full(N, 8.0))
    near = fit.trust.belief(np.zeros(N))
    assert far.novelty > 1 > near.novelty
    assert check(fit.trust, tiles(20, 6), min_confidence=0.0).novel < 0.03


def test_each_group_counts_the_same_and_those_set_aside_half() -> None:
    fit = fitting.fit(tiles(20, 7, per_group=40), tiles(10, 8))
    own = fit.unseen.group >= 20
    assert fit.unseen.weight[own].sum() == pytest.approx(0.5)
    shares = [fit.unseen.weight[fit.unseen.group == g].sum() for g in range(20)]
    assert shares == pytest.approx([0.025] * 20)


def test_a_fit_stands_in_a_card_and_says_how_it_came_about(fit: fitting.Fit) -> None:
    stored = json.loads(json.dumps(fit.facts({"seed": 0})))
    again = from_card(stored)
    assert again is not None
    figures = np.linspace(-1, 1, N)
    assert again.belief(figures).confidence == pytest.approx(fit.trust.belief(figures).confidence, rel=1e-3)
    assert stored["left_out_coverage"]["groups"] == 40
    assert 0.85 < stored["left_out_coverage"]["mean"] < 0.95


def test_too_few_tiles_are_refused() -> None:
    with pytest.raises(SemdaemonError) as caught:
        fitting.fit(tiles(3, 1), tiles(30, 2))
    assert caught.value.code == "too_few_tiles"


def test_a_quantile_is_never_too_low() -> None:
    values, even = np.arange(1.0, 11.0), np.full(10, 0.1)
    assert fitting.quantile(values, 0.5, even) == 6.0
    assert fitting.quantile(values, 0.9, even) == 10.0


def test_the_area_under_the_curve_is_a_probability() -> None:
    good = np.array([True, False, True, False])
    assert area_under_curve(np.array([4.0, 1.0, 3.0, 2.0]), good) == 1.0
    assert area_under_curve(np.zeros(4), good) == 0.5
    assert np.isnan(area_under_curve(np.zeros(2), np.array([True, True])))


def test_noise_of_the_truth_is_that_of_its_middling_part() -> None:
    rng = np.random.default_rng(0)
    picture = rng.normal(0, 0.02, (256, 256)).astype(np.float32)
    picture[:96] += rng.normal(0, 0.3, (96, 256)).astype(np.float32)
    assert noise_of_truth_sd(picture) == pytest.approx(0.02, rel=0.15)


def test_groups_take_turns_and_the_same_seed_makes_the_same_trials() -> None:
    corpus = corpus_of_scenes(8, 128, seed=3)
    specimens = by_group((*corpus.train, *corpus.validation), ())
    first, again = (list(specimens.trials(3, 4)) for _ in range(2))
    assert [trial.group for trial in first] == [0, 1, 2]
    assert specimens.frames == 8
    for a, b in zip(first, again, strict=True):
        assert np.array_equal(a.seen, b.seen)
        assert np.array_equal(a.sharp, b.sharp)
    assert first[0].seen.shape == (RECIPE.crop_px, RECIPE.crop_px)


@pytest.fixture(scope="module")
def way() -> Path:
    return Path(weights.load_card("light"))


def test_flat_fields_and_noise_are_never_refocused(way: Path) -> None:
    trust = from_card(way.card.trust)
    for case in unlike.nothing_to_see(np.random.default_rng(9)):
        frame, focus = way.score(case.seen)
        done = way.refocus(frame, focus, trust, min_confidence=way.settings.refocus.min_confidence)
        assert not done.mask.any(), case
        assert done.pixels.tobytes() == frame.pixels.tobytes()


def test_pictures_unlike_the_training_come_with_scikit_image() -> None:
    named = [case.kind for case in unlike.natural(np.random.default_rng(0))]
    assert set(named) == set(unlike.PICTURES)
    assert len(named) == len(unlike.CONDITIONS) * sum(map(len, unlike.PICTURES.values()))


def test_the_page_tells_what_was_found(fit: fitting.Fit, tmp_path: File) -> None:
    found = check(fit.trust, tiles(40, 9), min_confidence=0.5)
    fates = [
        unlike.Fate("flat field", "any dose", 36, 36, 0, 0, 0, 0, 0),
        unlike.Fate("text", "as it is", 10, 4, 1, 2, 2, 1, 1),
    ]
    text = page.section(found, fates, fit.facts({}), "forty groups", min_confidence=0.5)
    assert "Checked on forty groups: 1,000 tiles" in text
    assert "95 % bootstrap interval over specimens; whole groups are drawn, 40 with tiles" in text
    assert "no tiles were changed" in text
    assert "| text | as it is | 10 | 40.0% | 10.0% | 20.0% | 20.0% | 10.0% | 10.0% |" in text
    draw(found, fit.trust, tmp_path / "images" / page.PLOT)
    with Pictures.open(tmp_path / "images" / page.PLOT) as plot:
        assert plot.width > 1000
        assert len(plot.convert("L").getcolors() or []) > 30


def test_how_often_the_bound_held_is_as_sure_as_there_are_specimens(fit: fitting.Fit) -> None:
    many, few = (check(fit.trust, tiles(n, 9, per_group=1200 // n), min_confidence=0.5) for n in (40, 8))
    widths = []
    for found in (many, few):
        assert found.tiles_interval is not None
        assert found.regions_interval is not None
        assert found.tiles_interval.mean == found.tiles_covered
        assert found.regions_interval.holds(found.regions_covered)
        widths.append(found.tiles_interval.high - found.tiles_interval.low)
    assert widths[1] > 1.3 * widths[0]


def test_one_specimen_cannot_tell_how_often_the_bound_holds_on_others(fit: fitting.Fit) -> None:
    found = check(fit.trust, tiles(1, 9), min_confidence=0.5)
    assert (found.tiles_interval, found.regions_interval) == (None, None)
    text = page.section(found, [], fit.facts({}), "one group", min_confidence=0.5)
    assert "All tiles are of one specimen group" in text


def test_weights_that_were_not_measured_say_how_to(tmp_path: File) -> None:
    for suffix in (".safetensors", ".json"):
        shutil.copy(weights.SHIPPED / f"light{suffix}", tmp_path)
    card = tmp_path / "light.json"
    raw = json.loads(card.read_text(encoding="utf-8"))
    raw.pop("trust", None)
    card.write_text(json.dumps(raw), encoding="utf-8")
    answer = CliRunner().invoke(command, ["--trust", "--weights", str(card)])
    assert isinstance(answer.exception, SemdaemonError)
    assert answer.exception.code == "trust_not_measured"


def test_nothing_is_fitted_to_frames_kept_for_checking() -> None:
    answer = CliRunner().invoke(command, ["--trust", "--weights", "light", "--card"])
    assert isinstance(answer.exception, SemdaemonError)
    assert answer.exception.code == "validation_missing"
