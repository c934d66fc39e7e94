"""``semdaemon compare``: two weights on a user's own frames."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import Progress

from semdaemon.cli import comparelines
from semdaemon.cli.options import config_option, json_option, settings_from
from semdaemon.errors import FrameError, SemdaemonError
from semdaemon.refocus.weights import WeightsCard, load_card, read_tensors
from semdaemon.settings import Settings

if TYPE_CHECKING:
    from semdaemon.frame import Frame
    from semdaemon.training.evaluation.agreement import Agreement, Side, Way

_SUFFIXES = {".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp"}
_RESULT = ".refocused.tif"


@click.command("compare")
@click.argument("weights_a", metavar="A")
@click.argument("weights_b", metavar="B")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of SHARP frames: both are measured against the truth, on the same degraded crops.",
)
@click.option(
    "--frames",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of frames as they are, in place of or beside FILES.",
)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for pictures side by side."
)
@click.option("--quick", is_flag=True, help="With --data: four conditions instead of eighteen.")
@click.option("--crop", "crop_px", type=click.IntRange(min=32), default=320, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--device", type=click.Choice(["auto", "cuda", "mps", "cpu"]), default="auto", show_default=True
)
@config_option
@json_option
def command(
    weights_a: str,
    weights_b: str,
    files: tuple[Path, ...],
    data: Path | None,
    folder: Path | None,
    out: Path | None,
    quick: bool,
    crop_px: int,
    seed: int,
    device: str,
    config: Path | None,
    as_json: bool,
) -> int:
    """Compare weights A and B (shipped names or .safetensors files) on your own frames.

    With --data, on sharp frames: who restores more of the truth, and is the difference more than chance?
    With FILES or --frames, on frames as they are: what the audit lets through, where the two differ, and
    what each costs. Which of two differing answers is right cannot be known from these.
    """
    if (data is None) == (not files and folder is None):
        raise click.UsageError("give sharp frames with --data, or frames as they are (FILES, --frames).")
    cards = load_card(weights_a), load_card(weights_b)
    for card in cards:
        read_tensors(card)  # a card may vouch for another file than the one beside it
    if cards[0].sha256 == cards[1].sha256:
        raise click.UsageError(
            f"{weights_a} and {weights_b} are the same weights (sha256 {cards[0].sha256[:12]})."
        )
    names = _names(*cards)
    if data is not None:
        options = {"crop_px": crop_px, "seed": seed}
        return _on_truth(data, cards, names, out, options, quick=quick, device=device, as_json=as_json)
    listed = [*files, *(_pictures(folder) if folder else ())]
    if not listed:
        raise click.UsageError(f"{folder} holds no frame (TIFF, PNG, JPEG or BMP).")
    settings = settings_from(config, worker={"device": None if device == "auto" else device})
    return _as_they_are(listed, settings, cards, names, out, as_json=as_json)


def _names(a: WeightsCard, b: WeightsCard) -> tuple[str, str]:
    """Both cards' names; of two files called alike, the hash tells them apart."""
    if a.name != b.name:
        return a.name, b.name
    return f"{a.name} {a.sha256[:6]}", f"{b.name} {b.sha256[:6]}"


