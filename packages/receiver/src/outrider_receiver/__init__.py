"""Receive calls of outrider and of ZITADEL Actions v2: know who made them, and what they say.

    receiver = Receiver(signing_keys=...)          # handlers, and what to believe
    call = verify(body, headers, signing_keys=...)  # or only the signature

Modules with more: `jose` (JWT and JWE), `jwks`, `frameworks`, `dedup`, `inbox`, `users`, `testing`.
"""

from outrider_receiver._handlers import Handler
from outrider_receiver._refusal import InvalidCall, InvalidSignature, KeysUnavailable, Reason
from outrider_receiver._verify import VerifiedCall, verify
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
from outrider_receiver.receiver import HttpAnswer, OpenedCall, Receiver

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
