"""The microscope simulator: try, test and demonstrate the daemon without an instrument.

Scenes (`scene`, `scene_set`, `real_scenes`) go through optics and dose (`Probe`, `Defocus`, `half_blurred`),
and a `Microscope` writes them as acquisition software does, with the truth beside them.
"""

from semdaemon.simulate.acquisition import VENDORS, Vendor
from semdaemon.simulate.microscope import Microscope, MicroscopeSettings, WrittenFrame
from semdaemon.simulate.optics import Defocus, Probe, detect, half_blurred, through_probe
from semdaemon.simulate.scenes import KINDS, RealScenes, real_scenes, scene, scene_set
from semdaemon.simulate.truth import SimulatedFrame, write_truth
from semdaemon.simulate.writer import MODES, Mode, write_sidecar, write_slowly

__all__ = [
    "KINDS",
    "MODES",
    "VENDORS",
    "Defocus",
    "Microscope",
    "MicroscopeSettings",
    "Mode",
    "Probe",
    "RealScenes",
    "SimulatedFrame",
    "Vendor",
    "WrittenFrame",
    "detect",
    "half_blurred",
    "real_scenes",
    "scene",
    "scene_set",
    "through_probe",
    "write_sidecar",
    "write_slowly",
    "write_truth",
]
