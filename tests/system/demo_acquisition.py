"""A real acquisition with Micro-Manager's demo camera, saved as NDTiff; run as a program of its own.

``python demo_acquisition.py DIR NAME FRAMES EXPOSURE_MS SAVED.json SIDE_PX`` writes ``DIR/NAME_1`` and,
for every frame, when its write returned (seconds since 1970).
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def main(folder: str, name: str, frames: int, exposure_ms: float, told: Path, side_px: int) -> None:
    import mm_test_adapters
    from ndstorage.ndtiff_dataset import NDTiffDataset
    from pycromanager import Acquisition, Core, start_headless, stop_headless

    saved: list[float] = []
    put_image = NDTiffDataset.put_image

    def timed(self: NDTiffDataset, *args: object) -> None:
        put_image(self, *args)
        saved.append(time.time())

    NDTiffDataset.put_image = timed
    adapters = str(mm_test_adapters.device_adapter_path())
    start_headless(adapters, f"{adapters}/MMConfig_demo.cfg", python_backend=True, buffer_size_mb=256)
    core = Core()
    core.set_property("Camera", "Mode", "Noise")
    core.set_property("Camera", "OnCameraCCDXSize", side_px)
    core.set_property("Camera", "OnCameraCCDYSize", side_px)
    core.set_exposure(exposure_ms)
    with Acquisition(directory=folder, name=name, show_display=False) as acquisition:
        acquisition.acquire([{"axes": {"time": number}} for number in range(frames)])
    stop_headless()
    told.write_text(json.dumps(saved), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), Path(sys.argv[5]), int(sys.argv[6]))
