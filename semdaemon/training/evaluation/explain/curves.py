"""Panels with axes: one function a panel, which gets matplotlib's axes and one part of an explanation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from semdaemon.training.evaluation.explain.field import HOLDS, Field
from semdaemon.training.evaluation.explain.noise import FlatResponse, NoiseResponse
from semdaemon.training.evaluation.explain.responses import EdgeResponse, LineResponse, Profiles
from semdaemon.training.evaluation.explain.returning import FOLLOWS, Return
from semdaemon.training.evaluation.explain.scales import Ablation, Shares

BLACK, GREY = "#000000", "#7a7a7a"
ORANGE, SKY, GREEN, BLUE, VERMILLION, PURPLE = (
    "#e69f00",
    "#56b4e9",
    "#009e73",
    "#0072b2",
    "#d55e00",
    "#cc79a7",
)
_FREQUENCY = "spatial frequency, cycles/px"
_NARROW_PX = 22


def coherence(axes: Any, found: Sequence[Return], *, first: bool) -> None:
    """Coherence with the truth of input and result, at each dose."""
    _title_of_blur(axes, "Coherence", found[0])
    _zeros(axes, found[0].zeros_cycles_per_px)
    for one, colour, dashes in zip(found, (ORANGE, BLUE), ("--", "-"), strict=False):
        k = one.spectra.cycles_per_px
        dose = f"{one.electrons_per_px:g} e/px"
        axes.fill_between(k, *one.coherence_interval, color=colour, alpha=0.22, linewidth=0)
        axes.plot(k, one.spectra.restored.coherence, color=colour, ls=dashes, label=f"result, {dose}")
    last = found[-1]
    k, seen = last.spectra.cycles_per_px, last.spectra.seen.coherence
    axes.plot(k, seen, color=GREY, lw=1.3, ls=(0, (1, 1)), label=f"input, {last.electrons_per_px:g} e/px")
    axes.axhline(FOLLOWS, color=BLACK, lw=0.6, ls=":")
    axes.axhline(0, color=BLACK, lw=0.6)
    _frequency(axes, (-0.85, 1.05))
    if first:
        axes.plot(
            [], [], color=BLACK, lw=0.9, ls=(0, (4, 3)), alpha=0.45, label="zero of the disc's transfer"
        )
        axes.set_ylabel("with the truth (1: follows it)")
        axes.legend(loc="lower left", borderpad=0, labelspacing=0.25)


def power(axes: Any, found: Return, *, first: bool) -> None:
    """The result's power over the truth's, split into what follows the truth and what does not."""
    _title_of_blur(axes, "Power", found)
    _zeros(axes, found.zeros_cycles_per_px)
    spectra, k = found.spectra, found.spectra.cycles_per_px
    restored = spectra.restored.restored_power / spectra.truth_power
    axes.fill_between(k, 0, restored, color=BLUE, alpha=0.55, linewidth=0, label="follows the truth")
    axes.fill_between(
        k,
        restored,
        restored + spectra.invented_share,
        color=VERMILLION,
        alpha=0.75,
        linewidth=0,
        hatch="////",
        edgecolor="white",
        label="invented",
    )
    seen = spectra.seen.restored_power / spectra.truth_power
    axes.plot(k, seen, color=BLACK, lw=1.2, ls="--", label="left in the input")
    top = float(np.max(restored + spectra.invented_share))
    _frequency(axes, (0, max(1.05, 1.05 * top)))
    if first:
        axes.set_ylabel("of the result / of the truth")
    axes.legend(loc="upper right")


def gain(axes: Any, found: Return) -> None:
    """Amplitude gained over the input, and what a perfect restoration would gain."""
    _title_of_blur(axes, "Gain over the input", found)
    _zeros(axes, found.zeros_cycles_per_px)
    k = found.spectra.cycles_per_px
    axes.plot(k, found.spectra.gain_wanted, color=BLACK, ls="--", lw=1.2, label="truth / input")
    axes.plot(k, found.spectra.gain, color=BLUE, label="result / input")
    axes.axhline(1, color=BLACK, lw=0.6)
    _decades(axes, (0.05, 20))
    _frequency(axes, None)
    axes.set_ylabel("amplitude ratio")
    axes.legend(loc="lower left")


def phase(axes: Any, found: Return) -> None:
    """Mean phase error of input and result."""
    _title_of_blur(axes, "Phase error", found)
    _zeros(axes, found.zeros_cycles_per_px)
    k = found.spectra.cycles_per_px
    for picture, colour, dashes, name in (
        (found.spectra.seen, GREY, (0, (1, 1)), "input"),
        (found.spectra.restored, BLUE, "-", "result"),
    ):
        axes.plot(k, np.degrees(picture.phase_error_rad), color=colour, ls=dashes, label=name)
    axes.axhline(90, color=BLACK, lw=0.6, ls=":")
    axes.text(0.005, 92, "random", ha="left", va="bottom", fontsize=8)
    _frequency(axes, (0, 180))
    axes.set_yticks([0, 45, 90, 135, 180])
    axes.set_ylabel("mean, degrees")
    axes.legend(loc="upper right")


def by_scale(axes: Any, shares: Shares) -> None:
    """Transfer of the result as the sum of what the scales add."""
    axes.set_title(f"Transfer by scale, R {shares.radius_px:g} px, {shares.electrons_per_px:g} e/px")
    k, floor = shares.cycles_per_px, np.zeros_like(shares.cycles_per_px)
    layers = (
        (shares.coarse.transfer, PURPLE, "coarse answers"),
        (shares.middle.transfer, SKY, "middle adds"),
        (shares.fine.transfer, GREEN, "fine adds"),
    )
    for upper, colour, name in layers:
        axes.fill_between(k, floor, upper, color=colour, alpha=0.8, linewidth=0, label=name)
        floor = upper
    axes.plot(k, shares.fine.transfer, color=BLACK, lw=1.2, label="result")
    axes.axhline(0, color=BLACK, lw=0.6)
    every = np.concatenate([layer[0] for layer in layers])
    _frequency(axes, (min(-0.05, 1.1 * float(every.min())), max(1.05, 1.05 * float(every.max()))))
    axes.set_ylabel("transfer (1: as the truth)")
    axes.legend(loc="upper right")


def noise(axes: Any, found: Sequence[NoiseResponse]) -> None:
    """What is left of white noise, by frequency."""
    axes.set_title("Noise alone")
    for one, colour in zip(found, (SKY, BLUE, ORANGE, VERMILLION), strict=False):
        label = f"{one.sd:g} → {one.sd_out:.4f}"
        axes.plot(one.cycles_per_px, one.gain, color=colour, label=label)
    _decades(axes, (0.004, 2))
    _frequency(axes, None)
    axes.set_ylabel("amplitude out / in")
    axes.legend(loc="upper right", title="sd in → out", title_fontsize=8)


def flat(axes: Any, found: Sequence[FlatResponse]) -> None:
    """What becomes of a field of one grey."""
    axes.set_title("Flat field")
    levels = [one.level for one in found]
    axes.plot(levels, [one.edge_levels for one in found], "s--", color=ORANGE, label="with edges", ms=5)
    axes.plot(levels, [one.inside_levels for one in found], "o-", color=BLUE, label="inside", ms=5)
    axes.set_xticks([0, 0.5, 1])
    axes.set_xlabel("grey of the field (white is 1)")
    axes.set_ylabel("deviation, grey levels")
    axes.set_ylim(0, 1.45 * max(one.edge_levels for one in found))
    axes.legend(loc="upper left")


def edge(axes: Any, found: EdgeResponse) -> None:
    """A step of contrast."""
    axes.set_title(f"Edge, R {found.radius_px:g} px")
    _across(axes, found.profiles)
    said = (
        f"10–90 %:\n{found.width_seen_px:.1f} → {found.width_px:.1f} px\n"
        f"overshoot:\n{100 * found.overshoot:.1f} %"
    )
    axes.text(0.97, 0.06, said, transform=axes.transAxes, va="bottom", ha="right", fontsize=8)
    axes.legend(loc="upper left")


def line(axes: Any, found: LineResponse) -> None:
    """A thin bright line."""
    axes.set_title(f"Line of 2 px, R {found.radius_px:g} px")
    _across(axes, found.profiles)
    said = (
        f"width:\n{found.width_seen_px:.1f} → {found.width_px:.1f} px\n"
        f"height:\n{100 * found.peak_seen:.0f} → {100 * found.peak:.0f} %"
    )
    axes.text(0.97, 0.95, said, transform=axes.transAxes, va="top", ha="right", fontsize=8)


def reach(axes: Any, found: Sequence[Field]) -> None:
    """Share of the gradient within a radius."""
    axes.set_title("How far it looks")
    colours = (GREY, SKY, BLUE, PURPLE)
    for one, colour, dashes in zip(found, colours, ("-", "--", "-", "--"), strict=False):
        label = f"{one.radius_px_of_blur:g} px: {one.radius_px:.0f} px"
        axes.plot(100 * one.share, color=colour, ls=dashes, label=label)
    axes.axhline(100 * HOLDS, color=BLACK, lw=0.6, ls=":")
    axes.set_xlim(0, 80)
    axes.set_ylim(0, 103)
    axes.set_xlabel("distance from the pixel, px")
    axes.set_ylabel("share of |gradient|, %")
    axes.legend(loc="lower right", title="blur R: 90 % within", title_fontsize=8)


def without(axes: Any, found: Sequence[Ablation]) -> None:
    """What is lost without a scale."""
    axes.set_title("Loss without a scale")
    places = np.arange(len(found))
    for offset, colour, hatch, name, losses in (
        (-0.2, PURPLE, "", "coarse", [one.without_coarse_db for one in found]),
        (0.2, SKY, "////", "middle", [one.without_middle_db for one in found]),
    ):
        axes.bar(places + offset, losses, 0.4, color=colour, hatch=hatch, edgecolor="white", label=name)
    axes.axhline(0, color=BLACK, lw=0.6)
    axes.set_xticks(places, [f"{one.radius_px:g}\n{one.electrons_per_px:g}" for one in found])
    axes.set_xlabel("blur R, px; dose, e/px")
    axes.set_ylabel("dB")
    axes.legend(loc="upper right")


def _across(axes: Any, profiles: Profiles) -> None:
    near = np.abs(profiles.x_px) <= _NARROW_PX
    x = profiles.x_px[near]
    axes.step(x, profiles.sharp[near], where="mid", color=BLACK, lw=1, ls="--", label="truth")
    axes.plot(x, profiles.seen[near], color=GREY, ls=(0, (1, 1)), label="input")
    axes.plot(x, profiles.restored[near], color=BLUE, label="result")
    axes.set_xlim(-_NARROW_PX, _NARROW_PX)
    axes.set_ylim(0.18, 0.86)
    axes.set_xlabel("position, px")
    axes.set_ylabel("grey (white is 1)")


def _zeros(axes: Any, zeros: Iterable[float]) -> None:
    for zero in zeros:
        axes.axvline(zero, color=BLACK, lw=0.9, ls=(0, (4, 3)), alpha=0.45)


def _title_of_blur(axes: Any, what: str, found: Return) -> None:
    axes.set_title(f"{what}, R {found.radius_px:g} px")


def _frequency(axes: Any, limits: tuple[float, float] | None) -> None:
    axes.set_xlim(0, 0.5)
    axes.set_xlabel(_FREQUENCY)
    if limits:
        axes.set_ylim(*limits)


def _decades(axes: Any, limits: tuple[float, float]) -> None:
    """A logarithmic axis that covers at least these limits and is lettered in plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator

    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, limits[0]), max(high, limits[1]))
    axes.yaxis.set_major_locator(LogLocator(base=10))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
