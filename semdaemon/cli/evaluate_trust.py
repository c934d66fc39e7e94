"""``semdaemon evaluate --trust``: how far results of some weights can be trusted."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from semdaemon.errors import SemdaemonError

if TYPE_CHECKING:
    from semdaemon.refocus.weights import WeightsCard

TRIALS, QUICK_TRIALS = 600, 120
_TELL_EVERY = 50


def evaluate_trust(
    card: WeightsCard,
    data: Path | None,
    *,
    validation_fraction: float | None,
    seed: int,
    quick: bool,
    into_card: bool,
    page: Path | None,
    as_json: bool,
) -> str:
    """With a validation fraction: fit and calibrate. Without: check what the card says on frames never seen.

    Parameters
    ----------
    data
        The folder of the weights' training, or one of frames that it never saw; None for simulated scenes.
    validation_fraction
        That of the weights' own training.
    into_card
        Write the fit into the card.
    page
        Write the check into this page's section ``trust``, and its plot into ``images`` beside it.

    Raises
    ------
    SemdaemonError
        ``trust_not_measured``: there is nothing to check; ``validation_missing``: nothing to fit by.
    """
    import torch

    torch.set_num_threads(1)
    trials = QUICK_TRIALS if quick else TRIALS
    if validation_fraction is not None:
        return _fit(card, data, validation_fraction, seed, trials, into_card, as_json)
    if into_card:
        raise SemdaemonError(
            "validation_missing",
            "Trust is fitted to frames of the weights' own training, and to those that it set aside.",
            remedy="Give that training's folder and fraction: --data DIR --validation SHARE.",
        )
    return _check(card, data, seed, trials, page, as_json)


def _fit(
    card: WeightsCard,
    data: Path | None,
    validation_fraction: float,
    seed: int,
    count: int,
    into_card: bool,
    as_json: bool,
) -> str:
    from semdaemon.training.export import write_card
    from semdaemon.training.trust import fitting, trials
    from semdaemon.training.trust.path import Path as Way

    way = Way(card)
    trained, set_aside = trials.split(data, validation_fraction, card.seed)
    of_trained, of_set_aside = (
        way.tiles(specimens.trials(count, seed + number), _counter(name, count))
        for number, (name, specimens) in enumerate((("fit", trained), ("calibration", set_aside)))
    )
    fit = fitting.fit(of_trained, of_set_aside)
    conditions = {
        "of": data.name if data else "semdaemon simulate",
        "validation_fraction": validation_fraction,
        "frames": {"trained_on": trained.frames, "set_aside": set_aside.frames},
        "trials": count,
        "seed": seed,
        "sha256": card.sha256[:12],
    }
    facts = fit.facts(conditions)
    if into_card:
        raw = json.loads(card.path.with_suffix(".json").read_text(encoding="utf-8"))
        write_card(card.path, raw | {"trust": facts})
    if as_json:
        return json.dumps(facts)
    left_out = {name: f"{100 * facts['left_out_coverage'][name]:.1f}" for name in ("mean", "worst")}
    return (
        f"Fitted to {facts['tiles']['trained_on']} tiles of specimens trained on, calibrated on them fold by "
        f"fold and on {facts['tiles']['set_aside']} of specimens set aside; {facts['gained']:.1%} gained.\n"
        f"True errors stay below {fit.trust.bound_factor:.2f} times the expected one in 90 of 100 cases; on "
        f"groups left out of the calibration in {left_out['mean']} (worst group {left_out['worst']})."
    )


def _check(
    card: WeightsCard, data: Path | None, seed: int, count: int, page: Path | None, as_json: bool
) -> str:
    from semdaemon.refocus.trust import from_card
    from semdaemon.training.pages import write_section
    from semdaemon.training.trust import page as pages
    from semdaemon.training.trust import trials, unlike
    from semdaemon.training.trust.checking import check
    from semdaemon.training.trust.path import Path as Way
    from semdaemon.training.trust.plot import draw

    trust = from_card(card.trust)
    if trust is None:
        raise SemdaemonError(
            "trust_not_measured",
            f"The card of '{card.name}' does not say how far its results can be trusted.",
            remedy="Measure it: semdaemon evaluate --trust --data TRAINING --validation SHARE --card.",
        )
    way = Way(card)
    specimens = trials.never_seen(data)
    least = way.settings.refocus.min_confidence
    tiles = way.tiles(specimens.trials(count, seed + 100), _counter("check", count))
    found = check(trust, tiles, min_confidence=least)
    fates = unlike.fates(way, trust, seed=seed)
    if as_json:
        return json.dumps({"check": asdict(found), "unlike": [asdict(fate) for fate in fates]})
    said = (
        f"{specimens.frames} frames of {data.name if data else 'the simulator'}, "
        f"{len(specimens.groups)} specimen groups, {count} trials, seed {seed}, weights `{card.sha256[:12]}`"
    )
    text = pages.section(found, fates, dict(card.trust), said, min_confidence=least)
    if page is not None:
        draw(found, trust, page.parent / "images" / pages.PLOT)
        write_section(page, pages.SECTION, text)
    return text


def _counter(name: str, of: int) -> Callable[[], None]:
    done: list[Any] = []

    def told() -> None:
        done.append(None)
        if len(done) % _TELL_EVERY == 0:
            click.echo(f"{name}: trial {len(done)} of {of}", err=True)

    return told
