"""A frame's focus as lines for a terminal of 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from semdaemon.cli.printable import printable
from semdaemon.focus import VERDICTS, FocusMap
from semdaemon.focus.overlay import length_text
from semdaemon.focus.sentences import sentences

_WIDTH = 80
_NAME = 28
_COLOURS = ("green", "yellow", "magenta", "bright_black")
_WIDTHS = (6, 8, 7, 10)
_HEADS = ("sharp", "blurred", "beyond", "undecided")


def heading() -> str:
    """Names of the columns of `lines`."""
    counts = "".join(f"{head:>{width}}" for head, width in zip(_HEADS, _WIDTHS, strict=True))
    return f"{'file':<{_NAME}}{counts}{'blur':>9}{'length':>11}"


def lines(
    name: str, focus: FocusMap, pixel_size_m: float | None, aperture_rad: float | None
) -> Iterator[tuple[str, str]]:
    """``(text, style)``: one line of figures, then what is to be said of the frame as a whole."""
    yield f"{shortened(printable(name)):<{_NAME}}", ""
    for word, width, colour in zip(VERDICTS, _WIDTHS, _COLOURS, strict=True):
        count = focus.counts()[word]
        yield f"{count:>{width}}", colour if count else "dim"
    median = focus.median_sigma_px()
    length = length_text(median * pixel_size_m) if median is not None and pixel_size_m is not None else "-"
    yield f"{'-' if median is None else f'{median:.2f} px':>9}{length:>11}\n", ""
    for sentence in sentences(focus.survey, aperture_rad):
        for line in textwrap.wrap(sentence.text, _WIDTH, initial_indent="  ", subsequent_indent="    "):
            yield f"{line}\n", "bold yellow" if sentence.warns else "dim"


def shortened(name: str, width: int = _NAME - 2) -> str:
    """A name that fits its column, its middle left out: beginning and end tell frames of a run apart."""
    if len(name) <= width:
        return name
    end = 2 * width // 3
    return f"{name[: width - end - 1]}…{name[-end:]}"
