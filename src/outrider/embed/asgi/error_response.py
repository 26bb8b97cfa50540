"""An error of a target as an answer over HTTP, in the shape of the REST API's errors."""

from __future__ import annotations

import json

from outrider.errors import OutriderError


def render(error: OutriderError) -> tuple[int, bytes]:
    """Return the HTTP status that belongs to the code, and the body as JSON."""
    # Its generated code takes a while to import, and most calls have no error.
    from outrider.api.rpc.error_mapping import error_document, from_outrider  # noqa: PLC0415
    from outrider.api.rpc.status_codes import HTTP_STATUS  # noqa: PLC0415

    connect_error = from_outrider(error)
    body = json.dumps(error_document(connect_error), ensure_ascii=False).encode()
    return HTTP_STATUS[connect_error.code], body
