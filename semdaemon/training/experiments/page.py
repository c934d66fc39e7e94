"""The experiments as a section of a page: tables in markdown, learning curves as a picture, JSON beside."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from semdaemon.training.experiments import plot, tables
from semdaemon.training.experiments.catalogue import SCALES, everything, label
from semdaemon.training.pages import write_section

SECTION = "experiments"
PICTURE, NUMBERS = Path("images") / "experiments.png", Path("experiments.json")

_REHEARSAL = """\
**A rehearsal, not the paper's networks.**
The structure, losses and recipes are the published ones.
Each scale, though, has {filters} filters and {blocks} blocks of {kernel} x {kernel} on pixels folded \
{unshuffle} x {unshuffle} (published: 64 filters, 16 blocks of 5 x 5, not folded).
The crops have {crop_px} px (published: 256), the learning rate starts at {rate:g} (published: 5e-5), \
and a training sees {samples:,} crops (published: 250,000 of {times:g} times the area).
The figures say which step helps a small network that was trained briefly, and by how much.
They do not say how good the published networks or the shipped weights are.
A network that starts from nothing spends much of so short a training on learning to pass its input on.
`--scale published` trains the published ones, on a GPU."""

_PUBLISHED = "Architecture, crops, batch, learning rate and number of iterations are the published ones."


def write(page: Path, results: dict[str, Any]) -> None:
    """Write the section with what is done so far, its picture and its numbers.

    Raises
    ------
    SemdaemonError
        ``page_without_section`` where the page lacks the section's marks.
    """
    write_section(page, SECTION, section(results))
    plot.learning_curves(results, page.parent / PICTURE)
    (page.parent / NUMBERS).write_text(_one_line_a_list(results), encoding="utf-8")


def section(results: dict[str, Any]) -> str:
    """All tables with what they were made from, in markdown."""
    parts = [
        _conditions(results),
        _scale(results),
        "### Non-blind, blind, discriminative\n",
        tables.of_settings(results),
        "### From the published recipe to ours\n",
        tables.of_ladder(results),
        "### Harm to what is sharp\n",
        tables.of_harm(results),
        "### Was it enough training?\n",
        tables.of_training(results),
        f"![Learning curves of all experiments]({PICTURE.as_posix()})\n",
    ]
    return "\n".join(part for part in parts if part)


def _conditions(results: dict[str, Any]) -> str:
    frames = len(results["reported_on"])
    commits = sorted({r["commit"] for r in results["experiments"].values() if r["commit"]})
    devices = sorted({r["device"] for r in results["experiments"].values()})
    return f"""\
Trained on {results["trained_on"]} frames, watched on {results["watched_on"]} of other specimens.
Reported on {frames} {results["reported_part"]} (central {results["crop_px"]} px); nothing was chosen on them.
Seed {results["seed"]}; commit {", ".join(commits) or "unknown"}; device {", ".join(devices) or "none yet"}; \
frames `{results["frames_sha256"][:12]}`.
Every frame and figure behind the tables is in [{NUMBERS.name}]({NUMBERS.as_posix()}).
{_missing(results)}"""


def _missing(results: dict[str, Any]) -> str:
    """Which experiments the tables still lack; nothing when all are done."""
    wanted = everything(SCALES[results["scale"]])
    titles = [label(e.as_dict()) for e in wanted if e.name not in results["experiments"]]
    return f"Not done yet: {', '.join(titles)}.\n" if titles else ""


def _scale(results: dict[str, Any]) -> str:
    made = [r["experiment"] for r in results["experiments"].values()]
    if results["scale"] == "published" or not made:
        return _PUBLISHED + "\n" if made else "No experiment is done yet.\n"
    spec, recipe = made[0]["spec"], made[0]["recipe"]
    return (
        _REHEARSAL.format(
            **{key: spec[key] for key in ("filters", "blocks", "kernel", "unshuffle")},
            crop_px=recipe["crop_px"],
            rate=recipe["learning_rate"],
            samples=made[0]["iterations"] * recipe["batch"],
            times=(256 / recipe["crop_px"]) ** 2,
        )
        + "\n"
    )


def _one_line_a_list(results: dict[str, Any]) -> str:
    """Indented, but with each list of figures in one line: readable, and short in a diff."""
    text = json.dumps(results, indent=1)
    flat = re.compile(r"\[\s*([^\[\]{}]*?)\s*\]")
    return flat.sub(lambda found: "[" + re.sub(r"\s*\n\s*", " ", found[1]) + "]", text) + "\n"
