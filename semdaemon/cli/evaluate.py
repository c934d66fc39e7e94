"""``semdaemon evaluate``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from semdaemon.refocus.weights import WeightsCard
    from semdaemon.training.evaluation.measuring import Row
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
    help="Folder for the table, its JSON, and strips input | methods | truth.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.option("--quick", is_flag=True, help="Four conditions instead of twelve.")
@click.option("--card", "into_card", is_flag=True, help="Write table and cost into the weights' model card.")
@click.option("--crop", "crop_px", type=click.IntRange(min=32), default=320, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--device", default="auto", show_default=True)
@click.option("--reach", "of_reach", is_flag=True, help="Measure up to which blur the weights gain, only.")
@click.option(
    "--validation",
    "validation_fraction",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Only the specimen groups of --data that the weights' own training with this fraction set aside.",
)
@click.option("--focus", "of_focus", is_flag=True, help="Measure the focus scores in place of weights.")
@click.option("--trust", "of_trust", is_flag=True, help="How far results can be trusted: fit, or check.")
@click.option(
    "--page",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --focus --card: markdown page whose tables are written anew.",
)
def command(
    data: Path | None,
    weights: str,
    out: Path | None,
    as_json: bool,
    quick: bool,
    into_card: bool,
    crop_px: int,
    seed: int,
    device: str,
    of_reach: bool,
    validation_fraction: float | None,
    of_focus: bool,
    of_trust: bool,
    page: Path | None,
) -> None:
    """Measure weights, or focus scores, beside the classical methods on frames degraded by known amounts."""
    if of_focus:
        from semdaemon.cli.evaluate_focus import evaluate_focus

        click.echo(evaluate_focus(data, seed=seed, quick=quick, card=into_card, page=page, as_json=as_json))
        return
    from semdaemon.refocus.weights import resolve
    from semdaemon.training.evaluation import measuring as measure
    from semdaemon.training.evaluation import scenes as sets

    card = resolve(weights, "cpu" if device == "auto" else device)
    if of_trust:
        from semdaemon.cli.evaluate_trust import evaluate_trust

        told = evaluate_trust(
            card,
            data,
            validation_fraction=validation_fraction,
            seed=seed,
            quick=quick,
            into_card=into_card,
            page=page,
            as_json=as_json,
        )
        click.echo(told)
        return
    if data and validation_fraction:
        scenes = sets.scenes_set_aside(data, validation_fraction, card.seed)
    else:
        scenes = sets.scenes_of_folder(data) if data else sets.scenes_of_simulator()
    if data is None:
        click.echo("No --data: simulated scenes, whose figures say little about real frames.", err=True)
    if of_reach:
        click.echo(_reach(card, scenes, seed, into_card=into_card, as_json=as_json))
        return
    conditions: dict[str, Any] = {
        "frames": len(scenes),
        "of": data.name if data else "semdaemon simulate",
        "crop_px": crop_px,
        "seed": seed,
        "bits": 8,
        "blur": "disc of radius R",
        "noise": "Poisson",
        "sha256": card.sha256[:12],
    }
    rows = measure.evaluate(
        scenes,
        measure.default_methods(card, device),
        crop_px=crop_px,
        seed=seed,
        progress=_tell,
        radii_px=measure.QUICK_RADII_PX if quick else measure.RADII_PX,
        doses=measure.QUICK_DOSES if quick else measure.DOSES,
    )
    if into_card:
        _into_card(card, rows, conditions)
    if out:
        _save(out, card, scenes, rows, conditions, crop_px, seed)
    click.echo(measure.as_json(rows, conditions) if as_json else measure.as_markdown(rows))


def _processor() -> str:
    import platform

    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        if named:
            return named[0]
    return platform.processor() or platform.machine()


def _tell(done: int, of: int) -> None:
    click.echo(f"condition {done} of {of}", err=True)


def _reach(card: WeightsCard, scenes: Sequence[Scene], seed: int, *, into_card: bool, as_json: bool) -> str:
    import json

    import torch

    from semdaemon.training.evaluation import reach
    from semdaemon.training.export import write_card

    torch.set_num_threads(1)
    rows = reach.reach(card, scenes, seed=seed, tell=lambda line: click.echo(line, err=True))
    limit_px = reach.repairs_up_to_px(rows)
    if into_card:
        raw = json.loads(card.path.with_suffix(".json").read_text(encoding="utf-8"))
        raw |= {"repairs_up_to_px": limit_px, "reach": reach.as_facts(rows)}
        write_card(card.path, raw)
    if as_json:
        return json.dumps({"repairs_up_to_px": limit_px, "rows": reach.as_facts(rows)})
    return f"These weights gain up to an equivalent blur of {limit_px:g} px (repairs_up_to_px)."


def _into_card(card: WeightsCard, rows: Sequence[Row], conditions: dict[str, Any]) -> None:
    import json
    from dataclasses import asdict

    from semdaemon.training.evaluation.measuring import s_per_megapixel
    from semdaemon.training.export import probe_answer, write_card

    raw = json.loads(card.path.with_suffix(".json").read_text(encoding="utf-8"))
    raw["held_out"] = {"conditions": conditions, "rows": [asdict(row) for row in rows]}
    on = f"one thread of {_processor()}, float32, 512 px tiles"
    raw["cost"] = {"s_per_megapixel": round(s_per_megapixel(card), 2), "on": on}
    raw["probe"] = probe_answer(card)
    write_card(card.path, raw)


def _save(
    out: Path,
    card: WeightsCard,
    scenes: Sequence[Scene],
    rows: Sequence[Row],
    conditions: dict[str, Any],
    crop_px: int,
    seed: int,
) -> None:
    from PIL import Image

    from semdaemon.refocus.weights import load_card
    from semdaemon.training import model_card
    from semdaemon.training.evaluation import classical
    from semdaemon.training.evaluation import measuring as measure
    from semdaemon.training.evaluation.scenes import degrade_scene

    out.mkdir(parents=True, exist_ok=True)
    (out / "evaluation.md").write_text(measure.as_markdown(rows), encoding="utf-8")
    (out / "evaluation.json").write_text(measure.as_json(rows, conditions) + "\n", encoding="utf-8")
    (out / f"model-card-{card.name}.md").write_text(model_card.page(load_card(card.path)), encoding="utf-8")
    network = measure.network_method(card)
    for number, scene in enumerate(scenes):
        case = degrade_scene(scene, 4, 100, crop_px=crop_px, seed=seed + number)
        picture = measure.strip(case, [classical.oracle_wiener(case), network(case)])
        Image.fromarray(picture).save(out / f"{Path(scene.name).stem}_R4_N100.png")
