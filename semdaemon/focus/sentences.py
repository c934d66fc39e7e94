"""What a survey found, as a person reads it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from semdaemon.focus.astigmatism import Astigmatism
from semdaemon.focus.plane import Plane
from semdaemon.focus.step import Step
from semdaemon.focus.survey import Survey

_WORDS = (
    *("to the right", "to the lower right", "downwards", "to the lower left"),
    *("to the left", "to the upper left", "upwards", "to the upper right"),
)

_TELLING_PX = 2.0


@dataclass(frozen=True, slots=True)
class Sentence:
    """One line, and whether it asks for attention."""

    text: str
    warns: bool


def sentences(survey: Survey, aperture_rad: float | None = None) -> list[Sentence]:
    """One line a fact; with the beam's half angle, tilt in degrees too."""
    found = [Sentence(artefact.message, bool(artefact.tiles)) for artefact in survey.artefacts]
    if survey.plane is not None:
        found += _plane(survey.plane, survey.plane.sample_tilt_deg(aperture_rad) if aperture_rad else None)
    if survey.astigmatism is not None:
        found += _axes(survey.astigmatism)
    return found


def stored_sentences(facts: Mapping[str, Any]) -> list[Sentence]:
    """The same from what `Survey.as_json` gave (a row of the journal); what cannot be read is left out."""
    found = []
    for part in (_stored_artefacts, _stored_plane, _stored_axes):
        try:
            found += part(facts)
        except (KeyError, TypeError, ValueError, AttributeError):
            continue  # written by another version
    return found


def _stored_artefacts(facts: Mapping[str, Any]) -> list[Sentence]:
    return [Sentence(str(one["message"]), bool(one["tiles"])) for one in facts.get("artefacts") or ()]


def _stored_plane(facts: Mapping[str, Any]) -> list[Sentence]:
    told = facts.get("plane")
    if not told:
        return []
    figures: dict[str, Any] = {
        field.name: told[field.name] for field in fields(Plane) if field.name != "step"
    }
    step = told.get("step")
    return _plane(Plane(**figures, step=Step(**step) if step else None), told.get("tilt_deg"))


def _stored_axes(facts: Mapping[str, Any]) -> list[Sentence]:
    told = facts.get("astigmatism")
    if not told:
        return []
    figures: dict[str, Any] = {field.name: told[field.name] for field in fields(Astigmatism)}
    figures.update({name: math.nan for name, value in figures.items() if value is None})
    return _axes(Astigmatism(**figures))


def _plane(plane: Plane, tilt_deg: float | None) -> list[Sentence]:
    if plane.step is not None:
        low, high = f"{plane.step.low_px:.1f} px", f"{plane.step.high_px:.1f} px"
        return [
            Sentence(
                f"a step in height: {low} of blur on one side of a line, {high} from there "
                f"{towards(plane.step.direction_deg)}",
                True,
            )
        ]
    if not plane.tilted:
        most = plane.tilt_px + 2 * plane.tilt_sd_px
        level = f"level: blur changes by less than {most:.1f} px over 1000 px"
        tilt = Sentence(level if most <= _TELLING_PX else "tilt: cannot tell", False)
    else:
        degrees = f" (sample tilted by {tilt_deg:.1f}°)" if tilt_deg is not None else ""
        tilt = Sentence(
            f"tilted: {plane.tilt_px:.1f} ± {plane.tilt_sd_px:.1f} px of blur over 1000 px, "
            f"rising {towards(plane.direction_deg)}{degrees}",
            True,
        )
    if not plane.curved:
        return [tilt]
    bend = f"bent: {plane.curvature_px:+.1f} ± {plane.curvature_sd_px:.1f} px of blur 1000 px from the centre"
    return [tilt, Sentence(bend, True)]


def _axes(axes: Astigmatism) -> list[Sentence]:
    if axes.kind == "cannot_tell":
        return []
    if axes.kind == "round":
        return [Sentence("round: blur is the same along every direction", False)]
    what = "smeared by drift or vibration" if axes.kind == "smear" else "astigmatic"
    blur = f"{axes.sigma_long_px:.1f} px of blur along {axes.direction_deg:.0f}°"
    return [Sentence(f"{what}: {blur}, {axes.sigma_short_px:.1f} px across", True)]


def towards(direction_deg: float) -> str:
    """A direction in the picture in words: 0 is right, 90 down."""
    return _WORDS[round(direction_deg / 45) % 8]
