"""All sections together."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from semdaemon.settings.advising import Advice
from semdaemon.settings.intake import Folder, Limits, MicroManager, NDTiff, Pushed, Spool
from semdaemon.settings.reach import Page, Publish
from semdaemon.settings.section import HomePath, Section, default_state_dir
from semdaemon.settings.work import Focus, Output, Refocus, Worker


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
    stall_s: float = Field(
        120.0, gt=0, description="Frames that wait so long without one advancing: the service is stuck, s."
    )
    keep_days: float = Field(
        365.0,
        ge=0,
        description="Older frames lose history and focus map, and their row once the file is gone; 0: none.",
    )
    drain_s: float = Field(20.0, ge=0, description="How long a stop waits for work in flight, seconds.")


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
    advice: Advice = Advice()
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
