"""The details of errors in JSON, readable for programs that know ZITADEL's errors.

Connect's shape of a detail is `type`, `value` and `debug`. ZITADEL's REST API writes the same detail as
JSON of `google.protobuf.Any`: `@type` and the message's own members, so that scripts read `details[0].id`.
Both are here; clients of Connect ignore what they do not know.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from outrider.api.asgi.types import OK, App, Message, Receive, Scope, Send

_JSON = (b"content-type", b"application/json")
_TYPE_PREFIX = "type.googleapis.com/"


def readable_details(app: App) -> App:
    """The application with readable details in every error that it answers with as JSON."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        is_error = False

        async def send_readable(message: Message) -> None:
            nonlocal is_error
            if message["type"] == "http.response.start":
                is_error = message["status"] != OK and _JSON in message["headers"]
            elif is_error and message.get("body"):
                message = {**message, "body": with_readable_details(message["body"])}
            await send(message)

        await app(scope, receive, send_readable)

    return answer


def readable_detail(detail: Mapping[str, Any]) -> dict[str, Any]:
    """A detail of Connect with the members that it has as `google.protobuf.Any`."""
    return {
        **detail.get("debug", {}),
        **detail,
        "@type": f"{_TYPE_PREFIX}{detail['type']}",
    }


def with_readable_details(body: bytes) -> bytes:
    """The JSON of an error, its details readable."""
    error = json.loads(body)
    if "details" not in error:
        return body
    error["details"] = [readable_detail(detail) for detail in error["details"]]
    return json.dumps(error, ensure_ascii=False).encode()
