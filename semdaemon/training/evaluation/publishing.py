"""Where an evaluation goes: a folder, a page of the documentation, the weights' card."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from semdaemon.machine import processor_name
from semdaemon.refocus.weights import WeightsCard, load_card
from semdaemon.training import model_card
from semdaemon.training.evaluation import figures
from semdaemon.training.evaluation.headline import headlines
from semdaemon.training.evaluation.measuring import methods_of, s_per_megapixel
from semdaemon.training.evaluation.plan import quick_part
from semdaemon.training.evaluation.report import report
from semdaemon.training.evaluation.results import Results
from semdaemon.training.evaluation.scenes import Scene
from semdaemon.training.pages import write_section

SECTION = "held-out"
_STRIPS_OF_PAGE = 2


def as_json(results: Results, card: WeightsCard, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Conditions, frames with their specimens, headline figures and every single outcome."""
    return {
        "conditions": dict(facts),
        "drawn": str(results.drawn),
        "frames": results.frame_facts(),
        "headline": [h.as_facts() for h in headlines(results, card.network)],
        "outcomes": results.as_facts(),
    }


def check(out: Path | None, page: Path | None) -> None:
    """Whatever would keep results from being written is told before they are measured.

    Raises
    ------
    SemdaemonError
        ``extra_missing`` without matplotlib, ``page_without_section`` where the page lacks its marks.
    """
    if out or page:
        figures.require()
    if out:
        out.mkdir(parents=True, exist_ok=True)
    if page and f"<!-- {SECTION}:" not in page.read_text(encoding="utf-8"):
        write_section(page, SECTION, "")


def into_folder(
    out: Path, results: Results, scenes: Sequence[Scene], card: WeightsCard, facts: Mapping[str, Any]
) -> None:
    """``evaluation.md``, ``evaluation.json``, curves, and strips of frames spread over the set."""
    _curves(out, "", results, card)
    scenes = [scene for scene in scenes if scene.name in quick_part(scenes)]
    names = [
        f"{number:03d}-{Path(scene.name).stem.replace(' ', '-')}.png" for number, scene in enumerate(scenes)
    ]
    _strips(out / "strips", names, scenes, card, facts)
    shown = _pictures("", ["by-blur.png", "by-dose.png"])
    text = f"# Evaluation of `{card.name}`\n\n{report(results, facts, card.network, shown)}"
    (out / "evaluation.md").write_text(text, encoding="utf-8")
    content = json.dumps(as_json(results, card, facts))
    (out / "evaluation.json").write_text(content + "\n", encoding="utf-8")


def into_page(
    page: Path,
    results: Results,
    simulated: Sequence[Scene],
    card: WeightsCard,
    facts: Mapping[str, Any],
) -> None:
    """The page's section, its pictures in ``images/`` beside it, and the model card where one lies beside it.

    Strips are of simulated scenes: frames that were measured stay where they are.
    """
    images = page.parent / "images"
    prefix = "evaluation-"
    _curves(images, prefix, results, card)
    strips = [f"{prefix}strip-{number + 1}.png" for number in range(min(_STRIPS_OF_PAGE, len(simulated)))]
    _strips(images, strips, simulated[:_STRIPS_OF_PAGE], card, facts)
    shown = _pictures("images/", [f"{prefix}by-blur.png", f"{prefix}by-dose.png"])
    said = "Bands are 95 % intervals.\nSimulated scenes, to be looked at: decibels reward smoothness.\n\n"
    shown += "\n\n" + said + _pictures("images/", strips)
    write_section(page, SECTION, report(results, facts, card.network, shown))
    beside = page.parent / f"model-card-{card.name}.md"
    if beside.exists():
        beside.write_text(model_card.page(card), encoding="utf-8")


def into_card(card: WeightsCard, held_out: Mapping[str, Any]) -> WeightsCard:
    """Figures, cost and the answer to the test picture, written into the card; the card as it is then."""
    from semdaemon.training.export import probe_answer, write_card

    raw = json.loads(card.path.with_suffix(".json").read_text(encoding="utf-8"))
    raw["held_out"] = dict(held_out)
    on = f"one thread of {processor_name()}, float32, 512 px tiles"
    raw["cost"] = {"s_per_megapixel": round(s_per_megapixel(card), 2), "on": on}
    raw["probe"] = probe_answer(card)
    write_card(card.path, raw)
    return load_card(card.path)


def _curves(folder: Path, prefix: str, results: Results, card: WeightsCard) -> None:
    figures.save(figures.curves_by_blur(results, card.name), folder / f"{prefix}by-blur.png")
    figures.save(figures.curves_by_dose(results, card.name), folder / f"{prefix}by-dose.png")


def _strips(
    folder: Path,
    names: Sequence[str],
    scenes: Sequence[Scene],
    card: WeightsCard,
    facts: Mapping[str, Any],
) -> None:
    methods = methods_of(card, "cpu")
    for number, (name, scene) in enumerate(zip(names, scenes, strict=True)):
        drawn = figures.strip(
            scene, methods, card.name, crop_px=facts["crop_px"], seed=int(facts["seed"]) + number
        )
        figures.save_strip(drawn, folder / name)


def _pictures(folder: str, names: Sequence[str]) -> str:
    return "\n\n".join(f"![{Path(name).stem.replace('-', ' ')}]({folder}{name})" for name in names)
