"""The simulated microscope: scene, focus, dose, data bar, metadata, file, truth."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from semdaemon.errors import SemdaemonError
from semdaemon.simulate.acquisition import WORKING_DISTANCE_M, Acquisition, Vendor, sidecar, vendor_tags
from semdaemon.simulate.databar import bar_height_px, with_data_bar
from semdaemon.simulate.optics import Defocus, Probe, detect, through_probe
from semdaemon.simulate.run import SERIES_FRAMES, drifting, mixed, through_focus
from semdaemon.simulate.scenes import KINDS, REFERENCE_PIXEL_SIZE_M, real_scenes, scene
from semdaemon.simulate.textures import Image, Shape
from semdaemon.simulate.tiff import Encoded, encode
from semdaemon.simulate.truth import SimulatedFrame, check_truth_folder, write_truth
from semdaemon.simulate.writer import Mode, write_sidecar, write_slowly

_ROWS_PER_STRIP = {"zeiss": 1 << 20, "fei": 1, "tescan": 4, "jeol": 8, "none": 16}
_DIRECTORY_FIRST = {"zeiss", "fei"}
"""The others write the directory last, as libtiff does."""


@dataclass(frozen=True, slots=True)
class MicroscopeSettings:
    """Everything a run follows from.

    Attributes
    ----------
    shape
        (height, width) of the picture without the data bar; real scenes are cut to it where larger,
        and keep their own size where it is None.
    kinds
        Kinds of procedural scenes, taken in turn.
    scenes
        Folder of real frames in place of procedural scenes.
    electrons_per_px
        Dose at full white.
    probe
        None gives the standard probe, without its in-focus Gaussian for real scenes (they had theirs).
    drift_m
        Focus drift per frame in metres; None gives the mixed run.
    through_focus_m, series_frames
        Step of the working distance between the frames of a series of one field through focus, metres, and
        how many frames it has; None gives another run.
    interval_s, write_s
        From the start of one frame to the start of the next, and how long writing takes.
    """

    shape: Shape | None = (768, 1024)
    kinds: tuple[str, ...] = KINDS
    scenes: Path | None = None
    seed: int = 0
    bits: int = 8
    electrons_per_px: float = 100.0
    pixel_size_m: float = REFERENCE_PIXEL_SIZE_M
    probe: Probe | None = None
    drift_m: float | None = None
    through_focus_m: float | None = None
    series_frames: int = SERIES_FRAMES
    vendor: Vendor = "fei"
    data_bar: bool = True
    mode: Mode = "pieces"
    interval_s: float = 2.0
    write_s: float = 1.0
    name: str = "frame"


@dataclass(frozen=True, slots=True)
class WrittenFrame:
    """A frame that is complete on disk."""

    path: Path
    frame: SimulatedFrame
    bytes: int

    def as_json(self) -> dict[str, object]:
        return {"file": str(self.path), "bytes": self.bytes, **self.frame.facts()}


class Microscope:
    """Makes frames by number and writes them; the same settings give the same pixels."""

    def __init__(self, settings: MicroscopeSettings | None = None) -> None:
        self.settings = settings or MicroscopeSettings()
        _check(self.settings)
        standard = Probe(sigma0_px=0.0) if self.settings.scenes else Probe()
        self.probe = self.settings.probe or standard
        self._real = real_scenes(self.settings.scenes) if self.settings.scenes else None

    def frame(self, index: int) -> SimulatedFrame:
        """Frame number ``index``, from 0."""
        s = self.settings
        rng = np.random.default_rng([s.seed, index])
        kind, sharp = self._scene(index, rng)
        metres_per_px = s.pixel_size_m / self.probe.aperture_rad
        condition, defocus = self._focus(index, rng, metres_per_px)
        shape = (int(sharp.shape[0]), int(sharp.shape[1]))
        radius = defocus.radius_map_px(shape, s.pixel_size_m, self.probe.aperture_rad)
        seen = through_probe(sharp, radius, self.probe)
        truth = through_probe(sharp, np.zeros_like(radius), self.probe)
        pixels = detect(seen, s.electrons_per_px, rng, bits=s.bits)
        return SimulatedFrame(
            index=index,
            kind=kind,
            condition=condition,
            pixels=pixels,
            truth=truth,
            radius_map_px=radius,
            defocus=defocus,
            probe=self.probe,
            pixel_size_m=s.pixel_size_m,
            electrons_per_px=s.electrons_per_px,
            seed=s.seed,
            # The lens alone moves in a series; everywhere else the sample does.
            working_distance_m=WORKING_DISTANCE_M + (defocus.level_m if s.through_focus_m else 0.0),
        )

    def _focus(self, index: int, rng: np.random.Generator, metres_per_px: float) -> tuple[str, Defocus]:
        s = self.settings
        if s.through_focus_m is not None:
            return through_focus(index, metres_per_px, s.through_focus_m, s.series_frames)
        if s.drift_m is not None:
            return drifting(index, rng, metres_per_px, s.drift_m)
        return mixed(index, rng, metres_per_px)

    def _scene(self, index: int, rng: np.random.Generator) -> tuple[str, Image]:
        s = self.settings
        if s.through_focus_m is not None:
            # One field for all frames of a series.
            index //= s.series_frames
            rng = np.random.default_rng([s.seed, index])
        if self._real is not None:
            number = index % len(self._real)
            return self._real.paths[number].name, _cut(self._real[number], s.shape, rng)
        kind = s.kinds[index % len(s.kinds)]
        return kind, scene(kind, s.shape or (768, 1024), s.seed * 1_000_003 + index, s.pixel_size_m)

    def encode(
        self, frame: SimulatedFrame, name: str, acquired_at: datetime
    ) -> tuple[Encoded, tuple[str, str] | None]:
        """The file's bytes, and suffix and text of its sidecar where the vendor has one."""
        s = self.settings
        height, width = frame.pixels.shape
        bar_px = bar_height_px(width) if s.data_bar else 0
        facts = Acquisition(name, acquired_at, (height, width), bar_px, s.pixel_size_m, s.bits)
        facts = replace(facts, working_distance_m=frame.working_distance_m)
        encoded = encode(
            with_data_bar(frame.pixels, s.vendor, facts),
            vendor_tags(s.vendor, facts),
            rows_per_strip=min(_ROWS_PER_STRIP[s.vendor], height + bar_px),
            # a preallocated file has its directory first: there is nothing to append to
            directory_first=s.vendor in _DIRECTORY_FIRST or s.mode == "preallocate",
        )
        return encoded, sidecar(s.vendor, facts)

    def write_frames(
        self,
        folder: Path,
        n: int | None,
        *,
        on_frame: Callable[[WrittenFrame], None] | None = None,
        stop: threading.Event | None = None,
        truth: Path | None = None,
    ) -> int:
        """Write ``n`` frames (None: until ``stop`` is set) and return how many were written.

        Numbering goes on after frames of the same name that are in the folder already.
        ``on_frame`` is called on this thread after each file is complete; what it raises ends the run.
        """
        check_truth_folder(folder, truth)
        folder.mkdir(parents=True, exist_ok=True)
        stop = stop or threading.Event()
        first = _next_number(folder, self.settings.name)
        count = 0
        while not stop.is_set() and (n is None or count < n):
            began = time.monotonic()
            written = self._write(folder, first + count, stop, truth)
            count += 1
            if on_frame is not None:
                on_frame(written)
            if n is None or count < n:
                stop.wait(max(0.0, began + self.settings.interval_s - time.monotonic()))
        return count

    def _write(self, folder: Path, index: int, stop: threading.Event, truth: Path | None) -> WrittenFrame:
        s = self.settings
        frame = self.frame(index)
        path = folder / f"{s.name}_{index:05d}.tif"
        encoded, beside = self.encode(frame, path.stem, datetime.now(UTC))
        if truth is not None:
            write_truth(truth, path.stem, frame)
        write_slowly(path, encoded, write_s=s.write_s, mode=s.mode, stop=stop)
        if beside is not None:
            write_sidecar(path.with_suffix(beside[0]), beside[1], stop=stop)
        return WrittenFrame(path, frame, len(encoded.data))


