"""How well a frame as a whole is told: bad input, tilt, blur along two axes; tables for ``docs/focus.md``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from semdaemon.focus import BLURRED, SHARP, UNDECIDED, FocusMap, Scorer, focus_map, load_scorer
from semdaemon.frame import Area, Frame
from semdaemon.settings import Focus
from semdaemon.training import degrade, spoil
from semdaemon.training.focus.scenes import own_sigma_px
from semdaemon.training.frames import CorpusFrame, Image
from semdaemon.training.reading import load_frames

BEGIN = "<!-- survey figures: written by python -m semdaemon.training.focus survey --page -->"
END = "<!-- end of survey figures -->"

Pixels = npt.NDArray[np.uint8]
Generator = np.random.Generator

SPOILS: dict[str, Callable[[Pixels, Generator], Pixels]] = {
    "untouched": lambda p, rng: p,
    "scale bar": lambda p, rng: spoil.with_scale_bar(p, (20, 20)),
    "data bar": lambda p, rng: spoil.with_data_bar(p),
    "interlaced, fields 2 px apart": lambda p, rng: spoil.interlaced(p, 2),
    "lines doubled": lambda p, rng: spoil.line_repeated(p, 2),
    "lines averaged by 4": lambda p, rng: spoil.line_averaged(p, 4),
    "running mean of 4 lines": lambda p, rng: spoil.running_line_average(p, 4),
    "charging streaks": lambda p, rng: spoil.charging_streaks(p, rng),
    "30 % saturated": lambda p, rng: spoil.saturated(p, 0.3),
    "enlarged 2 times, bicubic": lambda p, rng: spoil.upscaled(p, 2),
    "enlarged 1.5 times, bilinear": lambda p, rng: spoil.upscaled(p, 1.5, method="bilinear"),
    "JPEG, quality 30": lambda p, rng: spoil.jpeg(p, 30),
    "JPEG, quality 75": lambda p, rng: spoil.jpeg(p, 75),
    "median of 3 x 3": lambda p, rng: np.asarray(ndimage.median_filter(p, 3), np.uint8),
    "20 grey levels": lambda p, rng: spoil.posterised(p, 20),
    "5 grey levels": lambda p, rng: spoil.posterised(p, 5),
}
_DOSE = 100.0
_TILTS = ((6.0, 0.0), (4.0, 1.0), (4.0, 3.0), (2.0, 2.0), (0.0, 2.0))
_STEPS = ((0.0, 3.0), (1.0, 3.0), (2.0, 4.0), (0.5, 1.5))
_ELLIPTICITIES = (1.0, 1.3, 1.6, 2.0)
_RADII_PX = (3.0, 6.0)
_SMEARS_PX = (6, 12)
_LARGE_PX = 700


def survey_tables(folder: Path, part: str, *, seed: int = 0) -> str:
    """All tables in markdown, measured on the frames of ``folder/part``."""
    frames = load_frames(folder / part, bin_soft=False)
    scorer = load_scorer("sigma", Focus())
    said = (
        f"Scorer `{scorer.name}`; {len(frames)} frames ({part}), {_DOSE:.0f} electrons per pixel, 8 bits.\n"
    )
    parts = [
        said,
        "### Bad input: frames named, and verdicts\n",
        *_bad_input(frames, scorer, seed),
        "### Tilt recovered, frames of at least 700 px\n",
        *_tilt([frame for frame in frames if min(frame.pixels.shape) >= _LARGE_PX], scorer, seed),
        "### Steps in height, the same frames\n",
        *_steps([frame for frame in frames if min(frame.pixels.shape) >= _LARGE_PX], scorer, seed),
        "### Blur along two axes, % of frames\n",
        *_axes(frames, scorer, seed),
    ]
    return "\n".join(parts)


def write_tables(page: Path, tables: str) -> None:
    """Replace what stands between the marks of a markdown page."""
    head, mark, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (mark and end):
        raise ValueError(f"{page} lacks the marks {BEGIN!r} and {END!r}")
    page.write_text(f"{head}{BEGIN}\n\n{tables}\n{END}{tail}", encoding="utf-8")


def _bad_input(frames: Sequence[CorpusFrame], scorer: Scorer, seed: int) -> Iterator[str]:
    yield "| what | frames named | tiles undecided | sharp called blurred | disc of 4 px called sharp |"
    yield "| --- | --- | --- | --- | --- |"
    for name, spoils in SPOILS.items():
        rng, named, found = np.random.default_rng(seed), 0, {0.0: np.zeros(4), 4.0: np.zeros(4)}
        for frame in frames:
            for radius_px, counts in found.items():
                focus = _looked_at(spoils(_seen(frame.pixels, radius_px, rng), rng), scorer)
                named += bool(focus.survey.artefacts)
                counts += np.bincount(focus.verdict.ravel(), minlength=4)
        undecided = sum(counts[UNDECIDED] for counts in found.values()) / sum(map(np.sum, found.values()))
        soft, hard = found[0.0][BLURRED] / found[0.0].sum(), found[4.0][SHARP] / found[4.0].sum()
        wrong = f"{100 * soft:.1f} % | {100 * hard:.1f} %"
        yield f"| {name} | {named / len(frames) / 2:.0%} | {undecided:.0%} | {wrong} |"
    yield ""


def _tilt(frames: Sequence[CorpusFrame], scorer: Scorer, seed: int) -> Iterator[str]:
    heads = ("tilt, px over 1000 px", "defocus at the centre, px", "called tilted", "called stepped")
    more = ("error, median", "error, 75 % below", "in stated 90 %", "direction off, median")
    yield f"| {' | '.join((*heads, *more))} |"
    yield f"|{' --- |' * 8}"
    for tilt_px, centre_px in _TILTS:
        rng, planes, turns = np.random.default_rng(seed), [], []
        for frame in frames:
            angle = float(rng.uniform(0, 2 * math.pi))
            radius = 2 * np.abs(_plane(frame.pixels.shape, tilt_px, centre_px, angle))
            blurred = degrade.blur_varying(frame.pixels, radius, levels=14)
            plane = _looked_at(_exposed(blurred, rng), scorer).survey.plane
            if plane is None:
                continue
            planes.append(plane)
            turns.append(abs((plane.direction_deg - math.degrees(angle) + 90) % 180 - 90))
        off_px = np.array([abs(plane.tilt_px - tilt_px) for plane in planes])
        middle, most = np.percentile(off_px / (tilt_px or 1), [50, 75])
        held = f"{np.mean(off_px < 1.645 * np.array([plane.tilt_sd_px for plane in planes])):.0%}"
        called = f"{np.mean([plane.tilted for plane in planes]):.0%}"
        called += f" | {np.mean([plane.step is not None for plane in planes]):.0%}"
        off = (f"{middle:.0%}", f"{most:.0%}", held, f"{np.median(turns):.1f}°")
        told = off if tilt_px else (f"{middle:.2f} px", f"{most:.2f} px", held, "-")
        yield f"| {tilt_px:g} | {centre_px:g} | {called} | {' | '.join(told)} |"
    yield ""


def _steps(frames: Sequence[CorpusFrame], scorer: Scorer, seed: int) -> Iterator[str]:
    heads = (
        "defocus on both sides, px",
        "called stepped",
        "called tilted",
        "blur told over true: sharper side",
    )
    yield f"| {' | '.join(heads)} | more blurred side | direction off, median |"
    yield f"|{' --- |' * 6}"
    for sides_px in _STEPS:
        rng, planes, ratios, turns = np.random.default_rng(seed), [], [], []
        for frame in frames:
            angle = float(rng.uniform(0, 2 * math.pi))
            beyond = _plane(frame.pixels.shape, 1000.0, float(rng.uniform(-80, 80)), angle) > 0
            blurred = [degrade.blur(frame.pixels, degrade.probe_kernel(2 * side)) for side in sides_px]
            seen = np.where(beyond, blurred[1], blurred[0]).astype(np.float32)
            plane = _looked_at(_exposed(seen, rng), scorer).survey.plane
            if plane is None:
                continue
            planes.append(plane)
            if plane.step is not None:
                true_px = np.hypot(own_sigma_px(frame), sides_px)
                ratios.append(np.array([plane.step.low_px, plane.step.high_px]) / true_px)
                turns.append(abs((plane.step.direction_deg - math.degrees(angle) + 180) % 360 - 180))
        called = f"{np.mean([plane.step is not None for plane in planes]):.0%}"
        called += f" | {np.mean([plane.tilted for plane in planes]):.0%}"
        told = "- | - | -"
        if ratios:
            low, high = np.median(ratios, axis=0)
            told = f"{low:.2f} | {high:.2f} | {np.median(turns):.1f}°"
        yield f"| {sides_px[0]:g} and {sides_px[1]:g} | {called} | {told} |"
    yield ""


def _axes(frames: Sequence[CorpusFrame], scorer: Scorer, seed: int) -> Iterator[str]:
    yield "| probe | round | astigmatic | smeared | cannot tell | direction off, median |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for name, kernel in _probes():
        rng, turns = np.random.default_rng(seed), []
        kinds: list[str] = []
        for frame in frames:
            angle = float(rng.uniform(0, math.pi))
            pixels = _exposed(degrade.blur(frame.pixels, kernel(angle)), rng)
            found = _looked_at(pixels, scorer).survey.astigmatism
            kinds.append("cannot_tell" if found is None else found.kind)
            if found is not None and found.differs:
                turns.append(abs((found.direction_deg - math.degrees(angle) + 90) % 180 - 90))
        order = ("round", "astigmatism", "smear", "cannot_tell")
        shares = [f"{kinds.count(kind) / len(kinds):.0%}" for kind in order]
        off = f"{np.median(turns):.0f}°" if turns and "1.0" not in name and name != "in focus" else "-"
        yield f"| {name} | {' | '.join(shares)} | {off} |"
    yield ""


def _probes() -> Iterator[tuple[str, Callable[[float], Image]]]:
    yield "in focus", lambda angle: degrade.probe_kernel(0.0)
    for radius_px in _RADII_PX:
        for ratio in _ELLIPTICITIES:

            def kernel(angle: float, radius_px: float = radius_px, ratio: float = ratio) -> Image:
                return degrade.probe_kernel(radius_px, 0.0, ratio, angle)

            yield f"disc of {radius_px:g} px, axes 1 : {ratio:.1f}", kernel
    for length_px in _SMEARS_PX:

        def smear(angle: float, length_px: int = length_px) -> Image:
            return spoil.smear_kernel(length_px, angle)

        yield f"moved by {length_px} px along a line", smear


def _plane(shape: tuple[int, ...], tilt_px: float, centre_px: float, angle: float) -> Image:
    rows, cols = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    along = (cols - shape[1] / 2) * math.cos(angle) + (rows - shape[0] / 2) * math.sin(angle)
    return np.asarray(centre_px + tilt_px * along / 1000, np.float32)


def _seen(sharp: Image, radius_px: float, rng: Generator) -> Pixels:
    return _exposed(degrade.blur(sharp, degrade.probe_kernel(radius_px)), rng)


def _exposed(image: Image, rng: Generator) -> Pixels:
    return np.asarray(np.rint(degrade.quantise(degrade.expose(image, _DOSE, rng), 8) * 255), np.uint8)


def _looked_at(pixels: Pixels, scorer: Scorer) -> FocusMap:
    frame = Frame("0" * 16, "survey", "survey:", pixels, "0" * 64, Area.whole(pixels.shape))
    return focus_map(frame, Focus(), scorer)
