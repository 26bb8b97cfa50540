"""AWS Lambda, behind a function URL, an API Gateway (both formats of events) or a load balancer.

handler = lambda_handler(receiver)
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any

from outrider_receiver._calls import HttpAnswer
from outrider_receiver.receiver import Receiver


def lambda_handler(receiver: Receiver) -> Callable[[Mapping[str, Any], object], dict[str, Any]]:
    """The function to name in the configuration. Handlers run in its thread."""

    def outrider_handler(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
        body = _body(event)
        if body is None:
            return _result(HttpAnswer(400))
        return _result(receiver.handle(body, _headers(event)))

    return outrider_handler


def _body(event: Mapping[str, Any]) -> bytes | None:
    """The raw body. Text is what the gateway decoded from UTF-8."""
    text = event.get("body") or ""
    try:
        if event.get("isBase64Encoded"):
            return b64decode(text, validate=True)
        return bytes(text.encode("utf-8"))
    except ValueError:
        return None


def _headers(event: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each value by itself where the gateway tells them apart; the later format joins them."""
    several = event.get("multiValueHeaders")
    if several:
        return [(name, value) for name, values in several.items() for value in values]
    return list((event.get("headers") or {}).items())


def _result(answer: HttpAnswer) -> dict[str, Any]:
    return {
        "statusCode": answer.status,
        "headers": {"Content-Type": answer.content_type, **dict(answer.headers)},
        "body": answer.body.decode("utf-8"),
        "isBase64Encoded": False,
    }
