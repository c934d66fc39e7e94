"""What a survey found, as a person reads it."""

from __future__ import annotations

from dataclasses import dataclass

from semdaemon.focus.astigmatism import Astigmatism
from semdaemon.focus.plane import Plane
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
        found += _plane(survey.plane, aperture_rad)
    if survey.astigmatism is not None:
        found += _axes(survey.astigmatism)
    return found


def _plane(plane: Plane, aperture_rad: float | None) -> list[Sentence]:
    if not plane.tilted:
        most = plane.tilt_px + 2 * plane.tilt_sd_px
        level = f"level: blur changes by less than {most:.1f} px over 1000 px"
        tilt = Sentence(level if most <= _TELLING_PX else "tilt: cannot tell", False)
    else:
        degrees = f" (sample tilted by {plane.sample_tilt_deg(aperture_rad):.1f}°)" if aperture_rad else ""
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
