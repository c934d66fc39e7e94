"""``semdaemon evaluate --focus``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click


def evaluate_focus(
    data: Path | None, *, seed: int, quick: bool, card: bool, page: Path | None, as_json: bool
) -> str:
    """The table of focus scores as text; with ``card`` into the shipped estimator's card as well.

    Parameters
    ----------
    data
        Folder of sharp frames, or one that holds ``heldout/`` (and ``train/``, needed for the card).
        None stands for simulated scenes.
    """
    import torch

    from semdaemon.focus.sigma import MODEL, SigmaScorer
    from semdaemon.training.focus import page as pages
    from semdaemon.training.focus import report

    torch.set_num_threads(1)
    if card:
        if data is None:
            raise click.UsageError("--card needs --data DIR with train/ and heldout/ in it.")
        written = report.into_card(data, MODEL, seed=seed, tell=_tell)
        if page:
            pages.write_tables(page, written)
        return json.dumps(written["heldout"]) if as_json else pages.of_card(written)
    scorer = SigmaScorer()
    found = report.figures(scorer, *_frames(data), seed=seed, quick=quick, tell=_tell)
    return json.dumps(found) if as_json else pages.tables(found)


def _frames(data: Path | None) -> tuple[Any, ...]:
    """Frames as they stand, and with soft ones binned where an index tells them."""
    from semdaemon.training.corpus import corpus_of_scenes
    from semdaemon.training.reading import load_frames

    if data is None:
        click.echo("No --data: simulated scenes, whose figures say little about real frames.", err=True)
        scenes = corpus_of_scenes(8, 384, seed=1000)
        return ((*scenes.train, *scenes.validation),)
    folder = data / "heldout" if (data / "heldout").is_dir() else data
    return (load_frames(folder, bin_soft=False),)


def _tell(line: str) -> None:
    click.echo(line, err=True)
