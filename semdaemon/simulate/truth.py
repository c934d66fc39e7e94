"""A simulated frame together with what is known about it, and how that is kept beside the run."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
import tifffile

from semdaemon.errors import SemdaemonError
from semdaemon.simulate.acquisition import WORKING_DISTANCE_M
from semdaemon.simulate.optics import Defocus, Probe
from semdaemon.simulate.textures import Image
from semdaemon.training.degrade import equivalent_sigma_px


@dataclass(frozen=True, slots=True)
class SimulatedFrame:
    """A frame with its truth.

    Attributes
    ----------
    pixels
        (h, w) uint8 or uint16, without data bar.
    truth
        (h, w) float32 in [0, 1]: what the same beam shows in focus and without noise.
    radius_map_px
        (h, w) float32: radius of the disc of confusion.
    condition
        ``sharp``, ``step``, ``tilt``, ``corner``, ``blurred`` or ``beyond_repair``.
    """

    index: int
    kind: str
    condition: str
    pixels: npt.NDArray[Any]
    truth: Image
    radius_map_px: Image
    defocus: Defocus
    probe: Probe
    pixel_size_m: float
    electrons_per_px: float
    seed: int
    working_distance_m: float = WORKING_DISTANCE_M

    def facts(self) -> dict[str, object]:
        """What the truth's JSON says."""
        radius = self.radius_map_px
        sigma0 = self.probe.sigma0_px
        return {
            "index": self.index,
            "kind": self.kind,
            "condition": self.condition,
            "seed": self.seed,
            "shape": list(self.pixels.shape),
            "type": self.pixels.dtype.name,
            "pixel_size_m": self.pixel_size_m,
            "electrons_per_px": self.electrons_per_px,
            "probe": asdict(self.probe),
            "defocus": asdict(self.defocus),
            "working_distance_m": self.working_distance_m,
            "radius_px": {
                "least": float(radius.min()),
                "mean": float(radius.mean()),
                "most": float(radius.max()),
            },
            "sigma_px": {
                "least": equivalent_sigma_px(float(radius.min()), sigma0),
                "most": equivalent_sigma_px(float(radius.max()), sigma0),
            },
            "sharp_share": float((radius < 1.0).mean()),
        }


def write_truth(folder: Path, stem: str, frame: SimulatedFrame) -> None:
    """Sharp picture, radius map (both float32 TIFF) and JSON of one frame."""
    folder.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(folder / f"{stem}.truth.tif", frame.truth)
    tifffile.imwrite(folder / f"{stem}.radius_px.tif", frame.radius_map_px)
    text = json.dumps({"file": f"{stem}.tif", **frame.facts()}, indent=2)
    (folder / f"{stem}.truth.json").write_text(text + "\n", encoding="utf-8")


def check_truth_folder(folder: Path, truth: Path | None) -> None:
    """Refuse a truth folder in which the daemon would look for frames.

    Raises
    ------
    SemdaemonError
        ``truth_in_folder``.
    """
    if truth is not None and folder.resolve() in (truth.resolve(), *truth.resolve().parents):
        raise SemdaemonError(
            "truth_in_folder",
            f"the truth folder {truth} lies in {folder}, where the daemon would take it for frames",
            remedy="Choose a folder beside it.",
        )
