"""The subscriber of docs/wire-format.md, as it stands there: pyzmq and json, nothing of semdaemon."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np

from semdaemon.settings import Publish
from semdaemon.wire.publisher import Publisher

PAGE = Path(__file__).resolve().parents[2] / "docs" / "wire-format.md"
GIVEN = ("schema", "event", "epoch", "sequence", "published_at", "arrays", "blobs")
FRAME = {"id": "0", "source": "folder", "uri": "file:///x/lath%201.tif", "shape": [256, 256], "type": "uint8"}


def _program(what: str = "text") -> str:
    found = re.search(
        rf"<!-- the tests run this {what} -->\n```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL
    )
    assert found is not None
    return found[1]


def test_it_has_ten_lines_and_nothing_of_semdaemon():
    program = _program()
    assert len([line for line in program.splitlines() if line.strip()]) == 10
    assert "semdaemon" not in program


def test_it_prints_what_is_published(tmp_path):
    publisher = Publisher(Publish(endpoint="tcp://127.0.0.1:*", control="")).start()
    program = tmp_path / "listener.py"
    program.write_text(_program().replace("tcp://127.0.0.1:5570", publisher.endpoint), encoding="utf-8")
    listener = subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE, text=True)
    heard = threading.Event()
    verdict = np.array([[0, 1], [1, 3]], np.uint8)
    grey = np.zeros((2, 2), np.float32)

    def publish_until_heard() -> None:
        # Ten lines do not wait for the subscription; what is published before it is not theirs.
        while not heard.wait(0.05):
            arrays = [("sigma_px", grey), ("score", grey), ("verdict", verdict)]
            publisher.publish("score", {"frame": FRAME, "tile_px": 128}, arrays)

    speaker = threading.Thread(target=publish_until_heard)
    speaker.start()
    try:
        said = listener.stdout.readline()
    finally:
        heard.set()
        speaker.join()
        listener.terminate()
        listener.communicate(timeout=10)
        publisher.close()
    assert said == "file:///x/lath%201.tif 2 of 4 tiles are blurred\n"


def test_the_one_that_listens_to_advice_prints_the_golden_advice(tmp_path):
    publisher = Publisher(Publish(endpoint="tcp://127.0.0.1:*", control="tcp://127.0.0.1:*")).start()
    where = f"Subscriber({publisher.endpoint!r}, control={publisher.control_endpoint!r}, topics="
    program = tmp_path / "listener.py"
    program.write_text(_program("advice subscriber").replace("Subscriber(topics=", where), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(PAGE.parents[1]), "PYTHONIOENCODING": "utf-8"}
    listener = subprocess.Popen(
        [sys.executable, str(program)], stdout=subprocess.PIPE, encoding="utf-8", env=environment
    )
    vector = json.loads((PAGE.parents[1] / "tests/data/wire/advice.json").read_text("utf-8"))["header"]
    advice = {key: value for key, value in vector.items() if key not in GIVEN}
    heard = threading.Event()

    def publish_until_heard() -> None:
        while not heard.wait(0.05):
            publisher.publish("advice", advice)

    speaker = threading.Thread(target=publish_until_heard)
    speaker.start()
    try:
        said = [listener.stdout.readline() for _ in range(3)]
    finally:
        heard.set()
        speaker.join()
        listener.terminate()
        listener.communicate(timeout=10)
        publisher.close()
    assert said == [
        "file:///data/run%201/lath_0001.tif attention out_of_focus focus_drifts beyond_repair\n",
        "  take it again; beyond repair: [[0, 4, 2, 6]]\n",
        "  stage_z to 9.5 ± 0.5 µm\n",
    ]
