"""What stands before the page: names it answers to, the token where it has one, a strict content policy.

Without the check of the ``Host`` header any web site could read a page without a token through the operator's
browser, by letting its own name point at 127.0.0.1 (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import time
from collections.abc import Iterable
from importlib.resources import files

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from semdaemon.page.access import Token, split_query

log = logging.getLogger(__name__)

NAMES = ("127.0.0.1", "localhost", "[::1]")
OPEN_TO_ALL = ("/healthz", "/static/style.css", "/static/icon.svg")
LOG_EVERY_S = 10.0
_STRANGER = "semdaemon.stranger"
POLICY = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class Guard:
    """ASGI middleware around the whole application.

    Parameters
    ----------
    token
        Asked for everywhere but at ``/healthz``; None where the page is for this machine alone.
    names
        Names of this machine that a browser may use, beside those that this machine knows of itself.
        They count only with a token.
    """

    def __init__(self, app: ASGIApp, token: Token | None = None, names: Iterable[str] = ()) -> None:
        self._app, self._token = app, token
        self._names = frozenset() if token is None else frozenset(map(str.lower, (*names, *_own_names())))
        self._login = files("semdaemon.page").joinpath("static", "login.html").read_text(encoding="utf-8")
        self._refused, self._said_at = 0, -LOG_EVERY_S

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope, Headers(scope=scope))
        await (self._app if refusal is None else refusal)(scope, receive, _with_policy(send))

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        if not self._is_our_name(headers.get("host", "")):
            return PlainTextResponse("This page does not answer to that name; see page.names.\n", 421)
        if self._token is None or self._token.opens(headers):
            return None
        if scope["path"] in OPEN_TO_ALL:
            scope[_STRANGER] = True
            return None
        return self._ask_for_token(scope, self._token)

    def _is_our_name(self, host: str) -> bool:
        if is_loopback_name(host):
            return True
        # An address cannot be made to point elsewhere, so only names have to be known.
        name = _name_of(host)
        return self._token is not None and (name in self._names or _is_address(name))

    def _ask_for_token(self, scope: Scope, token: Token) -> Response:
        shown, rest = split_query(scope.get("query_string", b"")) if scope["path"] == "/" else (None, "")
        if shown is not None and token.is_token(shown):
            address = f"/?{rest}" if rest else "/"
            return RedirectResponse(
                address, 303, {"set-cookie": token.set_cookie, "cache-control": "no-store"}
            )
        if shown is not None or "authorization" in Headers(scope=scope):
            self._count_wrong(scope)
        never = {"cache-control": "no-store", "www-authenticate": 'Bearer realm="semdaemon"'}
        if scope["path"] == "/" and scope["method"] in ("GET", "HEAD"):
            return HTMLResponse(self._login, 401, never)
        told = {"code": "token_needed", "message": "This page asks for its token: Authorization: Bearer ..."}
        return JSONResponse(told, 401, never)

    def _count_wrong(self, scope: Scope) -> None:
        self._refused += 1
        if time.monotonic() - self._said_at >= LOG_EVERY_S:
            self._said_at = time.monotonic()
            client = (scope.get("client") or ("?",))[0]
            log.warning("A wrong token was shown to the page by %s (%d so far)", client, self._refused)


def is_stranger(request: Request) -> bool:
    """True where a token is asked for and this request, which is let in all the same, shows none."""
    return bool(request.scope.get(_STRANGER))


def is_loopback_name(host: str) -> bool:
    """True for ``127.0.0.1``, ``localhost`` and ``[::1]``, with any port."""
    return _name_of(host) in NAMES


def _name_of(host: str) -> str:
    """The name without its port, '' where the header is malformed."""
    name, _, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    if not name:
        name, port = port, ""
    return name.lower() if port == "" or port.isdecimal() else ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _own_names() -> tuple[str, str]:
    return socket.gethostname(), socket.getfqdn()


def _with_policy(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in POLICY.items():
                headers[name] = value
        await send(message)

    return sending
