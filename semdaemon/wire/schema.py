"""The JSON schema of every header, made from the models: ``python -m semdaemon.wire.schema``."""

from __future__ import annotations

import json
import sys

from pydantic.json_schema import models_json_schema

from semdaemon.wire.headers import EVENTS, SCHEMA, Described, FramesReply, ReadyHeader


def schema_text() -> str:
    """The document ``docs/wire-schema.json``; ``$defs`` holds one entry a header."""
    models: list[type[Described]] = [*EVENTS.values(), ReadyHeader, FramesReply]
    _, schema = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/$defs/{model}"
    )
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": SCHEMA,
        "description": "Headers of semdaemon's messages, and the reply to request frames. "
        "Readers ignore keys that they do not know.",
        "oneOf": [{"$ref": f"#/$defs/{model.__name__}"} for model in models],
        "$defs": schema["$defs"],
    }
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
