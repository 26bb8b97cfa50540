"""Build a request that is ready to send: payload type, signatures, headers.

Deliveries and interceptions share it. A payload type is a function from the body to the bytes
that are sent, registered in `bootstrap`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from outrider.domain.calls.classify import CLASSIFIED_BYTES
from outrider.domain.calls.request import (
    DIRECT,
    MAX_APPLIED_BYTES,
    OutboundRequest,
    RequestError,
    Route,
    Stage,
)
from outrider.domain.calls.resolved_target import ResolvedTarget
from outrider.domain.calls.signature import (
    SIGNATURE_HEADERS,
    standard_webhooks_headers,
    zitadel_signature,
)
from outrider.domain.calls.trace import TraceContext
from outrider.domain.hops import HOPS_HEADER, MAX_HOPS
from outrider.domain.outcome import Outcome
from outrider.domain.targets.policy import DEFAULT_POLICY
from outrider.domain.targets.target import PayloadType, Target, TargetType
from outrider.errors import OutriderError

# All payload types are sent as JSON, as ZITADEL does.
CONTENT_TYPE = ("Content-Type", "application/json")

NO_NAMES: frozenset[str] = frozenset()

_VISIBLE = re.compile(r"[!-$&-~]*")
_DECODED = re.compile(r"%(?=[0-9A-Fa-f]{2})")
_VISIBLE_SIGNS = "".join(map(chr, range(0x21, 0x7F)))
_HOPS_HEADERS = tuple((HOPS_HEADER, str(hops)) for hops in range(MAX_HOPS + 1))

TEST_HEADER = ("Outrider-Test", "true")
"""Marks a sample call, which an operator made: receivers may answer it without doing anything."""


class RequestBuildError(RequestError):
    """The request could not be built: nothing was sent. For the arguments see `RequestError`."""

    def __init__(self, reason: str, error: OutriderError | None = None) -> None:
        super().__init__(Outcome.BUILD_FAILED, Stage.BUILD, reason)
        self.error = error


Encoder = Callable[[bytes, ResolvedTarget, datetime], bytes]
"""Wraps a body for a target as of a time, or raises `RequestBuildError`."""


def plain(body: bytes, resolved_target: ResolvedTarget, now: datetime) -> bytes:  # noqa: ARG001 - every encoder gets them
    """Return the body as it is: the payload type JSON."""
    return body


@dataclass(frozen=True, slots=True)
class RequestBuilder:
    """Builds and signs requests. `encoders` are the payload types that can be sent."""

    encoders: Mapping[int, Encoder]

    def build(
        self,
        resolved_target: ResolvedTarget,
        body: bytes,
        *,
        message_id: str,
        now: datetime,
        attempt_number: int | None = None,
        event_id: str = "",
        replay_of: str | None = None,
        hops: int = 1,
        is_test: bool = False,
        trace: TraceContext | None = None,
    ) -> OutboundRequest:
        """Return the request, signed at `now` with every valid key. Raise `RequestBuildError`.

        `message_id` is the delivery's id, or the call's for an interception; the headers about
        deliveries are there when `attempt_number` is: `event_id` is empty for what is no event,
        `replay_of` names the delivery that this one repeats, `hops` counts this outrider, too. A header marks a test. The
        receiver's spans go below `trace`.
        """
        target = resolved_target.target
        encode = self.encoders.get(target.payload_type)
        if encode is None:
            raise RequestBuildError(
                f"payload type {_payload_name(target)} cannot be sent by this release"
            )
        encoded = encode(body, resolved_target, now)
        headers = [CONTENT_TYPE, *_signatures(target, encoded, message_id, now)]
        if attempt_number is not None:
            headers.append(("Outrider-Delivery", message_id))
            headers.append(("Outrider-Attempt", str(attempt_number)))
            if event_id:
                headers.append(("Outrider-Event", visible_id(event_id)))
            if replay_of is not None:
                headers.append(("Outrider-Replay-Of", replay_of))
            headers.append(_HOPS_HEADERS[hops])
        if is_test:
            headers.append(TEST_HEADER)
        if trace is not None:
            headers.extend(trace.headers)
        # Only a response that is applied is of use in full; all others are only classified.
        is_applied = target.type is TargetType.REST_CALL and attempt_number is None and not is_test
        # One byte more than may be applied: so much says that it was too much.
        body_limit = MAX_APPLIED_BYTES + 1 if is_applied else CLASSIFIED_BYTES
        return _request(resolved_target, headers, encoded, body_limit)


def visible_id(event_id: str) -> str:
    """An event's id as a header shows it; percent-decoding gives it back.

    What is not visible ASCII is percent-encoded, and a percent sign where it would be decoded.
    """
    if _VISIBLE.fullmatch(event_id):
        return event_id
    return quote(_DECODED.sub("%25", event_id), safe=_VISIBLE_SIGNS)


def _request(
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
    target: Target, encoded: bytes, message_id: str, now: datetime
) -> list[tuple[str, str]]:
    secrets = target.signing_secrets(now)
    at = int(now.timestamp())
    signature = zitadel_signature(encoded, secrets, at)
    standard = standard_webhooks_headers(encoded, message_id, secrets, at)
    return [*((name, signature) for name in SIGNATURE_HEADERS), *standard.items()]


def _payload_name(target: Target) -> str:
    try:
        return PayloadType(target.payload_type).name
    except ValueError:
        return str(target.payload_type)
