from __future__ import annotations

from dataclasses import replace

from semdaemon.refocus.weights import load_card
from semdaemon.training.model_card import page


def test_the_page_of_the_shipped_card_tells_data_licences_figures_and_losses() -> None:
    card = load_card("light")
    text = page(card)
    assert card.sha256 in text
    for row in card.trained_on:
        assert row["source"] in text
    assert "4, 400 |" in text
    assert "worse than" in text
    assert not card.interim


def test_interim_weights_say_so() -> None:
    assert "interim" in page(replace(load_card("light"), interim=True))


def test_the_shipped_network_holds_its_promise_against_wiener() -> None:
    """Blind network against a Wiener filter that knows the probe and the truth; figures of the card."""
    rows = load_card("light").held_out["rows"]
    discs = [row for row in rows if row.get("blur", "disc").startswith("disc")]
    found = {(r["method"], r["radius_px"], r["electrons_per_px"]): r for r in discs}
    for dose in (50, 400):
        light, wiener = found["light", 4, dose], found["oracle Wiener", 4, dose]
        assert light["psnr_db"] >= wiener["psnr_db"]
        assert light["worst_gain_db"] > 0
