"""Every setting, one model a section.

Precedence, highest first: command line, environment ``SEMDAEMON_<SECTION>__<KEY>``, settings file, default.
"""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from semdaemon.errors import SettingsError

FILE_NAME = "semdaemon.toml"


def default_settings_path() -> Path:
    """The platform's place for ``semdaemon.toml``."""
    return Path(platformdirs.user_config_dir("semdaemon", appauthor=False)) / FILE_NAME


def default_state_dir() -> Path:
    """The platform's place for the journal and the replay store (local disk)."""
    return Path(platformdirs.user_state_dir("semdaemon", appauthor=False))


def default_output_dir() -> Path:
    """Where refocused frames go unless told otherwise: never inside an acquisition folder."""
    return Path(platformdirs.user_data_dir("semdaemon", appauthor=False)) / "output"


HomePath = Annotated[Path, AfterValidator(Path.expanduser)]
"""A path in which ``~`` is the user's home."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Daemon(Section):
    """The service as a whole."""

    instrument: str = Field("sem", pattern=r"^[A-Za-z0-9_.-]+$", description="First part of every topic.")
    state_dir: HomePath = Field(default_factory=default_state_dir, description="Journal; local disk only.")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    sinks: tuple[str, ...] = Field(
        (), description="Entry points of group semdaemon.sinks that get every result."
    )
    sources: tuple[str, ...] = Field(
        (), description="Further sources: entry points of group semdaemon.sources."
    )
    drain_s: float = Field(20.0, ge=0, description="How long a stop waits for work in flight, seconds.")


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
        return _backlog(value)


def _backlog(value: str) -> str:
    if value in ("all", "new"):
        return value
    from datetime import datetime

    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("a time needs its zone, e.g. 2026-03-01T18:00:00Z; or 'all' or 'new'")
    return value


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
        return _backlog(value)


class Limits(Section):
    """What is refused before memory is taken."""

    max_pixels: int = Field(400_000_000, gt=0, description="A frame with more pixels is a fault.")
    max_file_bytes: int = Field(2 * 2**30, gt=0, description="A larger file is a fault: it is read whole.")
    min_side_px: int = Field(32, ge=1)


class Focus(Section):
    """The focus map and its verdicts."""

    scorer: str = Field("sigma", description="Entry point of group semdaemon.scorers; 'sigma' is built in.")
    tile_px: int = Field(128, ge=32, le=1024, description="Side of a tile, pixels.")
    sharp_sigma_px: float = Field(1.25, gt=0, description="Up to this blur a tile counts as sharp, pixels.")
    beyond_repair_sigma_px: float = Field(
        9.0, gt=0, description="Above this blur nothing is repaired; the scorer tells blurs up to about 10."
    )
    confidence: float = Field(
        0.8, ge=0.5, lt=1.0, description="Probability a verdict needs; below it the tile is undecided."
    )
    max_relative_sd: float = Field(
        0.6, gt=0, description="A blur known no better than this (sd of its logarithm) is undecided."
    )
    threads: int = Field(1, ge=1, le=64)

    @model_validator(mode="after")
    def _ordered(self) -> Focus:
        if self.beyond_repair_sigma_px <= self.sharp_sigma_px:
            raise ValueError("beyond_repair_sigma_px must be larger than sharp_sigma_px")
        return self


class Refocus(Section):
    """What is refocused, and with what."""

    enabled: bool = True
    weights: str = Field("auto", description="'auto' (by device), a shipped name ('light'), or a file.")
    engine: str = Field("torch", description="Entry point of group semdaemon.engines; 'torch' is built in.")
    everywhere: bool = Field(False, description="Ignore verdicts and audit; the mask is the image area.")
    feather_px: int = Field(16, ge=0, le=256, description="Blend width inside the mask, pixels.")
    min_tiles: int = Field(1, ge=1, description="Smaller regions are left alone.")
    audit_max_residual: float = Field(
        0.4, gt=0, description="Share of a region's contrast that re-blurring may leave unexplained."
    )
    audit: bool = Field(True, description="Re-blur the result and reject what the frame does not support.")


class Worker(Section):
    """The process that owns the accelerator."""

    device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    threads: int = Field(0, ge=0, le=256, description="CPU threads; 0 is one less than there are.")
    tile_px: int = Field(512, ge=64, le=8192, description="Fine-scale tile of the engine, pixels.")
    timeout_s: float = Field(300.0, gt=0, description="One refocus job; then the worker is killed, seconds.")
    start_timeout_s: float = Field(120.0, gt=0)
    max_restarts: int = Field(5, ge=0, description="In a row; then refocusing pauses, scoring goes on.")
    backoff_s: float = Field(1.0, gt=0, description="First pause between restarts; doubles up to a minute.")


class Output(Section):
    """The files that are written."""

    folder: HomePath = Field(
        default_factory=default_output_dir, description="Outside every acquisition folder."
    )
    compression: Literal["none", "zstd", "deflate"] = "none"
    keep_original_page: bool = Field(True, description="The untouched original as last page.")


class Publish(Section):
    """ZeroMQ and the page."""

    endpoint: str = Field("tcp://127.0.0.1:5570", description="PUB socket; '' publishes nothing.")
    control: str = Field("tcp://127.0.0.1:5571", description="ROUTER socket: replay and status; '' is off.")
    insecure: bool = Field(False, description="Allow addresses other than this machine without CURVE.")
    queue_bytes: int = Field(64 * 2**20, gt=0, description="Most that waits to be sent, bytes.")
    replay_bytes: int = Field(64 * 2**20, ge=0, description="What the replay store holds, bytes.")
    subscriber_messages: int = Field(
        64,
        ge=1,
        description="Messages kept for one slow subscriber; then it loses new ones, and sees the gap.",
    )
    heartbeat_s: float = Field(1.0, gt=0)
    preview: bool = True
    preview_px: int = Field(1024, ge=64, le=8192, description="Longest side of a preview, pixels.")

    @field_validator("endpoint", "control")
    @classmethod
    def _endpoint(cls, value: str) -> str:
        if value and not value.startswith(("tcp://", "ipc://", "inproc://")):
            raise ValueError("expected an address such as tcp://127.0.0.1:5570, or '' for none")
        return value

    @model_validator(mode="after")
    def _loopback(self) -> Publish:
        for value in (self.endpoint, self.control):
            if not self.insecure and not is_local_endpoint(value):
                raise ValueError(
                    f"{value} can be reached from other machines; keep to 127.0.0.1 or set insecure = true"
                )
        return self


class Page(Section):
    """The live web page, metrics and health."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: int = Field(8570, ge=0, le=65535)
    pictures_bytes: int = Field(64 * 2**20, gt=0, description="Pictures kept in memory, bytes.")

    @field_validator("host")
    @classmethod
    def _loopback(cls, value: str) -> str:
        if value not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError("the page has no access control yet: keep to 127.0.0.1, ::1 or localhost")
        return value


