"""``semdaemon train``."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command("train")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of sharp frames; without it, simulated scenes (a rehearsal).",
)
@click.option("--network", type=click.Choice(["light", "mrn", "srn"]), default="light", show_default=True)
@click.option("--recipe", type=click.Choice(["ours", "long", "published"]), default="ours", show_default=True)
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
@click.option("--minutes", type=click.FloatRange(min=0.01), help="Length by the clock (default 60).")
@click.option("--iterations", type=click.IntRange(min=1), help="Length in iterations; reproducible.")
@click.option("--batch", type=click.IntRange(min=1), help="Crops a step, instead of the recipe's.")
@click.option("--learning-rate", type=click.FloatRange(min=1e-8))
@click.option(
    "--radius-px", type=click.FloatRange(min=0), help="One known disc radius (the non-blind setting)."
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--device", default="auto", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="Threads of torch.")
@click.option("--json", "as_json", is_flag=True, help="Print the weights' card as one JSON object.")
def command(
    data: Path | None,
    network: str,
    recipe: str,
    start_from: str | None,
    out: Path,
    minutes: float | None,
    iterations: int | None,
    batch: int | None,
    learning_rate: float | None,
    radius_px: float | None,
    seed: int,
    device: str,
    threads: int | None,
    as_json: bool,
) -> None:
    """Train or fine-tune a refocusing network on sharp frames; resumes by itself."""
    from semdaemon.training import export, loop
    from semdaemon.training.recipe import RECIPES

    if minutes and iterations:
        raise click.UsageError("give --minutes or --iterations, not both")
    plan = loop.Plan(
        data=data,
        out=out,
        spec=loop.NETWORKS[network],
        recipe=loop.adapted(RECIPES[recipe], batch, learning_rate, radius_px),
        single_scale=network == "srn",
        minutes=minutes,
        iterations=iterations,
        seed=seed,
        start_from=_starting_point(start_from),
        device=device,
        threads=threads,
    )
    if data is None:
        click.echo("No --data: training on simulated scenes, a rehearsal only.", err=True)
    card = export.export(loop.train(plan), out / f"{network}.safetensors", network=network, data=data)
    click.echo(json.dumps(card) if as_json else f"{out / network}.safetensors (sha256 {card['sha256'][:12]})")


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
