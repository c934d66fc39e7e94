"""An `Advice` as header of the event ``advice`` (``semdaemon.wire.headers.AdviceHeader``)."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from semdaemon.advice.belief import Normal
from semdaemon.advice.decide import Advice, FocusAdvice
from semdaemon.advice.tilt import TiltAdvice

_DIGITS = 6


def advice_header(advice: Advice, pixel_size_m: tuple[float, float] | None) -> dict[str, Any]:
    """Everything but the key ``frame``; plain JSON values."""
    run, sigma_px = advice.run, advice.sigma_px
    sigma_nm = None if sigma_px is None or pixel_size_m is None else sigma_px * pixel_size_m[1] * 1e9
    return {
        "run": {
            "id": run.id,
            "source": run.source,
            "dataset": run.dataset,
            "detector": run.detector,
            "position": run.position,
            "frames": advice.frames,
        },
        "state": advice.state,
        "reasons": list(advice.reasons),
        "retake": advice.retake,
        "regions": [
            {"area": region.area.as_list(), "tiles": region.tiles, "verdict": "beyond_repair"}
            for region in advice.regions
        ],
        "sigma_px": _rounded(sigma_px),
        "sigma_nm": _rounded(sigma_nm),
        "sharpest_px": _rounded(advice.sharpest_px),
        "position": asdict(advice.position) if advice.position.known else None,
        "focus": _focus(advice.focus),
        "tilt": None if advice.tilt is None else _tilt(advice.tilt),
    }


def _tilt(tilt: TiltAdvice) -> dict[str, Any]:
    return {
        **_pair("tilt_px", "tilt_sd_px", tilt.tilt_px),
        "direction_deg": _rounded(tilt.direction_deg),
        "tilt_deg": _rounded(tilt.tilt_deg),
    }


def _focus(focus: FocusAdvice) -> dict[str, Any]:
    correction = focus.correction_um
    target = None if correction is None or focus.at_um is None else focus.at_um + correction.mean
    return {
        "axis": focus.axis or None,
        "at_um": focus.at_um,
        "target_um": _rounded(target),
        **_pair("magnitude_um", "magnitude_sd_um", focus.magnitude_um),
        **_pair("correction_um", "correction_sd_um", correction),
        "candidates_um": [_rounded(value) for value in focus.candidates_um],
        **_pair("steepness_px_per_um", "steepness_sd_px_per_um", focus.steepness_px_per_um),
        **_pair("drift_um_per_s", "drift_sd_um_per_s", focus.drift_um_per_s),
    }


def _pair(mean: str, sd: str, value: Normal | None) -> dict[str, float | None]:
    return {mean: _rounded(value.mean if value else None), sd: _rounded(value.sd if value else None)}


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.{_DIGITS}g}")
