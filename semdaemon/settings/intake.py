"""Where frames come from, and what is refused."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from semdaemon.settings.section import Curve, HomePath, Section, backlog, curve_of, require_guarded


class Folder(Section):
    """The folder source."""

    folders: tuple[HomePath, ...] = Field((), description="Acquisition folders; never written to.")
    recursive: bool = True
    patterns: tuple[str, ...] = Field(
        ("*.tif", "*.tiff", "*.png", "*.bmp", "*.jpg", "*.jpeg"),
        min_length=1,
        description="File names taken as frames (case does not matter).",
    )
    ignore: tuple[str, ...] = Field(
        (".*", "*.tmp", "*.part", "*.refocused.tif", "~*"), description="Names left alone, files and folders."
    )
    backlog: Literal["all", "new"] | str = Field(
        "all", description="Files there at start: 'all', 'new' (none), or since an RFC 3339 time."
    )
    settle_s: float = Field(0.3, ge=0, le=3600, description="Size and time unchanged for this long, seconds.")
    hold_s: float = Field(
        2.0, ge=0, description="Extra wait while the last rows are one constant (a preallocated file), s."
    )
    give_up_s: float = Field(
        30.0, ge=0, description="A file that still does not read this long after its last change is a fault."
    )
    rescan_s: float = Field(5.0, gt=0, description="Reconciling scan, seconds; events are only a wake-up.")
    poll: Literal["auto", "always", "never"] = Field(
        "auto", description="Poll instead of waiting for events; 'auto' where the file system is remote."
    )
    poll_s: float = Field(1.0, gt=0, description="Scan interval while polling, seconds.")
    sidecar: Literal["none", "auto", "hdr", "txt"] = Field(
        "auto", description="Sidecar expected beside a frame; 'auto' takes one that is there, waits for none."
    )
    sidecar_wait_s: float = Field(5.0, ge=0, description="Then go on without it and say so, seconds.")

    @field_validator("backlog")
    @classmethod
    def _backlog_is_a_time(cls, value: str) -> str:
        return backlog(value)


class NDTiff(Section):
    """NDTiff datasets and Micro-Manager's OME-TIFF stacks, followed while they grow."""

    folders: tuple[HomePath, ...] = Field(
        (), description="Datasets, or folders in which datasets appear; never written to."
    )
    backlog: Literal["all", "new"] | str = Field(
        "all", description="Stacks there at start: 'all', 'new' (none), or written since an RFC 3339 time."
    )
    poll_s: float = Field(0.02, gt=0, le=60, description="Pause between looks at a growing stack, seconds.")
    idle_poll_s: float = Field(1.0, gt=0, le=3600, description="The same where nothing comes, seconds.")
    rescan_s: float = Field(2.0, gt=0, description="Reconciling scan for new stacks, seconds.")
    give_up_s: float = Field(10.0, ge=0, description="A frame begun and not complete so long is a fault, s.")

    @field_validator("backlog")
    @classmethod
    def _backlog_is_a_time(cls, value: str) -> str:
        return backlog(value)


class Limits(Section):
    """What is refused before memory is taken."""

    max_pixels: int = Field(400_000_000, gt=0, description="A frame with more pixels is a fault.")
    max_file_bytes: int = Field(2 * 2**30, gt=0, description="A larger file is a fault: it is read whole.")
    min_side_px: int = Field(32, ge=1)


class Pushed(Section):
    """Frames that a script's hook pushes."""

    endpoint: str = Field("tcp://127.0.0.1:5572", description="PULL socket; '' takes none.")
    insecure: bool = Field(False, description="Let other machines push, without encryption.")
    curve_secret_file: str = Field("", description="As in [publish]: the server's own CURVE key; '' is off.")
    curve_allowed: str = Field("", description="As in [publish]: folder of the public keys let in.")
    connections: int = Field(64, ge=1, le=10_000, description="Most senders at a time.")

    @model_validator(mode="after")
    def _guarded(self) -> Pushed:
        if self.endpoint and not self.endpoint.startswith(("tcp://", "ipc://")):
            raise ValueError("expected an address such as tcp://127.0.0.1:5572, or '' for none")
        require_guarded((self.endpoint,), self.curve, self.insecure)
        return self

    @property
    def curve(self) -> Curve | None:
        """The key files, None where CURVE is off."""
        return curve_of(self.curve_secret_file, self.curve_allowed)


class MicroManager(Section):
    """Live mode of Micro-Manager, or a camera through Micro-Manager's drivers."""

    enabled: bool = Field(False, description="Peek at live mode of the Micro-Manager that runs here.")
    port: int = Field(4827, ge=1, le=65535, description="Micro-Manager's bridge server.")
    poll_s: float = Field(0.015, gt=0, le=10, description="Pause between looks in live mode, seconds.")
    idle_poll_s: float = Field(0.25, gt=0, le=10, description="Pause between looks otherwise, seconds.")
    interval_s: float = Field(
        0.0, ge=0, description="Least time between two frames taken, seconds; 0 takes every new one."
    )
    silence_s: float = Field(
        2.0, gt=0, description="The process that talks to Micro-Manager is replaced after this silence, s."
    )
    start_timeout_s: float = Field(60.0, gt=0, description="And after this long at its start, seconds.")
    backoff_s: float = Field(0.25, gt=0, description="First pause before it is replaced; doubles up to 2 s.")
    recycle_polls: int = Field(
        100_000, ge=1, description="Replaced after this many looks: pycromanager keeps 0.4 kB of each."
    )
    python_backend: bool = Field(
        False, description="Own the camera through pymmcore instead, for instruments without the window."
    )
    config_file: str = Field("", description="Micro-Manager's hardware configuration (.cfg).")
    adapter_path: str = Field("", description="Folder with the device adapters.")
    exposure_ms: float = Field(0.0, ge=0, description="Exposure; 0 leaves the configuration's.")

    @model_validator(mode="after")
    def _backend_has_its_files(self) -> MicroManager:
        if self.python_backend and not (self.config_file and self.adapter_path):
            raise ValueError("python_backend needs config_file and adapter_path")
        return self


class Spool(Section):
    """Frames that exist only in memory (live mode, pushed ones) become files in the state folder."""

    max_bytes: int = Field(
        2 * 2**30, gt=0, description="Waiting frames; beyond it a new one is dropped, counted and told."
    )
    keep_bytes: int = Field(
        256 * 2**20, ge=0, description="Finished frames kept for the page, newest first; 0 keeps none."
    )
