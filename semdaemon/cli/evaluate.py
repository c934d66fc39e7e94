"""``semdaemon evaluate``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from semdaemon.refocus.weights import WeightsCard
    from semdaemon.training.evaluation.scenes import Scene


@click.command("evaluate")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of sharp frames never trained on; without it, simulated scenes.",
)
@click.option("--weights", default="auto", show_default=True, help="Name of shipped weights, or a file.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the report, its JSON, curves, and strips sharp | blurred | methods.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.option(
    "--quick",
    is_flag=True,
    help="The headline figures on a part of the frames, held against the intervals in the card.",
)
@click.option(
    "--card", "into_card", is_flag=True, help="Write figures and cost into the weights' model card."
)
@click.option("--crop", "crop_px", type=click.IntRange(min=32), default=320, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--device", default="auto", show_default=True)
@click.option(
    "--jobs",
    type=click.IntRange(min=0),
    default=0,
    help="Processes; 0 is one a core (one alone on a GPU). Figures do not depend on it.",
)
@click.option("--reach", "of_reach", is_flag=True, help="Measure up to which blur the weights gain, only.")
@click.option("--trust", "of_trust", is_flag=True, help="How far results can be trusted: fit, or check.")
@click.option(
    "--validation",
    "validation_fraction",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Only the specimen groups of --data that the weights' own training with this fraction set aside.",
)
@click.option("--focus", "of_focus", is_flag=True, help="Measure the focus scores in place of weights.")
@click.option(
    "--page",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Markdown page whose section is written anew, pictures beside it (with --focus --card: its tables).",
)
def command(
    data: Path | None,
    weights: str,
    of_reach: bool,
    validation_fraction: float | None,
    of_focus: bool,
    of_trust: bool,
    **chosen: Any,
) -> None:
    """Measure weights, or focus scores, beside the classical methods on frames degraded by known amounts."""
    if of_focus:
        from semdaemon.cli.evaluate_focus import evaluate_focus

        wanted = {key: chosen[key] for key in ("seed", "quick", "page", "as_json")}
        click.echo(evaluate_focus(data, card=chosen["into_card"], **wanted))
        return
    from semdaemon.refocus.weights import resolve

    card = resolve(weights, "cpu" if chosen["device"] == "auto" else chosen["device"])
    if of_trust:
        from semdaemon.cli.evaluate_trust import evaluate_trust

        wanted = {key: chosen[key] for key in ("seed", "quick", "into_card", "page", "as_json")}
        click.echo(evaluate_trust(card, data, validation_fraction=validation_fraction, **wanted))
        return
    scenes = _scenes(data, validation_fraction, card)
    if of_reach:
        from semdaemon.cli.evaluate_reach import evaluate_reach

        reach = {key: chosen[key] for key in ("seed", "into_card", "as_json")}
        click.echo(evaluate_reach(card, scenes, **reach))
        return
    from semdaemon.cli.evaluate_weights import Options, evaluate_weights

    evaluate_weights(card, scenes, Options(of=data.name if data else "", **chosen))


def _scenes(data: Path | None, validation_fraction: float | None, card: WeightsCard) -> Sequence[Scene]:
    from semdaemon.training.evaluation import scenes as sets

    if data is None:
        click.echo("No --data: simulated scenes, whose figures say little about real frames.", err=True)
        return sets.scenes_of_simulator()
    if validation_fraction:
        return sets.scenes_set_aside(data, validation_fraction, card.seed)
    return sets.scenes_of_folder(data / "heldout" if (data / "heldout").is_dir() else data)
