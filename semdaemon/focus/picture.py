"""Pictures for people: previews, focus maps over frames, badges, comparisons."""

from __future__ import annotations

import io
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from semdaemon.focus.lettering import INK, PAPER, font, text_size
from semdaemon.focus.overlay import overlay, scale_bar
from semdaemon.frame import Area, Pixels, binned, intensity_range

Grey = npt.NDArray[np.uint8]

__all__ = ["badge", "encode", "overlay", "preview", "scale_bar", "side_by_side"]

_GAP_PX = 6


def preview(
    pixels: Pixels, area: Area, longest_px: int, *, levels: tuple[float, float] | None = None
) -> Grey:
    """A frame as an 8-bit picture, contrast stretched by the percentiles of its image area.

    Parameters
    ----------
    pixels
        (h, w), any dtype: the whole frame, data bar included.
    area
        The image area, which alone decides the contrast.
    longest_px
        Longest side of the result; a smaller frame keeps its size.
    levels
        Grey levels shown black and white, for pictures that are compared; the frame's own where None.

    Returns
    -------
    (round(h s), round(w s)) uint8 with s = min(1, longest_px / max(h, w)).
    """
    low, high = intensity_range(pixels[area.slices]) if levels is None else levels
    small = _reduced(pixels, longest_px)
    grey = small - low
    grey *= 255.0 / (high - low)
    np.rint(grey, out=grey)
    return np.clip(grey, 0, 255, out=grey).astype(np.uint8)


def badge(image: Grey | Image.Image, text: str) -> Image.Image:
    """The picture with a label burnt into its upper right corner: what was done to it stays with it."""
    picture = _rgb(image)
    draw = ImageDraw.Draw(picture, "RGBA")
    letters = font(max(11, min(22, picture.width // 45)))
    width, height = text_size(draw, text, letters)
    pad = height // 2
    left = picture.width - width - 3 * pad
    frame = (left, pad, picture.width - pad, height + 3 * pad)
    draw.rounded_rectangle(frame, radius=pad, fill=(*PAPER, 215), outline=(*INK, 120))
    draw.text((left + pad, (frame[1] + frame[3]) / 2), text, font=letters, fill=INK, anchor="lm")
    return picture


def side_by_side(
    original: Grey | Image.Image, refocused: Grey | Image.Image, *, label: str = "refocused by network"
) -> Image.Image:
    """Original left, refocused right, each labelled; for pictures of equal size."""
    left, right = badge(original, "original"), badge(refocused, label)
    if left.size != right.size:
        raise ValueError(f"pictures of one size are compared, not {left.size} and {right.size}")
    both = Image.new("RGB", (left.width + _GAP_PX + right.width, left.height), PAPER)
    both.paste(left, (0, 0))
    both.paste(right, (left.width + _GAP_PX, 0))
    return both


def encode(image: Grey | Image.Image, kind: Literal["jpeg", "png"]) -> bytes:
    """A picture as the bytes of a JPEG (quality 88) or PNG file."""
    picture = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    buffer = io.BytesIO()
    if kind == "jpeg":
        picture.save(buffer, "JPEG", quality=88)
    else:
        picture.save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def _reduced(pixels: Pixels, longest_px: int) -> npt.NDArray[np.float32]:
    """Means of blocks first (cheap, no full-size float copy), then a smooth resize to the exact size."""
    height, width = pixels.shape
    scale = min(1.0, longest_px / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    block = max(1, int(1 / scale))
    if block > 1 and min(height, width) >= block:
        pixels = binned(pixels, block)
    grey = pixels.astype(np.float32, copy=False)
    if grey.shape == size[::-1]:
        return grey
    return np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC, reducing_gap=None))


def _rgb(image: Grey | Image.Image) -> Image.Image:
    return (Image.fromarray(image) if isinstance(image, np.ndarray) else image).convert("RGB")
