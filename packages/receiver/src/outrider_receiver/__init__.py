"""Receive calls of outrider and of ZITADEL Actions v2: know who made them, and what they say.

    receiver = Receiver(signing_keys=...)          # handlers, and what to believe
    call = verify(body, headers, signing_keys=...)  # or only the signature

Modules with more: `jose` (JWT and JWE), `jwks`, `frameworks`, `dedup`, `inbox`, `users`, `testing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from outrider_receiver._refusal import InvalidCall, InvalidSignature, KeysUnavailable, Reason
from outrider_receiver._verify import VerifiedCall, verify

if TYPE_CHECKING:
    from outrider_receiver._calls import HttpAnswer, OpenedCall
    from outrider_receiver._handlers import Handler
    from outrider_receiver.answers import Answer, Attribute, Refusal, refuse, replace
    from outrider_receiver.payloads import (
        CustomFunction,
        Event,
        Payload,
        PreAccessToken,
        PreSamlResponse,
        PreUserinfo,
        Request,
        Response,
        parse_payload,
    )
    from outrider_receiver.receiver import Receiver

__all__ = [
    "Answer",
    "Attribute",
    "CustomFunction",
    "Event",
    "Handler",
    "HttpAnswer",
    "InvalidCall",
    "InvalidSignature",
    "KeysUnavailable",
    "OpenedCall",
    "Payload",
    "PreAccessToken",
    "PreSamlResponse",
    "PreUserinfo",
    "Reason",
    "Receiver",
    "Refusal",
    "Request",
    "Response",
    "VerifiedCall",
    "parse_payload",
    "refuse",
    "replace",
    "verify",
]

# Imported when they are named: who only verifies does not wait for the rest.
_HOMES = {
    "_calls": "HttpAnswer OpenedCall",
    "_handlers": "Handler",
    "answers": "Answer Attribute Refusal refuse replace",
    "payloads": "CustomFunction Event Payload PreAccessToken PreSamlResponse PreUserinfo Request"
    " Response parse_payload",
    "receiver": "Receiver",
}


def __getattr__(name: str) -> object:
    from importlib import import_module  # noqa: PLC0415 - only who gets here needs it

    for home, names in _HOMES.items():
        if name in names.split():
            found: object = getattr(import_module(f"{__name__}.{home}"), name)
            globals()[name] = found
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
