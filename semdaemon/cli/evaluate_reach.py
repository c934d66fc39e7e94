"""``semdaemon evaluate --reach``."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from semdaemon.refocus.weights import WeightsCard
from semdaemon.training.evaluation.scenes import Scene


def evaluate_reach(
    card: WeightsCard, scenes: Sequence[Scene], *, seed: int, into_card: bool, as_json: bool
) -> str:
    """Up to which blur the weights gain, as text; with ``into_card`` into their card as well."""
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
