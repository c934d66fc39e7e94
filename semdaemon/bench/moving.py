"""A frame from this process to another: through shared memory, as to the worker, and through ZeroMQ."""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import zmq

from semdaemon.bench.ceilings import Ceilings
from semdaemon.bench.figures import Figure, best_s
from semdaemon.errors import WorkerError
from semdaemon.frame import Pixels
from semdaemon.worker.shared import Attached, Block, Layout

_PATIENCE_S = 30.0
_BUDGET_S = 1.0


def moving_figures(pixels: Pixels, ceilings: Ceilings) -> Iterator[Figure]:
    """Milliseconds until another process has its own copy of a frame and has said so."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=_receive, args=(there, pixels.shape, pixels.dtype.name), daemon=True)
    child.start()
    try:
        least_ms = 1e3 * ceilings.copy_s(pixels.nbytes)
        for name, spent_s in _ways(here, pixels):
            yield Figure("moving", f"frame by {name}", 1e3 * spent_s, "ms", least_ms, "memory copy")
    finally:
        here.send(None)
        child.join(_PATIENCE_S)
        child.kill()


def _ways(here: Connection, pixels: Pixels) -> Iterator[tuple[str, float]]:
    yield "shared memory", _shared_s(here, pixels)
    if sys.platform != "win32" and zmq.has("ipc"):
        with tempfile.TemporaryDirectory(prefix="semdaemon-bench-") as folder:
            yield "ZeroMQ, ipc", _zeromq_s(here, pixels, f"ipc://{Path(folder) / 'frame'}")
    yield "ZeroMQ, tcp", _zeromq_s(here, pixels, "tcp://127.0.0.1:*")


def _shared_s(here: Connection, pixels: Pixels) -> float:
    height, width = pixels.shape
    block, layout = Block(), Layout((height, width), pixels.dtype.name, 0)
    memory = block.fit(layout)

    def move() -> None:
        # No view outlives its use: shared memory with views upon it cannot be given back.
        layout.arrays(memory)[0][...] = pixels
        _ask(here, ("shared", memory.name))

    try:
        return best_s(move, budget_s=_BUDGET_S)
    finally:
        _ask(here, ("shared", None))
        block.close()


def _zeromq_s(here: Connection, pixels: Pixels, endpoint: str) -> float:
    bound = _ask(here, ("bind", endpoint))
    with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
        socket.linger = 0
        socket.connect(str(bound))

        def move() -> None:
            socket.send(pixels.data, copy=False)
            _ask(here, ("socket", None))

        return best_s(move, budget_s=_BUDGET_S)


def _ask(here: Connection, question: tuple[str, object]) -> object:
    here.send(question)
    if not here.poll(_PATIENCE_S):
        raise WorkerError(
            "bench_child_silent",
            f"The process that frames are moved to said nothing for {_PATIENCE_S:g} s ({question[0]}).",
            remedy="Try again on a quieter machine.",
        )
    return here.recv()


def _receive(there: Connection, shape: tuple[int, int], kind: str) -> None:
    """The other process: answers each question once it has done what is asked."""
    layout, own = Layout(shape, kind, 0), np.empty(shape, kind)
    attached = Attached()
    with zmq.Context() as context:
        socket: zmq.Socket[bytes] | None = None
        while (question := there.recv()) is not None:
            what, told = question
            answer = None
            if what == "bind":
                if socket is not None:
                    socket.close(0)
                socket = context.socket(zmq.PULL)
                socket.bind(told)
                answer = bytes(socket.getsockopt(zmq.LAST_ENDPOINT)).rstrip(b"\0").decode()
            elif what == "socket" and socket is not None:
                message = socket.recv(copy=False)
                own[...] = np.frombuffer(message.buffer, kind).reshape(shape)
            elif told is None:
                attached.close()
            else:
                own[...] = layout.arrays(attached.open(told))[0]
            there.send(answer)
        if socket is not None:
            socket.close(0)
    attached.close()
