"""What a vendor's software says about a frame: the facts, and the tags and sidecars that carry them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Vendor = Literal["zeiss", "fei", "tescan", "jeol", "none"]
VENDORS: tuple[Vendor, ...] = ("zeiss", "fei", "tescan", "jeol", "none")


WORKING_DISTANCE_M = 5e-3
"""At which the sample is in focus."""


@dataclass(frozen=True, slots=True)
class Acquisition:
    """The facts that stand in the metadata and on the data bar.

    Attributes
    ----------
    picture_shape
        (height, width) without the data bar.
    bar_px
        Height of the data bar, 0 where there is none.
    """

    name: str
    acquired_at: datetime
    picture_shape: tuple[int, int]
    bar_px: int
    pixel_size_m: float
    bits: int
    high_voltage_v: float = 15e3
    working_distance_m: float = WORKING_DISTANCE_M
    dwell_s: float = 1e-6
    detector: str = "SE"

    @property
    def working_distance_mm(self) -> str:
        """One decimal as instruments show it, and up to four where they differ by less."""
        told, more = f"{self.working_distance_m * 1e3:.1f}", f"{self.working_distance_m * 1e3:.4f}"
        return told if float(told) == float(more) else more.rstrip("0")

    @property
    def field_width_m(self) -> float:
        return self.picture_shape[1] * self.pixel_size_m

    @property
    def magnification(self) -> float:
        """On a print 127 mm wide (the Polaroid standard)."""
        return 0.127 / self.field_width_m


def metres(length_m: float, digits: int = 4) -> str:
    """A length as people write it: ``20.5 µm``."""
    for unit, factor in (("mm", 1e-3), ("µm", 1e-6), ("nm", 1e-9), ("pm", 1e-12)):
        if length_m >= factor:
            return f"{length_m / factor:.{digits}g} {unit}"
    return f"{length_m:.{digits}g} m"


@dataclass(frozen=True, slots=True)
class VendorTag:
    """One private TIFF tag of type ASCII or of any text type."""

    code: int
    text: str


def vendor_tags(vendor: Vendor, acquisition: Acquisition) -> tuple[VendorTag, ...]:
    """Tags that go into the TIFF beside the picture (none where a sidecar carries the metadata)."""
    if vendor == "zeiss":
        return (VendorTag(34118, zeiss_text(acquisition)),)
    if vendor == "fei":
        return (VendorTag(34682, fei_text(acquisition)),)
    if vendor == "tescan":
        return (VendorTag(271, "TESCAN - http://www.tescan.com/"), VendorTag(272, "TESCAN SIMULATED"))
    return ()


def sidecar(vendor: Vendor, acquisition: Acquisition) -> tuple[str, str] | None:
    """Suffix and text of the file beside the picture, or None."""
    if vendor == "tescan":
        return ".hdr", tescan_text(acquisition)
    if vendor == "jeol":
        return ".txt", jeol_text(acquisition)
    return None


def zeiss_text(a: Acquisition) -> str:
    """SmartSEM's list (tag 34118): unnamed numbers, then pairs of lines, key and ``name = value unit``.

    The first length and AP_PIXEL_SIZE belong to a display of 1024 columns, AP_IMAGE_PIXEL_SIZE to the file.
    """
    height, width = a.picture_shape[0] + a.bar_px, a.picture_shape[1]
    display_m = a.field_width_m / 1024
    numbers = (display_m, a.magnification, 1, a.high_voltage_v, 2.4, 1e-10, a.working_distance_m)
    pairs = (
        ("DP_DETECTOR_CHANNEL", f"Signal A = {a.detector}2"),
        ("DP_IMAGE_STORE", f"Store resolution = {width} * {height}"),
        ("AP_WD", f"WD = {a.working_distance_mm:>4} mm"),
        ("AP_MAG", f"Mag = {a.magnification / 1e3:7.2f} K X"),
        ("AP_ACTUALKV", f"EHT = {a.high_voltage_v / 1e3:5.2f} kV"),
        ("AP_PIXEL_SIZE", f"Pixel Size = {metres(display_m)}"),
        ("AP_IMAGE_PIXEL_SIZE", f"Image Pixel Size = {metres(a.pixel_size_m)}"),
        ("AP_WIDTH", f"Width = {metres(a.field_width_m)}"),
        ("AP_HEIGHT", f"Height = {metres(height * a.pixel_size_m)}"),
        ("AP_TILT_ANGLE", "Tilt Angle =   0.0 °"),
        ("AP_DATE", f"Date :{a.acquired_at:%d %b %Y}"),
        ("AP_TIME", f"Time :{a.acquired_at:%H:%M:%S}"),
        ("SV_FILE_NAME", f"File Name = {a.name}"),
    )
    head = ["0", "0", "0", *(f"{number:.6e}" for number in numbers), str(len(pairs))]
    return "\r\n".join([*head, *(line for pair in pairs for line in pair)]) + "\r\n"


def fei_text(a: Acquisition) -> str:
    """xT's sections of ``key=value`` (tag 34682), with the height of the data bar in PrivateFei."""
    height, width = a.picture_shape
    field = {"PixelWidth": a.pixel_size_m, "PixelHeight": a.pixel_size_m}
    size = {"HorFieldsize": a.field_width_m, "VerFieldsize": height * a.pixel_size_m}
    sections: dict[str, dict[str, object]] = {
        "User": {
            "Date": f"{a.acquired_at:%m/%d/%Y}",
            "Time": f"{a.acquired_at:%I:%M:%S %p}",
            "User": "simulated",
        },
        "System": {"Type": "SEM", "Software": "simulated", "SystemType": "simulated"},
        "Beam": {"HV": a.high_voltage_v, "Beam": "EBeam", "Scan": "EScan", "ScanRotation": 0},
        "EBeam": {"HV": a.high_voltage_v, "HFW": a.field_width_m, "WD": a.working_distance_m},
        "Scan": {"InternalScan": "true", "Dwelltime": a.dwell_s, **field, **size},
        "EScan": {"InternalScan": "true", "Dwell": a.dwell_s, **field, **size},
        "Stage": {"StageT": 0, "WorkingDistance": a.working_distance_m},
        "Image": {"ResolutionX": width, "ResolutionY": height},
        "Detectors": {"Number": 1, "Name": "ETD", "Mode": a.detector},
        "PrivateFei": {"TimeOfCreation": f"{a.acquired_at:%d.%m.%Y %H:%M:%S}", "DatabarHeight": a.bar_px},
    }
    return _sections(sections, "\r\n")


