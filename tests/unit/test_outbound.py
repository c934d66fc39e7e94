"""What the daemon sends is what docs/wire-format.md says: no key exists in code alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from semdaemon.advice import Advice
from semdaemon.advice.decide import FocusAdvice
from semdaemon.advice.runs import RunKey
from semdaemon.errors import FrameError
from semdaemon.focus import FocusMap
from semdaemon.formats.stage import stage_position
from semdaemon.frame import Area, Frame
from semdaemon.metrics import Metrics
from semdaemon.outbound import Outbound
from semdaemon.refocus.discriminative import RegionReport
from semdaemon.settings import Publish
from semdaemon.worker import WorkerAnswer

PAGE = (Path(__file__).parents[2] / "docs" / "wire-format.md").read_text(encoding="utf-8")


@dataclass
class Recorder:
    """Stands in for the publisher and keeps what it is given; sockets are tested elsewhere."""

    sent: dict[str, tuple[dict[str, Any], list[str]]] = field(default_factory=dict)

    def publish(
        self, event: str, header: dict[str, Any], arrays: Sequence[Any] = (), blobs: Sequence[Any] = ()
    ) -> None:
        self.sent[event] = (header, [part[0] for part in (*arrays, *blobs)])


def _row(attempts: int = 0, *, redelivered: bool = False) -> Any:
    return SimpleNamespace(
        frame_id="", source="folder", uri="file:///x.tif", attempts=attempts, redelivered=redelivered
    )


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[dict[str, Any], list[str]]]:
    recorder = Recorder()
    outbound = Outbound(Publish(), recorder, (), Metrics())
    pixels = np.zeros((64, 64), np.uint8)
    frame = Frame("0" * 16, "folder", "file:///x.tif", pixels, "0" * 64, Area.whole(pixels.shape))
    one = np.ones((1, 1), np.float32)
    outbound.score(frame, FocusMap(64, frame.image_area, one, one, one, np.ones((1, 1), np.uint8), "test"))
    region = RegionReport(1, 1, [0, 0, 64, 64], 2.0, [1], 0.1, True).as_dict()
    weights = {"name": "light", "sha256": "0" * 64, "sigma_max_px": 4.0}
    answer = WorkerAnswer(pixels, pixels > 0, [region], (0.0, 1.0), weights, "cpu", 0.1)
    path = tmp_path_factory.mktemp("out") / "x.refocused.tif"
    outbound.refocused(frame, answer, {"settings": {"fingerprint": "f"}}, path)
    row: Any = _row()
    outbound.fault(row, FrameError("truncated", "cut off", remedy="save it again"))
    outbound.advice(frame, _advice(), redelivered=True)
    return recorder.sent


def _advice() -> Advice:
    return Advice(
        run=RunKey("folder", "run_1", "", None, (64, 64), ""),
        frames=1,
        state="attention",
        reasons=("beyond_repair",),
        retake=True,
        regions=(),
        sigma_px=None,
        sharpest_px=None,
        position=stage_position("", {}),
        focus=FocusAdvice(""),
    )


def test_advice_that_may_have_been_given_before_says_so(
    sent: dict[str, tuple[dict[str, Any], list[str]]],
) -> None:
    assert sent["advice"][0]["redelivered"] is True


def test_a_part_that_is_ill_is_a_fault_of_no_frame() -> None:
    recorder = Recorder()
    error = FrameError("settings_invalid", "no such key")
    Outbound(Publish(), recorder, (), Metrics()).part_fault(error, part="settings")
    header = recorder.sent["fault"][0]
    assert (header["frame"], header["code"], header["message"]) == (None, "settings_invalid", "no such key")


@pytest.mark.parametrize("event", ["score", "preview", "frame", "fault", "advice"])
def test_every_key_that_is_sent_is_documented(
    event: str, sent: dict[str, tuple[dict[str, Any], list[str]]]
) -> None:
    section = re.split(r"\n#{2,3} ", PAGE.split(f"\n### `{event}`")[1])[0]
    header, buffers = sent[event]
    keys = [*header, *buffers, *(key for region in header.get("regions", ()) for key in region)]
    missing = [
        key for key in keys if key != "frame" and f"`{key}`" not in section and f'"{key}"' not in section
    ]
    assert not missing


@pytest.mark.parametrize(("row", "said"), [(_row(), False), (_row(1), True), (_row(redelivered=True), True)])
def test_a_fault_that_may_have_been_told_before_says_so(row: Any, said: bool) -> None:
    recorder = Recorder()
    Outbound(Publish(), recorder, (), Metrics()).fault(row, FrameError("truncated", "cut off"))
    assert recorder.sent["fault"][0]["redelivered"] is said
