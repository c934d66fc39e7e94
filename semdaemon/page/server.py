"""The page's server: uvicorn in a thread of the daemon."""

from __future__ import annotations

import errno
import logging
import os
import socket
import threading
import time

import uvicorn
from starlette.applications import Starlette

from semdaemon.errors import SemdaemonError
from semdaemon.page.protocol import SPARING, BoundedProtocol
from semdaemon.settings import is_loopback

START_S = 10.0
ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound


class PageServer:
    """Serves an application until stopped.

    Parameters
    ----------
    host, port
        Address of this machine; port 0 takes a free one (see ``url``).
    """

    def __init__(self, app: Starlette, host: str = "127.0.0.1", port: int = 8570) -> None:
        self.host, self.port = host, port
        self._app = app
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            http=BoundedProtocol,
            limit_concurrency=100,
            h11_max_incomplete_event_size=16 * 1024,
            timeout_graceful_shutdown=1,
        )
        logging.getLogger("uvicorn.error").addFilter(SPARING)
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """What to open in a browser."""
        name = socket.gethostname() if self.host in ANY_ADDRESS else self.host
        host = f"[{name}]" if ":" in name else name
        return f"http://{host}:{self.port}/"

    @property
    def reach(self) -> str:
        """Who can open it, in words."""
        return "this machine" if is_loopback(self.host) else "other machines, with the token"

    def start(self) -> PageServer:
        """Bind and serve; returns when the first request can be answered.

        Raises
        ------
        SemdaemonError
            ``page_port_in_use`` or ``page_address_invalid``.
        """
        bound = self._bind()
        self.port = bound.getsockname()[1]
        self._thread = threading.Thread(target=self._server.run, args=([bound],), name="page", daemon=True)
        self._thread.start()
        end = time.monotonic() + START_S
        while not self._server.started and self._thread.is_alive() and time.monotonic() < end:
            time.sleep(0.005)
        if not self._server.started:
            raise SemdaemonError("page_not_started", f"The page at {self.url} did not start; see the log.")
        return self

    def stop(self) -> None:
        """Let open pages go and release the port. Safe to call twice."""
        if self._thread is None:
            return
        if (changes := getattr(self._app.state, "changes", None)) is not None:
            changes.close()
        self._server.should_exit = True
        self._thread.join(5.0)
        self._thread = None

    def __enter__(self) -> PageServer:
        return self if self._thread else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _bind(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        if os.name == "posix":  # elsewhere this option would let two programs share the port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((self.host, self.port))
            bound.listen(128)
        except OSError as error:
            bound.close()
            raise self._refused(error) from error
        return bound

    def _refused(self, error: OSError) -> SemdaemonError:
        if error.errno in (errno.EADDRINUSE, getattr(errno, "WSAEADDRINUSE", errno.EADDRINUSE)):
            return SemdaemonError(
                "page_port_in_use",
                f"Cannot open the page at {self.url}: another program uses port {self.port}.",
                remedy="Is a daemon running already? Else choose another page.port (0 takes a free one).",
            )
        return SemdaemonError(
            "page_address_invalid",
            f"Cannot open the page at {self.url}: {error}.",
            remedy="Expected 127.0.0.1 or an address of this machine (page.host).",
        )
