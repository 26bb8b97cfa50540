"""An error of a target as an answer over HTTP, in the shape of the REST API's errors."""

from __future__ import annotations

import base64
import json
from typing import Any

from outrider.errors import OutriderError


def render(error: OutriderError) -> tuple[int, bytes]:
    """Return the HTTP status that belongs to the code, and the body as JSON."""
    # Its generated code takes a while to import, and most calls have no error.
    from outrider.api.rpc.error_mapping import from_outrider  # noqa: PLC0415
    from outrider.api.rpc.status_codes import HTTP_STATUS  # noqa: PLC0415

    connect_error = from_outrider(error)
    body: dict[str, Any] = {"code": connect_error.code.value, "message": connect_error.message}
    details = [_detail(detail) for detail in connect_error.details]
    if details:
        body |= {"detail": details[0], "details": details}
    return HTTP_STATUS[connect_error.code], json.dumps(body, ensure_ascii=False).encode()


def _detail(detail: Any) -> dict[str, Any]:
    from protobuf import message_to_json_value  # noqa: PLC0415

    from outrider.api.asgi.error_details import readable_detail  # noqa: PLC0415

    return readable_detail(
        {
            "type": detail.type_name,
            "value": base64.b64encode(detail.message_bytes).decode().rstrip("="),
            "debug": message_to_json_value(detail.value()),
        }
    )
