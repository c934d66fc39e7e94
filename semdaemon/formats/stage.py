"""Where stage and lens stood when a frame was taken, from what its vendor wrote."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from semdaemon.formats.vendors.texts import length_m, number

_UM = 1e6
Metadata = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class StagePosition:
    """Micrometres in the vendor's own axes and signs; None where nothing was written.

    Attributes
    ----------
    x_um, y_um, z_um
        Of the stage.
    working_distance_um
        The distance that the lens is focused to.
    """

    x_um: float | None = None
    y_um: float | None = None
    z_um: float | None = None
    working_distance_um: float | None = None

    @property
    def known(self) -> bool:
        return any(value is not None for value in (self.x_um, self.y_um, self.z_um, self.working_distance_um))

    @property
    def focus_axis(self) -> tuple[str, float] | None:
        """The coordinate that changes focus, and its value in micrometres; None where neither is known.

        An electron lens is refocused by its working distance; where there is none, by the stage.
        """
        if self.working_distance_um is not None:
            return "working_distance", self.working_distance_um
        return None if self.z_um is None else ("stage_z", self.z_um)


def stage_position(vendor: str | None, metadata: Metadata) -> StagePosition:
    """What is known of a frame's position; never raises, whatever the metadata hold."""
    return _VENDORS.get(vendor or "", _micromanager)(metadata)


def detector(vendor: str | None, metadata: Metadata) -> str:
    """Name of the detector or channel that a frame came from; empty where it is not told."""
    for names in _DETECTORS.get(vendor or "", (("Axes", "channel"), ("Channel",), ("Camera",))):
        found = _at(metadata, *names)
        if isinstance(found, str | int) and str(found):
            return str(found)[:64]
    return ""


def _micromanager(metadata: Metadata) -> StagePosition:
    # Where the stage was measured stands above where it was sent.
    x, y, z = (
        _first(metadata, f"{axis}Position_um", f"{axis}PositionUm", f"{axis}Position_um_Intended")
        for axis in "XYZ"
    )
    return StagePosition(x, y, z if z is not None else _first(metadata, "Z-Position"))


def _fei(metadata: Metadata) -> StagePosition:
    x, y, z = (_metres(_at(metadata, "Stage", f"Stage{axis}")) for axis in "XYZ")
    return StagePosition(x, y, z, _metres(_at(metadata, "EBeam", "WD")))


def _tescan(metadata: Metadata) -> StagePosition:
    x, y, z = (_metres(_at(metadata, "SEM", f"Stage{axis}")) for axis in "XYZ")
    return StagePosition(x, y, z, _metres(_at(metadata, "SEM", "WD")))


def _zeiss(metadata: Metadata) -> StagePosition:
    x, y, z = (_length(metadata.get(f"AP_STAGE_AT_{axis}"), "") for axis in "XYZ")
    return StagePosition(x, y, z, _length(metadata.get("AP_WD"), ""))


def _jeol(metadata: Metadata) -> StagePosition:
    return StagePosition(working_distance_um=_length(metadata.get("SM_WD"), "mm"))


def _hitachi(metadata: Metadata) -> StagePosition:
    values = metadata.get("SemImageFile")
    found = values.get("WorkingDistance") if isinstance(values, Mapping) else None
    return StagePosition(working_distance_um=_length(found, "um"))


_VENDORS: dict[str, Callable[[Metadata], StagePosition]] = {
    "fei": _fei,
    "tescan": _tescan,
    "zeiss": _zeiss,
    "jeol": _jeol,
    "hitachi": _hitachi,
}
_DETECTORS: dict[str, tuple[tuple[str, ...], ...]] = {
    "fei": (("Detectors", "Name"),),
    "tescan": (("SEM", "Detector"),),
    "zeiss": (("DP_DETECTOR_CHANNEL",), ("DP_DETECTOR_TYPE",)),
    "jeol": (("CM_SIGNAL_NAME",), ("CM_SIGNAL",)),
    "hitachi": (("SemImageFile", "SignalName"),),
}


def _at(found: object, *names: str) -> Any:
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _first(metadata: Metadata, *names: str) -> float | None:
    return next((value for name in names if (value := number(metadata.get(name))) is not None), None)


def _metres(value: object) -> float | None:
    found = number(value)
    return None if found is None else found * _UM


def _length(value: object, default_unit: str) -> float | None:
    found = None if value is None else length_m(str(value), default_unit)
    return None if found is None else found * _UM
