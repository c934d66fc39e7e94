"""What a run is, and what is remembered of one."""

from __future__ import annotations

import bisect
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from semdaemon.advice.belief import Belief, Normal, Sample
from semdaemon.advice.fitting import STEP_PX, fit
from semdaemon.advice.throughfocus import ThroughFocus
from semdaemon.advice.tilt import TiltAlarm
from semdaemon.formats.stage import detector, stage_position
from semdaemon.frame import Frame

WINDOW = 12
"""Samples are looked at one by one up to twice this many; then the older half becomes a belief."""

KNOWN_STEEPNESS_SD = 0.35
"""Of ln k: above it, k is not known and defocus is told in pixels alone."""

SURE = 0.95
"""Probability from which the side of focus counts as known."""

_TYPICAL_APERTURE_RAD, _APERTURE_SD = 0.03, 2.0
_FORGETTING_SD = 0.05
_MOST_UM = 1e7


@dataclass(frozen=True, slots=True)
class RunKey:
    """Frames that are comparable: one stream, recipe and detector.

    Attributes
    ----------
    dataset
        The NDTiff dataset, the folder, or the hook that pushed them; empty for live mode.
    axis
        ``stage_z``, ``working_distance``, or empty where neither is known.
    """

    source: str
    dataset: str
    detector: str
    pixel_size_m: float | None
    shape: tuple[int, int]
    axis: str
    position: str = ""

    @property
    def id(self) -> str:
        """8 hexadecimal digits."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:8]


def run_of(frame: Frame, *, each_position: bool) -> tuple[RunKey, float]:
    """The run that a frame belongs to, and its focus coordinate in micrometres (0 where it has none)."""
    axis, value = stage_position(frame.vendor, frame.metadata).focus_axis or ("", 0.0)
    if not abs(value) <= _MOST_UM:  # nonsense in a tag
        axis, value = "", 0.0
    key = RunKey(
        source=frame.source,
        dataset=_dataset(frame),
        detector=detector(frame.vendor, frame.metadata),
        # Three digits: what a vendor computes anew for every frame differs in the last ones.
        pixel_size_m=None if frame.pixel_size_m is None else float(f"{frame.pixel_size_m[1]:.2e}"),
        shape=frame.shape,
        axis=axis,
        position=_position(frame.metadata) if each_position else "",
    )
    return key, value


def _dataset(frame: Frame) -> str:
    stack, sender = frame.metadata.get("Stack"), frame.metadata.get("Sender")
    if isinstance(stack, Mapping):
        return str(stack.get("dataset", ""))
    if frame.source in ("pushed", "micromanager"):
        return str(sender or "")[:64]
    return PurePosixPath(frame.uri.partition("#")[0]).parent.name


def _position(metadata: Mapping[str, object]) -> str:
    axes = metadata.get("Axes")
    found = axes.get("position") if isinstance(axes, Mapping) else None
    return str(metadata.get("PositionName", "") if found is None else found)[:64]


def first_belief(key: RunKey, aperture_mrad: float, aperture_relative_sd: float) -> Belief:
    """What is known of a run before its first frame.

    A cone of half angle alpha is a disc of radius R = alpha * |u| at distance u from focus, and blurs like a
    Gaussian of sigma = R / 2: k = alpha / (2 * pixel size).
    """
    if key.pixel_size_m is None:
        return Belief()
    known = aperture_mrad > 0
    aperture_rad = aperture_mrad * 1e-3 if known else _TYPICAL_APERTURE_RAD
    k = aperture_rad * 1e-6 / (2 * key.pixel_size_m)
    return Belief(ln_steepness=Normal(math.log(k), aperture_relative_sd if known else _APERTURE_SD))


@dataclass
class Run:
    """Recent samples of one run, in order of time, and the belief that the older ones became.

    Attributes
    ----------
    frames
        How many came.
    alarm, streak
        Whether it is out of focus, and how many frames in a row speak against that.
    tilt
        Whether its sample is tilted.
    attention
        Whether the last thing that was said about it asks for attention.
    """

    key: RunKey
    belief: Belief
    frames: int = 0
    alarm: bool = False
    streak: int = 0
    tilt: TiltAlarm = field(default_factory=TiltAlarm)
    attention: bool = False
    _samples: list[tuple[float, int, Sample]] = field(default_factory=list)

    def add(self, sample: Sample, number: int) -> bool:
        """Take a sample in; whether it is new, and the newest by time and then by the frame's number.

        A frame that is scored again takes the place of what it was, and is not judged a second time.
        """
        entry = (sample.at_s, number, sample)
        others = [each for each in self._samples if each[1] != number]
        new = len(others) == len(self._samples)
        self._samples = others
        bisect.insort(self._samples, entry, key=lambda each: each[:2])
        self.frames += new
        if len(self._samples) >= 2 * WINDOW:
            self._fold()
        return new and self._samples[-1] is entry

    def look(self) -> ThroughFocus | None:
        """What the samples say now."""
        return fit([sample for _, _, sample in self._samples], self.belief)

    def _fold(self) -> None:
        """The older half becomes a belief; no sample counts twice."""
        old = [sample for _, _, sample in self._samples[:WINDOW]]
        found = fit(old, self.belief)
        if found is not None:
            self.belief = belief_after(found, old[-1].z_um)
        del self._samples[:WINDOW]


def belief_after(found: ThroughFocus, z_um: float) -> Belief:
    """What remains of samples whose newest stood at ``z_um``; the place of focus only where it is known."""
    floor, steepness = found.ln_floor, found.ln_steepness
    focus = None
    if steepness.sd <= KNOWN_STEEPNESS_SD and (side := known_side(found)) is not None:
        u = found.on_side(above=side)
        if u is not None:
            step_um = STEP_PX / math.exp(steepness.mean)
            focus = Normal(z_um - u.mean, math.hypot(u.sd, step_um))
    return Belief(_older(floor), _older(steepness), focus)


def known_side(found: ThroughFocus) -> bool | None:
    """True where the newest frame stood above focus, False below; None where nobody can tell."""
    above = found.probability_above
    return above > 0.5 if max(above, 1 - above) >= SURE else None


def _older(value: Normal) -> Normal:
    return Normal(value.mean, math.hypot(value.sd, _FORGETTING_SD))