class Pushed(Section):
    """Frames that a script's hook pushes."""

    endpoint: str = Field("tcp://127.0.0.1:5572", description="PULL socket; '' takes none.")
    insecure: bool = Field(False, description="Let other machines push, without encryption.")

    @model_validator(mode="after")
    def _loopback(self) -> Pushed:
        if self.endpoint and not self.endpoint.startswith(("tcp://", "ipc://")):
            raise ValueError("expected an address such as tcp://127.0.0.1:5572, or '' for none")
        if not self.insecure and not is_local_endpoint(self.endpoint):
            raise ValueError(
                f"{self.endpoint} can be reached from other machines; "
                "keep to 127.0.0.1 or set insecure = true"
            )
        return self


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


def is_local_endpoint(endpoint: str) -> bool:
    """True for endpoints that only this machine can reach."""
    return not endpoint.startswith("tcp://") or endpoint.startswith(
        ("tcp://127.", "tcp://localhost:", "tcp://[::1]:")
    )


class Settings(BaseSettings):
    """All sections."""

    model_config = SettingsConfigDict(
        env_prefix="SEMDAEMON_", env_nested_delimiter="__", extra="forbid", frozen=True, validate_default=True
    )

    daemon: Daemon = Daemon()
    folder: Folder = Folder()
    ndtiff: NDTiff = NDTiff()
    limits: Limits = Limits()
    focus: Focus = Focus()
    refocus: Refocus = Refocus()
    worker: Worker = Worker()
    output: Output = Output()
    publish: Publish = Publish()
    page: Page = Page()
    pushed: Pushed = Pushed()
    micromanager: MicroManager = MicroManager()
    spool: Spool = Spool()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings, env_settings)

    @model_validator(mode="after")
    def _output_outside_input(self) -> Settings:
        out = self.output.folder.resolve()
        for folder in (*self.folder.folders, *self.ndtiff.folders):
            root = folder.resolve()
            if out == root or root in out.parents:
                raise ValueError(
                    f"output.folder {out} lies inside the acquisition folder {root}; "
                    "nothing is written there: choose another output folder"
                )
        return self

    @property
    def fingerprint(self) -> str:
        """12 hexadecimal digits over the settings that change a frame's result."""
        relevant = {
            "focus": self.focus.model_dump(mode="json", exclude={"threads"}),
            "refocus": self.refocus.model_dump(mode="json"),
        }
        return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()[:12]


