"""Read a client's id and secret from a request (RFC 6749, section 2.3.1)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from urllib.parse import unquote_plus

from outrider.usecases.access.grants import GrantError

_SCHEME = "basic"


def client_of(authorization: bytes | None, form: Mapping[str, str]) -> tuple[str, str]:
    """Client id and secret, from HTTP Basic or from the form.

    Raise `GrantError` for both in one request, and for neither.
    """
    if authorization is None:
        if not form.get("client_id") or not form.get("client_secret"):
            raise GrantError("invalid_client", "client id and client secret are missing")
        return form["client_id"], form["client_secret"]
    client_id, client_secret = basic_credentials(authorization)
    if "client_secret" in form or form.get("client_id", client_id) != client_id:
        raise GrantError("invalid_request", "HTTP Basic and the form both name a client")
    return client_id, client_secret


def basic_credentials(authorization: bytes) -> tuple[str, str]:
    """Both parts of HTTP Basic (RFC 7617), decoded. Raise `GrantError`."""
    scheme, _, text = authorization.decode("latin-1").partition(" ")
    try:
        decoded = base64.b64decode(text.strip(), validate=True).decode()
        client_id, colon, client_secret = decoded.partition(":")
        parts = [unquote_plus(part, errors="strict") for part in (client_id, client_secret)]
    except (ValueError, binascii.Error):
        colon, parts = "", []
    if not colon or scheme.lower() != _SCHEME:
        raise GrantError("invalid_client", "the Authorization header is no HTTP Basic")
    return parts[0], parts[1]
