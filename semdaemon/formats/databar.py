"""The vendor's data bar: found from metadata, else from the pixels.

A missed bar costs a few wrong verdicts; picture taken for a bar is lost to the user. So the pixels must speak
clearly: exact flat background, text on it, and an edge that runs through the whole width in one row.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from semdaemon.frame import Area, Pixels

_MAX_SHARE = 0.35  # of the frame's rows
_MIN_ROWS = 12
_EDGE_FLAT = 0.98  # share of the bar's first row that is one value: a border line, or background
_ROW_FLAT = 0.5  # share of a row inside the bar that is background (text and boxes take the rest)
_MAX_GAP_ROWS = 3  # rows that a box or thick rule may fill inside the bar
_BAR_FLAT = 0.6  # share of the whole bar that is background
_MIN_TEXT, _MAX_TEXT = 0.003, 0.4  # share of the bar that is neither background nor a full-width line
_LOSSY_BITS = 6  # four grey levels: what ringing leaves of flat areas
_ABOVE_FLAT = 0.5  # the picture's last row has less of the edge's value than this

Flags = npt.NDArray[np.bool_]


def image_area(
    pixels: Pixels, picture: tuple[int, int] | None, *, min_side_px: int = 1, lossy: bool = False
) -> Area:
    """The part of a frame that is picture.

    Parameters
    ----------
    pixels
        (rows, columns), any dtype.
    picture
        (rows, columns) of the picture from the top left corner, as metadata told, or None.
    min_side_px
        A smaller picture is not believed.
    lossy
        The file rounds (JPEG): flat areas are flat only roughly.
    """
    rows, columns = pixels.shape
    top = None
    if picture is not None and picture[1] == columns and picture[0] < rows:
        # A picture that was cropped or scaled after its metadata were written is not what they tell of.
        top = picture[0] if picture[0] >= rows * (1 - 1.5 * _MAX_SHARE) else None
    if top is None:
        top = bar_top(pixels >> _LOSSY_BITS if lossy and pixels.dtype.kind == "u" else pixels)
    if top is None or top < min_side_px:
        return Area.whole(pixels.shape)
    return Area(0, 0, int(top), int(columns))


def bar_top(pixels: Pixels) -> int | None:
    """First row of a data bar at the bottom, from the pixels alone; None where there is none.

    Parameters
    ----------
    pixels
        (rows, columns), any dtype.
    """
    rows = pixels.shape[0]
    lowest = pixels[rows - max(_MIN_ROWS, int(rows * _MAX_SHARE)) :]
    # An overlaid bar may end a row or two above the bottom, so the median of the last rows decides.
    if lowest.shape[0] >= rows or np.median(_flatness(lowest[-_MIN_ROWS:])) < _ROW_FLAT:
        return None
    background = _most_common(lowest[-_MIN_ROWS:])
    flat = _share(lowest, background)
    like_bar = (flat >= _ROW_FLAT) | (_flatness_where(lowest, flat < _ROW_FLAT) >= _EDGE_FLAT)
    for row in range(_run_from_below(like_bar), lowest.shape[0] - _MIN_ROWS + 1):
        if _is_edge(lowest, row) and _is_bar(lowest[row:], background):
            return int(rows - lowest.shape[0] + row)
    return None


def _flatness(rows: Pixels) -> npt.NDArray[np.float64]:
    """Per row, the share of its median: of the most common value wherever that has more than one half."""
    middle = np.partition(rows, rows.shape[1] // 2, axis=1)[:, rows.shape[1] // 2]
    return np.asarray((rows == middle[:, None]).mean(axis=1))


def _flatness_where(rows: Pixels, wanted: Flags) -> npt.NDArray[np.float64]:
    found = np.zeros(rows.shape[0])
    if wanted.any():
        found[wanted] = _flatness(rows[wanted])
    return found


def _share(rows: Pixels, value: object) -> npt.NDArray[np.float64]:
    return np.asarray((rows == value).mean(axis=1))


def _most_common(rows: Pixels) -> object:
    values, counts = np.unique(rows, return_counts=True)
    return values[counts.argmax()]


def _run_from_below(like_bar: Flags) -> int:
    """First row of the run of bar-like rows that reaches the bottom, short gaps allowed."""
    first, gap = like_bar.size, 0
    for row in range(like_bar.size - 1, -1, -1):
        if like_bar[row]:
            first, gap = row, 0
        else:
            gap += 1
            if gap > _MAX_GAP_ROWS:
                break
    return first


def _is_edge(rows: Pixels, row: int) -> bool:
    """One flat row, and the row above it has nothing of the kind."""
    if row == 0:
        return False
    value = np.partition(rows[row], rows.shape[1] // 2)[rows.shape[1] // 2]
    edge, above = (rows[row] == value).mean(), (rows[row - 1] == value).mean()
    return bool(edge >= _EDGE_FLAT and above < _ABOVE_FLAT)


def _is_bar(rows: Pixels, background: object) -> bool:
    """Mostly background, some text that stands out from it, and few grey levels."""
    lines = _flatness(rows) >= _EDGE_FLAT
    inside = rows[~lines]
    if rows.shape[0] < _MIN_ROWS or inside.shape[0] == 0:
        return False
    different = inside != background
    text = different.sum() / rows.size
    return bool(1 - different.mean() >= _BAR_FLAT and _MIN_TEXT <= text <= _MAX_TEXT)
