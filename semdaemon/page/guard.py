"""What stands before the page: only loopback names, only reading, and a strict content policy.

The page has no login. Without the check of the ``Host`` header any web site could read it through the
operator's browser by letting its own name point at 127.0.0.1 (DNS rebinding).
"""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

NAMES = ("127.0.0.1", "localhost", "[::1]")
POLICY = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if not is_loopback_name(Headers(scope=scope).get("host", "")):
            refusal = PlainTextResponse("This page is for this machine alone: open http://127.0.0.1.\n", 421)
            await refusal(scope, receive, _with_policy(send))
            return
        await self._app(scope, receive, _with_policy(send))


def is_loopback_name(host: str) -> bool:
    """True for ``127.0.0.1``, ``localhost`` and ``[::1]``, with any port."""
    name, _, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    if not name:
        name, port = port, ""
    return name.lower() in NAMES and (port == "" or port.isdecimal())


def _with_policy(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in POLICY.items():
                headers[name] = value
        await send(message)

    return sending
