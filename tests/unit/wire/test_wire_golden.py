"""Bytes that may never change within ``semdaemon-1.0``, and documents that are made from the code."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import golden
import numpy as np
import pytest

from semdaemon.wire.headers import EVENTS, FinishedFrame, FramesReply, ReadyHeader
from semdaemon.wire.messages import decode, encode
from semdaemon.wire.schema import schema_text

DOCS = Path(__file__).resolve().parents[3] / "docs"


def _vector(event):
    return json.loads((golden.FOLDER / f"{event}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("event", EVENTS)
def test_messages_are_encoded_to_the_golden_bytes(event):
    assert [part.hex() for part in golden.messages()[event]] == _vector(event)["parts_hex"]


@pytest.mark.parametrize("event", EVENTS)
def test_golden_bytes_are_decoded_and_encoded_back(event):
    vector = _vector(event)
    parts = [bytes.fromhex(part) for part in vector["parts_hex"]]
    message = decode(parts)
    assert message.event == event
    assert message.header == vector["header"]
    EVENTS[event].model_validate(vector["header"])
    bare = {key: value for key, value in message.header.items() if key not in ("arrays", "blobs")}
    blobs = [(name, blob.media_type, blob.data) for name, blob in message.blobs.items()]
    assert [bytes(part) for part in encode(message.topic, bare, list(message.arrays.items()), blobs)] == parts


def test_the_reply_about_finished_frames_is_the_golden_bytes_and_holds():
    vector = _vector("reply_frames")
    assert golden.frames_reply().hex() == vector["parts_hex"][0]
    reply = FramesReply.model_validate(vector["header"])
    assert [frame.state for frame in reply.frames] == ["published", "failed"]
    plain = reply.model_dump(mode="json")
    assert plain == vector["header"]


def test_golden_arrays_hold_what_is_written_about_them():
    score = decode([bytes.fromhex(part) for part in _vector("score")["parts_hex"]])
    np.testing.assert_array_equal(score.arrays["sigma_px"], np.array([[0.5, 3.25, np.nan]], np.float32))
    assert score.arrays["verdict"].tolist() == [[0, 1, 3]]
    frame = decode([bytes.fromhex(part) for part in _vector("frame")["parts_hex"]])
    assert frame.arrays["refocused"][1, 5] == 11_000
    assert frame.arrays["mask"].dtype == bool


def test_the_schema_in_the_documentation_is_current():
    assert (DOCS / "wire-schema.json").read_text(encoding="utf-8") == schema_text(), (
        "run: python -m semdaemon.wire.schema > docs/wire-schema.json"
    )


def test_the_bytes_in_the_documentation_are_current():
    page = (DOCS / "wire-format.md").read_text(encoding="utf-8")
    filled = runpy.run_path(str(DOCS / "make_wire_examples.py"))["filled"]
    assert filled(page) == page, "run: python docs/make_wire_examples.py"


def test_every_header_key_is_documented():
    page = (DOCS / "wire-format.md").read_text(encoding="utf-8")
    for model in (*EVENTS.values(), ReadyHeader, FramesReply, FinishedFrame):
        for name, field in model.model_fields.items():
            assert f"`{field.alias or name}`" in page, f"{model.__name__}.{name}"
