"""A camera of our own through Micro-Manager's drivers (pymmcore), for want of the window. Child only."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from semdaemon.sources.micromanager.camera import CameraFault, Image, Look, identity_of, number_of

_MISMATCH = re.compile(r"version mismatch|incompatible .*version|interface version", re.IGNORECASE)


class OwnedCamera:
    """Runs the camera of a hardware configuration continuously; nobody else has it."""

    def __init__(self, config_file: str, adapter_path: str, exposure_ms: float) -> None:
        import pymmcore

        self._metadata: Any = pymmcore.Metadata
        self._core: Any = pymmcore.CMMCore()
        self._config, self._adapters, self._exposure_ms = config_file, adapter_path, exposure_ms
        self._last = ""

    def open(self) -> None:
        for what, path in (("config_file", self._config), ("adapter_path", self._adapters)):
            if not Path(path).expanduser().exists():
                raise CameraFault("unusable", f"micromanager.{what} = {path!r} does not exist")
        try:
            self._core.setDeviceAdapterSearchPaths([str(Path(self._adapters).expanduser())])
            self._core.loadSystemConfiguration(str(Path(self._config).expanduser()))
            if self._exposure_ms:
                self._core.setExposure(self._exposure_ms)
            self._core.startContinuousSequenceAcquisition(0)
        except (RuntimeError, ValueError, OSError) as error:
            raise CameraFault("unusable", explained(str(error), self._core.getAPIVersionInfo())) from error

    def look(self) -> Look:
        told = self._metadata()
        try:
            running = bool(self._core.isSequenceRunning())
            pixels = self._core.getLastImageMD(told)
        except IndexError:  # "Circular buffer is empty": no frame yet
            return Look(True, None)
        except RuntimeError as error:
            raise CameraFault("lost", f"the camera says: {error}") from error
        tags: dict[str, Any] = {key: told.GetSingleTag(key).GetValue() for key in told.GetKeys()}
        identity = identity_of(tags)
        if not running:
            raise CameraFault("lost", "the camera stopped its sequence")
        if identity == self._last:
            return Look(running, None)
        self._last = identity
        tags.setdefault("PixelSizeUm", self._core.getPixelSizeUm())
        return Look(running, Image(tags, pixels, identity, number_of(tags)))

    def close(self) -> None:
        """Stop the sequence and let the devices go."""
        try:
            self._core.stopSequenceAcquisition()
            self._core.unloadAllDevices()
        except RuntimeError:
            return  # what is left the system takes back with the process


def explained(said: str, api_version: str) -> str:
    """MMCore's words, and which package to pin where drivers and core do not belong together.

    Parameters
    ----------
    api_version
        As MMCore gives it: ``Device API version 75, Module API version 10``.
    """
    first = " ".join(said.split())
    if not _MISMATCH.search(said):
        return first
    spoken = re.search(r"Device API version (\d+)", api_version)
    found = re.search(r"adapter has (\d+)", said)
    ours, theirs = spoken.group(1) if spoken else "?", found.group(1) if found else "N"
    return (
        f"{first} Pin pymmcore (installed: {_installed('pymmcore')}) to a release x.y.z.{theirs}.w, "
        f"whose fourth number is that of the adapters, or take adapters of device interface {ours} "
        f"(of mm-test-adapters {ours}.*; installed: {_installed('mm-test-adapters')})."
    )


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
