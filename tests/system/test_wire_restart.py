"""A subscriber that was away while the daemon was killed and started anew: the journal tells it the rest."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import tifffile

from semdaemon.wire.client import Subscriber
from semdaemon.wire.stream import NewEpoch

TOPICS = ("sem/score/", "sem/fault/")


def _write(folder: Path, *names: str) -> None:
    for name in names:
        pixels = np.random.default_rng(len(name)).integers(0, 255, (256, 256)).astype(np.uint8)
        pixels[0, 0] = hash(name) % 251
        tifffile.imwrite(folder / name, pixels)


def _uris(frames: Any) -> set[str]:
    return {frame.uri.rpartition("/")[2] for frame in frames}


def test_what_was_missed_over_a_kill_and_a_restart_is_caught_up(
    tmp_path: Path, daemon: Callable[..., Any]
) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    settings: dict[str, Any] = {
        "refocus": {"enabled": False},
        "focus": {"tile_px": 64},
        "folder": {"give_up_s": 0.5},
    }
    running = daemon(folder, publish={"heartbeat_s": 0.1}, **settings)
    ends = running.addresses["endpoint"], running.addresses["control"]
    with Subscriber(*ends, TOPICS) as subscriber:
        subscriber.ready(20)
        _write(folder, "first.tif")
        assert subscriber.receive(30).header["frame"]["uri"].endswith("first.tif")
        running.wait_final(1)
        position = subscriber.position
    _write(folder, "second.tif", "third.tif")
    (folder / "broken.tif").write_bytes(b"II*\0" + b"\xff" * 400)
    running.wait_final(4)
    _counters_come_in_pairs(running)
    running.kill()
    running.start()
    with Subscriber(
        running.addresses["endpoint"], running.addresses["control"], TOPICS, position=position
    ) as back:
        assert isinstance(back.receive(20), NewEpoch)
        back.ready(20)
        caught = list(back.catch_up())
        assert {"second.tif", "third.tif", "broken.tif"} <= _uris(caught)
        by_name = {frame.uri.rpartition("/")[2]: frame for frame in caught}
        assert by_name["broken.tif"].state == "failed"
        assert by_name["broken.tif"].reason
        assert by_name["second.tif"].state == "published"
        assert sum(by_name["second.tif"].verdicts.values()) == 16
        assert by_name["second.tif"].output is None
        _write(folder, "fourth.tif")
        running.wait_final(5)
        assert _uris(back.catch_up()) == {"fourth.tif"}
        assert _uris(back.catch_up(after=0)) >= {"first.tif", "fourth.tif"}


def _counters_come_in_pairs(running: Any) -> None:
    text = httpx.get(f"{running.addresses['page']}metrics").text

    def counted(name: str, event: str) -> float:
        found = re.search(rf'^semdaemon_messages_{name}_total{{event="{event}"}} (\S+)$', text, re.MULTILINE)
        assert found is not None, name
        return float(found[1])

    for event, count in (("score", 3), ("fault", 1)):
        assert counted("handed", event) == counted("sent", event) == count
        assert counted("shed", event) == counted("withheld", event) == 0
    assert re.search(r"^semdaemon_wire_replay_bytes [1-9]", text, re.MULTILINE)
