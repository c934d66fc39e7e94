"""Many files at once."""

from __future__ import annotations

import threading
import time

from ..lab import Lab
from ..scenario import Plan, Scenario

FILES = 60_000
FOLDERS = 60
MOST_RSS_BYTES = 600 * 2**20


def act(lab: Lab, plan: Plan) -> None:
    """All files at once; the daemon's memory is looked at all the time."""
    number, ending = plan.number(FILES), threading.Event()
    peak = _Peak(lab, ending)
    watching = threading.Thread(target=peak.watch)
    watching.start()
    began = _appear(lab, number)
    lab.did["files at once"] += number
    lab.until(lambda: lab.waiting() <= 0, 3600 * max(plan.scale, 0.1), "all of the burst final")
    lab.figures["seconds until all were final"] = round(time.monotonic() - began, 1)
    ending.set()
    watching.join()
    lab.figures["peak memory of the daemon, MiB"] = round(peak.bytes / 2**20)
    lab.figures["bound on it, MiB"] = MOST_RSS_BYTES >> 20
    if peak.bytes > MOST_RSS_BYTES:
        lab.notes.append(f"waited for memory to stay under the bound in vain: {peak.bytes >> 20} MiB")


def _appear(lab: Lab, number: int) -> float:
    """Files are made beside the acquisition folder, whose folders then appear all at once; when."""
    shown, lab.store = lab.store, lab.home / "staging"
    for at in range(number):
        lab.write("sharp", name=f"run{at % FOLDERS:02}/f{at:06}.tif")
    staged, lab.store = lab.store, shown
    began = time.monotonic()
    for folder in sorted(staged.iterdir()):
        folder.rename(shown / folder.name)
    lab.figures["seconds until all were there"] = round(time.monotonic() - began, 2)
    return began


class _Peak:
    def __init__(self, lab: Lab, ending: threading.Event) -> None:
        self.lab, self.ending, self.bytes = lab, ending, 0

    def watch(self) -> None:
        while not self.ending.wait(0.5):
            self.bytes = max(self.bytes, self.lab.rss_bytes())


SCENARIO = Scenario(
    name="burst",
    title="A burst",
    did=f"{FOLDERS} folders full of files appear at once; the daemon's memory looked at twice a second",
    not_shown="Large frames: these have 64 x 64 pixels, and none needed refocusing.",
    act=act,
    sections={"refocus": {"enabled": False}, "focus": {"tile_px": 64}},
    fast_folder=True,
    side_px=64,
    patience_s=1800.0,
)
