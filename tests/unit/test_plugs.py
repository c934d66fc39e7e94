"""Sinks and other parts by entry point: a small distribution made here, found as an installed one is."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from semdaemon.errors import SemdaemonError, SettingsError
from semdaemon.focus import FocusMap
from semdaemon.frame import Area, Frame
from semdaemon.metrics import Metrics
from semdaemon.outbound import Outbound
from semdaemon.plugs import SINK_GROUP, load_plug, load_sinks
from semdaemon.settings import Publish

MODULE = """
class Broken:
    def scored(self, header, focus): raise ValueError("no room")
    def refocused(self, header, path): pass
    def failed(self, header, code, message): pass
    def close(self): self.closed = True
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "odd_sink.py").write_text(MODULE, encoding="utf-8")
    info = tmp_path / "odd_sink-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: odd-sink\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(
        f"[{SINK_GROUP}]\nodd = odd_sink:Broken\nmissing = odd_sink:Nothing\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "odd_sink", raising=False)


@pytest.mark.usefixtures("installed")
def test_what_a_sink_raises_is_counted_and_hinders_nothing() -> None:
    metrics = Metrics()
    outbound = Outbound(Publish(), None, load_sinks(("odd",)), metrics)
    pixels = np.zeros((64, 64), np.uint8)
    frame = Frame("0" * 16, "folder", "file:///x.tif", pixels, "0" * 64, Area.whole(pixels.shape))
    one = np.ones((1, 1), np.float32)
    outbound.score(frame, FocusMap(64, frame.image_area, one, one, one, np.zeros((1, 1), np.uint8), "test"))
    assert 'semdaemon_faults_total{code="sink_exception"} 1.0' in metrics.exposition().decode()
    outbound.close()


@pytest.mark.usefixtures("installed")
def test_an_unknown_or_broken_part_is_named_with_what_is_installed() -> None:
    with pytest.raises(SettingsError, match="missing, odd") as unknown:
        load_plug(SINK_GROUP, "nothing", "daemon.sinks")
    assert unknown.value.code == "unknown_plug"
    with pytest.raises(SemdaemonError) as broken:
        load_plug(SINK_GROUP, "missing", "daemon.sinks")
    assert broken.value.code == "plug_broken"
