"""What all vendors' readers tell about one page, as one answer."""

from __future__ import annotations

from datetime import datetime

from semdaemon.formats.ifd import Ifd
from semdaemon.formats.vendors import READERS, Evidence, Told
from semdaemon.formats.vendors.texts import moment
from semdaemon.formats.vendors.told import plausible

_PARSE_FAULTS = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
_UNIT_M = {2: 0.0254, 3: 0.01}
_MAX_PIXEL_FROM_RESOLUTION_M = 1e-5  # coarser is a printer's or a screen's resolution, not a scale


def gather(evidence: Evidence) -> Told:
    """One answer from all readers; the first in the table that knows a thing wins.

    ``vendor`` is ``""`` where nobody knows the file.
    """
    answers, warnings = _ask_all(evidence)
    size_m, more = _pixel_size(answers, evidence)
    main = answers[0] if answers else Told("")
    metadata: dict[str, object] = dict(main.metadata)
    for other in answers[1:]:
        if other.metadata:
            metadata.setdefault(other.vendor, dict(other.metadata))
    return Told(
        vendor=main.vendor,
        metadata=metadata,
        pixel_size_m=size_m,
        acquired_at=next((a.acquired_at for a in answers if a.acquired_at), None)
        or _tiff_moment(evidence.page),
        picture=next((a.picture for a in answers if a.picture), None),
        warnings=(*warnings, *more),
    )


def _ask_all(evidence: Evidence) -> tuple[list[Told], tuple[str, ...]]:
    answers: list[Told] = []
    warnings: tuple[str, ...] = ()
    for vendor, reader in READERS.items():
        try:
            told = reader(evidence)
        except _PARSE_FAULTS as error:
            # Metadata never cost a frame: what does not parse is said and left.
            warnings += (f"{vendor} metadata do not parse: {error}",)
            continue
        if told is not None:
            answers.append(told)
            warnings += told.warnings
    return answers, warnings


def _pixel_size(
    answers: list[Told], evidence: Evidence
) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    warnings: tuple[str, ...] = ()
    for told in answers:
        if told.pixel_size_m is None:
            continue
        if plausible(told.pixel_size_m):
            return told.pixel_size_m, warnings
        warnings += (f"{told.vendor} gives a pixel size of {told.pixel_size_m[1]:.3g} m: not believed",)
    return (_from_resolution(evidence.page), warnings) if not answers else (None, warnings)


def _from_resolution(page: Ifd | None) -> tuple[float, float] | None:
    unit = _UNIT_M.get(page.number(296, 2)) if page is not None else None
    if page is None or unit is None:
        return None
    x, y = ((page.numbers(code) or (0.0,))[0] for code in (282, 283))
    if x <= 0 or y <= 0 or unit / x > _MAX_PIXEL_FROM_RESOLUTION_M:
        return None
    return plausible((unit / y, unit / x))


def _tiff_moment(page: Ifd | None) -> datetime | None:
    text = page.text(306) if page is not None else ""
    return moment([text], ["%Y:%m:%d %H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M:%S"])
