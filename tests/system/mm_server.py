"""A stand-in for Micro-Manager's bridge server that the real pycromanager client talks to.

No Micro-Manager comes from the package registries, so this speaks its protocol: one REP socket,
JSON in the first part and raw buffers behind it. A camera in live mode: image ``n`` is the last one
from ``n / fps`` to ``(n + 1) / fps`` seconds after the start.
What a peeking client must never call is answered by an exception and told on standard output.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

import numpy as np
import zmq

CORE, IMAGE = "mmcorej.CMMCore", "mmcorej.TaggedImage"
CORE_API = [
    {"name": "isSequenceRunning", "return-type": "boolean", "arguments": []},
    {"name": "isSequenceRunning", "return-type": "boolean", "arguments": ["java.lang.String"]},
    {"name": "getLastTaggedImage", "return-type": IMAGE, "arguments": []},
    {"name": "getLastTaggedImage", "return-type": IMAGE, "arguments": ["int"]},
    {"name": "popNextTaggedImage", "return-type": IMAGE, "arguments": []},
    {"name": "registerCallback", "return-type": "void", "arguments": ["mmcorej.MMEventCallback"]},
]
ARRAYS = {
    "GRAY8": ("byte-array", np.uint8),
    "GRAY16": ("short-array", np.uint16),
    "RGB32": ("byte-array", np.uint8),
}


class Camera:
    """Numbered images at a fixed rate; the number stands in the first pixel too."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.array, kind = ARRAYS[options.pixel_type]
        shape = (options.size, options.size, *((4,) if options.pixel_type == "RGB32" else ()))
        self.picture = np.random.default_rng(0).integers(0, 200, shape).astype(kind)
        self.started = time.monotonic()

    def last(self) -> int:
        number = int((time.monotonic() - self.started) * self.options.fps)
        return min(number, self.options.images - 1)

    def running(self) -> bool:
        return self.last() < self.options.images - 1

    def tags(self, number: int) -> dict[str, Any]:
        size = str(self.options.size)
        return {
            "Camera": "Camera", "Width": size, "Height": size, "PixelType": self.options.pixel_type,
            "ImageNumber": str(number), "ElapsedTime-ms": f"{1000 * number / self.options.fps:.3f}",
            "TimeReceivedByCore": "2026-03-01 18:00:00.000000", "PixelSizeUm": 1, "Exposure": "50.0",
            "Session": f"{self.started}",
        }  # fmt: skip

    def pixels(self, number: int) -> bytes:
        picture = self.picture.copy()
        picture[0, 0] = number % 200
        return picture.tobytes()


class Server:
    """One thread for everybody, as Micro-Manager's is."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.camera, self.version = Camera(options), options.version
        self.socket = zmq.Context().socket(zmq.REP)
        self.socket.bind(f"tcp://127.0.0.1:{options.port}")
        self.images: dict[int, int] = {}
        self.hashes = iter(range(1000, 2**31))

    def serve(self) -> None:
        while True:
            message = json.loads(self.socket.recv_multipart()[0].decode("iso-8859-1"))
            reply, *buffers = self.answer(message)
            self.socket.send_multipart([json.dumps(reply).encode("iso-8859-1"), *buffers])

    def answer(self, message: dict[str, Any]) -> list[Any]:
        command = message["command"]
        if command == "connect":
            return [{"type": "none", "version": self.version}]
        if command == "get-constructors":
            return [{"type": "none", "api": [{"name": message["classpath"], "arguments": []}]}]
        if command == "constructor":
            return [self.object(CORE, 1, [], CORE_API)]
        if command == "destructor":
            self.images.pop(message["hash-code"], None)
            return [{"type": "none"}]
        if command == "get-field":
            return self.field(self.images[message["hash-code"]], message["name"])
        return [self.method(message["name"])]

    def method(self, name: str) -> dict[str, Any]:
        if name == "isSequenceRunning":
            return {"type": "primitive", "value": self.camera.running()}
        if name != "getLastTaggedImage":
            say(forbidden=name)
            return {"type": "exception", "value": f"java.lang.Exception: {name} disturbs the acquisition"}
        number = self.camera.last()
        if number < 0:
            return {"type": "exception", "value": "java.lang.Exception: Circular buffer is empty."}
        code = next(self.hashes)
        self.images[code] = number
        if len(self.images) > 100:
            say(forbidden="objects that are never given back")
        return self.object(IMAGE, code, ["pix", "tags"], [])

    def field(self, number: int, name: str) -> list[Any]:
        if name == "tags":
            return [{"type": "object", "class": "JSONObject", "value": json.dumps(self.camera.tags(number))}]
        code = next(self.hashes)
        said = {"type": self.camera.array, "value": f"[B@{code:x}"}
        return [said, code.to_bytes(4, sys.byteorder), self.camera.pixels(number)]

    @staticmethod
    def object(name: str, code: int, fields: list[str], api: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "type": "unserialized-object", "class": name, "hash-code": code, "port": 0, "interfaces": [],
            "fields": fields, "api": api,
        }  # fmt: skip


def say(**told: Any) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--fps", type=float, default=20.0)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--images", type=int, default=10**9, help="then live mode is off; 0: never on")
    parser.add_argument("--pixel-type", choices=list(ARRAYS), default="GRAY16")
    parser.add_argument("--version", default="5.1.0")
    server = Server(parser.parse_args())
    say(ready=True)
    server.serve()


if __name__ == "__main__":
    main()
