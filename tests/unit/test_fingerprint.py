"""What a result follows from: settings, and the networks that they name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from semdaemon.daemon.parts import in_force
from semdaemon.fingerprint import fingerprint_of, networks_of
from semdaemon.refocus.weights import load_card
from semdaemon.settings import Settings
from semdaemon.sources.ndtiff import NDTiffSource


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A lab's own copy of the shipped weights."""
    card, own = load_card("light"), tmp_path / "own.safetensors"
    shutil.copy(card.path, own)
    shutil.copy(card.path.with_suffix(".json"), own.with_suffix(".json"))
    return own


def settings(weights: Path | str, **sections: Any) -> Settings:
    return Settings(focus={"scorer": "f4n"}, refocus={"weights": str(weights)}, **sections)


def replaced(weights: Path) -> None:
    """As another training under the same path leaves it: other tensors, and a card that vouches for them."""
    card = weights.with_suffix(".json")
    raw = json.loads(card.read_text(encoding="utf-8"))
    card.write_text(json.dumps({**raw, "sha256": "f" * 64}), encoding="utf-8")


def test_weights_replaced_under_the_same_path_are_other_weights(weights: Path) -> None:
    before = fingerprint_of(settings(weights))
    assert fingerprint_of(settings(weights)) == before
    replaced(weights)
    assert fingerprint_of(settings(weights)) != before


def test_another_blur_estimator_is_another_scorer(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint_of(Settings())
    monkeypatch.setattr("semdaemon.fingerprint.read_card", lambda: {"sha256": "f" * 64})
    assert fingerprint_of(Settings()) != before


def test_weights_without_a_card_keep_nobody_from_scoring(weights: Path) -> None:
    weights.with_suffix(".json").unlink()
    assert networks_of(settings(weights)).weights == ()
    assert len(fingerprint_of(settings("nonesuch"))) == 12


def test_auto_stands_for_all_that_is_shipped() -> None:
    assert load_card("light").sha256 in networks_of(Settings()).weights


def test_a_running_daemon_tells_of_the_weights_that_it_holds_until_they_are_loaded_anew(
    weights: Path,
) -> None:
    """Weights are read when the worker starts: replaced meanwhile, they are not yet what frames meet."""
    first = in_force(settings(weights), NDTiffSource(Settings().ndtiff, ()))
    replaced(weights)
    stacks = NDTiffSource(Settings().ndtiff, ())
    same = in_force(settings(weights, output={"compression": "zstd"}), stacks, first)
    assert same.fingerprint == first.fingerprint
    worker_made_anew = in_force(settings(weights, worker={"threads": 2}), stacks, first)
    assert worker_made_anew.fingerprint != first.fingerprint
    restarted = in_force(settings(weights), stacks)
    assert restarted.fingerprint == worker_made_anew.fingerprint
