"""The model card as a page for people, made from the card that programs read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from semdaemon.refocus.weights import WeightsCard
from semdaemon.training.evaluation.rows import Row, as_markdown

_DEGRADATIONS = {
    "radius_px": "disc radius of defocus, pixels",
    "sharp_share": "share of crops without any blur",
    "elliptic_share": "share with an elliptic probe (astigmatism)",
    "gaussian_share": "share with a Gaussian probe",
    "varying_share": "share of tilted samples (defocus varies over the crop)",
    "cutblur_share": "share with a patch sharp or blurred against its surroundings",
    "sigma0_px": "largest sigma of the in-focus probe, pixels",
    "electrons_per_px": "electrons per pixel at white, log-uniform, skewed to the high end",
    "noiseless_share": "share without noise",
    "correlated_share": "share with noise correlated along the fast axis",
    "amplifier_share": "share with amplifier noise",
    "contrast_share": "share with changed gain, offset and gamma",
    "soft_share": "share from frames soft at their own pixel scale, as they are",
}


def page(card: WeightsCard) -> str:
    """Markdown of a whole model card."""
    state = "These are interim weights of a training that had not ended.\n" if card.interim else ""
    return "\n".join(
        [
            f"# Model card: `{card.name}`",
            "",
            "Written by `semdaemon evaluate --card`; do not edit by hand.",
            state,
            _facts(card),
            "## Trained on",
            "",
            _table(["source", "licence", "material", "frames"], card.trained_on),
            _statistics(card),
            "",
            "## Degradations it has seen",
            "",
            _degradations(card),
            _held_out(card),
            _LIMITS,
        ]
    )


_LIMITS = """## What it cannot do

- It was trained on simulated defocus of real sharp frames; real lenses add aberrations that it has not seen.
- Blur beyond `sigma_max_px` is outside its training: semdaemon bins such regions first.
- A frame in focus but soft at its own pixel scale looks defocused to it, and is sharpened beyond the truth.
  semdaemon leaves tiles alone that it scores as sharp.
- At low dose it smooths: fine texture below the noise is lost, not invented, and decibels do not show that.
- It restores what the blur attenuated.
  Where the probe's transfer function is zero nothing is left, and what the network puts there is a guess;
  the audit rejects regions whose guess contradicts the frame.
