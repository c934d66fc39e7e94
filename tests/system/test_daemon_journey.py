"""The whole path on real frames: written slowly, scored, refocused, saved, published, verified."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zmq
from PIL import Image

from semdaemon.formats.output import read_output
from semdaemon.formats.verify import verify
from semdaemon.simulate import half_blurred
from semdaemon.training.frames import SOFT_CUTOFF
from semdaemon.training.reading import load_frames

RADIUS_PX, ELECTRONS_PER_PX = 5.0, 50.0


class Listening(threading.Thread):
    """A subscriber of pyzmq and json alone; keeps headers and the small arrays."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(daemon=True)
        self.headers: list[dict[str, Any]] = []
        self.verdicts: dict[str, np.ndarray] = {}
        self._socket = zmq.Context.instance().socket(zmq.SUB)
        self._socket.setsockopt(zmq.SUBSCRIBE, b"sem/")
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.connect(endpoint)
        self._end = threading.Event()

    def run(self) -> None:
        while not self._end.is_set():
            if not self._socket.poll(100):
                continue
            _topic, header_bytes, *buffers = self._socket.recv_multipart()
            header = json.loads(header_bytes)
            header["received_at"] = time.time()
            if header["event"] == "score":
                index = [array["name"] for array in header["arrays"]].index("verdict")
                shape = header["arrays"][index]["shape"]
                self.verdicts[header["frame"]["uri"]] = np.frombuffer(buffers[index], np.uint8).reshape(shape)
            self.headers.append(header)
        self._socket.close()

    def of(self, event: str) -> list[dict[str, Any]]:
        return [header for header in self.headers if header["event"] == event]

    def until_heartbeat(self) -> None:
        deadline = time.monotonic() + 10
        while not self.of("heartbeat"):
            assert time.monotonic() < deadline, "no heartbeat came"
            time.sleep(0.02)

    def end(self) -> None:
        self._end.set()
        self.join(5)


def write_in_pieces(path: Path, pixels: np.ndarray) -> None:
    """As an instrument writes: directory first, then the rows a few at a time."""
    whole = path.with_suffix(".whole")
    tifffile.imwrite(whole, pixels, rowsperstrip=16, photometric="minisblack")
    content = whole.read_bytes()
    whole.unlink()
    with path.open("wb") as file:
        step = max(1, len(content) // 4)
        for start in range(0, len(content), step):
            file.write(content[start : start + step])
            file.flush()
            time.sleep(0.02)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(max(np.mean((a.astype(np.float64) / 255 - b) ** 2), 1e-12)))


@pytest.mark.timeout(400)
def test_half_blurred_real_frames_are_scored_refocused_saved_and_published_once(
    sem_data: Path, tmp_path: Path, daemon: Callable[..., Any]
) -> None:
    folder = tmp_path / "acquisition"
    folder.mkdir()
    running = daemon(folder)
    listening = Listening(running.addresses["endpoint"])
    listening.start()
    listening.until_heartbeat()
    rng = np.random.default_rng(2021)
    truths, originals = {}, {}
    sources = sorted((sem_data / "heldout").glob("*.png"))
    for source in sources:
        sharp = np.asarray(Image.open(source).convert("L"), np.float32) / 255
        pixels, truth, _ = half_blurred(sharp, RADIUS_PX, ELECTRONS_PER_PX, rng, 8)
        path = folder / f"{source.stem}.tif"
        write_in_pieces(path, pixels)
        truths[path.as_uri()], originals[path.as_uri()] = truth, pixels
    running.wait_final(len(sources), 300)
    time.sleep(0.5)
    listening.end()
    assert running.counts()["published"] == len(sources), running.tail()

    scored = [header["frame"]["uri"] for header in listening.of("score")]
    assert sorted(scored) == sorted(truths)  # every frame, once
    right, decided, all_tiles = tally(listening)
    assert right >= 0.90 * decided, f"{right} of {decided} decided tiles right"
    assert decided >= 0.65 * all_tiles, f"{decided} of {all_tiles} tiles decided"

    # Frames that are soft by themselves are out of focus in both halves, and rightly refocused in both.
    soft = {
        Path(f.name).stem for f in load_frames(sem_data / "heldout", bin_soft=False) if f.cutoff < SOFT_CUTOFF
    }
    gains, untouched = [], []
    for header in listening.of("frame"):
        uri = header["frame"]["uri"]
        output = Path(header["output"].removeprefix("file://"))
        result = read_output(output)
        assert verify(output).ok
        assert (result.refocused[~result.mask] == originals[uri][~result.mask]).all()
        sharp_half = result.mask[:, : whole_tiles_left_of_the_middle(header, listening)]
        if Path(uri).stem not in soft:
            untouched.append(1.0 - sharp_half.mean())
        if not wrong_tiles(uri, listening, header):
            assert not sharp_half.any()  # bit for bit, by the check above
        gains.append(
            psnr(result.refocused[result.mask], truths[uri][result.mask])
            - psnr(originals[uri][result.mask], truths[uri][result.mask])
        )
    assert len(gains) >= 0.6 * len(sources)
    assert np.mean(untouched) >= 0.95, "too much of the sharp halves was refocused"
    assert np.mean(gains) > 1.0, f"mean gain inside the mask {np.mean(gains):.2f} dB"


