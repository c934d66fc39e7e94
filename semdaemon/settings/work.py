"""What is done with a frame: focus map, refocusing, the worker, the files that are written."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from semdaemon.settings.section import HomePath, Section, default_output_dir


class Focus(Section):
    """The focus map and its verdicts."""

    scorer: str = Field("sigma", description="sigma, siraf, f4n, or an entry point of semdaemon.scorers.")
    tile_px: int = Field(128, ge=32, le=1024, description="Side of a tile, pixels.")
    sharp_sigma_px: float = Field(1.25, gt=0, description="Up to this blur a tile counts as sharp, pixels.")
    sharp_sigma_nm: float = Field(
        0.0,
        ge=0,
        description="And up to this blur on the sample, nanometres, if the pixel size is known and this is "
        "more; 0: pixels alone count.",
    )
    beyond_repair_sigma_px: Annotated[float, Field(gt=0)] | Literal["auto"] = Field(
        "auto", description="Above this blur nothing is repaired; 'auto': where the weights stop gaining."
    )
    confidence: float = Field(
        0.8, ge=0.5, lt=1.0, description="Probability a verdict needs; below it the tile is undecided."
    )
    max_relative_sd: float = Field(
        0.6, gt=0, description="A blur known no better than this (sd of its logarithm) is undecided."
    )
    context: bool = Field(
        True, description="Judge a tile in the light of its neighbours; false: each by itself."
    )
    threads: int = Field(1, ge=1, le=64)

    @model_validator(mode="after")
    def _ordered(self) -> Focus:
        if self.beyond_repair_sigma_px != "auto" and self.beyond_repair_sigma_px <= self.sharp_sigma_px:
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
    min_confidence: float = Field(
        0.8,
        ge=0,
        le=1,
        description="A region whose gain is less likely than this, or that is unlike the training, is "
        "rejected; 0: none is.",
    )
    audit: bool = Field(True, description="Re-blur the result and reject what the frame does not support.")


class Worker(Section):
    """The process that owns the accelerator."""

    device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    threads: int = Field(0, ge=0, le=256, description="CPU threads; 0 is one less than there are.")
    tile_px: int = Field(512, ge=64, le=8192, description="Fine-scale tile of the engine, pixels.")
    timeout_s: float = Field(
        1800.0, gt=0, description="One refocus job, however it goes on; then the worker is killed, seconds."
    )
    silence_s: float = Field(
        60.0,
        gt=0,
        description="A job without any progress for this long hangs; the worker is killed, seconds.",
    )
    cpu_fallback: bool = Field(
        True, description="A frame that is too large for the accelerator's memory is refocused on the CPU."
    )
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
