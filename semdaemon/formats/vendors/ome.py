"""OME-TIFF: XML in the first directory's description."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from xml.etree import ElementTree as ET

from semdaemon.formats.vendors.texts import iso_moment, local_name, number, parse_xml, plain, unit_m
from semdaemon.formats.vendors.told import Evidence, Told


def parse(evidence: Evidence) -> Told | None:
    """What OME-XML tells about a page; None where there is none."""
    first = evidence.first
    text = first.text(270).strip() if first is not None else ""
    if "<OME" not in text[:2048] or not text.endswith("OME>"):
        return None
    try:
        root = parse_xml(text)
    except ValueError as error:
        return Told("ome", warnings=(f"OME-XML: {error}",))
    image = _image_of_page(root, evidence.page.index if evidence.page is not None else 0)
    if image is None:
        return Told("ome", warnings=("OME-XML without an image",))
    pixels = next(_named(image, "Pixels"), None)
    attributes = dict(pixels.attrib) if pixels is not None else {}
    return Told(
        vendor="ome",
        metadata={"Name": image.get("Name", ""), **{key: plain(value) for key, value in attributes.items()}},
        pixel_size_m=_pixel_size(attributes),
        acquired_at=_acquired(image),
    )


def _named(element: ET.Element, name: str) -> Iterator[ET.Element]:
    return (child for child in element.iter() if local_name(str(child.tag)) == name)


def _image_of_page(root: ET.Element, index: int) -> ET.Element | None:
    """The image whose TiffData covers a directory; the first one where none says so."""
    images = list(_named(root, "Image"))
    for image in images:
        for data in _named(image, "TiffData"):
            start, planes = number(data.get("IFD", 0)) or 0, number(data.get("PlaneCount", 1)) or 1
            if start <= index < start + planes:
                return image
    return images[0] if images else None


def _pixel_size(attributes: dict[str, str]) -> tuple[float, float] | None:
    sides = []
    for axis in "YX":
        size = number(attributes.get(f"PhysicalSize{axis}"))
        unit = unit_m(attributes.get(f"PhysicalSize{axis}Unit", "µm"))
        if not size or not unit:
            return None
        sides.append(size * unit)
    return (sides[0], sides[1])


def _acquired(image: ET.Element) -> datetime | None:
    date = next(_named(image, "AcquisitionDate"), None)
    return iso_moment(date.text or "") if date is not None else None
