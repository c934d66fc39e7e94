"""A daemon as a hook sees it: a PULL socket that takes a frame every so often. ``mm_receiver.py SECONDS``."""

from __future__ import annotations

import sys
import time

import zmq


def main() -> None:
    socket = zmq.Context().socket(zmq.PULL)
    socket.setsockopt(zmq.RCVHWM, 4)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    sys.stdout.write(f"tcp://127.0.0.1:{port}\n")
    sys.stdout.flush()
    while True:
        socket.recv_multipart()
        time.sleep(float(sys.argv[1]))


if __name__ == "__main__":
    main()
