"""What a caller wants published, checked and taken over: from here on it cannot change any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import ValidationError

from semdaemon.errors import SemdaemonError
from semdaemon.wire.headers import EVENTS, SCHEMA
from semdaemon.wire.messages import Array, NamedArray, NamedBlob, describe_array, plain
from semdaemon.wire.outbox import Letter


def draft(
    event: str,
    header: Mapping[str, Any],
    arrays: Sequence[NamedArray] = (),
    blobs: Sequence[NamedBlob] = (),
) -> Letter:
    """A letter; writable arrays are copied, read-only ones must not change any more.

    Raises
    ------
    SemdaemonError
        ``bad_header``, ``unknown_event`` or ``unsendable_array``: mistakes of the caller.
    """
    checked = _checked(event, header, arrays)
    return Letter(event, checked, [(name, _snapshot(array)) for name, array in arrays], list(blobs))


def _checked(event: str, header: Mapping[str, Any], arrays: Sequence[NamedArray]) -> dict[str, Any]:
    model = EVENTS.get(event)
    if model is None:
        raise SemdaemonError("unknown_event", f"{event!r} is not an event; known are {', '.join(EVENTS)}.")
    unsent = {"schema": SCHEMA, "event": event, "epoch": "", "sequence": 0, "published_at": ""}
    draft = {**plain(header), **unsent}
    draft["arrays"] = [describe_array(name, array) for name, array in arrays]
    try:
        return plain(model.model_validate(draft).model_dump(mode="json"))  # type: ignore[no-any-return]
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors())
        raise SemdaemonError("bad_header", f"A {event} message does not hold: {problems}.") from error


def _snapshot(array: Array) -> Array:
    if not array.flags.writeable and array.flags.c_contiguous:
        return array
    copy = np.array(array, order="C")
    copy.flags.writeable = False
    return copy
