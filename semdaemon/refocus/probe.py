"""Does this device, with these weights, still compute what it should? A test picture with a known answer.

The picture is made in code and goes through the same path as every frame.
Its answer was computed in float32 on a CPU when the weights were exported, and stands in their card.
Nothing here imports torch: the parent makes the picture and judges what comes back.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np

from semdaemon.focus.map import BLURRED, SHARP, FocusMap
from semdaemon.frame import Area, Frame, Mask, Pixels, intensity_range, pixels_sha256
from semdaemon.refocus.discriminative import Refocuses, refocus_frame
from semdaemon.refocus.regions import paint
from semdaemon.settings import Refocus

PICTURE = 1
"""Number of the picture that `picture` makes; a card's answer to another one is no answer to this one."""

SETTINGS = Refocus(feather_px=8, audit_max_residual=1e9)
"""The audit runs, and has no say: a weak network is no sick one."""

RMS_TOLERANCE, WORST_TOLERANCE = 3e-3, 3e-2
"""Of the picture's range: twice and five times what bfloat16 convolutions cost with the weights `light`
(1.5e-3 and 6e-3; float16 1.4e-4 and 6e-4); to give back the input costs 7e-2."""

_SIDE_PX, _BAR_PX, _TILE_PX = 96, 8, 32
_STRIDE_PX = 3  # odd, so that every phase of a network that folds 2 x 2 or 4 x 4 pixels is among the samples
_LEAST_CORRELATION = 0.5
_GREY, _AMPLITUDE = 32768.0, 14000.0


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """How a probe ended.

    Attributes
    ----------
    against
        ``stored`` (the card's answer), ``first`` (this worker's own first one) or ``plausible`` (neither).
    rms, worst
        Difference from that answer as a share of the picture's range; None where there is none.
    why
        What is wrong; empty where it passed.
    """

    passed: bool
    against: str = ""
    rms: float | None = None
    worst: float | None = None
    why: str = ""

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


@cache
def picture() -> tuple[Frame, FocusMap]:
    """The test picture (104 x 96 px uint16, a bar below) and a focus map: four of nine tiles are blurred."""
    pixels = np.full((_SIDE_PX + _BAR_PX, _SIDE_PX), 1000, np.uint16)
    pixels[:_SIDE_PX] = np.rint(_GREY + _AMPLITUDE * _scene() + 1500.0 * _noise())
    pixels.flags.writeable = False
    area = Area(0, 0, _SIDE_PX, _SIDE_PX)
    frame = Frame("probe", "probe", "probe:", pixels, pixels_sha256(pixels), area)
    verdict = np.full((3, 3), SHARP, np.uint8)
    verdict[1:, 1:] = BLURRED
    like = np.full(verdict.shape, 2.0, np.float32)
    return frame, FocusMap(_TILE_PX, area, like, like, like, verdict, "probe")


def _scene() -> np.ndarray[Any, Any]:
    """Blurred discs and stripes, about -1 to 1."""
    y, x = np.mgrid[:_SIDE_PX, :_SIDE_PX].astype(np.float64)
    discs = [(20, 25, 11), (52, 58, 14), (75, 40, 8), (40, 84, 9), (78, 78, 12)]
    soft = [np.tanh((radius - np.hypot(y - top, x - left)) / 2.5) for top, left, radius in discs]
    return np.asarray(np.maximum.reduce(soft) * 0.7 + 0.3 * np.sin(x / 2.3 + y / 5.0))


def _noise() -> np.ndarray[Any, Any]:
    """Even noise from -1 to 1 by a fixed rule: numpy's own generators may change their streams."""
    number = np.arange(_SIDE_PX * _SIDE_PX, dtype=np.uint64)
    for _ in range(3):
        number = (number * np.uint64(2654435761) + np.uint64(12345)) % np.uint64(2**32)
        number ^= number >> np.uint64(15)
    return (number.astype(np.float64) / 2**31 - 1.0).reshape(_SIDE_PX, _SIDE_PX)


