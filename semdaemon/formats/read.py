"""A file becomes frames."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from semdaemon.errors import FrameError
from semdaemon.formats import faults, grey, tiff
from semdaemon.formats.databar import image_area
from semdaemon.formats.disk import FileBytes, read_bytes
from semdaemon.formats.kind import extension_warnings, sniff
from semdaemon.formats.metadata import gather
from semdaemon.formats.picture import read_picture
from semdaemon.formats.sidecar import read_sidecar
from semdaemon.formats.vendors import Evidence, Told
from semdaemon.frame import Area, Frame, Pixels, frame_id
from semdaemon.settings import Limits


@dataclass(frozen=True)
class _Grey:
    """One page, decoded."""

    number: int
    pixels: Pixels
    area: Area
    told: Told
    warnings: tuple[str, ...]


def read_frames(
    path: Path,
    *,
    source: str = "folder",
    uri: str | None = None,
    limits: Limits,
    sidecar: str = "auto",
    only_page: int | None = None,
    follow_links: bool = True,
) -> list[Frame]:
    """Every grey page of a file as a frame.

    The file is read once and closed; headers are checked against the limits before anything is decoded.

    Parameters
    ----------
    source
        Name of the source, kept in the frames.
    uri
        Origin; None makes one from the path. Pages after the first get ``#page=N`` behind it.
    sidecar
        ``auto``, ``hdr``, ``txt`` or ``none`` (see `sidecar_path`).
    only_page
        This page alone (from 0, thumbnails not counted).
    follow_links
        Whether ``path`` may be a symbolic link; one in an acquisition folder may lead anywhere.

    Raises
    ------
    FrameError
        Codes in ``docs/formats.md``; ``may_heal`` where the file may still be being written.
        A page of several that cannot be served is left out with a warning, unless no other is left.
    """
    file = read_bytes(path, limits.max_file_bytes, follow_links=follow_links)
    kind = sniff(path, file.data)
    warnings = extension_warnings(path, kind)
    text, more = read_sidecar(path, sidecar)
    good, left_out = _sorted_out(_pages(file, kind, limits, text, only_page))
    origin = uri if uri is not None else path.resolve().as_uri()
    return [_frame(page, file, source, origin, (*warnings, *more, *left_out)) for page in good]


def read_metadata(path: Path, *, page: int = 0, sidecar: str = "auto", max_file_bytes: int = 2**33) -> Told:
    """What vendors' tags, texts and sidecars tell about a file's page, without looking at its pixels.

    Serves blanked or unreadable pictures too, as long as the directory is whole.

    Raises
    ------
    FrameError
        Where the file or its directory cannot be read.
    """
    file = read_bytes(path, max_file_bytes)
    text, warnings = read_sidecar(path, sidecar)
    if sniff(path, file.data) != "tiff":
        told = gather(Evidence((0, 0), sidecar=text))
    else:
        chosen = _chosen(path, tiff.pages(path, file.data), page)[0][1]
        told = gather(_evidence(chosen, file, text))
    return Told(**{**vars(told), "warnings": (*warnings, *told.warnings)})


def page_tags(path: Path, data: bytes, page: int) -> tiff.TiffPage | None:
    """The directory behind a frame's page; None where the file is no TIFF."""
    if sniff(path, data) != "tiff":
        return None
    return _chosen(path, tiff.pages(path, data), page)[0][1]


def _pages(
    file: FileBytes, kind: str, limits: Limits, sidecar: str | None, only_page: int | None
) -> Iterator[_Grey | FrameError]:
    """Pages, or what is wrong with them; faults that waiting may heal concern the whole file: raised."""
    if kind != "tiff":
        if only_page:
            raise faults.no_such_page(file.path, only_page, 1)
        pixels, warnings = read_picture(file.path, file.data, kind, limits)
        told = gather(Evidence(pixels.shape, sidecar=sidecar))
        yield _checked(file.path, limits, 0, pixels, told, warnings, lossy=kind == "jpeg")
        return
    chosen = _chosen(file.path, tiff.pages(file.path, file.data), only_page)
    _check_memory(file.path, [page for _, page in chosen], limits)
    for number, page in chosen:
        try:
            yield _tiff_page(file, number, page, limits, sidecar)
        except FrameError as error:
            if error.may_heal:
                raise
            yield error


