"""JSON objects on the wire: `google.protobuf.Struct`."""

from __future__ import annotations

from typing import cast

from protobuf.wkt import Struct

from outrider.domain.message import JsonObject
from outrider.errors import InvalidRequest


def to_object(struct: Struct | None, field_name: str) -> JsonObject:
    """Return the object; an absent one is empty. Numbers are floats: the wire knows no others.

    Raise `InvalidRequest` about the field for a value without a kind, which only the binary wires
    can carry.
    """
    if struct is None:
        return {}
    try:
        return cast("JsonObject", struct.to_python())
    except (ValueError, RecursionError) as failure:
        raise InvalidRequest(f"invalid {field_name}: value must be JSON: {failure}") from None