def _pictures(folder: Path) -> list[Path]:
    """Frames of a folder and those below it, without what semdaemon itself wrote."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
    return sorted(path for path in found if not path.name.endswith(_RESULT))


# -- sharp frames: a truth ---------------------------------------------------------------------------------


def _on_truth(
    data: Path,
    cards: tuple[WeightsCard, WeightsCard],
    names: tuple[str, str],
    out: Path | None,
    options: dict[str, int],
    *,
    quick: bool,
    device: str,
    as_json: bool,
) -> int:
    from semdaemon.training.evaluation import compare, measuring
    from semdaemon.training.evaluation.verdict import verdict

    # Before the frames: weights that do not load must not cost a folder's reading.
    a, b = (measuring.network_method(card, device) for card in cards)
    scenes, faults = compare.readable_scenes(data, _pictures(data))
    for fault in faults:
        _say_fault(fault, as_json)
    if not scenes:
        raise SemdaemonError(
            "no_frames",
            f"{data} holds no frame that can be read (TIFF, PNG, JPEG or BMP).",
            remedy="Give a folder of sharp grey frames.",
        )
    conditions = compare.QUICK_CONDITIONS if quick else compare.CONDITIONS
    with Progress(console=Console(stderr=True), transient=True, disable=as_json) as progress:
        task = progress.add_task("comparing", total=len(conditions))
        result = compare.compare(
            scenes,
            a,
            b,
            conditions=conditions,
            progress=lambda done, _: progress.update(task, completed=done),
            **options,
        )
    said = verdict(result, *names)
    record = {**_about(cards, names), "of": data.name, **options, **result.as_dict(), "verdict": said}
    if as_json:
        click.echo(json.dumps(record))
    else:
        comparelines.show_truth(result, names, said)
    if out is not None:
        _save_truth(out, record, compare.strips(scenes, a, b, names, **options))
    return 1 if faults else 0


def _save_truth(out: Path, record: dict[str, Any], strips: Any) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "comparison.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    for number, (name, picture) in enumerate(strips, 1):
        picture.save(out / f"{number:03d}_{Path(name).stem}_R4_N50.png")


# -- frames as they are ------------------------------------------------------------------------------------


def _as_they_are(
    files: Sequence[Path],
    settings: Settings,
    cards: tuple[WeightsCard, WeightsCard],
    names: tuple[str, str],
    out: Path | None,
    *,
    as_json: bool,
) -> int:
    from semdaemon.formats import read_frames
    from semdaemon.training.evaluation.agreement import agreement, side

    for card in cards:
        read_tensors(card)  # a changed file is told before any process is started for it
    failed = 0
    compared: list[tuple[str, Side, Side, Agreement]] = []
    with ExitStack() as stack, Progress(console=Console(stderr=True), transient=True, disable=as_json) as bar:
        ways = [_way(settings, card, stack) for card in cards]
        task = bar.add_task("comparing", total=len(files))
        for file in files:
            try:
                for frame in read_frames(file, limits=settings.limits, sidecar=settings.folder.sidecar):
                    a, b = (side(frame, way) for way in ways)
                    both = agreement(frame, a, b)
                    name = f"{file.name} page {frame.page}" if frame.page else file.name
                    compared.append((name, _light(a), _light(b), both))
                    picture = _draw(out, len(compared), file, frame, cards, names, (a, b), both)
                    if as_json:
                        record = {"file": str(file), "page": frame.page, **_about(cards, names)}
                        record |= {"answers": [a.as_dict(), b.as_dict()], **both.as_dict()}
                        click.echo(json.dumps({**record, "picture": picture and str(picture)}))
            except FrameError as error:
                failed += 1
                _say_fault(error, as_json, file)
            bar.advance(task)
    if not as_json and compared:
        comparelines.show_frames(compared, names)
    return 1 if failed else 0


def _way(settings: Settings, card: WeightsCard, stack: ExitStack) -> Way:
    """How the daemon scores and refocuses with these weights: its own worker, and its own limit of repair."""
    from semdaemon.focus import focus_map, load_scorer
    from semdaemon.oneshot import ask_worker
    from semdaemon.repairable import with_repair_limit
    from semdaemon.training.evaluation.agreement import Way
    from semdaemon.worker import Worker

    refocus = settings.refocus.model_copy(update={"weights": str(card.path), "everywhere": False})
    own = with_repair_limit(settings.model_copy(update={"refocus": refocus}))
    scorer, worker = load_scorer(own.focus.scorer, own.focus), Worker(own)
    stack.callback(worker.stop)
    worker.start()
    return Way(
        lambda frame: focus_map(frame, own.focus, scorer),
        lambda frame, focus: ask_worker(worker, frame, focus),
        scorer,
    )


def _light(side: Side) -> Side:
    """Without its pixels: a night's frames are compared in one go."""
    from dataclasses import replace

    import numpy as np

    return replace(side, pixels=np.zeros((0, 0), np.uint8), mask=np.zeros((0, 0), bool))


def _draw(
    out: Path | None,
    number: int,
    file: Path,
    frame: Frame,
    cards: tuple[WeightsCard, WeightsCard],
    names: tuple[str, str],
    sides: tuple[Side, Side],
    both: Agreement,
) -> Path | None:
    if out is None:
        return None
    from semdaemon.training.evaluation.comparison_picture import Named, draw

    a, b = (Named(n, card.sha256, s) for n, card, s in zip(names, cards, sides, strict=True))
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{number:03d}_{file.stem}.compared.png"
    draw(frame, a, b, both.place).save(path)
    return path


def _about(cards: tuple[WeightsCard, WeightsCard], names: tuple[str, str]) -> dict[str, Any]:
    pairs = zip("ab", cards, names, strict=True)
    return {key: {"name": name, "sha256": card.sha256} for key, card, name in pairs}


def _say_fault(error: SemdaemonError, as_json: bool, file: Path | None = None) -> None:
    if as_json:
        said = {
            "file": file and str(file),
            "code": error.code,
            "error": error.message,
            "remedy": error.remedy,
        }
        click.echo(json.dumps(said))
    else:
        click.echo(f"semdaemon: {error}", err=True)
