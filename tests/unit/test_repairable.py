"""Where repair ends: a number in the settings, or what the weights' card says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from semdaemon.fingerprint import fingerprint_of
from semdaemon.focus import BEYOND_REPAIR, BLURRED, Estimate, FocusMap
from semdaemon.focus.map import REPAIRED_UP_TO_PX, judge
from semdaemon.frame import Area, Frame
from semdaemon.provenance import provenance_of
from semdaemon.refocus.weights import load_card
from semdaemon.repairable import with_repair_limit
from semdaemon.settings import Focus, Settings
from semdaemon.training.evaluation.reach import Reach, repairs_up_to_px
from semdaemon.worker import WorkerAnswer


def limit(settings: Settings) -> float | str:
    return with_repair_limit(settings).focus.beyond_repair_sigma_px


def test_the_shipped_card_tells_it_and_the_map_knows_the_same_figure() -> None:
    card = load_card("light")
    assert limit(Settings()) == card.repairs_up_to_px == REPAIRED_UP_TO_PX
    assert card.repairs_up_to_px >= card.sigma_max_px


def test_a_number_in_the_settings_stands() -> None:
    assert limit(Settings(focus={"beyond_repair_sigma_px": 7.5})) == 7.5


@pytest.mark.parametrize("repairs_up_to_px", [None, 3.0])
def test_a_lab_s_own_weights_are_asked_and_unmeasured_ones_leave_it_open(
    tmp_path: Path, repairs_up_to_px: float | None
) -> None:
    card = load_card("light")
    weights = tmp_path / "own.safetensors"
    shutil.copy(card.path, weights)
    raw = json.loads(card.path.with_suffix(".json").read_text(encoding="utf-8"))
    raw["repairs_up_to_px"] = repairs_up_to_px or 0.0
    weights.with_suffix(".json").write_text(json.dumps(raw), encoding="utf-8")
    assert limit(Settings(refocus={"weights": str(weights)})) == (repairs_up_to_px or "auto")


def test_weights_that_are_missing_keep_nobody_from_scoring() -> None:
    assert limit(Settings(refocus={"weights": "nonesuch"})) == "auto"


def test_a_blur_above_the_limit_is_beyond_repair() -> None:
    estimate = Estimate(np.array([5.0, 14.0], np.float32), np.array([0.05, 0.05], np.float32))
    assert judge(estimate, Focus())[3].tolist() == [BLURRED, BEYOND_REPAIR]
    assert judge(estimate, Focus(beyond_repair_sigma_px=4))[3].tolist() == [BEYOND_REPAIR] * 2


def test_weights_reach_as_far_as_every_blur_before_gains_and_hardly_any_picture_loses() -> None:
    rows = [Reach(8, 4.0, 1, 2.0, 0.0), Reach(16, 8.0, 2, 1.0, 0.1), Reach(24, 12.04, 4, 0.4, 0.2)]
    assert repairs_up_to_px(rows) == 8.0
    assert repairs_up_to_px(rows[:1] + rows[2:]) == 4.0
    assert repairs_up_to_px([Reach(8, 4.0, 1, 0.1, 0.0)]) == 0.0


def test_provenance_tells_the_number_that_auto_stood_for_and_the_fingerprint_of_what_was_set() -> None:
    """The daemon and 'semdaemon refocus' by the same settings: the same fingerprint, as in the journal."""
    settings = Settings()
    pixels = np.zeros((64, 64), np.uint8)
    frame = Frame("0" * 16, "test", "test:", pixels, "0" * 64, Area.whole(pixels.shape))
    one = np.ones((1, 1), np.float32)
    map_ = FocusMap(64, frame.image_area, one, one, one, np.ones((1, 1), np.uint8), "test")
    answer = WorkerAnswer(pixels, pixels > 0, [], (0.0, 1.0), {"name": "light"}, "cpu", 0.1)
    judged_by = with_repair_limit(settings).focus
    told = provenance_of(frame, map_, answer, settings, judged_by, fingerprint_of(settings))["settings"]
    assert told["fingerprint"] == fingerprint_of(settings)
    assert told["focus"]["beyond_repair_sigma_px"] == judged_by.beyond_repair_sigma_px != "auto"
