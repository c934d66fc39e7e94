"""Routes of the page: static files, pictures, JSON, events, metrics, health. Nothing is changed here."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from semdaemon import health
from semdaemon.errors import SemdaemonError
from semdaemon.journal.reading import JournalReader
from semdaemon.page.access import Token
from semdaemon.page.changes import Changes
from semdaemon.page.frames import brief, full
from semdaemon.page.guard import Guard, is_stranger

log = logging.getLogger(__name__)

PictureSource = Callable[[int, str], tuple[bytes, str] | None]
MEDIA_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
KEEP_ALIVE_S = 10.0
MOST_FRAMES = 500
LARGEST_KEY = 2**63 - 1
HEADS = ["GET"]  # starlette adds HEAD; everything else is answered 405


def create_app(
    *,
    journal: JournalReader,
    pictures: PictureSource,
    status: Callable[[], Mapping[str, Any]],
    metrics: Callable[[], bytes],
    changed: Changes,
    token: Token | None = None,
    names: Sequence[str] = (),
) -> Starlette:
    """The page as an ASGI application.

    Parameters
    ----------
    journal
        Read only; called from threads.
    pictures
        ``(key, kind) -> (bytes, media type)`` or None; kinds ``original``, ``refocused``, ``map``, ``mask``,
        ``thumb``. Called from threads, may be slow.
    status
        State of every part, plain JSON values; called from threads.
    metrics
        Prometheus' text format.
    changed
        Announced whenever something the page shows has changed.
    token, names
        For a page that other machines reach, see `Guard`.
    """
    desk = _Desk(journal, pictures, status, metrics, changed)
    routes = [
        Route("/", desk.index, methods=HEADS),
        Route("/static/{name}", desk.static, methods=HEADS),
        Route("/api/status", desk.status, methods=HEADS),
        Route("/api/frames", desk.frames, methods=HEADS),
        Route("/api/frames/{key:int}", desk.frame, methods=HEADS),
        Route("/api/frames/{key:int}/{kind}", desk.picture, methods=HEADS),
        Route("/api/events", desk.events, methods=["GET"]),
        Route("/metrics", desk.metrics, methods=HEADS),
        Route("/healthz", desk.healthz, methods=HEADS),
        Route("/readyz", desk.readyz, methods=HEADS),
    ]
    guard = Middleware(Guard, token=token, names=names)
    app = Starlette(routes=routes, middleware=[guard], exception_handlers={Exception: _broken})
    app.state.changes = changed
    return app


class _Desk:
    """What the routes share."""

    def __init__(
        self,
        journal: JournalReader,
        pictures: PictureSource,
        status: Callable[[], Mapping[str, Any]],
        metrics: Callable[[], bytes],
        changed: Changes,
    ) -> None:
        self._journal, self._pictures, self._status = journal, pictures, status
        self._metrics, self._changed = metrics, changed
        # Read once: a name is looked up among these, so no path from outside ever reaches the disk.
        self._static = {
            file.name: file.read_bytes() for file in files("semdaemon.page").joinpath("static").iterdir()
        }

    async def index(self, _request: Request) -> Response:
        return self._file("index.html")

    async def static(self, request: Request) -> Response:
        return self._file(request.path_params["name"])

    def _file(self, name: str) -> Response:
        if name not in self._static:
            return _nothing("no such file")
        kind = MEDIA_TYPES.get(name.rpartition(".")[2], "application/octet-stream")
        return Response(self._static[name], media_type=kind, headers={"cache-control": "no-cache"})

    async def status(self, _request: Request) -> Response:
        told = await run_in_threadpool(self._status)
        return _json({**told, "page_version": self._changed.version})

    async def frames(self, request: Request) -> Response:
        limit = _number(request.query_params.get("limit"), 100, MOST_FRAMES)
        asked = request.query_params.get("only")
        only = None if asked is None else asked.split(",")
        try:
            rows = await run_in_threadpool(lambda: self._journal.rows(only, limit))
        except SemdaemonError as error:
            return _json({"code": error.code, "message": error.message}, 400)
        return _json({"frames": [brief(row) for row in rows]})

    async def frame(self, request: Request) -> Response:
        key = request.path_params["key"]
        try:
            if key > LARGEST_KEY:
                return _nothing("no such frame")
            row = await run_in_threadpool(self._journal.row, key)
            return _json(full(row, await run_in_threadpool(self._journal.history, key)))
        except SemdaemonError as error:
            return _nothing(error.message)

    async def picture(self, request: Request) -> Response:
        key, kind = request.path_params["key"], request.path_params["kind"]
        found = None if key > LARGEST_KEY else await run_in_threadpool(self._pictures, key, kind)
        if found is None:
            return _nothing("no such picture (any more)")
        # Its address carries the frame's state as query, so a picture never changes under one address.
        return Response(found[0], media_type=found[1], headers={"cache-control": "private, max-age=3600"})

    async def events(self, _request: Request) -> Response:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(self._stream(), media_type="text/event-stream", headers=headers)

    async def _stream(self) -> AsyncIterator[str]:
        async for version in self._changed.versions(KEEP_ALIVE_S):
            yield ": alive\n\n" if version is None else f"event: changed\ndata: {version}\n\n"

    async def metrics(self, _request: Request) -> Response:
        return Response(await run_in_threadpool(self._metrics), headers={"content-type": METRICS_TYPE})

    async def healthz(self, request: Request) -> Response:
        answer = await self._checked(health.alive)
        # Whoever shows no token where one is asked for learns whether, not why.
        return (
            _json({"ok": answer.status_code == 200}, answer.status_code) if is_stranger(request) else answer
        )

    async def readyz(self, _request: Request) -> Response:
        return await self._checked(health.ready)

    async def _checked(self, checks: Callable[[Mapping[str, Any]], list[health.Check]]) -> Response:
        said, fine = health.answer(checks(await run_in_threadpool(self._status)))
        return _json(said, 200 if fine else 503)


def _json(value: object, code: int = 200) -> Response:
    # NaN is no JSON: a browser would refuse the whole answer.
    text = json.dumps(_finite(value), allow_nan=False, separators=(",", ":"), default=str)
    headers = {"cache-control": "no-store"}
    return Response(text, code, headers, media_type="application/json")


def _finite(value: object) -> object:
    if isinstance(value, float) and value not in (float("inf"), float("-inf")) and value == value:
        return value
    if isinstance(value, float):
        return None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _nothing(why: str) -> Response:
    return _json({"code": "not_found", "message": why}, 404)


def _number(text: str | None, default: int, most: int) -> int:
    return min(int(text), most) if text is not None and text.isdecimal() and len(text) < 9 else default


async def _broken(request: Request, error: Exception) -> Response:
    log.error("The page could not answer %s", request.url.path, exc_info=error)
    return JSONResponse({"code": "page_error", "message": "The page could not answer; see the log."}, 500)
