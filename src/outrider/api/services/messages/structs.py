"""JSON objects on the wire: `google.protobuf.Struct`."""

from __future__ import annotations

import math
from typing import cast

from protobuf.wkt import Struct

from outrider.domain.interception.message import JsonObject
from outrider.errors import InvalidRequest


def to_object(struct: Struct | None, field_name: str) -> JsonObject:
    """Return the object; an absent one is empty. Numbers are floats: the wire knows no others.

    Raise `InvalidRequest` about the field for a value without a kind and for numbers that JSON
    does not know, which only the binary wires can carry.
    """
    if struct is None:
        return {}
    try:
        value = cast("JsonObject", struct.to_python())
        _check_finite(value)
    except (ValueError, RecursionError) as failure:
        raise InvalidRequest(f"invalid {field_name}: value must be JSON: {failure}") from None
    return value


def _check_finite(value: object) -> None:
    if isinstance(value, dict):
        for member in value.values():
            _check_finite(member)
    elif isinstance(value, list):
        for member in value:
            _check_finite(member)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number is infinite or NaN")
