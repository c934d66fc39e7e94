"""A row of the journal as the page's script reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from semdaemon.advice.sentence import sentence
from semdaemon.focus import FocusMap
from semdaemon.focus.sentences import stored_sentences
from semdaemon.journal import Event, Row
from semdaemon.refocus.sentences import stored_sentences as region_sentences


def brief(row: Row) -> dict[str, Any]:
    """What the strip of frames shows."""
    return {
        "key": row.key,
        "id": row.frame_id,
        "name": _text(row.path.name),
        "page": row.page,
        "state": row.state,
        "reason": row.reason,
        "remedy": _text(row.remedy),
        "seen_at": _time(row.seen_at),
        "verdicts": row.summary.get("verdicts"),
        "median_sigma_px": row.summary.get("median_sigma_px"),
        "has_picture": row.shape is not None,
        "has_refocused": row.output is not None,
    }


def full(row: Row, history: Sequence[Event]) -> dict[str, Any]:
    """Everything about one frame, focus map included."""
    return {
        **brief(row),
        "uri": _text(row.uri),
        "relative": _text(str(row.relative)),
        "detail": _text(row.detail),
        "shape": row.shape,
        "type": row.dtype,
        "pixel_size_m": row.pixel_size_m,
        "size_bytes": row.size_bytes,
        "content_sha256": row.content_sha256,
        "output": None if row.output is None else _text(str(row.output)),
        "summary": dict(row.summary),
        "advice": _advice(row),
        "findings": [
            {"text": one.text, "warns": one.warns}
            for one in (*stored_sentences(row.summary), *region_sentences(row.summary))
        ],
        "focus": FocusMap.from_bytes(row.focus_blob).as_json() if row.focus_blob else None,
        "history": [
            {
                "at": _time(event.at),
                "state": event.state,
                "reason": event.reason,
                "detail": _text(event.detail),
            }
            for event in history
        ],
    }


def _advice(row: Row) -> str | None:
    advice = row.summary.get("advice")
    return sentence(advice) if isinstance(advice, Mapping) else None


def _time(seconds: float | None) -> str | None:
    return (
        None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    )


def _text(name: str) -> str:
    # A file name need not be valid text; JSON has to be.
    return name.encode("utf-8", "backslashreplace").decode()
