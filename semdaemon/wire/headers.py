"""Headers of every event as pydantic models: from these the JSON schema is made."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA = "semdaemon-1.0"
SCHEMA_FAMILY = "semdaemon-1."
MAX_BUFFERS = 64
TYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64"),
)


class Described(BaseModel):
    """Unknown keys are kept and never an error: newer publishers may say more."""

    model_config = ConfigDict(extra="allow", populate_by_name=True, serialize_by_alias=True)


class ArrayDescription(Described):
    """One raw buffer that is an array, C order (PSI's ``array-1.0``)."""

    name: str = Field(min_length=1, max_length=64)
    htype: Literal["array-1.0"] = "array-1.0"
    shape: list[int] = Field(max_length=8, description="Rows first.")
    type: str = Field(description="As numpy names it: " + ", ".join(TYPES))
    endianness: Literal["little", "big"] = "little"


class BlobDescription(Described):
    """One raw buffer that is an encoded file, e.g. a JPEG."""

    name: str = Field(min_length=1, max_length=64)
    media_type: str = Field(description="e.g. image/jpeg")
    bytes: int = Field(ge=0, description="Length of the buffer.")


class FrameDescription(Described):
    """The frame that a message is about."""

    id: str = Field(description="16 hexadecimal digits from content and origin.")
    source: str
    uri: str
    acquired_at: str | None = Field(None, description="RFC 3339, or null where unknown.")
    shape: list[int] = Field(min_length=2, max_length=2, description="Height, width, pixels.")
    type: str = Field(description="Pixel type as numpy names it.")
    pixel_size_m: list[float] | None = Field(None, description="(y, x) in metres, or null where unknown.")
    image_area: list[int] | None = Field(None, description="[top, left, bottom, right] without the data bar.")
    page: int = Field(0, ge=0, description="Page within a file of several frames.")


class Header(Described):
    """What every message says."""

    schema_: str = Field(SCHEMA, alias="schema", description="semdaemon-1.x; refuse another generation.")
    event: str
    epoch: str = Field(description="UUID of this run of the publisher; sequences begin with it at 0.")
    sequence: int = Field(ge=0, description="Per topic, from 0 without holes.")
    published_at: str = Field(description="RFC 3339, UTC.")
    arrays: list[ArrayDescription] = Field(default_factory=list, max_length=MAX_BUFFERS)
    blobs: list[BlobDescription] = Field(default_factory=list, max_length=MAX_BUFFERS)


class ScoreHeader(Header):
    """``score``: the focus map, arrays ``sigma_px`` and ``score`` (float32) and ``verdict`` (uint8)."""

    event: Literal["score"] = "score"
    frame: FrameDescription
    tile_px: int = Field(gt=0, description="Side of a tile, frame pixels.")
    area: list[int] | None = Field(None, description="[top, left, bottom, right] that the tiles cover.")
    verdicts: dict[str, str] = Field(
        default_factory=lambda: {"0": "sharp", "1": "blurred", "2": "beyond_repair", "3": "undecided"},
        description="Meaning of the codes in the array verdict.",
    )
    scorer: str | None = Field(None, description="Name and version of what scored.")
    noise_sd: float | None = Field(None, description="Noise of the image area, grey levels (sd).")
    electrons_per_px: float | None = Field(
        None, description="Electrons counted per pixel at middling brightness; null where not clear."
    )
    artefacts: list[dict[str, Any]] | None = Field(
        None, description="What misleads a judgement of focus: code, message, tiles undecided because of it."
    )
    plane: dict[str, Any] | None = Field(
        None,
        description="How defocus runs across the frame: tilt, curvature, step; null where unknown.",
    )
    astigmatism: dict[str, Any] | None = Field(
        None, description="Blur along two axes, of the frame and of its regions."
    )


class PreviewHeader(Header):
    """``preview``: one encoded picture, blob ``preview``."""

    event: Literal["preview"] = "preview"
    frame: FrameDescription


class RegionDescription(Described):
    """One region that the network refocused, and what became of the result."""

    number: int | None = None
    tiles: int | None = None
    area: list[int] | None = Field(None, description="[top, left, bottom, right], pixels.")
    sigma_px: float | None = Field(None, description="Median blur of its tiles.")
    scales: list[int] = Field(default_factory=list, description="Working scales; 1 is native.")
    unexplained: float | None = Field(None, description="Share of contrast left over by re-blurring.")
    accepted: bool | None = Field(None, description="False: the original stands there.")
    rejected: str = Field("", description="unexplained, unlike_training, low_confidence, or empty.")
    confidence: float | None = Field(
        None, description="Probability that it is closer to the truth than the original, smoothed or not."
    )
    expected_error: float | None = Field(None, description="RMS error, share of the frame's range.")
    error_bound: float | None = Field(None, description="What that error stays below in 90 of 100 cases.")
    novelty: float | None = Field(None, description="Distance from what the figures hold for; 1: its edge.")


class FrameHeader(Header):
    """``frame``: arrays ``refocused`` (the frame's type) and ``mask`` (bool), both of the frame's shape."""

    event: Literal["frame"] = "frame"
    frame: FrameDescription
    refocused_by: Literal["network"] = Field("network", description="The pixels inside the mask do.")
    weights: dict[str, Any] | None = Field(None, description="name and sha256 of the weights.")
    regions: list[RegionDescription] = Field(default_factory=list, description="One entry a region.")
    output: str | None = Field(None, description="Where the refocused TIFF was saved (URI).")


class RunDescription(Described):
    """The run that a frame belongs to: frames that are comparable."""

    id: str = Field(description="8 hexadecimal digits from what follows.")
    source: str
    dataset: str = Field("", description="NDTiff dataset, folder, or the hook that pushed it.")
    detector: str = Field("", description="Detector or channel, as its vendor calls it.")
    position: str = Field("", description="Stage position, where each is followed by itself.")
    frames: int = Field(ge=0, description="Seen of this run so far.")


class LostRegion(Described):
    """Tiles that hang together and are beyond repair."""

    area: list[int] = Field(min_length=4, max_length=4, description="[top, left, bottom, right], pixels.")
    tiles: int = Field(ge=1)
    verdict: Literal["beyond_repair"] = "beyond_repair"


class PositionDescription(Described):
    """Where stage and lens stood, in the vendor's axes and signs; null where it is not written."""

    x_um: float | None = None
    y_um: float | None = None
    z_um: float | None = None
    working_distance_um: float | None = None


class FocusDescription(Described):
    """How far the focus coordinate is off; every key null where nobody can know it. ``_sd``: 1 sigma."""

    axis: Literal["stage_z", "working_distance"] | None = Field(None, description="The coordinate.")
    at_um: float | None = Field(None, description="The frame's coordinate.")
    target_um: float | None = Field(None, description="at_um + correction_um.")
    magnitude_um: float | None = Field(None, description="How far off, whichever way.")
    magnitude_sd_um: float | None = None
    correction_um: float | None = Field(None, description="To be added; null unless the side is known.")
    correction_sd_um: float | None = None
    candidates_um: list[float] = Field(
        default_factory=list,
        max_length=2,
        description="Both ways, likelier first, where the side is unknown.",
    )
    steepness_px_per_um: float | None = Field(None, description="Blur per defocus, far from focus.")
    steepness_sd_px_per_um: float | None = None
    drift_um_per_s: float | None = Field(None, description="How fast the place of focus moves.")
    drift_sd_um_per_s: float | None = None


class TiltDescription(Described):
    """How the sample is tilted against the plane of focus."""

    tilt_px: float | None = Field(None, description="Change of blur over 1000 px of the frame, pixels.")
    tilt_sd_px: float | None = Field(None, description="One standard deviation of it.")
    direction_deg: float | None = Field(None, description="Where blur rises: 0 to the right, 90 down.")
    tilt_deg: float | None = Field(None, description="Of the sample; null without advice.aperture_mrad.")


class AdviceHeader(Header):
    """``advice``: what a person or program at the microscope might do; no arrays. Never acted upon here."""

    event: Literal["advice"] = "advice"
    frame: FrameDescription
    run: RunDescription
    state: Literal["attention", "well"] = Field(description="well: once, when attention is over.")
    reasons: list[str] = Field(default_factory=list, description="Stable snake_case codes.")
    retake: bool = Field(description="The frame should be taken again.")
    regions: list[LostRegion] = Field(default_factory=list, max_length=32)
    sigma_px: float | None = Field(None, description="The frame's blur as a whole.")
    sigma_nm: float | None = Field(None, description="The same on the sample; null without a pixel size.")
    sharpest_px: float | None = Field(None, description="The run's blur in focus, where it is known.")
    position: PositionDescription | None = None
    focus: FocusDescription
    tilt: TiltDescription | None = Field(None, description="Where reasons hold sample_tilted.")


class FaultHeader(Header):
    """``fault``: a frame that could not be read or refocused, or a part of the daemon that is ill."""

    event: Literal["fault"] = "fault"
    frame: dict[str, Any] | None = Field(None, description="What is known of it; may be the uri alone.")
    part: str | None = Field(
        None, description="The part of the daemon that it is about, where it is no frame."
    )
    code: str = Field(description="Stable snake_case reason.")
    message: str
    remedy: str = Field("", description="What a person can do.")


class StatusHeader(Header):
    """``status``: how the daemon is."""

    event: Literal["status"] = "status"
    status: dict[str, Any]


class HeartbeatHeader(Header):
    """``heartbeat``: alive, and the newest sequence of every topic: a gap shows even when nothing follows."""

    event: Literal["heartbeat"] = "heartbeat"
    instrument: str
    interval_s: float = Field(gt=0)
    sequences: dict[str, int] = Field(description="Topic to its newest sequence.")
    journal_position: int | None = Field(None, description="Where the journal stands; for request frames.")
    wire: dict[str, Any] = Field(default_factory=dict, description="Counters of the publisher.")


class ReadyHeader(Header):
    """Echo on ``semdaemon-ready/<nonce>/`` to the one who subscribed to it: subscriptions are in place."""

    event: Literal["ready"] = "ready"
    instrument: str
    interval_s: float = Field(gt=0)
    sequences: dict[str, int]
    journal_position: int | None = None


class FinishedFrame(Described):
    """A frame that came to an end, as the reply to request ``frames`` tells it."""

    position: int = Field(ge=1, description="Of this end in the journal; counts up over restarts.")
    at: str = Field(description="When it ended, RFC 3339, UTC.")
    state: Literal["published", "failed", "skipped"]
    reason: str = Field(description="Stable snake_case reason.")
    detail: str = ""
    number: int = Field(description="The frame's number in the journal.")
    id: str = Field(description="As in messages; empty where it could not be read.")
    source: str
    uri: str
    page: int = 0
    shape: list[int] | None = None
    type: str = ""
    pixel_size_m: list[float] | None = None
    output: str | None = Field(None, description="URI of the refocused TIFF, null where there is none.")
    verdicts: dict[str, int] | None = Field(None, description="Tiles of each verdict.")
    median_sigma_px: float | None = None


class FramesReply(Described):
    """Head of the reply to request ``frames``."""

    schema_: str = Field(SCHEMA, alias="schema")
    reply: Literal["frames"] = "frames"
    id: str | int | None = None
    epoch: str
    frames: list[FinishedFrame]
    position: int = Field(ge=0, description="Go on after this one.")
    more: bool = Field(description="True where there are further ones.")
    messages: list[dict[str, int]] = Field(default_factory=list, max_length=0)


EVENTS: dict[str, type[Header]] = {
    "score": ScoreHeader,
    "preview": PreviewHeader,
    "frame": FrameHeader,
    "advice": AdviceHeader,
    "fault": FaultHeader,
    "status": StatusHeader,
    "heartbeat": HeartbeatHeader,
}
