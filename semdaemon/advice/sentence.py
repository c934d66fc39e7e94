"""An advice in one line, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from semdaemon.focus.sentences import towards

_AXES = {"stage_z": "stage Z", "working_distance": "working distance"}


def sentence(header: Mapping[str, Any]) -> str:
    """The keys of the event ``advice`` as one sentence; whatever is missing is left out."""
    if header.get("state") == "well":
        return "all is well again"
    reasons = header.get("reasons") or ()
    blur = _blur(header) if "out_of_focus" in reasons else ""
    tilt = _tilt(header.get("tilt") or {}) if "sample_tilted" in reasons else ""
    return "; ".join(part for part in (blur, tilt, _lost(header)) if part) or "needs attention"


def _blur(header: Mapping[str, Any]) -> str:
    sigma_px, sigma_nm = header.get("sigma_px"), header.get("sigma_nm")
    on_sample = "" if sigma_nm is None else f" ({_length(sigma_nm)})"
    blur = "" if sigma_px is None else f", blur {sigma_px:.1f} px{on_sample}"
    drifts = ", and it drifts" if "focus_drifts" in (header.get("reasons") or ()) else ""
    return f"out of focus{drifts}{blur}{_remedy(header.get('focus') or {})}"


def _length(nm: float) -> str:
    return f"{nm:.3g} nm" if nm < 1000 else f"{nm / 1000:.3g} µm"


def _remedy(focus: Mapping[str, Any]) -> str:
    axis = _AXES.get(str(focus.get("axis")), "focus")
    size, size_sd = focus.get("magnitude_um"), focus.get("magnitude_sd_um") or 0
    correction, sd = focus.get("correction_um"), focus.get("correction_sd_um") or 0
    candidates = list(focus.get("candidates_um") or ())
    if size is not None and size <= size_sd:
        return f": {axis} is right to ± {size_sd:.2f} µm"
    if correction is not None:
        return f": {axis} {correction:+.2f} ± {sd:.2f} µm"
    if len(candidates) == 2:
        return f": {axis} {candidates[0]:+.2f} µm, or else {candidates[1]:+.2f} µm"
    return "" if size is None else f": {size:.2f} µm one way or the other"


def _tilt(tilt: Mapping[str, Any]) -> str:
    if tilt.get("tilt_px") is None:
        return "the sample is tilted"
    sd = "" if tilt.get("tilt_sd_px") is None else f" ± {tilt['tilt_sd_px']:.1f}"
    way = "" if tilt.get("direction_deg") is None else f", rising {towards(tilt['direction_deg'])}"
    degrees = "" if tilt.get("tilt_deg") is None else f" by {tilt['tilt_deg']:.1f}°"
    return f"the sample is tilted{degrees}: {tilt['tilt_px']:.1f}{sd} px of blur over 1000 px{way}"


def _lost(header: Mapping[str, Any]) -> str:
    count = len(header.get("regions") or ())
    lost = (
        ""
        if not count
        else "a region is beyond repair"
        if count == 1
        else f"{count} regions are beyond repair"
    )
    again = "take it again" if header.get("retake") else ""
    return ", ".join(part for part in (lost, again) if part)
