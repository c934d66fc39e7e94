"""``semdaemon train``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from semdaemon.training.plan import Plan


@click.command("train")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of sharp frames; without it, simulated scenes (a rehearsal).",
)
@click.option("--network", type=click.Choice(["light", "mrn", "srn"]), help="Default light.")
@click.option(
    "--recipe",
    type=click.Choice(["ours", "long", "fine", "published"]),
    help="Default ours; with --from, fine.",
)
@click.option(
    "--from",
    "start_from",
    help="Shipped weights by name, or a weights file or checkpoint, to start from (fine-tuning).",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("semdaemon-training"),
    show_default=True,
    help="Folder for checkpoint, log and weights; resumes from a checkpoint there.",
)
@click.option(
    "--minutes", type=click.FloatRange(min=0.01), help="Length by the clock (default 60; with --from 20)."
)
@click.option("--iterations", type=click.IntRange(min=1), help="Length in iterations; reproducible.")
@click.option(
    "--stop-after-minutes",
    type=click.FloatRange(min=0.01),
    help="Save and stop then, with exit code 0, to be gone on with by the same command.",
)
@click.option("--batch", type=click.IntRange(min=1), help="Crops a step, instead of the recipe's.")
@click.option("--crop", type=click.IntRange(min=32), help="Side of a crop in pixels.")
@click.option("--learning-rate", type=click.FloatRange(min=1e-8))
@click.option(
    "--radius-px", type=click.FloatRange(min=0), help="One known disc radius (the non-blind setting)."
)
@click.option(
    "--validation-fraction",
    type=click.FloatRange(0, 0.5),
    help="Share of the frames, whole specimens, set aside to measure on (default 0.15; with --from 0.25).",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--device", default="auto", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="Threads of torch.")
@click.option(
    "--workers",
    type=click.IntRange(min=0),
    help="Processes that make the pairs; default 0 on a CPU, up to 8 on a GPU.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the weights' card as one JSON object.")
@click.pass_context
def command(context: click.Context, /, as_json: bool, **given: Any) -> None:
    """Train or fine-tune a refocusing network on sharp frames; resumes by itself."""
    from semdaemon.training import loop
    from semdaemon.training.export import export
    from semdaemon.training.stopping import TrainingStoppedError

    plan, network = _plan(**given)
    if plan.data is None:
        click.echo("No --data: training on simulated scenes, a rehearsal only.", err=True)
    try:
        source = loop.train(plan)
    except TrainingStoppedError as stopped:
        click.echo(f"semdaemon: {stopped.message} {stopped.remedy}", err=True)
        context.exit(stopped.exit_code)
    if plan.start_from and plan.patience:
        target, card = _tuned(plan, source, network)
    else:
        target = plan.out / f"{network}.safetensors"
        card = export(source, target, network=network, data=plan.data)
    click.echo(json.dumps(card) if as_json else f"{target} (sha256 {card['sha256'][:12]})")


def _tuned(plan: Plan, source: Path, network: str) -> tuple[Path, dict[str, Any]]:
    from semdaemon.training import starting, tuning

    assert plan.start_from is not None  # noqa: S101  (for the reader and mypy: the caller has looked)
    name = starting.start_of(plan.start_from)
    target = plan.out / f"{name.path.stem if name.is_weights else network}-tuned.safetensors"
    click.echo("Comparing the result with its start ...", err=True)
    card, verdict = tuning.finish(plan, source, target, network=network)
    for sentence in verdict.sentences(name.name):
        click.echo(sentence, err=True)
    return target, card


def _plan(
    network: str | None,
    recipe: str | None,
    start_from: str | None,
    minutes: float | None,
    iterations: int | None,
    batch: int | None,
    crop: int | None,
    learning_rate: float | None,
    radius_px: float | None,
    validation_fraction: float | None,
    **other: Any,
) -> tuple[Plan, str]:
    """The plan that the options describe, and the name of its network."""
    from semdaemon.training import plan as plans
    from semdaemon.training import starting, tuning

    if minutes and iterations:
        raise click.UsageError("give --minutes or --iterations, not both")
    path = _starting_point(start_from)
    start = starting.start_of(path) if path else None
    name = network or (plans.network_of(start.spec) if start else "light")
    fine = start is not None and recipe in (None, "fine")
    chosen = plans.recipe_of(name, recipe or ("fine" if fine else "ours"))
    if validation_fraction is None:
        validation_fraction = tuning.FRACTION if fine else 0.15
    plan = plans.Plan(
        spec=plans.spec_of(name, chosen) if network or start is None else start.network,
        recipe=plans.adapted(chosen, batch, learning_rate, radius_px, crop),
        single_scale=name == "srn",
        minutes=minutes or (tuning.MINUTES if fine and not iterations else None),
        iterations=iterations,
        start_from=path,
        validation_fraction=validation_fraction,
        patience=tuning.PATIENCE if fine else None,
        **other,
    )
    return plan, name


def _starting_point(given: str | None) -> Path | None:
    from semdaemon.refocus.weights import SHIPPED, available

    if given is None:
        return None
    path = SHIPPED / f"{given}.safetensors" if given in available() else Path(given)
    if not path.exists():
        raise click.UsageError(
            f"--from {given}: no such file, and shipped weights are {', '.join(available())}"
        )
    return path