"""


_HOW = """\
The classical methods know the probe and get their parameter from the truth, frame by frame.
The network is blind.
The last column is the frame on which the network gained least over its input.
"""


def _reach(card: WeightsCard) -> list[str]:
    if not card.repairs_up_to_px:
        return []
    limit = f"{card.repairs_up_to_px:g} px (`repairs_up_to_px`, `semdaemon evaluate --reach`)"
    return [f"- At the working scale it gains over the best denoiser up to {limit}."]


def _trust(card: WeightsCard) -> list[str]:
    held = card.trust.get("left_out_coverage")
    if not held:
        return []
    line = (
        f"- Its own bound on the error, meant to hold in {card.trust['coverage']:.0%} of cases, held for "
        f"{held['mean']:.0%} of the tiles of specimen groups that it was not fitted to "
        "(`trust`, `semdaemon evaluate --trust`)."
    )
    return [line]


def _tuning(card: WeightsCard) -> list[str]:
    """What the training began with, and what a fine-tuned network gained, where it is one."""
    if not card.started_from:
        return []
    start = f"`{card.started_from['name']}` (sha256 `{card.started_from['sha256'][:12]}`)"
    if not card.fine_tuning:
        done, recipe = (card.started_from.get(key, "") for key in ("iterations", "recipe"))
        return [f"- It went on from {start}, after {done or 0:,} iterations by recipe `{recipe}`."]
    own, general = (card.fine_tuning[part] for part in ("own_frames", "general_scenes"))
    sides = [
        f"{part['gain_db']:+.2f} dB ({part['low_db']:+.2f} to {part['high_db']:+.2f}, 95 % over "
        f"{part.get('over', 'frames')}) "
        f"on {part['frames']} {of}"
        for part, of in ((own, "frames set aside (validation, not held-out)"), (general, "general scenes"))
    ]
    kept = "" if card.fine_tuning["better"] else " No gain beyond chance: these are the weights of the start."
    return [f"- Fine-tuned from {start}; against it {' and '.join(sides)}.{kept}"]


def _facts(card: WeightsCard) -> str:
    spec = ", ".join(f"{key} {value}" for key, value in card.spec.items())
    halo = ", ".join(f"{key} {value:g}" for key, value in card.halo_px.items())
    cost = ", ".join(f"{key} {value}" for key, value in card.cost.items())
    lines = [
        f"- Network: {card.network}, three scales ({spec}), {card.parameters:,} parameters.",
        f"- File: `{card.name}.safetensors`, sha256 `{card.sha256}`.",
        f"- Training: {card.iterations:,} iterations, seed {card.seed}, commit {card.commit or 'unknown'}.",
        f"- Trained up to an equivalent Gaussian blur of {card.sigma_max_px:g} px (`sigma_max_px`).",
        *_tuning(card),
        *_reach(card),
        *_trust(card),
        f"- Halo of the finest scale, px: {halo}.",
        f"- Cost: {cost}." if cost else "",
    ]
    return "\n".join(line for line in lines if line) + "\n"


def _statistics(card: WeightsCard) -> str:
    mean, sd = (card.pixel_statistics.get(key, 0.0) for key in ("mean", "sd"))
    return f"Pixel mean {mean:.3f}, standard deviation {sd:.3f} (range 1)."


def _degradations(card: WeightsCard) -> str:
    rows = [
        {"what": text, "value": _plain(card.degradations.get(key))}
        for key, text in _DEGRADATIONS.items()
        if card.degradations.get(key)
    ]
    return _table(["what", "value"], rows)


def _held_out(card: WeightsCard) -> str:
    if not card.held_out:
        return ""
    conditions = card.held_out["conditions"]
    rows = [Row(**row) for row in card.held_out["rows"]]
    if not rows:
        return ""
    said = ", ".join(f"{key} {value}" for key, value in conditions.items())
    table = as_markdown(rows)
    parts = [f"Mean PSNR in dB / SSIM; {said}.\n{_HOW}", table, _asked(card), _losses(rows, card.name)]
    return "## Measured\n\n" + "\n".join(parts)


def _asked(card: WeightsCard) -> str:
    """The figures that the weights are judged by; cards from before they were kept have none."""
    kept = card.held_out.get("headline", ())
    if not kept:
        return ""
    met = sum(bool(figure["met"]) for figure in kept)
    return (
        f"Of {len(kept)} figures that were asked of them {met} are met; "
        "[evaluation.md](evaluation.md) tells which, and how each was measured.\n"
    )


def _losses(rows: list[Row], method: str) -> str:
    """Where a frame came out worse than it went in, said in words: a mean hides it."""
    lost = [row for row in rows if row.method == method and row.worst_gain_db < 0]
    if not lost:
        return "No frame came out worse than it went in, under any of these conditions.\n"
    lines = [
        f"- {row.blur_name}, {row.electrons_per_px:g} electrons per px: "
        f"{row.worst_scene} lost {-row.worst_gain_db:.1f} dB."
        for row in lost
    ]
    return "\n".join(
        ["Frames that came out worse than they went in (the worst of each condition):", "", *lines, ""]
    )


def _table(columns: list[str], rows: Any) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for row in rows:
        values: Mapping[str, Any] = row
        lines.append("| " + " | ".join(str(values.get(column, "")) for column in columns) + " |")
    return "\n".join(lines) + "\n"


def _plain(value: Any) -> str:
    return " to ".join(f"{v:g}" for v in value) if isinstance(value, (list, tuple)) else str(value)
