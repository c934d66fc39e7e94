"""The focus map: per tile the blur in pixels, the probability to be sharp, and a verdict."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from semdaemon.focus.analytic import CURVES, MeasureScorer
from semdaemon.focus.artefacts import examine
from semdaemon.focus.blur import Blur, frame_blur
from semdaemon.focus.estimate import Array, Estimate, Scorer, joined
from semdaemon.focus.field import Smoothness, voices, with_context
from semdaemon.focus.stored import damaged, packed, unpacked
from semdaemon.focus.survey import NOTHING, Survey, survey
from semdaemon.focus.tilepower import tile_power
from semdaemon.focus.tiles import Grid, is_blank, stands_out
from semdaemon.frame import Area, Frame, Pixels
from semdaemon.plugs import load_plug
from semdaemon.settings import Focus

VERDICTS = ("sharp", "blurred", "beyond_repair", "undecided")
SHARP, BLURRED, BEYOND_REPAIR, UNDECIDED = range(4)

SCORER_GROUP = "semdaemon.scorers"
_BATCH_TILES = 64

REPAIRED_UP_TO_PX = 8.0
"""Blur up to which the shipped weights gain, by their card: what ``auto`` means where none was read."""

_ARRAYS = {"sigma_px": "f", "sigma_relative_sd": "f", "score": "f", "verdict": "u"}
"""Arrays of a map and the kind of their numbers."""


@dataclass(frozen=True)
class FocusMap:
    """Focus of one frame on a grid of tiles.

    Attributes
    ----------
    tile_px
        Side of a tile in pixels.
    area
        The image area that the grid covers, in frame coordinates.
    sigma_px
        (rows, cols) float32: equivalent Gaussian blur in pixels; NaN where undecided.
    sigma_relative_sd
        (rows, cols) float32: standard deviation of ``ln sigma_px``; NaN where there is no signal.
    score
        (rows, cols) float32: probability to be sharp, 0 to 1; NaN where undecided.
    verdict
        (rows, cols) uint8: index into `VERDICTS`.
    scorer
        Name and version or sha256 of what scored it.
    blur
        Of the frame as a whole; None where no tile's blur is known.
    survey
        What the frame as a whole shows; empty where the map was read back.
    """

    tile_px: int
    area: Area
    sigma_px: Array
    sigma_relative_sd: Array
    score: Array
    verdict: npt.NDArray[np.uint8]
    scorer: str
    blur: Blur | None = None
    survey: Survey = NOTHING

    @property
    def rows(self) -> int:
        return int(self.verdict.shape[0])

    @property
    def cols(self) -> int:
        return int(self.verdict.shape[1])

    def cell(self, row: int, col: int) -> Area:
        """Pixels of one tile in frame coordinates; the last row and column take the remainder."""
        return Grid(self.area, self.tile_px).cell(row, col)

    def counts(self) -> dict[str, int]:
        """Number of tiles of each verdict."""
        return {word: int(np.count_nonzero(self.verdict == code)) for code, word in enumerate(VERDICTS)}

    def median_sigma_px(self) -> float | None:
        """Median blur over the decided tiles, or None where there is none."""
        known = self.sigma_px[np.isfinite(self.sigma_px)]
        return float(np.median(known)) if known.size else None

    def as_json(self) -> dict[str, object]:
        """Plain lists of rows, null where undecided, verdicts as words."""
        return {
            "tile_px": self.tile_px,
            "image_area": self.area.as_list(),
            "scorer": self.scorer,
            "sigma_px": _rows(self.sigma_px, 3),
            "sigma_relative_sd": _rows(self.sigma_relative_sd, 3),
            "score": _rows(self.score, 4),
            "verdict": [[VERDICTS[code] for code in row] for row in self.verdict],
        }

    def to_bytes(self) -> bytes:
        """Compact form for the journal; `from_bytes` is its inverse."""
        header = {"tile_px": self.tile_px, "area": self.area.as_list(), "scorer": self.scorer}
        return packed(
            {
                "header": np.frombuffer(json.dumps(header).encode(), np.uint8),
                **{name: getattr(self, name) for name in _ARRAYS},
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> FocusMap:
        """Read what `to_bytes` wrote; raises `SemdaemonError` ``blob_damaged``."""
        arrays = unpacked(data)
        try:
            header = json.loads(arrays["header"].tobytes())
            maps: dict[str, Any] = {
                name: _checked(arrays[name], arrays["verdict"].shape, kind) for name, kind in _ARRAYS.items()
            }
            return cls(
                tile_px=int(header["tile_px"]),
                area=Area(*header["area"]),
                scorer=str(header["scorer"]),
                **maps,
            )
        except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError) as error:
            raise damaged(error) from error


def _checked(array: npt.NDArray[Any], shape: tuple[int, ...], kind: str) -> npt.NDArray[Any]:
    if array.ndim != 2 or array.shape != shape or array.dtype.kind != kind:
        raise ValueError(f"an array of shape {array.shape} and type {array.dtype} in a map of shape {shape}")
    return array


def focus_map(frame: Frame, settings: Focus, scorer: Scorer) -> FocusMap:
    """Score every tile of a frame's image area.

    Raises
    ------
    SemdaemonError
        Whatever the scorer raises.
    """
    settings = in_pixels(settings, frame)
    grid = Grid(frame.image_area, settings.tile_px)
    shape = (grid.rows, grid.cols)
    tiles = grid.tiles(frame.image)
    power = tile_power(tiles)
    fitness = examine(frame.image, tiles, power.noise)
    estimate, known, faint = estimate_alone(frame.image, tiles, scorer)
    known &= ~fitness.unfit
    faint &= ~fitness.unfit
    smoothness: Smoothness | None = getattr(scorer, "smoothness", None)
    if settings.context and smoothness:
        voice = voices(known, faint, smoothness)
        judged = judge_in_context(estimate, voice, shape, settings, smoothness)
    else:
        judged = judge(estimate, settings)
    sigma_px, relative_sd, score, verdict = judged
    verdict[~known] = UNDECIDED
    relative_sd[~known] = np.nan
    blur = frame_blur(sigma_px, relative_sd, settings.max_relative_sd)
    # From tiles alone: estimates that neighbours had a say in are no longer independent of each other.
    alone_sd = np.where(known, estimate.relative_sd, np.nan)
    surveyed = survey(frame.image, grid, fitness.artefacts, estimate.sigma_px, alone_sd, power)
    undecided = verdict == UNDECIDED
    sigma_px[undecided] = score[undecided] = np.nan
    return FocusMap(
        settings.tile_px,
        frame.image_area,
        sigma_px.reshape(shape),
        relative_sd.reshape(shape),
        score.reshape(shape),
        verdict.reshape(shape),
        scorer.name,
        blur,
        surveyed,
    )


def in_pixels(settings: Focus, frame: Frame) -> Focus:
    """The settings with ``sharp_sigma_px`` raised to ``sharp_sigma_nm`` where the frame has a pixel size."""
    if not settings.sharp_sigma_nm or frame.pixel_size_m is None:
        return settings
    pixel_nm = 1e9 * float(np.sqrt(np.prod(frame.pixel_size_m)))
    sharp_px = max(settings.sharp_sigma_px, settings.sharp_sigma_nm / pixel_nm)
    return settings.model_copy(update={"sharp_sigma_px": sharp_px})


def estimate_alone(
    image: Pixels, tiles: Sequence[Pixels], scorer: Scorer
) -> tuple[Estimate, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """What a scorer says of each tile of an image area by itself; which have signal; which may, in noise."""
    extremes = (image.min(), image.max())
    known, faint, parts = np.zeros(len(tiles), bool), np.zeros(len(tiles), bool), []
    for start in range(0, len(tiles), _BATCH_TILES):
        batch = np.stack(tiles[start : start + _BATCH_TILES])
        grey = batch.astype(np.float32)
        for number, (tile, levels) in enumerate(zip(grey, batch, strict=True), start):
            if not is_blank(levels, extremes):
                known[number] = stands_out(tile)
                faint[number] = not known[number]
        parts.append(scorer.estimate(grey))
    estimate = joined(parts)
    said = np.isfinite(estimate.sigma_px)
    return estimate, known & said, faint & said


def judge(estimate: Estimate, settings: Focus) -> tuple[Array, Array, Array, npt.NDArray[np.uint8]]:
    """The verdict rule: ``(sigma_px, relative_sd, score, verdict)`` of n tiles.

    Sharp where the probability of a blur below ``sharp_sigma_px`` reaches ``confidence``, blurred where its
    complement does, beyond repair where a blur above ``beyond_repair_sigma_px`` is the likelier; undecided
    otherwise, and wherever the blur's logarithm is known no better than ``max_relative_sd``.
    """
    sharp = estimate.probability_below(settings.sharp_sigma_px)
    limit_px = settings.beyond_repair_sigma_px
    beyond = 1 - estimate.probability_below(REPAIRED_UP_TO_PX if limit_px == "auto" else limit_px)
    decidable = estimate.relative_sd <= settings.max_relative_sd  # False for NaN
    is_sharp = decidable & (sharp >= settings.confidence)
    is_beyond = decidable & ~is_sharp & (beyond >= 0.5)
    is_blurred = decidable & ~is_sharp & ~is_beyond & (1 - sharp >= settings.confidence)
    verdict = np.select([is_sharp, is_blurred, is_beyond], [SHARP, BLURRED, BEYOND_REPAIR], UNDECIDED)
    return (
        np.array(estimate.sigma_px, np.float32),
        np.array(estimate.relative_sd, np.float32),
        sharp,
        verdict.astype(np.uint8),
    )


def judge_in_context(
    estimate: Estimate,
    voice: npt.NDArray[np.floating],
    shape: tuple[int, int],
    settings: Focus,
    smoothness: Smoothness,
) -> tuple[Array, Array, Array, npt.NDArray[np.uint8]]:
    """As `judge`, with the neighbours heard; undecided where they contradict what a tile says for sure.

    A particle that stands out of the plane of focus is a step on every side: nobody there can vouch for it.
    """
    alone = judge(estimate, settings)[3]
    sigma_px, relative_sd, score, verdict = judge(with_context(estimate, voice, shape, smoothness), settings)
    out_of_focus = [np.isin(codes, (BLURRED, BEYOND_REPAIR)) for codes in (alone, verdict)]
    heard = voice > 0
    verdict[heard & (alone == SHARP) & out_of_focus[1]] = UNDECIDED
    verdict[heard & out_of_focus[0] & (verdict == SHARP)] = UNDECIDED
    return sigma_px, relative_sd, score, verdict


def load_scorer(name: str, settings: Focus) -> Scorer:
    """The scorer of that name: ``sigma``, ``siraf`` and ``f4n`` are built in, others are entry points.

    Raises
    ------
    SettingsError
        ``unknown_plug`` where nothing of that name is installed.
    SemdaemonError
        ``plug_broken`` where it is installed and cannot be loaded, or what its factory raises.
    """
    if name == "sigma":
        from semdaemon.focus.sigma import SigmaScorer

        return cast(Scorer, SigmaScorer(threads=settings.threads))
    if name in CURVES:
        return MeasureScorer(name)
    plug = load_plug(SCORER_GROUP, name, "focus.scorer", built_in=("sigma", *CURVES))
    return cast(Callable[[Focus], Scorer], plug)(settings)


def _rows(values: Array, digits: int) -> list[list[Any]]:
    return [[round(float(v), digits) if np.isfinite(v) else None for v in row] for row in values]
