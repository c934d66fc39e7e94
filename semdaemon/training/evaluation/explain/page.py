"""An explanation in words and tables: what a person reads, on the terminal and in the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from semdaemon.training.evaluation.explain.explanation import Explanation
from semdaemon.training.evaluation.explain.noise import NoiseResponse
from semdaemon.training.evaluation.explain.responses import EdgeResponse, LineResponse
from semdaemon.training.evaluation.explain.returning import FOLLOWS, Return


def section(told: Explanation, image: str) -> str:
    """Markdown of the section ``explain``: the figure, how to read it, and its numbers.

    Parameters
    ----------
    image
        Path of the figure as the page links to it.
    """
    of = told.conditions
    measured = (
        f"Weights `{told.weights}` (sha256 {told.sha256[:12]}), blind; curves over {of['scenes']} crops of "
        f"{of['crop_px']} px of {of['of']}, seed {of['seed']}."
    )
    alternative = f"![What `{told.weights}` does to pictures, by scale and by spatial frequency]({image})"
    shown = f"The scene of panel a: {told.example.scene}."
    how = _HOW_TO_READ.format(over=of["over"], drawn=of["drawn"])
    return "\n".join(
        [alternative, "", measured, _INPUT, shown, "", tables(told), "", "How to read it:", "", how]
    )


def tables(told: Explanation) -> str:
    """The numbers of an explanation as three markdown tables."""
    return "\n".join([_frequencies(told.returns), "", _scales(told), "", _responses(told)])


_INPUT = "Input: disc blur of radius R, Poisson noise, 8 bits."
_HOW_TO_READ = f"""- *Coherence* (b to d): the Fourier ring correlation with the truth.
  Where it is {FOLLOWS:g} or more, a frequency counts as restored; the band is the 95 %
  bootstrap interval over {{over}} ({{drawn}}).
- *Power* (e to g), at the highest dose, splits the result into what follows the truth and what does not.
  More than 1 in all is contrast beyond the truth's, as where a frame was soft to begin with.
  Noise that was let through counts as invented too.
  Dashed lines stand where the disc's transfer function is zero.
  There the input holds nothing; what comes back with coherence was inferred from its surroundings.
- *Phase error* (i): between zeros the input's contrast is turned round, and its error passes 90 degrees.
- *Transfer by scale* (j): the result is exactly the coarse answer plus what two scales add.
- *Noise alone* (k): a network that draws structure into noise has larger patches beyond 3 standard deviations
  than a field of the same spectrum with random phases; the last table has both.
- *Filter* (o, p): the mean gradient of a pixel of the result by the input, in focus and out of it.
- *Loss without a scale* (r): the scale above hears a plain enlargement of the reduced frame instead.
  It was never trained on that, so a part of the loss is surprise; the answers of the lower scales alone stand
  beside it in the second table."""


def _frequencies(returns: Sequence[Return]) -> str:
    head = (
        "disc R px, electrons per px",
        "follows the truth up to, cycles/px (input → result)",
        "first zero, cycles/px",
        "power there, of the truth's",
        "coherence there (input → result)",
        "of it invented, of the truth's power",
    )
    return _table(head, (_of_return(found) for found in returns))


def _of_return(found: Return) -> tuple[str, ...]:
    condition = f"{found.radius_px:g}, {found.electrons_per_px:g}"
    follows = f"{found.follows_up_to_seen:.3f} → {found.follows_up_to:.3f}"
    zero = found.at_zero
    if zero is None:
        return condition, follows, "-", "-", "-", "-"
    return (
        condition,
        follows,
        f"{zero.cycles_per_px:.3f}",
        f"{100 * zero.power:.0f} %",
        f"{zero.coherence_seen:.2f} → {zero.coherence:.2f}",
        f"{100 * zero.invented:.0f} %",
    )


def _scales(told: Explanation) -> str:
    head = (
        "disc R px, electrons per px",
        "all scales, dB",
        "coarse answer alone",
        "middle answer alone",
        "loss without coarse",
        "loss without middle",
    )
    rows = [
        (
            f"{one.radius_px:g}, {one.electrons_per_px:g}",
            f"{one.psnr_db:.2f}",
            f"{one.coarse_alone_db:.2f}",
            f"{one.middle_alone_db:.2f}",
            f"{one.without_coarse_db:.2f}",
            f"{one.without_middle_db:.2f}",
        )
        for one in told.ablations
    ]
    return _table(head, rows)


def _responses(told: Explanation) -> str:
    inside = max(one.inside_levels for one in told.flat)
    edges = max(one.edge_levels for one in told.flat)
    reach = ", ".join(f"{one.radius_px:.0f} px at R {one.radius_px_of_blur:g}" for one in told.fields)
    rows = [
        *((f"white noise, sd {one.sd:g}", _of_noise(one)) for one in told.noise),
        ("flat field, 0 to 1", f"off by at most {inside:.1f} grey levels, {edges:.1f} at the frame's edges"),
        (f"edge, R {told.edge.radius_px:g} px, {told.edge.electrons_per_px:g} e/px", _of_edge(told.edge)),
        (f"line, R {told.line.radius_px:g} px, {told.line.electrons_per_px:g} e/px", _of_line(told.line)),
        ("how far it looks (90 % of the gradient)", reach),
    ]
    return _table(("shown", "what comes out"), rows)


def _of_noise(one: NoiseResponse) -> str:
    patch = f"largest patch {one.largest_px} px, by chance {one.largest_by_chance_px}"
    return f"sd {one.sd_out:.4f}; off by at most {one.peak_levels:.1f} of 255 grey levels; {patch}"


def _of_edge(one: EdgeResponse) -> str:
    width = f"{one.width_seen_px:.1f} → {one.width_px:.1f} px"
    return f"10 to 90 % in {width}; overshoot {100 * one.overshoot:.1f} %"


def _of_line(one: LineResponse) -> str:
    width = f"{one.width_seen_px:.1f} → {one.width_px:.1f} px"
    height = f"{100 * one.peak_seen:.0f} → {100 * one.peak:.0f} %"
    return f"width {width}; height {height}; undershoot {100 * one.undershoot:.1f} %"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