def tescan_text(a: Acquisition) -> str:
    """TESCAN's ``.hdr``; ``ImageStripSize`` is the height of the data bar."""
    main: dict[str, object] = {
        "AccFrames": 1,
        "Date": f"{a.acquired_at:%Y-%m-%d}",
        "Device": "TESCAN SIMULATED",
        "ImageStripSize": a.bar_px,
        "Magnification": f"{a.magnification:.1f}",
        "OrigFileName": a.name,
        "PixelSizeX": f"{a.pixel_size_m:.13f}",
        "PixelSizeY": f"{a.pixel_size_m:.13f}",
        "SoftwareVersion": "simulated",
        "Time": f"{a.acquired_at:%H:%M:%S}",
    }
    beam: dict[str, object] = {
        "Detector": a.detector,
        "DwellTime": f"{a.dwell_s:.9f}",
        "HV": f"{a.high_voltage_v:.1f}",
        "ScanRotation": 0.0,
        "StageTilt": 0.0,
        "WD": f"{a.working_distance_m:.9f}",
    }
    return _sections({"MAIN": main, "SEM": beam}, "\n")


def jeol_text(a: Acquisition) -> str:
    """JEOL's ``.txt``: the scale stands as the length of the micron bar in pixels."""
    height, width = a.picture_shape
    bar_m, bar_px = scale_bar(a)
    lines = (
        "$SEM_DATA_VERSION 1",
        f"$CM_SIGNAL_NAME {a.detector}",
        f"$CM_ACCEL_VOLT {a.high_voltage_v / 1e3:.2f}",
        f"$$SM_WD {a.working_distance_mm}",
        f"$CM_MAG {a.magnification:.0f}",
        f"$$SM_MICRON_BAR {bar_px}",
        f"$$SM_MICRON_MARKER {_marker(bar_m)}",
        "$CM_FORMAT JEOL-SEM",
        "$CM_VERSION 3.0",
        f"$CM_DATE {a.acquired_at:%Y/%m/%d}",
        f"$CM_TIME {a.acquired_at:%H:%M:%S}",
        "$CM_INSTRUMENT SIMULATED",
        f"$CM_TITLE {a.name}",
        f"$CM_FULL_SIZE {width} {height}",
    )
    return "\r\n".join(lines) + "\r\n"


def scale_bar(a: Acquisition) -> tuple[float, int]:
    """Length of the scale bar in metres (1, 2 or 5 times a power of ten) and in pixels."""
    longest_m = 0.22 * a.field_width_m
    steps = [base * 10.0**power for power in range(-12, 0) for base in (1, 2, 5)]
    bar_m = max((step for step in steps if step <= longest_m), default=longest_m)
    return bar_m, round(bar_m / a.pixel_size_m)


def _marker(bar_m: float) -> str:
    return f"{bar_m * 1e6:g}um" if bar_m >= 1e-6 else f"{bar_m * 1e9:g}nm"


def _sections(sections: dict[str, dict[str, object]], newline: str) -> str:
    blocks = []
    for title, values in sections.items():
        lines = [
            f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}"
            for key, value in values.items()
        ]
        blocks.append(newline.join([f"[{title}]", *lines, ""]))
    return newline.join(blocks) + newline
