"""Bytes to message and back."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from wire_samples import FRAME, SCORE, score_arrays

from semdaemon.errors import SemdaemonError
from semdaemon.frame import Area, Frame
from semdaemon.wire.control import read_reply
from semdaemon.wire.dialogue import Ask
from semdaemon.wire.headers import TYPES
from semdaemon.wire.messages import decode, encode, frame_header, plain

STAMP = {"event": "score", "epoch": "e", "sequence": 0, "published_at": "2026-03-01T18:00:00.000000Z"}


def _wire(parts):
    return [bytes(part) for part in parts]


def _sent(header=None, arrays=(), blobs=()):
    return _wire(encode("sem/score/", {**STAMP, **(header or {})}, arrays, blobs))


def test_a_score_comes_back_as_it_went():
    message = decode(_sent(SCORE, score_arrays()))
    assert (message.topic, message.event) == ("sem/score/", "score")
    assert message.header["frame"] == FRAME
    for name, array in score_arrays():
        np.testing.assert_array_equal(message.arrays[name], array)
        assert message.arrays[name].dtype == array.dtype


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_type_and_byte_order_round_trips(name, order):
    random = np.random.default_rng(7)
    array = (random.random((5, 3)) * 2).astype(np.dtype(name).newbyteorder(order))
    received = decode(_sent(arrays=[("a", array)])).arrays["a"]
    np.testing.assert_array_equal(received, array)
    assert received.dtype == np.dtype(name)
    assert received.dtype.isnative


@pytest.mark.parametrize("shape", [(), (0,), (0, 5), (1,), (2, 3, 4), (1, 1, 1, 1, 1, 1, 1, 1)])
def test_every_shape_round_trips(shape):
    array = np.zeros(shape, dtype=np.uint16)
    assert decode(_sent(arrays=[("a", array)])).arrays["a"].shape == shape


def test_a_hundred_random_messages_round_trip():
    random = np.random.default_rng(11)
    for number in range(100):
        arrays = [
            (
                f"a{i}",
                random.integers(0, 200, random.integers(0, 9, random.integers(0, 4))).astype(
                    random.choice(TYPES)
                ),
            )
            for i in range(random.integers(0, 5))
        ]
        blobs = [
            (f"b{i}", "image/jpeg", random.bytes(random.integers(0, 99)))
            for i in range(random.integers(0, 3))
        ]
        message = decode(_sent({"number": number}, arrays, blobs))
        assert message.header["number"] == number
        assert all(np.array_equal(message.arrays[name], array) for name, array in arrays)
        assert {name: blob.data for name, blob in message.blobs.items()} == {b[0]: b[2] for b in blobs}


def test_arrays_that_are_not_contiguous_go_in_c_order():
    array = np.arange(12, dtype=np.uint8).reshape(3, 4)
    for view in (array.T, array[::2], np.asfortranarray(array)):
        np.testing.assert_array_equal(decode(_sent(arrays=[("a", view)])).arrays["a"], view)


def test_contiguous_arrays_are_not_copied():
    array = np.zeros((64, 64), dtype=np.uint16)
    part = encode("t/", STAMP, [("a", array)])[2]
    assert np.shares_memory(np.frombuffer(part, np.uint8), array)


def test_received_arrays_are_read_only():
    message = decode(_sent(SCORE, score_arrays()))
    with pytest.raises(ValueError, match="read-only"):
        message.arrays["sigma_px"][0, 0] = 1


def test_unknown_header_keys_are_kept_and_ignored():
    assert decode(_sent({"from_the_future": {"a": 1}})).header["from_the_future"] == {"a": 1}


def test_newer_minor_schema_is_read_and_another_generation_is_refused():
    parts = _sent()
    head = json.loads(parts[1])
    parts[1] = json.dumps({**head, "schema": "semdaemon-1.7"}).encode()
    assert decode(parts).event == "score"
    parts[1] = json.dumps({**head, "schema": "semdaemon-2.0"}).encode()
    with pytest.raises(SemdaemonError) as refused:
        decode(parts)
    assert refused.value.code == "unknown_schema"


def _with(header, **changes):
    return json.dumps({**json.loads(header), **changes}).encode()


@pytest.mark.parametrize(
    "shape",
    [[2, 2], [6], [-2, -3], [10**30, 0, 1], [2**62, 4, 2], [1] * 9, [2.5, 1], "6", None],
)
def test_a_shape_that_does_not_fill_its_buffer_is_refused(shape):
    topic, header, buffer = _sent(arrays=[("a", np.zeros((2, 3), np.uint8))])
    described = {"name": "a", "htype": "array-1.0", "shape": shape, "type": "uint8", "endianness": "little"}
    if shape == [6]:
        buffer = buffer[:-1]
    if shape == [10**30, 0, 1]:
        buffer = b""
    with pytest.raises(SemdaemonError) as refused:
        decode([topic, _with(header, arrays=[described]), buffer])
    assert refused.value.code == "bad_message"


@pytest.mark.parametrize(
    "change",
    [
        {"type": "object"},
        {"type": "V8"},
        {"type": "uint16"},
        {"type": 3},
        {"endianness": "middle"},
        {"htype": "array-2.0"},
        {"name": ""},
    ],
)
def test_an_array_described_wrongly_is_refused(change):
    topic, header, buffer = _sent(arrays=[("a", np.zeros((2, 3), np.uint8))])
    described = {"name": "a", "htype": "array-1.0", "shape": [2, 3], "type": "uint8", "endianness": "little"}
    with pytest.raises(SemdaemonError) as refused:
        decode([topic, _with(header, arrays=[{**described, **change}]), buffer])
    assert refused.value.code == "bad_message"


def test_parts_that_do_not_belong_together_are_refused():
    good = _sent(SCORE, score_arrays(), [("p", "image/png", b"png")])
    bad = [
        [],
        good[:1],
        good[:-1],
        [*good, b"one more"],
        [good[0], b"[1, 2]", *good[2:]],
        [good[0], b"\xff\xfe{}", *good[2:]],
        [good[0], b"[" * 200_000, *good[2:]],
        [b"\xff\xff", *good[1:]],
        [*good[:-1], b"longer than said"],
        [good[0], b" " * (5 * 2**20), *good[2:]],
        [good[0], _with(good[1], sequence=-1), *good[2:]],
        [good[0], _with(good[1], sequence=None), *good[2:]],
        [b"x"] * 500,
    ]
    for parts in bad:
        with pytest.raises(SemdaemonError):
            decode(parts)


def test_random_bytes_never_do_more_than_a_clear_error():
    random = np.random.default_rng(3)
    good = _sent(SCORE, score_arrays())
    for _ in range(500):
        parts = [bytearray(part) for part in good]
        for _ in range(random.integers(1, 6)):
            part = parts[random.integers(len(parts))]
            part[random.integers(len(part))] = random.integers(256)
        try:
            decode([bytes(part) for part in parts])
        except SemdaemonError as error:
            assert error.code in {"bad_message", "unknown_schema"}  # noqa: PT017 - either is fine


def test_types_that_the_wire_does_not_know_are_refused_before_sending():
    for array in (np.array(["text"]), np.array([object()]), np.zeros(2, np.complex64)):
        with pytest.raises(SemdaemonError) as refused:
            encode("t/", STAMP, [("a", array)])
        assert refused.value.code == "unsendable_array"


def test_headers_become_plain_json():
    told = plain(
        {
            "nan": math.nan,
            "inf": [np.float32("inf")],
            "n": np.int64(3),
            "t": (1, 2),
            5: np.arange(2),
            "s": "a\udcff",
        }
    )
    assert told == {"nan": None, "inf": [None], "n": 3, "t": [1, 2], "5": [0, 1], "s": "a\\udcff"}
    json.dumps(told, allow_nan=False).encode()


def test_a_frame_is_described_as_the_format_says():
    pixels = np.zeros((40, 30), np.uint8)
    frame = Frame("id", "folder", "file:///a.tif", pixels, "sha", Area(0, 0, 36, 30), (1e-9, 2e-9))
    described = frame_header(frame)
    assert described["shape"] == [40, 30]
    assert described["type"] == "uint8"
    assert described["pixel_size_m"] == [1e-9, 2e-9]
    assert described["acquired_at"] is None
    assert described["image_area"] == [0, 0, 36, 30]


def test_a_reply_without_any_part_is_refused():
    with pytest.raises(SemdaemonError) as caught:
        read_reply([])
    assert caught.value.code == "bad_reply"
    assert Ask({"request": "replay", "id": 1}).is_answered_by([])
