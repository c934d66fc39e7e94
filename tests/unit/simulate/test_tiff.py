"""The TIFF bytes are valid when complete and recognisably incomplete before."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tifffile

from semdaemon.simulate.acquisition import VendorTag
from semdaemon.simulate.tiff import encode


@pytest.mark.parametrize("directory_first", [True, False])
@pytest.mark.parametrize("rows_per_strip", [1, 7, 1000])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_tifffile_reads_back_pixels_and_tags(directory_first: bool, rows_per_strip: int, kind: type) -> None:
    pixels = np.random.default_rng(0).integers(0, np.iinfo(kind).max, (61, 47)).astype(kind)
    tags = (VendorTag(65000, "20 µm\r\nat 3°"),)
    encoded = encode(
        pixels,
        tags,
        rows_per_strip=rows_per_strip,
        directory_first=directory_first,
        pixel_size_m=20e-9,
    )
    with tifffile.TiffFile(io.BytesIO(encoded.data)) as file:
        assert len(file.pages) == 1
        page = file.pages.first
        assert np.array_equal(page.asarray(), pixels)
        assert page.tags[65000].count == len("20 µm\r\nat 3°") + 1
        assert page.tags["XResolution"].value == (500000, 1)


def test_a_directory_at_the_end_is_unreachable_while_writing() -> None:
    pixels = np.zeros((8, 8), np.uint8)
    last = encode(pixels, directory_first=False)
    assert last.header_while_writing == b"II*\0\0\0\0\0"
    first = encode(pixels, directory_first=True)
    assert first.header_while_writing == first.data[:8]
