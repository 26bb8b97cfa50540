"""The other media types of the path that takes events."""

from __future__ import annotations

from reference import patterns
from reference.contract import Json

PATH = "/v1/events"
# No control characters (CloudEvents 1.0, section "Type System").
TEXT: Json = {
    "type": "string",
    "minLength": 1,
    "maxLength": 200,
    "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$",
}
SCHEMA: Json = {
    "type": "object",
    "description": "A CloudEvent 1.0 in JSON; other extensions are not kept.",
    "properties": {
        "specversion": {"const": "1.0"},
        "id": TEXT,
        "source": TEXT,
        "type": {
            "type": "string",
            "maxLength": 1000,
            "pattern": r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$",
        },
        "subject": TEXT,
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"type": "string", "examples": ["application/json"]},
        "aggregatetype": TEXT,
        "sequence": {"type": "string", "pattern": patterns.UINT64},
        "userid": TEXT,
        "data": {"type": "object"},
    },
    "required": ["specversion", "id", "source", "type"],
}
EXAMPLE: Json = {
    "specversion": "1.0",
    "id": "order-7",
    "source": "/shop",
    "type": "shop.order.placed",
    "subject": "7",
    "time": "2026-11-23T07:00:00Z",
    "data": {"total": 12.5},
}


def cloud_events(path: str) -> Json:
    """Return the content types of a path besides the API's JSON."""
    if path != PATH:
        return {}
    batch: Json = {"type": "array", "items": SCHEMA, "minItems": 1, "maxItems": 1000}
    return {
        "application/cloudevents+json": {"schema": SCHEMA, "example": EXAMPLE},
        "application/cloudevents-batch+json": {"schema": batch, "example": [EXAMPLE]},
    }
