"""Payloads of events that ZITADEL wrote as Base64: the JSON object that is in them.

Most of ZITADEL's events carry their data as an object; some carry the same bytes as a Base64 text.
"""

from __future__ import annotations

from base64 import b64decode

from outrider.domain.formats import go_json
from outrider.domain.formats.json_members import Number, Value


def object_in_base64(text: str) -> str:
    """Return the JSON object, as text, that a Base64 text holds.

    Both alphabets are read, with padding or without. Raise `ValueError`, saying why, for everything
    else.
    """
    try:
        signs = text.encode("ascii").replace(b"-", b"+").replace(b"_", b"/").rstrip(b"=")
        decoded = b64decode(signs + b"=" * (-len(signs) % 4), validate=True).decode()
    except ValueError:
        raise ValueError("a text must be Base64 of a JSON object") from None
    go_json.check_object(decoded)
    return decoded


def payload_object(value: Value) -> str | None:
    """Return the object that a relayed payload is, directly or in Base64; None: it is opaque."""
    if isinstance(value.parsed, str) and not isinstance(value.parsed, Number):
        try:
            return object_in_base64(value.parsed)
        except ValueError:
            return None
    return value.text if value.text.startswith("{") else None
