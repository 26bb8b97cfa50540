"""From a body to a call that is ready to leave: payload type, signatures, headers.

Shared by deliveries and interceptions. A payload type is a function from the body to the bytes
that are sent, registered in `bootstrap`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from outrider.domain.calls.classify import CLASSIFIED_BYTES
from outrider.domain.calls.request import DIRECT, MAX_RESPONSE_BYTES, OutboundRequest, Route
from outrider.domain.calls.resolved_target import ResolvedTarget
from outrider.domain.calls.signature import (
    SIGNATURE_HEADERS,
    standard_webhooks_headers,
    zitadel_signature,
)
from outrider.domain.calls.trace import TraceContext
from outrider.domain.targets.policy import DEFAULT_POLICY
from outrider.domain.targets.target import PayloadType, Target, TargetType
from outrider.errors import OutriderError

# All payload types are sent as JSON, as ZITADEL does (outrider-v1, HTTP sent to a target).
CONTENT_TYPE = ("Content-Type", "application/json")

NO_NAMES: frozenset[str] = frozenset()

TEST_HEADER = ("Outrider-Test", "true")
"""Marks a call that was made by hand: receivers may answer it without doing anything."""


class RequestBuildError(Exception):
    """Nothing can be sent. `reason` is a sentence for the attempt log.

    `error` is what the caller is told of an interception that interrupts; None where the contract
    has no text for it.
    """

    def __init__(self, reason: str, error: OutriderError | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.error = error


Encoder = Callable[[bytes, ResolvedTarget, datetime], bytes]
"""Wraps a body for a target as of a time, or raises `RequestBuildError`."""


def plain(body: bytes, resolved_target: ResolvedTarget, now: datetime) -> bytes:  # noqa: ARG001 - every encoder gets them
    """The payload type JSON: the body as it is."""
    return body


@dataclass(frozen=True, slots=True)
class RequestBuilder:
    """Makes calls. `encoders` says which payload types can be sent."""

    encoders: Mapping[int, Encoder]

    def build(
        self,
        resolved_target: ResolvedTarget,
        body: bytes,
        *,
        message_id: str,
        now: datetime,
        attempt_number: int | None = None,
        is_test: bool = False,
        trace: TraceContext | None = None,
    ) -> OutboundRequest:
        """Return the call, signed at `now` with every valid key. Raise `RequestBuildError`.

        `message_id` is the delivery's id, or the call's for an interception; the two headers
        about deliveries are there when `attempt_number` is. A test says so in a header. The
        receiver's spans go below `trace`.
        """
        target = resolved_target.target
        encode = self.encoders.get(target.payload_type)
        if encode is None:
            raise RequestBuildError(
                f"payload type {_payload_name(target)} cannot be sent by this release"
            )
        wrapped = encode(body, resolved_target, now)
        headers = [CONTENT_TYPE, *_signatures(target, wrapped, message_id, now)]
        if attempt_number is not None:
            headers.append(("Outrider-Delivery", message_id))
            headers.append(("Outrider-Attempt", str(attempt_number)))
        if is_test:
            headers.append(TEST_HEADER)
        if trace is not None:
            headers.extend(trace.headers)
        # Only an answer that is applied is of use in full; of all others a judgement is left.
        is_applied = target.type is TargetType.REST_CALL and attempt_number is None and not is_test
        body_limit = MAX_RESPONSE_BYTES if is_applied else CLASSIFIED_BYTES
        return _addressed(resolved_target, headers, wrapped, body_limit)


def _addressed(
    resolved_target: ResolvedTarget, headers: list[tuple[str, str]], body: bytes, body_limit: int
) -> OutboundRequest:
    policy, sensitive_headers, route = resolved_target.policy, NO_NAMES, DIRECT
    if policy is not DEFAULT_POLICY:
        headers.extend(policy.headers)
        sensitive_headers = frozenset(name.lower() for name, _ in policy.headers)
        route = Route(policy.tls, policy.proxy_url)
    target = resolved_target.target
    seconds = target.timeout.total_seconds()
    return OutboundRequest(
        target.endpoint, tuple(headers), body, seconds, route, sensitive_headers, body_limit
    )


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
