"""From a body to a call that is ready to leave: payload type, signatures, headers.

Shared by deliveries and interceptions. A payload type is a function from the body to the bytes
that are sent, registered in `bootstrap`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from outrider.domain.call import Call
from outrider.domain.signature import (
    SIGNATURE_HEADERS,
    standard_webhooks_headers,
    zitadel_signature,
)
from outrider.domain.target import PayloadType, Target

# All payload types are sent as JSON, as ZITADEL does (outrider-v1, HTTP sent to a target).
CONTENT_TYPE = ("Content-Type", "application/json")


class Unbuildable(Exception):
    """Nothing can be sent. The text is a sentence for the attempt log."""


Encoder = Callable[[bytes, Target], bytes]
"""Wraps a body for a target, or raises `Unbuildable`."""


def plain(body: bytes, target: Target) -> bytes:  # noqa: ARG001 - every encoder gets the target
    """The payload type JSON: the body as it is."""
    return body


@dataclass(frozen=True, slots=True)
class Envelopes:
    """Makes calls. `encoders` says which payload types can be sent."""

    encoders: Mapping[int, Encoder]

    def build(
        self,
        target: Target,
        body: bytes,
        *,
        message_id: str,
        now: datetime,
        attempt_number: int | None = None,
    ) -> Call:
        """Return the call, signed at `now` with every valid key. Raise `Unbuildable`.

        `message_id` is the delivery's id, or the call's for an interception; the two headers
        about deliveries are there when `attempt_number` is.
        """
        encode = self.encoders.get(target.payload_type)
        if encode is None:
            raise Unbuildable(
                f"payload type {_payload_name(target)} cannot be sent by this release"
            )
        wrapped = encode(body, target)
        headers = [CONTENT_TYPE, *_signatures(target, wrapped, message_id, now)]
        if attempt_number is not None:
            headers.append(("Outrider-Delivery", message_id))
            headers.append(("Outrider-Attempt", str(attempt_number)))
        return Call(target.endpoint, tuple(headers), wrapped, target.timeout.total_seconds())


def _signatures(
    target: Target, wrapped: bytes, message_id: str, now: datetime
) -> list[tuple[str, str]]:
    secrets = target.signing_secrets(now)
    at = int(now.timestamp())
    signature = zitadel_signature(wrapped, secrets, at)
    standard = standard_webhooks_headers(wrapped, message_id, secrets, at)
    return [*((name, signature) for name in SIGNATURE_HEADERS), *standard.items()]


def _payload_name(target: Target) -> str:
    try:
        return PayloadType(target.payload_type).name
    except ValueError:
        return str(target.payload_type)