def answer_of(engine: Refocuses, sigma_max_px: float) -> dict[str, Any]:
    """What a card stores as ``probe``; call it with an engine in float32 on a CPU."""
    frame, focus = picture()
    result = refocus_frame(frame.pixels, focus, engine, SETTINGS, sigma_max_px=sigma_max_px)
    samples = _samples(result.pixels).astype("<u2")
    return {
        "picture": PICTURE,
        "pixels": base64.b64encode(samples.tobytes()).decode(),
        "rms_tolerance": RMS_TOLERANCE,
        "worst_tolerance": WORST_TOLERANCE,
    }


def usable(stored: Mapping[str, Any]) -> bool:
    """True where a card's ``probe`` answers the picture that is made here."""
    return stored.get("picture") == PICTURE and bool(stored.get("pixels"))


def judge(
    refocused: Pixels, mask: Mask, stored: Mapping[str, Any], *, against: str = "stored"
) -> ProbeResult:
    """Compare what came back with a stored answer or, without one, with common sense.

    Parameters
    ----------
    refocused, mask
        As a worker gives them back for `picture`.
    stored
        A card's ``probe`` (or `answer_from` an earlier probe); may be empty.
    against
        What ``stored`` is, for the result.
    """
    frame, _ = picture()
    wanted = _wanted()
    if not np.array_equal(mask, wanted):
        return ProbeResult(False, why="the mask is not the one that was asked for")
    if not np.array_equal(refocused[~wanted], frame.pixels[~wanted]):
        return ProbeResult(False, why="pixels outside the mask changed")
    if usable(stored):
        try:
            return _compare(refocused, stored, against)
        except (ValueError, TypeError) as error:
            return ProbeResult(False, against, why=f"the stored answer cannot be read: {error}")
    return _plausible(refocused[wanted].astype(float), frame.pixels[wanted].astype(float))


def answer_from(refocused: Pixels) -> dict[str, Any]:
    """An answer to compare later ones with, for weights whose card has none."""
    samples = base64.b64encode(_samples(refocused).astype("<u2").tobytes()).decode()
    return {"picture": PICTURE, "pixels": samples}


def _compare(refocused: Pixels, stored: Mapping[str, Any], against: str) -> ProbeResult:
    found = _samples(refocused).astype(np.float64)
    expected = np.frombuffer(base64.b64decode(stored["pixels"], validate=True), "<u2").astype(np.float64)
    if expected.size != found.size:
        return ProbeResult(
            False, against, why=f"the stored answer has {expected.size} samples, not {found.size}"
        )
    frame, _ = picture()
    low, high = intensity_range(frame.image)
    # Only the mask can differ, so the mean is taken over it alone: the rest would dilute a fault.
    inside = _samples(_wanted())
    difference = np.abs(found - expected.reshape(found.shape))[inside] / (high - low)
    rms, worst = float(np.sqrt(np.mean(difference**2))), float(difference.max())
    most_rms = float(stored.get("rms_tolerance", RMS_TOLERANCE))
    most_worst = float(stored.get("worst_tolerance", WORST_TOLERANCE))
    passed = rms <= most_rms and worst <= most_worst
    allowed = f"{most_rms:g} and {most_worst:g} pass"
    why = f"it is off by {rms:.2g} (rms) and {worst:.2g} (worst) of the range; {allowed}"
    return ProbeResult(passed, against, round(rms, 6), round(worst, 6), "" if passed else why)


def _plausible(refocused: np.ndarray[Any, Any], original: np.ndarray[Any, Any]) -> ProbeResult:
    why = ""
    if np.array_equal(refocused, original):
        why = "the answer is the picture itself: nothing was refocused"
    elif np.ptp(refocused) == 0 or np.corrcoef(refocused, original)[0, 1] < _LEAST_CORRELATION:
        why = "the answer has nothing in common with the picture"
    return ProbeResult(not why, "plausible", why=why)


def _wanted() -> Mask:
    frame, focus = picture()
    mask = np.zeros(frame.shape, bool)
    mask[focus.area.slices] = paint(focus.verdict == BLURRED, focus)
    return mask


def _samples(values: Pixels) -> Pixels:
    return values[:_SIDE_PX:_STRIDE_PX, ::_STRIDE_PX]
