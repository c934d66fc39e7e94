"""Takes the README's picture of the page with a headless Chromium.

While ``semdaemon demo`` runs::

    python docs/make_screenshot.py http://127.0.0.1:8570 docs/images/page.png

``--frame 7`` shows a certain frame, else the newest refocused one.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--virtual-time-budget=8000",
)
LARGEST_BYTES = 400_000


def take(url: str, size: str) -> Image.Image:
    """The page as a browser shows it; ``size`` is ``width,height``."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        sys.exit("No Chromium found; on Debian: apt-get install chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        shot = Path(folder) / "page.png"
        flags = (*FLAGS, f"--user-data-dir={folder}/profile", f"--window-size={size}", f"--screenshot={shot}")
        subprocess.run([program, *flags, url], check=True, capture_output=True, timeout=120)
        return Image.open(io.BytesIO(shot.read_bytes())).convert("RGB")


def palette(picture: Image.Image) -> Image.Image:
    """256 colours: the page's own flat ones exactly, the rest spread over what the frames need."""
    counted = sorted(picture.getcolors(picture.width * picture.height) or [], reverse=True)
    flat = [colour for _, colour in counted[:64]] + [(grey, grey, grey) for grey in range(0, 256, 4)]
    spread = picture.quantize(128, Image.Quantize.MAXCOVERAGE).getpalette() or []
    chosen = Image.new("P", (1, 1))
    chosen.putpalette([level for colour in flat for level in colour] + spread[: 128 * 3])
    return chosen


def packed(picture: Image.Image) -> bytes:
    """PNG below `LARGEST_BYTES`: fewer colours first, then smaller."""
    scale = 1.0
    while True:
        size = (round(picture.width * scale), round(picture.height * scale))
        small = picture if scale == 1.0 else picture.resize(size, Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        few = small.quantize(palette=palette(small), dither=Image.Dither.NONE)
        few.save(buffer, "PNG", optimize=True)
        if buffer.tell() < LARGEST_BYTES:
            return buffer.getvalue()
        scale -= 0.05


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("url", help="the page, e.g. http://127.0.0.1:8570")
    parser.add_argument("output", type=Path, nargs="?", default=Path("docs/images/page.png"))
    parser.add_argument("--frame", type=int, help="number of the frame to show")
    parser.add_argument("--size", default="1440,900")
    parser.add_argument("--query", default="", help="further parameters of the page, e.g. view=side&wipe=40")
    given = parser.parse_args()
    chosen = f"frame={given.frame}" if given.frame else "follow=refocused"
    # "still" loads once: a stream of events would keep the browser waiting for ever.
    picture = take(f"{given.url.rstrip('/')}/?still&{chosen}&{given.query}", given.size)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_bytes(packed(picture))
    print(f"{given.output}: {given.output.stat().st_size / 1000:.0f} kB")  # noqa: T201 - its result


if __name__ == "__main__":
    main()
