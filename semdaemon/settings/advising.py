"""What is said to other programs about a run."""

from __future__ import annotations

from pydantic import Field

from semdaemon.settings.section import Section


class Advice(Section):
    """Following the focus of a run, and the event advice; nothing is ever moved by the daemon."""

    enabled: bool = True
    aperture_mrad: float = Field(
        0.0, ge=0, le=2000, description="Half angle of the beam's cone; 0: learned where the focus is moved."
    )
    aperture_relative_sd: float = Field(
        0.2, gt=0, le=2, description="How well it is known (standard deviation of its logarithm)."
    )
    tolerance: float = Field(
        1.25, gt=1, le=10, description="Out of focus from this many times the blur in focus."
    )
    retake_share: float = Field(
        0.1, gt=0, le=1, description="A frame is to be taken again where so much of it is beyond repair."
    )
    tilt: bool = Field(True, description="Say when the sample is tilted; false for one that is meant to be.")
    each_position: bool = Field(False, description="Follow each stage position of an acquisition by itself.")

    @property
    def aperture_rad(self) -> float | None:
        """Half angle of the beam's cone, or None where it is not set."""
        return self.aperture_mrad * 1e-3 or None
