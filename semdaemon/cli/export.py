"""``semdaemon export``: weights for other programs."""

from __future__ import annotations

import json
from pathlib import Path

import click

from semdaemon.cli.options import json_option
from semdaemon.refocus.weights import load_card


@click.command("export")
@click.argument("weights")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The zip to write; NAME.bioimageio.zip where none is given.",
)
@json_option
def command(weights: str, output: Path | None, as_json: bool) -> None:
    """Write WEIGHTS (a shipped name or a .safetensors file) as a bioimage.io model package.

    It holds ONNX and TorchScript, test tensors, a sample, a cover and the model card, and runs in deepImageJ,
    ilastik and whatever else reads format 0.5. The same weights give the same bytes.
    """
    from semdaemon.training.bioimage.package import package

    card = load_card(weights)
    target = output or Path(f"{card.name}.bioimageio.zip")
    package(card, target)
    size = target.stat().st_size
    if as_json:
        said = {"file": str(target), "bytes": size, "weights": {"name": card.name, "sha256": card.sha256}}
        click.echo(json.dumps(said))
    else:
        click.echo(f"{target} ({size / 1e6:.1f} MB, valid; weights {card.name}, sha256 {card.sha256[:12]})")