def _check(s: MicroscopeSettings) -> None:
    unknown = [kind for kind in s.kinds if kind not in KINDS]
    wrong = (
        f"unknown kinds {unknown}; known are {', '.join(KINDS)}"
        if unknown or not s.kinds
        else f"bits must be 8 or 16, not {s.bits}"
        if s.bits not in (8, 16)
        else f"electrons_per_px must be above 0, not {s.electrons_per_px}"
        if s.electrons_per_px <= 0
        else f"pixel_size_m must be above 0, not {s.pixel_size_m}"
        if s.pixel_size_m <= 0
        else f"a series through focus needs at least 3 frames, not {s.series_frames}"
        if s.through_focus_m is not None and s.series_frames < 3
        else f"a frame needs at least 64 x 64 pixels, not {s.shape}"
        if s.shape is not None and min(s.shape) < 64
        else ""
    )
    if wrong:
        raise SemdaemonError("simulator_settings", wrong, remedy="See `semdaemon simulate --help`.")


def _next_number(folder: Path, name: str) -> int:
    pattern = re.compile(rf"{re.escape(name)}_(\d+)\.tif")
    numbers = [int(match[1]) for path in folder.iterdir() if (match := pattern.fullmatch(path.name))]
    return max(numbers, default=-1) + 1


def _cut(image: Image, shape: Shape | None, rng: np.random.Generator) -> Image:
    if shape is None:
        return image
    top = int(rng.integers(0, max(1, image.shape[0] - shape[0] + 1)))
    left = int(rng.integers(0, max(1, image.shape[1] - shape[1] + 1)))
    return image[top : top + shape[0], left : left + shape[1]]
