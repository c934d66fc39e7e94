"""The token with which the page may be opened from another machine.

Whoever knows it sees everything that the page shows; nobody can change anything. It comes as
``Authorization: Bearer``, as the cookie that the page sets, or once as ``/?token=`` (which is redirected, so
that it does not stay in the address line).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from semdaemon.errors import SemdaemonError

COOKIE = "semdaemon_page"
COOKIE_AGE_S = 30 * 86_400
FEWEST_CHARACTERS = 20
MOST_FILE_BYTES = 4096
_MAKE = "'semdaemon keys token' makes one."


class Token:
    """Checks what a request shows; compares in constant time.

    Parameters
    ----------
    text
        The secret, at least 20 characters.
    """

    def __init__(self, text: str) -> None:
        self._text = text.encode()
        # Not the token itself: a browser's cookie store does not open the doors of other programs.
        self._cookie = hmac.new(self._text, b"semdaemon page cookie", hashlib.sha256).hexdigest()

    @classmethod
    def load(cls, file: Path) -> Token:
        """Read the secret from a file that others of this machine cannot read.

        Raises
        ------
        SemdaemonError
            ``page_token_unreadable``, ``page_token_weak`` or ``page_token_exposed``.
        """
        try:
            mode, text = file.stat().st_mode, file.read_bytes()[:MOST_FILE_BYTES].decode("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SemdaemonError(
                "page_token_unreadable", f"The page's token {file} cannot be read: {error}.", remedy=_MAKE
            ) from error
        if len(text) < FEWEST_CHARACTERS or not text.isprintable() or " " in text:
            raise SemdaemonError(
                "page_token_weak",
                f"The page's token in {file} is no single word of at least {FEWEST_CHARACTERS} characters.",
                remedy=_MAKE,
            )
        if os.name == "posix" and mode & (stat.S_IRWXO | stat.S_IWGRP):
            raise SemdaemonError(
                "page_token_exposed",
                f"The page's token {file} is open to other users of this machine.",
                remedy=f"chmod 600 {file}; if others may have read it, make a new one.",
            )
        return cls(text)

    def opens(self, headers: Mapping[str, str]) -> bool:
        """True where a request shows the token or the cookie."""
        kind, _, shown = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self.is_token(shown.strip()):
            return True
        return _same(_cookie_of(headers.get("cookie", "")), self._cookie.encode())

    def is_token(self, shown: str) -> bool:
        """True for the token itself."""
        return _same(shown.encode("utf-8", "replace"), self._text)

    @property
    def set_cookie(self) -> str:
        """Value of the header that lets a browser come again."""
        return f"{COOKIE}={self._cookie}; Path=/; Max-Age={COOKIE_AGE_S}; HttpOnly; SameSite=Lax"


def new_token() -> str:
    """A secret that nobody guesses: 256 bits as text."""
    return secrets.token_urlsafe(32)


def split_query(query: bytes) -> tuple[str | None, str]:
    """The token in a query, None where there is none, and the query without it."""
    try:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=100)
    except ValueError:
        return None, ""
    shown = next((value for name, value in pairs if name == "token"), None)
    return shown, urlencode([(name, value) for name, value in pairs if name != "token"])


def _cookie_of(header: str) -> bytes:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return b""
    return b"" if found is None else found.value.encode("utf-8", "replace")


def _same(shown: bytes, secret: bytes) -> bool:
    # Of the digests: then not even the length shows in the time.
    return hmac.compare_digest(hashlib.sha256(shown).digest(), hashlib.sha256(secret).digest())
