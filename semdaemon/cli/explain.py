"""``semdaemon explain``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from semdaemon.training.evaluation.explain.explanation import Explanation
    from semdaemon.training.evaluation.scenes import Scene

_SCENES = 12
_SHOWN = "simulated particles 1"


@click.command("explain")
@click.option("--weights", default="auto", show_default=True, help="Name of shipped weights, or a file.")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of sharp frames never trained on; without it, simulated scenes.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the figure (PNG, PDF) and its numbers (JSON); without --page, semdaemon-explain.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.option(
    "--page",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Markdown page whose section 'explain' is written anew, figure beside it in images/; "
    "its pictures are of a simulated scene.",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--device", default="cpu", show_default=True)
def command(
    weights: str,
    data: Path | None,
    out: Path | None,
    as_json: bool,
    page: Path | None,
    seed: int,
    device: str,
) -> None:
    """What a network does to pictures: by scale, by spatial frequency, and where there is nothing to see."""
    import json

    from semdaemon.refocus.weights import resolve
    from semdaemon.training.evaluation.explain import explanation, figure
    from semdaemon.training.evaluation.explain import page as pages

    figure.need_matplotlib()
    card = resolve(weights, device)
    scenes, shown = _scenes(data, simulated_picture=page is not None)
    told = explanation.explain(
        card,
        scenes,
        shown,
        of=f"the frames in {data.name}/" if data else "simulated scenes",
        seed=seed,
        device=device,
        tell=lambda line: click.echo(line, err=True),
    )
    if page:
        _into_page(told, page)
    if out or not page:
        _into_folder(told, out or Path("semdaemon-explain"))
    click.echo(json.dumps(explanation.plain(told)) if as_json else pages.tables(told))


def _scenes(data: Path | None, *, simulated_picture: bool) -> tuple[list[Scene], Scene]:
    """Scenes to measure on, and the one to show."""
    from semdaemon.training.evaluation.scenes import scenes_of_folder, scenes_of_simulator

    if data is None:
        click.echo("No --data: simulated scenes, whose figures say little about real frames.", err=True)
    scenes = scenes_of_folder(data) if data else scenes_of_simulator(_SCENES)
    if data and not simulated_picture:
        return scenes, max(scenes, key=lambda scene: float(scene.sharp.std()))
    simulated = scenes_of_simulator() if data else scenes
    return scenes, next((scene for scene in simulated if scene.name == _SHOWN), simulated[0])


def _into_page(told: Explanation, page: Path) -> None:
    from semdaemon.training.evaluation.explain.figure import draw
    from semdaemon.training.evaluation.explain.page import section
    from semdaemon.training.pages import write_section

    image = Path("images") / f"explain-{told.weights}.png"
    write_section(page, "explain", section(told, image.as_posix()))
    draw(told, page.parent / image)


def _into_folder(told: Explanation, out: Path) -> None:
    import json

    from semdaemon.training.evaluation.explain.explanation import plain
    from semdaemon.training.evaluation.explain.figure import draw

    named = out / f"explain-{told.weights}"
    draw(told, named.with_suffix(".png"), named.with_suffix(".pdf"))
    named.with_suffix(".json").write_text(json.dumps(plain(told)) + "\n", encoding="utf-8")
    click.echo(f"Figure and numbers: {named}.png, .pdf, .json", err=True)