def whole_tiles_left_of_the_middle(header: dict[str, Any], listening: Listening) -> int:
    """Where the last tile ends that lies wholly in the sharp half, in pixels."""
    tile = next(s for s in listening.of("score") if s["frame"]["uri"] == header["frame"]["uri"])["tile_px"]
    return int(header["frame"]["shape"][1] // 2 // tile * tile)


def wrong_tiles(uri: str, listening: Listening, header: dict[str, Any]) -> bool:
    """True where a tile of the sharp half was taken for blurred."""
    tile = next(s for s in listening.of("score") if s["frame"]["uri"] == uri)["tile_px"]
    columns = whole_tiles_left_of_the_middle(header, listening) // tile
    return bool((listening.verdicts[uri][:, :columns] == 1).any())


def tally(listening: Listening) -> tuple[int, int, int]:
    """Right, decided and all tiles, of those that lie wholly in one half."""
    right = decided = all_tiles = 0
    for header in listening.of("score"):
        verdict = listening.verdicts[header["frame"]["uri"]]
        tile, width = header["tile_px"], header["frame"]["shape"][1]
        for column in range(verdict.shape[1]):
            left = column * tile
            last = column == verdict.shape[1] - 1
            # The window scored for the last column may reach left of its cell: a full tile, shifted inside.
            start, stop = (min(left, width - tile), width) if last else (left, left + tile)
            if start < width / 2 < stop:
                continue
            expected = 0 if stop <= width / 2 else 1
            for code in verdict[:, column]:
                all_tiles += 1
                if code != 3:
                    decided += 1
                    right += int(code == expected)
    return right, decided, all_tiles


def test_a_large_frame_is_scored_within_a_second_by_a_small_parent(
    tmp_path: Path, daemon: Callable[..., Any]
) -> None:
    folder = tmp_path / "acquisition"
    folder.mkdir()
    running = daemon(folder, refocus={"enabled": False})
    listening = Listening(running.addresses["endpoint"])
    listening.start()
    listening.until_heartbeat()
    rng = np.random.default_rng(0)
    delays = []
    for number in range(3):
        picture = rng.integers(0, 60000, (2048, 2048), np.uint16)
        temporary, path = tmp_path / "moving.tif", folder / f"large{number}.tif"
        tifffile.imwrite(temporary, picture)
        temporary.rename(path)
        complete = time.time()
        deadline = time.monotonic() + 20
        while len(listening.of("score")) <= number:
            assert time.monotonic() < deadline, running.tail()
            time.sleep(0.01)
        delays.append(listening.of("score")[number]["received_at"] - complete)
    listening.end()
    # One second on an idle machine; CI machines are shared, so the test allows for a neighbour.
    assert min(delays) < 1.5, delays
    assert running.rss_bytes() < 300 * 2**20