def load_settings(path: Path | None = None, overrides: dict[str, dict[str, Any]] | None = None) -> Settings:
    """Settings from file, environment and command line.

    Parameters
    ----------
    path
        Settings file; None takes the platform's one where it exists.
    overrides
        ``{section: {key: value}}`` from the command line, above everything else.

    Raises
    ------
    SettingsError
        ``settings_missing``, ``settings_syntax`` or ``settings_invalid``; names file, key and expectation.
    """
    file, values = _read(path)
    overridden = overrides or {}
    merged = _over(_over(values, _environment()), overridden)
    try:
        return Settings(**merged)
    except ValidationError as error:
        raise SettingsError(
            "settings_invalid",
            _explain(error, file),
            remedy="'semdaemon config example' prints every key with its meaning.",
        ) from error


def _read(path: Path | None) -> tuple[str, dict[str, Any]]:
    file = path or default_settings_path()
    if not file.is_file():
        if path is None:
            return "defaults", {}
        raise SettingsError(
            "settings_missing",
            f"Settings file {file} does not exist.",
            remedy="'semdaemon config example > semdaemon.toml' writes one to start from.",
        )
    try:
        return str(file), tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SettingsError(
            "settings_syntax",
            f"Settings file {file} cannot be read as TOML: {error}.",
            remedy="Strings need quotes, paths on Windows single ones: folder = 'D:\\frames'.",
        ) from error


def _environment() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for name, value in os.environ.items():
        section, mark, key = name.upper().removeprefix("SEMDAEMON_").partition("__")
        if name.upper().startswith("SEMDAEMON_") and mark and section.lower() in Settings.model_fields:
            found.setdefault(section.lower(), {})[key.lower()] = _json_or_text(value)
    return found


def _json_or_text(value: str) -> Any:
    # Lists come as JSON (["/data/a", "/data/b"]); everything else is read by its field.
    return json.loads(value) if value.startswith("[") else value


def _over(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    merged = {**low}
    for section, values in high.items():
        below = merged.get(section)
        merged[section] = {**(below if isinstance(below, dict) else {}), **values}
    return merged


def _explain(error: ValidationError, file: str) -> str:
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"] if part != "function-after") or "settings"
        if problem["type"] == "extra_forbidden":
            lines.append(f"{file}: {key} is not a setting{_nearest(problem['loc'])}")
        else:
            what = problem["msg"].removeprefix("Value error, ")
            given = (
                "" if isinstance(problem["input"], (dict, BaseModel)) else f" (given: {problem['input']!r})"
            )
            lines.append(f"{file}: {key}: {what}{given}")
    return "; ".join(lines)


def _nearest(location: tuple[int | str, ...]) -> str:
    import difflib

    section = Settings.model_fields.get(str(location[0]))
    model = section.annotation if section is not None and len(location) > 1 else Settings
    known = list(getattr(model, "model_fields", {}))
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known here: {', '.join(known)}"