def _chosen(path: Path, pages: list[tiff.TiffPage], only: int | None) -> list[tuple[int, tiff.TiffPage]]:
    if only is None:
        return list(enumerate(pages))
    if not 0 <= only < len(pages):
        raise faults.no_such_page(path, only, len(pages))
    return [(only, pages[only])]


def _check_memory(path: Path, pages: list[tiff.TiffPage], limits: Limits) -> None:
    total = sum(page.plane_bytes for page in pages)
    most = max(limits.max_file_bytes, limits.max_pixels * tiff.MOST_BYTES_A_PIXEL)
    if len(pages) > 1 and total > most:
        raise faults.too_large(
            path, f"its {len(pages)} pages decode to {total:,} bytes; at most {most:,} are taken"
        )


def _tiff_page(
    file: FileBytes, number: int, page: tiff.TiffPage, limits: Limits, sidecar: str | None
) -> _Grey:
    tiff.check(file.path, page, limits, len(file.data))
    samples = tiff.decode(file.path, page, file.data)
    colours = tiff.palette(page)
    if colours is not None and samples.ndim == 2 and samples.dtype.kind == "u":
        samples = grey.from_palette(file.path, samples, colours)
    lossy = page.compression in tiff.LOSSY
    pixels, warnings = grey.to_grey(file.path, samples, colour=tiff.is_colour_model(page), lossy=lossy)
    told = gather(_evidence(page, file, sidecar))
    return _checked(file.path, limits, number, pixels, told, warnings, lossy=lossy)


def _evidence(page: tiff.TiffPage, file: FileBytes, sidecar: str | None) -> Evidence:
    first = page.ifd if page.ifd.index == 0 else tiff.first_directory(file.path, file.data)
    return Evidence(page.ifd.shape, page.ifd, first, sidecar)


def _checked(
    path: Path,
    limits: Limits,
    number: int,
    pixels: Pixels,
    told: Told,
    warnings: tuple[str, ...],
    *,
    lossy: bool,
) -> _Grey:
    grey.check_finite(path, pixels)
    area = image_area(pixels, told.picture, min_side_px=limits.min_side_px, lossy=lossy)
    grey.check_not_constant(path, pixels[area.slices])
    return _Grey(number, pixels, area, told, warnings)


def _sorted_out(pages: Iterator[_Grey | FrameError]) -> tuple[list[_Grey], tuple[str, ...]]:
    good: list[_Grey] = []
    bad: list[tuple[int, FrameError]] = []
    for number, page in enumerate(pages):
        if isinstance(page, FrameError):
            bad.append((number, page))
        else:
            good.append(page)
    if not good:
        raise bad[0][1]
    return good, tuple(f"page {number} is left out: {error.message} [{error.code}]" for number, error in bad)


def _frame(page: _Grey, file: FileBytes, source: str, origin: str, warnings: tuple[str, ...]) -> Frame:
    uri = f"{re.sub(r'#page=[0-9]+$', '', origin)}#page={page.number}" if page.number else origin
    pixels = page.pixels.view()
    pixels.flags.writeable = False
    return Frame(
        id=frame_id(file.sha256, uri),
        source=source,
        uri=uri,
        pixels=np.asarray(pixels),
        content_sha256=file.sha256,
        image_area=page.area,
        pixel_size_m=page.told.pixel_size_m,
        acquired_at=page.told.acquired_at,
        vendor=page.told.vendor or None,
        metadata=page.told.metadata,
        page=page.number,
        warnings=(*warnings, *page.warnings, *page.told.warnings),
    )
