"""Where stage and lens stood, from what each vendor writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from semdaemon.formats import read_frames
from semdaemon.formats.stage import StagePosition, detector, stage_position
from semdaemon.settings import Limits

_MM, _FEI = "micromanager", {"EBeam": {"WD": 0.005}, "Stage": {"StageX": -0.01, "StageZ": 0.002}}


@pytest.mark.parametrize(
    ("vendor", "metadata", "position"),
    [
        (_MM, {"ZPosition_um_Intended": 1.5}, (None, 1.5, None)),
        (_MM, {"ZPositionUm": "2.5", "ZPosition_um_Intended": 1.5, "XPositionUm": 3}, (3.0, 2.5, None)),
        (_MM, {"Z-Position": "7"}, (None, 7.0, None)),
        ("fei", _FEI, (-10_000.0, 2000.0, 5000.0)),
        ("tescan", {"SEM": {"WD": 0.05, "StageZ": 0.061}}, (None, 61_000.0, 50_000.0)),
        ("zeiss", {"AP_WD": "6.2 mm", "AP_STAGE_AT_Z": "31.5 mm"}, (None, 31_500.0, 6200.0)),
        ("jeol", {"SM_WD": 3.78}, (None, None, 3780.0)),
        ("hitachi", {"SemImageFile": {"WorkingDistance": "11700 um"}}, (None, None, 11_700.0)),
        (None, {}, (None, None, None)),
        ("fei", {"EBeam": "odd", "Stage": None}, (None, None, None)),
        ("hitachi", {"SemImageFile": 3}, (None, None, None)),
        ("zeiss", {"AP_WD": ["x"]}, (None, None, None)),
    ],
)
def test_positions_are_micrometres(
    vendor: str | None, metadata: dict[str, Any], position: tuple[float | None, ...]
) -> None:
    found = stage_position(vendor, metadata)
    assert (found.x_um, found.z_um, found.working_distance_um) == pytest.approx(position)
    assert found.known is any(value is not None for value in position)


def test_a_lens_is_refocused_by_its_working_distance_and_a_stage_by_its_height() -> None:
    assert StagePosition(z_um=2.0, working_distance_um=5000.0).focus_axis == ("working_distance", 5000.0)
    assert StagePosition(z_um=2.0).focus_axis == ("stage_z", 2.0)
    assert StagePosition(x_um=2.0).focus_axis is None


@pytest.mark.parametrize(
    ("file", "working_distance_um", "signal"),
    [
        ("fei_quanta.tif", 11_051.0, "LFD"),
        ("tescan_16bit.tif", 50_000.0, "E-T"),
        ("zeiss_nanoporous_gold.tif", 6200.0, "InLens"),
    ],
)
def test_real_files_tell_it(vendor_data: Path, file: str, working_distance_um: float, signal: str) -> None:
    frame = read_frames(vendor_data / file, limits=Limits())[0]
    found = stage_position(frame.vendor, frame.metadata)
    assert found.working_distance_um == pytest.approx(working_distance_um)
    assert detector(frame.vendor, frame.metadata) == signal
