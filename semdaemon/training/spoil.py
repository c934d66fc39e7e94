"""What spoils a frame between detector and file: for tests and figures of `semdaemon.focus.artefacts`.

Each takes and gives 8-bit pixels, (h, w) uint8, of a frame that has its noise already.
"""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Pixels = npt.NDArray[np.uint8]


def with_scale_bar(pixels: Pixels, at: tuple[int, int], *, length_px: int = 90, text: str = "2 µm") -> Pixels:
    """A white bar and letters without a box, burnt in with their upper left corner ``at`` (row, column)."""
    top, left = at
    picture = Image.fromarray(pixels.copy())
    draw = ImageDraw.Draw(picture)
    draw.text((left, top), text.replace("µ", "u"), font=ImageFont.load_default(20), fill=255)
    draw.rectangle((left, top + 30, left + length_px - 1, top + 35), fill=255)
    return np.asarray(picture)


def with_data_bar(pixels: Pixels, height_px: int = 64) -> Pixels:
    """The last rows become a black bar with white lettering, as vendors burn it in."""
    picture = Image.fromarray(pixels.copy())
    draw = ImageDraw.Draw(picture)
    top, width = pixels.shape[0] - height_px, pixels.shape[1]
    draw.rectangle((0, top, width - 1, pixels.shape[0] - 1), fill=0)
    text = "EHT = 5.00 kV   WD = 4.9 mm   Signal A = InLens   Mag = 20.00 K X   12 Nov"
    draw.text((8, top + height_px // 4), text, font=ImageFont.load_default(height_px // 3), fill=255)
    draw.rectangle((width - 110, top + height_px - 12, width - 20, top + height_px - 8), fill=255)
    return np.asarray(picture)


def interlaced(pixels: Pixels, shift_px: int = 2) -> Pixels:
    """Every other row from another moment: moved sideways by a drift of ``shift_px``."""
    out = pixels.copy()
    out[1::2] = np.roll(pixels[1::2], shift_px, axis=1)
    return out


def line_repeated(pixels: Pixels, rows: int = 2) -> Pixels:
    """Each row stands ``rows`` times, the others are lost."""
    return np.repeat(pixels[::rows], rows, axis=0)[: pixels.shape[0]]


def line_averaged(pixels: Pixels, rows: int = 2) -> Pixels:
    """Groups of ``rows`` rows replaced by their mean."""
    height = pixels.shape[0] // rows * rows
    means = pixels[:height].reshape(-1, rows, pixels.shape[1]).mean(axis=1)
    out = pixels.copy()
    out[:height] = np.repeat(np.rint(means).astype(np.uint8), rows, axis=0)
    return out


def running_line_average(pixels: Pixels, rows: int = 4) -> Pixels:
    """Each row replaced by the mean of itself and the ``rows - 1`` before."""
    padded = np.pad(pixels.astype(np.float32), ((rows - 1, 0), (0, 0)), mode="edge")
    total = sum(padded[k : k + pixels.shape[0]] for k in range(rows))
    return np.asarray(np.rint(total / rows), np.uint8)


def charging_streaks(
    pixels: Pixels, rng: np.random.Generator, *, height: float = 0.15, share: float = 0.15
) -> Pixels:
    """Bright and dark streaks along the fast axis: a ``share`` of the rows, each over a part of its length.

    ``height`` is the streaks' standard deviation as a share of full scale; each decays along its row.
    """
    rows, cols = pixels.shape
    streaks = np.zeros(pixels.shape, np.float32)
    columns = np.arange(cols)
    for _ in range(max(1, round(share * rows))):
        row, start = int(rng.integers(rows)), int(rng.integers(-cols // 2, cols))
        decay = np.exp(-np.clip(columns - start, 0, None) / rng.uniform(cols / 8, cols)) * (columns >= start)
        streaks[row] += rng.standard_normal() * height * decay.astype(np.float32)
    return np.asarray(np.clip(np.rint(pixels + 255 * streaks), 0, 255), np.uint8)


def saturated(pixels: Pixels, share: float) -> Pixels:
    """Gain turned up until ``share`` of the pixels stand at white."""
    level = float(np.quantile(pixels, 1 - share))
    return np.asarray(np.clip(np.rint(pixels * (255.0 / max(1.0, level))), 0, 255), np.uint8)


def upscaled(pixels: Pixels, factor: float, *, method: str = "bicubic") -> Pixels:
    """Resampled to ``factor`` times the size and cut to the old one."""
    kind = {
        "nearest": Image.Resampling.NEAREST,
        "bilinear": Image.Resampling.BILINEAR,
        "bicubic": Image.Resampling.BICUBIC,
        "lanczos": Image.Resampling.LANCZOS,
    }[method]
    height, width = pixels.shape
    small = Image.fromarray(pixels[: int(height / factor) + 1, : int(width / factor) + 1])
    size = (round(small.width * factor), round(small.height * factor))
    return np.asarray(small.resize(size, kind))[:height, :width].copy()


def jpeg(pixels: Pixels, quality: int) -> Pixels:
    """Through a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer)).copy()


def posterised(pixels: Pixels, levels: int, *, dim: bool = False) -> Pixels:
    """Only ``levels`` grey levels: spread over the range, or (``dim``) the lowest ones side by side."""
    step = np.floor(pixels.astype(np.float32) * (levels / 256))
    return np.asarray(step if dim else np.rint(step * (255 / max(1, levels - 1))), np.uint8)


def smear_kernel(length_px: float, angle_rad: float) -> npt.NDArray[np.float32]:
    """Drift or vibration: a probe that moved evenly along a line, odd and square, sum 1."""
    half = int(np.ceil(length_px / 2)) + 1
    kernel = np.zeros((2 * half + 1, 2 * half + 1))
    steps = np.linspace(-length_px / 2, length_px / 2, 64 * half)
    x, y = half + steps * np.cos(angle_rad), half + steps * np.sin(angle_rad)
    col, row = np.floor(x).astype(int), np.floor(y).astype(int)
    right, down = x - col, y - row
    for rows, high in ((row, 1 - down), (row + 1, down)):
        for cols, wide in ((col, 1 - right), (col + 1, right)):
            np.add.at(kernel, (rows, cols), high * wide)
    return np.asarray(kernel / kernel.sum(), np.float32)
