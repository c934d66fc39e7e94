"""``semdaemon evaluate`` of weights: whole, or quick and held against the card."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from semdaemon.errors import WeightsError
from semdaemon.refocus.weights import WeightsCard
from semdaemon.training.evaluation import plan, publishing, running, stored
from semdaemon.training.evaluation.headline import headlines
from semdaemon.training.evaluation.headline_table import verdict_table
from semdaemon.training.evaluation.report import report
from semdaemon.training.evaluation.results import Results
from semdaemon.training.evaluation.scenes import Scene, scenes_of_simulator

SIMULATED = "semdaemon simulate"


@dataclass(frozen=True)
class Options:
    """What the command line says; ``of`` is the name of the folder, empty for simulated scenes."""

    of: str
    out: Path | None
    as_json: bool
    quick: bool
    into_card: bool
    crop_px: int
    seed: int
    device: str
    jobs: int
    page: Path | None

    def facts(self, scenes: Sequence[Scene], card: WeightsCard) -> dict[str, Any]:
        """The conditions that figures were measured under."""
        return {
            "weights": card.name,
            "sha256": card.sha256[:12],
            "frames": len(scenes),
            "specimen_groups": len({scene.specimen for scene in scenes}),
            "of": self.of or SIMULATED,
            "crop_px": self.crop_px,
            "seed": self.seed,
            "bits": 8,
            "noise": "Poisson",
        }


def evaluate_weights(card: WeightsCard, scenes: Sequence[Scene], options: Options) -> None:
    """Measure, print, and write where it was asked for."""
    publishing.check(options.out, options.page)
    if options.quick:
        _quick(card, scenes, options)
        return
    results = _measured(card, scenes, plan.whole_steps(), options, card.name)
    facts = options.facts(scenes, card)
    if options.out:  # first of all: from here on nothing that was measured can be lost
        publishing.into_folder(options.out, results, scenes, card, facts)
    if options.into_card:
        card = publishing.into_card(card, _for_card(results, scenes, card, options))
    if options.out:
        _model_card(options.out, card)
    if options.page:
        publishing.into_page(options.page, results, scenes_of_simulator(), card, facts)
    if options.as_json:
        click.echo(json.dumps(publishing.as_json(results, card, facts)))
    elif options.out or options.page:
        click.echo(verdict_table(headlines(results, card.network)))
    else:
        click.echo(report(results, facts, card.network))


def _quick(card: WeightsCard, scenes: Sequence[Scene], options: Options) -> None:
    """Headline figures made again; exit code 1 where one lies outside the card's interval."""
    if options.into_card or options.page:
        raise click.UsageError("--quick only makes figures again: leave it out with --card or --page.")
    only = plan.quick_part(scenes)
    results = _measured(card, scenes, plan.headline_steps(), options, f"{card.name}, quick", only=only)
    part = _named(scenes, only)
    # The fingerprint is of the whole set, by crop and seed: the part's own count does not enter it.
    facts = options.facts(part, card)
    if options.out:
        publishing.into_folder(options.out, results, part, card, facts)
    made: list[stored.Check] = []
    try:
        made = stored.checks(results, scenes, card, facts)
    except WeightsError as error:
        click.echo(f"Not held against the card: {error}", err=True)
    if options.as_json:
        within = [check.as_facts() for check in made]
        click.echo(json.dumps({**publishing.as_json(results, card, facts), "checks": within}))
    else:
        table = stored.check_table(made) if made else verdict_table(headlines(results, card.network))
        click.echo(table)
    if any(check.within is False for check in made):
        sys.exit(1)


def _for_card(
    results: Results, scenes: Sequence[Scene], card: WeightsCard, options: Options
) -> dict[str, Any]:
    """What the card keeps; figures of simulated scenes too, for those who have no frames."""
    facts = options.facts(scenes, card)
    kept = stored.held_out(results, scenes, card, facts)
    if options.of:
        simulated = scenes_of_simulator()
        only = plan.quick_part(simulated)
        again = _measured(card, simulated, plan.headline_steps(), options, "simulated scenes", only=only)
        kept["quick"].append(stored.quick_entry(again, simulated, card, facts | {"of": SIMULATED}))
    return kept


def _measured(
    card: WeightsCard,
    scenes: Sequence[Scene],
    steps: Sequence[plan.Step],
    options: Options,
    what: str,
    *,
    only: Sequence[str] = (),
) -> Results:
    from semdaemon.refocus.engine import choose_device

    device = choose_device(options.device)
    work = running.work_on(
        card, scenes, steps, device=device, crop_px=options.crop_px, seed=options.seed, only=only
    )
    jobs = options.jobs or (running.cores() if device == "cpu" else 1)
    with _progress(what) as tell:
        return Results(running.run(work, jobs=jobs, tell=tell), scenes)


@contextmanager
def _progress(what: str) -> Iterator[running.Tell]:
    """A bar with the time left on a terminal, a line every tenth elsewhere; on standard error."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done, of: _line(what, done, of)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def _line(what: str, done: int, of: int) -> None:
    if done * 10 // of > (done - 1) * 10 // of:
        click.echo(f"{what}: {done} of {of}", err=True)


def _named(scenes: Sequence[Scene], names: Sequence[str]) -> list[Scene]:
    return [scene for scene in scenes if scene.name in names]


def _model_card(out: Path, card: WeightsCard) -> None:
    from semdaemon.training import model_card

    (out / f"model-card-{card.name}.md").write_text(model_card.page(card), encoding="utf-8")
